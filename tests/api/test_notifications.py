"""Notifications over HTTP: what people were told, and whether they have read it."""

import httpx2

from models.notification import Notification
from models.user import User
from tests.fixtures.api import SmallCompany


async def test_you_see_what_you_were_told_newest_first(
    company: SmallCompany, api: httpx2.AsyncClient, admin: User
) -> None:
    bea = User(name="Bea")
    await company.add(bea)
    await company.add(Notification(recipient_id=admin.id, text="one"))
    await company.add(Notification(recipient_id=bea.id, text="hers", sender_id=admin.id))
    await company.add(Notification(recipient_id=admin.id, text="two"))

    mine = (await api.get("/v1/notifications")).json()["items"]
    hers = (await api.get("/v1/notifications", params={"recipient_id": bea.id})).json()["items"]

    assert [each["text"] for each in mine] == ["two", "one"]
    assert [(each["text"], each["sender_id"]) for each in hers] == [("hers", admin.id)]


async def test_reading_is_noted_once(
    company: SmallCompany, api: httpx2.AsyncClient, admin: User
) -> None:
    note = Notification(recipient_id=admin.id, text="one")
    await company.add(note)

    first = await api.post(f"/v1/notifications/{note.id}/read")
    second = await api.post(f"/v1/notifications/{note.id}/read")

    assert first.json()["read_at"] is not None
    assert second.json() == first.json()


async def test_nobody_reads_for_somebody_else(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    bea = User(name="Bea")
    await company.add(bea)
    note = Notification(recipient_id=bea.id, text="hers")
    await company.add(note)

    answer = await api.post(f"/v1/notifications/{note.id}/read")

    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/not-allowed"
