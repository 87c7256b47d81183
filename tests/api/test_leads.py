"""Leads over HTTP: they have names, phones and addresses of their own."""

import httpx2
import pytest

from models.contact import Contact
from models.item_type import ItemType
from tests.fixtures.api import SmallCompany


@pytest.fixture(autouse=True)
async def pipeline(company: SmallCompany) -> list[int]:
    return await company.pipeline("Fresh", "Qualified", item_type=ItemType.LEAD)


async def test_a_lead_has_its_own_names_and_addresses(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    said = {
        "first_name": "Jane",
        "last_name": "Doe",
        "phones": ["030 123456", "+48 22 123 45 67"],
        "emails": ["Jane@Firm.example"],
    }

    lead = await company.lead(**said)

    assert said.items() <= lead.items()
    assert lead["is_repeat"] is False
    assert (await api.get(f"/v1/leads/{lead['id']}")).json() == lead
    assert (await api.get("/v1/leads")).json()["items"] == [lead]


async def test_a_lead_of_a_client_is_a_repeat_lead(company: SmallCompany) -> None:
    anna = Contact(first_name="Anna")
    await company.add(anna)

    lead = await company.lead(contact_id=anna.id)

    assert lead["is_repeat"] is True


async def test_what_is_no_phone_or_address_is_refused(api: httpx2.AsyncClient) -> None:
    phones = await api.post("/v1/leads", json={"title": "x", "phones": ["+49 30 1234", "none"]})
    emails = await api.post("/v1/leads", json={"title": "x", "emails": ["at home"]})

    assert phones.status_code == emails.status_code == 422
    assert phones.json()["errors"][0]["field"] == "/phones/1"
    assert emails.json()["errors"][0]["field"] == "/emails/0"


async def test_new_phones_leave_the_addresses_alone(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    lead = await company.lead(phones=["030 123456"], emails=["jane@firm.example"])

    answer = await api.patch(
        f"/v1/leads/{lead['id']}", json={"phones": ["030 999999", "030 123456"]}
    )

    assert answer.json()["phones"] == ["030 999999", "030 123456"]
    assert answer.json()["emails"] == ["jane@firm.example"]
    assert answer.json()["version"] == 2
    assert (await api.get(f"/v1/leads/{lead['id']}")).json() == answer.json()


async def test_a_deleted_lead_is_gone(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    lead = await company.lead()

    answer = await api.delete(f"/v1/leads/{lead['id']}")

    assert answer.status_code == 204
    assert (await api.get(f"/v1/leads/{lead['id']}")).status_code == 404
