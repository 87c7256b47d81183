"""Editing items while others do the same."""

import asyncio
from datetime import UTC, datetime

import httpx2

from models.base import find
from models.contact import Contact
from models.database import Database
from tests.fixtures.api import SmallCompany

A_MOMENT = 0.3


async def test_who_links_a_client_that_is_being_deleted_waits_and_is_refused(
    company: SmallCompany, api: httpx2.AsyncClient, database: Database
) -> None:
    await company.pipeline("New")
    anna = Contact(first_name="Anna")
    await company.add(anna)

    async with database.transaction() as session:
        contact = await find(session, Contact, anna.id, lock=True)
        contact.deleted_at = datetime.now(UTC)
        await session.flush()
        linking = asyncio.create_task(
            api.post("/v1/deals", json={"title": "Roof", "contact_id": anna.id})
        )
        done, _ = await asyncio.wait({linking}, timeout=A_MOMENT)

    assert not done
    assert (await linking).status_code == 422
