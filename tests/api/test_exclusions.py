"""The exceptions list over HTTP: values as machines compare them, and taking spam back."""

import httpx2
import pytest

from models.contact import Contact
from models.contact_point import email
from models.database import Database
from models.exclusion import Exclusion, ExclusionKind
from models.item import find_item
from models.recycle_bin import delete_client, delete_item
from models.stage_entry import Cause, lock_run
from tests.fixtures.api import SmallCompany


@pytest.mark.parametrize(
    ("kind", "said", "kept"),
    [
        ("phone", "030 / 123 456", "+4930123456"),
        ("email", "Spam@Firm.Example ", "spam@firm.example"),
        ("domain", "@Firm.Example", "firm.example"),
    ],
)
async def test_a_value_is_kept_as_it_is_compared(
    api: httpx2.AsyncClient, kind: str, said: str, kept: str
) -> None:
    answer = await api.post(
        "/v1/exclusions", json={"kind": kind, "value": said, "comment": "Robot"}
    )

    assert answer.status_code == 201
    assert (answer.json()["value"], answer.json()["comment"]) == (kept, "Robot")
    assert (await api.get("/v1/exclusions")).json()["items"] == [answer.json()]
    assert (await api.get(f"/v1/exclusions/{answer.json()['id']}")).json() == answer.json()


async def test_a_value_is_listed_once(api: httpx2.AsyncClient) -> None:
    await api.post("/v1/exclusions", json={"kind": "email", "value": "spam@firm.example"})

    answer = await api.post("/v1/exclusions", json={"kind": "email", "value": "SPAM@firm.example"})

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["field"] == "/value"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("phone", "none"), ("email", "spam"), ("domain", "not a domain"), ("domain", "")],
)
async def test_what_is_no_address_is_refused(
    api: httpx2.AsyncClient, kind: str, value: str
) -> None:
    answer = await api.post("/v1/exclusions", json={"kind": kind, "value": value})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/value"


async def test_the_list_can_be_read_by_kind_commented_and_shortened(
    api: httpx2.AsyncClient,
) -> None:
    mail = (
        await api.post("/v1/exclusions", json={"kind": "email", "value": "a@firm.example"})
    ).json()
    await api.post("/v1/exclusions", json={"kind": "domain", "value": "firm.example"})
    path = f"/v1/exclusions/{mail['id']}"

    found = (await api.get("/v1/exclusions", params={"kind": "email"})).json()["items"]
    changed = await api.patch(path, json={"comment": "Sorry"})
    deleted = await api.delete(path)

    assert found == [mail]
    assert changed.json() == mail | {"comment": "Sorry", "version": 2}
    assert deleted.status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_undo_brings_back_item_client_and_list(
    company: SmallCompany, api: httpx2.AsyncClient, database: Database
) -> None:
    [stage] = await company.pipeline("Spam")
    await company.rule(stage)
    anna = Contact(first_name="Anna", contact_points=[email("anna@firm.example")])
    await company.add(anna)
    deal = await company.deal(contact_id=anna.id)
    [run] = (await api.get(f"/v1/items/{deal['id']}/runs")).json()["items"]
    async with database.transaction() as session:
        cause = Cause.rule(await lock_run(session, run["id"]))
        await delete_item(session, await find_item(session, deal["id"]), cause)
        delete_client(session, await session.get_one(Contact, anna.id), cause)
        listed = Exclusion(kind=ExclusionKind.EMAIL, value="anna@firm.example")
        listed.made_by_run_id = run["id"]
        session.add(listed)

    answer = await api.post("/v1/exclusions/undo", json={"run_id": run["id"]})

    assert answer.json()["deleted_at"] is None
    assert (await api.get(f"/v1/deals/{deal['id']}")).status_code == 200
    assert (await api.get(f"/v1/contacts/{anna.id}")).status_code == 200
    assert (await api.get("/v1/exclusions")).json()["items"] == []


async def test_a_run_that_excluded_nothing_cannot_be_undone(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/exclusions/undo", json={"run_id": 42})

    assert answer.status_code == 404
    assert answer.json()["errors"][0]["field"] == "/run_id"
