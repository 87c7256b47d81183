"""The settings of the company over HTTP."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from models.contact_point import ContactPoint
from models.database import Database
from tests.fixtures.database import on_one_database

HOME = "/v1/installation"


async def test_a_new_installation_has_usual_settings(api: httpx2.AsyncClient) -> None:
    home = (await api.get(HOME)).json()

    assert home == {
        "database_id": home["database_id"],
        "time_zone": "UTC",
        "locale": "en",
        "currency": "EUR",
        "phone_region": "DE",
        "working_hours": None,
        "holiday_country": None,
        "days_off": [],
        "version": 1,
    }


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient) -> None:
    before = (await api.get(HOME)).json()

    changed = await api.patch(HOME, json={"time_zone": "Europe/Warsaw", "currency": "PLN"})

    told = before | {"time_zone": "Europe/Warsaw", "currency": "PLN", "version": 2}
    assert changed.json() == told
    assert (await api.get(HOME)).json() == changed.json()


async def test_the_company_says_when_it_works(api: httpx2.AsyncClient) -> None:
    hours = {"sat": [["10:00", "14:00"]]}
    off = ["2027-12-24", "2027-12-23", "2027-12-24"]

    changed = await api.patch(
        HOME, json={"working_hours": hours, "holiday_country": "PL", "days_off": off}
    )

    told = changed.json()
    assert told["working_hours"]["sat"] == [["10:00", "14:00"]]
    assert (told["holiday_country"], told["days_off"]) == ("PL", ["2027-12-23", "2027-12-24"])
    assert (await api.get(HOME)).json() == told


async def test_a_locale_is_kept_in_one_form(api: httpx2.AsyncClient) -> None:
    changed = await api.patch(HOME, json={"locale": "pl-PL"})

    assert changed.json()["locale"] == "pl_PL"


async def test_phones_without_a_prefix_are_of_the_companys_country(
    api: httpx2.AsyncClient, database: Database
) -> None:
    number = {"phones": ["030 1234567"]}
    await api.post("/v1/contacts", json=number)
    await api.patch(HOME, json={"phone_region": "AT"})

    await api.post("/v1/contacts", json=number)

    async with database.reading() as session:
        kept = await session.scalars(select(ContactPoint.value).order_by(ContactPoint.id))
    assert kept.all() == ["+49301234567", "+43301234567"]


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"time_zone": "Warsaw"}, "/time_zone"),
        ({"time_zone": None}, "/time_zone"),
        ({"locale": "tlh_XX"}, "/locale"),
        ({"locale": ""}, "/locale"),
        ({"locale": "../../etc"}, "/locale"),
        ({"currency": "EURO"}, "/currency"),
        ({"currency": "XYZ"}, "/currency"),
        ({"phone_region": "XX"}, "/phone_region"),
        ({"phone_region": "de"}, "/phone_region"),
        ({"working_hours": {}}, "/working_hours"),
        ({"holiday_country": "Poland"}, "/holiday_country"),
        ({"days_off": ["Christmas"]}, "/days_off/0"),
        ({"database_id": "c0ffee00-0000-4000-8000-000000000000"}, "/database_id"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    before = (await api.get(HOME)).json()

    answer = await api.patch(HOME, json=sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await api.get(HOME)).json() == before
