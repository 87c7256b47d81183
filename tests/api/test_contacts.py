"""Contacts over HTTP."""

from typing import Any

import httpx2
import pytest

from models.contact import Contact
from models.contact_point import ContactPoint, ContactPointKind
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

CONTACTS = "/v1/contacts"


async def contact(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(CONTACTS, json={"first_name": "Anna"} | said))


async def firm(api: httpx2.AsyncClient) -> Any:
    return SmallCompany.made(await api.post("/v1/companies", json={"name": "Roofs & Co"}))


async def test_a_contact_reads_as_created(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api)

    anna = await contact(
        api,
        last_name="Nowak",
        position="Buyer",
        comments="Calls back",
        company_id=roofs["id"],
        phones=["030 1234567", "+48 600 100 200 ext. 5"],
        emails=["Anna@Example.com"],
    )

    assert (await api.get(f"{CONTACTS}/{anna['id']}")).json() == anna
    assert anna == {
        "id": anna["id"],
        "name": "Anna Nowak",
        "first_name": "Anna",
        "last_name": "Nowak",
        "position": "Buyer",
        "comments": "Calls back",
        "company_id": roofs["id"],
        "phones": ["030 1234567", "+48 600 100 200 ext. 5"],
        "emails": ["Anna@Example.com"],
        "made_by_run_id": None,
        "created_at": anna["created_at"],
        "version": 1,
    }


async def test_phones_that_are_sent_replace_all_phones_and_nothing_else(
    api: httpx2.AsyncClient,
) -> None:
    roofs = await firm(api)
    anna = await contact(
        api, company_id=roofs["id"], phones=["030 1", "030 22222"], emails=["a@b.de"]
    )
    phones = ["030 33333", "030 22222"]

    changed = await api.patch(f"{CONTACTS}/{anna['id']}", json={"phones": phones})

    assert changed.json() == anna | {"phones": phones, "version": 2}
    assert (await api.get(f"{CONTACTS}/{anna['id']}")).json() == changed.json()


async def test_fields_can_be_emptied(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api)
    anna = await contact(
        api, company_id=roofs["id"], phones=["030 22222"], emails=["a@b.de"], comments="Old"
    )
    nothing: dict[str, Any] = {"company_id": None, "emails": [], "comments": None}

    changed = await api.patch(f"{CONTACTS}/{anna['id']}", json=nothing)

    assert changed.json() == anna | nothing | {"version": 2}


async def test_an_address_that_could_never_be_read_does_not_stand_in_the_way(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    imported = Contact(
        contact_points=[ContactPoint(kind=ContactPointKind.PHONE, raw="ask Eva", value=None)]
    )
    await company.add(imported)
    phones = ["030 22222", "ask Eva"]

    changed = await api.patch(f"{CONTACTS}/{imported.id}", json={"phones": phones})

    assert changed.json()["phones"] == phones


async def test_contacts_of_a_company_are_listed(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api)
    anna = await contact(api, company_id=roofs["id"], phones=["030 22222"])
    await contact(api, first_name="Eve")

    found = await api.get(CONTACTS, params={"company_id": roofs["id"]})

    assert found.json() == {"items": [anna], "next": None}


async def test_lists_come_in_pages(api: httpx2.AsyncClient) -> None:
    anna, eve = await contact(api), await contact(api, first_name="Eve")

    first = (await api.get(CONTACTS, params={"limit": 1})).json()
    second = (await api.get(CONTACTS, params={"limit": 1, "after": first["next"]})).json()

    assert [first["items"], second["items"], second["next"]] == [[anna], [eve], None]


async def test_a_contact_that_nothing_uses_is_gone_when_deleted(api: httpx2.AsyncClient) -> None:
    anna = await contact(api)

    deleted = await api.delete(f"{CONTACTS}/{anna['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{CONTACTS}/{anna['id']}")).status_code == 404
    assert (await api.patch(f"{CONTACTS}/{anna['id']}", json={})).status_code == 404
    assert (await api.get(CONTACTS)).json()["items"] == []


async def test_a_contact_in_use_stays_and_its_uses_are_named(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    anna = await contact(api)
    primary = await company.deal(contact_id=anna["id"])
    further = await company.deal(further_contact_ids=[anna["id"]])

    deleted = await api.delete(f"{CONTACTS}/{anna['id']}")

    assert deleted.status_code == 409
    assert deleted.json()["detail"] == (
        f"Contact {anna['id']} is still used: deal {primary['id']}, deal {further['id']}."
    )


async def test_a_deal_in_the_recycle_bin_uses_nobody(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    anna = await contact(api)
    deal = await company.deal(contact_id=anna["id"])
    await api.delete(f"/v1/deals/{deal['id']}")

    deleted = await api.delete(f"{CONTACTS}/{anna['id']}")

    assert deleted.status_code == 204


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"first_name": ""}, "/first_name"),
        ({"company_id": 4711}, "/company_id"),
        ({"phones": ["030 22222", "call me"]}, "/phones/1"),
        ({"emails": ["nobody"]}, "/emails/0"),
        ({"phones": "030 22222"}, "/phones"),
        ({"phones": ["1" * 101]}, "/phones/0"),
        ({"comments": "x" * 20_001}, "/comments"),
        ({"name": "Anna"}, "/name"),
    ],
    ids=lambda sent: str(sent)[:40],
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    anna = await contact(api)

    created = await api.post(CONTACTS, json=sent)
    changed = await api.patch(f"{CONTACTS}/{anna['id']}", json=sent)

    assert [created.status_code, changed.status_code] == [422, 422]
    assert [error["field"] for error in created.json()["errors"]] == [field]
    assert created.json()["errors"] == changed.json()["errors"]


async def test_a_company_in_the_recycle_bin_gets_no_contacts(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api)
    await api.delete(f"/v1/companies/{roofs['id']}")

    answer = await api.post(CONTACTS, json={"company_id": roofs["id"]})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "/company_id", "reason": f"There is no company {roofs['id']}."}
    ]


async def test_a_change_is_told_in_history_with_what_was_there_and_who_did_it(
    api: httpx2.AsyncClient, admin: User
) -> None:
    anna = await contact(api, phones=["030 1234567"])

    await api.patch(
        f"{CONTACTS}/{anna['id']}",
        json={"last_name": "Nowak", "first_name": "Anna", "phones": ["030 22222"]},
    )

    lines = (await api.get("/v1/history?kind=changed&sort=id")).json()["items"]
    assert [line["text"] for line in lines] == [
        "Last name: (empty) → Nowak",
        "Phones: 030 1234567 → 030 22222",
    ]
    assert {(line["subject_type"], line["subject_id"]) for line in lines} == {
        ("contact", anna["id"])
    }
    assert {(line["author_id"], line["item_id"]) for line in lines} == {(admin.id, None)}
