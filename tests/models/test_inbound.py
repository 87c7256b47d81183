"""The row that is kept of what came in."""

from sqlalchemy import select

from models.inbound import Inbound
from tests.fixtures.office import Office, a_mail


async def test_what_is_kept_of_a_mail_is_what_arrived(office: Office) -> None:
    raw = a_mail(text="\udcff".encode("utf-8", "surrogateescape").decode("latin-1"))

    received = await office.mail(raw)

    async with office.database.reading() as session:
        kept = await session.scalar(select(Inbound.raw).where(Inbound.id == received.inbound_id))
    assert kept == raw
