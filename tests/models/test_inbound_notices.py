"""Notices of what came in, for whoever is responsible."""

from models.contact_point import email
from models.notification import Notification
from models.user import User
from tests.fixtures.office import ADDRESS, Office, a_mail, anna


async def test_who_is_responsible_is_told_once(office: Office) -> None:
    seller, away = User(name="Sam"), User(name="Alma", active=False)
    contact = anna(email(ADDRESS))
    await office.deal(contact=contact, responsible=seller)
    await office.deal(contact=contact, responsible=away)
    newest = await office.deal(contact=contact, responsible=seller)

    await office.mail(a_mail())

    [told] = await office.all(Notification)
    assert (told.recipient_id, told.item_id) == (seller.id, newest.id)
    assert told.text == f"E-mail from Anna Berg: The roof (deal {newest.id})"
    assert told.link == f"http://crm.example/v1/deals/{newest.id}"
