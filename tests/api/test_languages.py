"""The catalogues of actions and fields speak the language of whoever reads them."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from activities.registry import all_actions
from api.languages import best
from models.database import Database
from models.installation import installation
from models.user import Role, User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

POLISH = {"Accept-Language": "pl"}


async def action(api: httpx2.AsyncClient, code: str, **headers: str) -> Any:
    answer = await api.get("/v1/actions", params={"limit": 200}, headers=headers)
    return {each["code"]: each for each in answer.json()["items"]}[code]


async def spoken(api: httpx2.AsyncClient, **headers: str) -> str:
    answer = await api.get("/v1/actions", params={"limit": 1}, headers=headers)
    return answer.headers["content-language"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("pl", "pl"),
        ("PL", "pl"),
        ("pl-PL", "pl"),
        ("fr-CH, fr;q=0.9, de;q=0.5, *;q=0.1", "fr"),
        ("de;q=0.5, fr;q=0.9", "fr"),
        ("es, pl", "es"),
        ("pl;q=0.8, es;q=0.8", "pl"),
        ("it, de-AT;q=0.7, en;q=0.3", "de"),
        ("it, ja", "en"),
        ("*", "en"),
        ("it, *;q=0.5", "en"),
        ("en;q=0, *", "es"),
        ("en;q=0.2, pl;q=0.1, *;q=0.3", "es"),
        ("pl;q=0", "en"),
        ("en;q=0", "es"),
        ("*;q=0", "en"),
        ("*;q=0, pl;q=0.001", "pl"),
        ("de;q=0, de-AT", "en"),
        ("de-AT;q=0, de", "de"),
        ("de-AT;q=0.2, de-CH;q=0.8, fr;q=0.5", "de"),
        ("fr;q=0.333 , pl ; q=0.334", "pl"),
        ("plx, deu, en-x", "en"),
        ("", "en"),
        (" , ,", "en"),
    ],
)
def test_the_language_that_suits_most_is_taken(wanted: str, chosen: str) -> None:
    assert best(wanted) == chosen


@pytest.mark.parametrize(
    "unreadable", ["pl;q=2", "pl;q=-1", "pl;q=.5", "pl;q=0.1234", "pl;q=", "pl q=1", "p1", "pl_PL"]
)
def test_a_range_that_cannot_be_read_counts_for_nothing(unreadable: str) -> None:
    assert best(f"{unreadable}, fr;q=0.1") == "fr"


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("*", "pl"), ("it", "pl"), ("it, *;q=0.1", "pl"), ("pl;q=0", "de"), ("de, pl;q=0.9", "de")],
)
def test_whoever_takes_any_language_gets_their_own(wanted: str, chosen: str) -> None:
    assert best(wanted, ["pl", "de"]) == chosen


@pytest.mark.parametrize(
    ("wanted", "title", "group"),
    [
        ("en", "Copy deal", "Recurring sales"),
        ("es", "Copiar negociación", "Ventas recurrentes"),
        ("pl", "Kopiuj transakcję", "Sprzedaż powtarzalna"),
        ("de", "Deal kopieren", "Wiederkehrende Verkäufe"),
        ("fr", "Copier la transaction", "Ventes récurrentes"),
    ],
)
async def test_actions_are_told_in_the_language_that_is_asked_for(
    api: httpx2.AsyncClient, wanted: str, title: str, group: str
) -> None:
    answer = await api.get("/v1/actions", headers={"Accept-Language": f"{wanted}, it;q=0.9"})

    told = {each["code"]: each for each in answer.json()["items"]}["copy_deal"]
    assert (told["title"], told["group_title"]) == (title, group)
    assert told["group"] == "Recurring sales"
    assert answer.headers["content-language"] == wanted
    assert answer.headers["vary"] == "Accept-Language"


async def test_all_that_people_read_of_an_action_is_translated(api: httpx2.AsyncClient) -> None:
    spam = await action(api, "add_to_exclusions", **POLISH)
    repeat = await action(api, "create_repeat_lead", **POLISH)

    assert spam["description"].startswith("Umieszcza telefony i adresy e-mail klienta")
    assert spam["warning"].startswith("Usuwa element")
    assert spam["results"][0]["title"] == "Adresy umieszczone na liście"
    responsible = repeat["params"]["properties"]["responsible"]
    assert responsible["title"] == "Osoba odpowiedzialna"
    assert responsible["description"] == "Jak w transakcji, jeśli nie wybrano."
    assert responsible["properties"]["by"]["title"] == "Kto"
    assert repeat["params"]["properties"]["title"]["default"] == "{{ deal.title }}, powtórny"


async def test_what_programs_read_is_the_same_in_every_language(api: httpx2.AsyncClient) -> None:
    english = await action(api, "create_task", **{"Accept-Language": "en"})
    polish = await action(api, "create_task", **POLISH)

    assert polish["params"]["properties"].keys() == english["params"]["properties"].keys()
    assert polish["params"]["required"] == english["params"]["required"] == ["title"]
    assert [each["name"] for each in polish["results"]] == [
        each["name"] for each in english["results"]
    ]
    priority = polish["params"]["properties"]["priority"]
    assert (priority["enum"], priority["default"]) == (["low", "normal", "high"], "normal")


@on_one_database
@pytest.mark.parametrize("code", sorted(all_actions()))
async def test_every_field_of_a_form_has_a_title_in_the_readers_language(
    api: httpx2.AsyncClient, code: str
) -> None:
    english = titles((await action(api, code))["params"])
    polish = titles((await action(api, code, **POLISH))["params"])

    assert english.keys() == polish.keys()
    assert [path for path, title in polish.items() if not title] == []


def titles(form: Any, at: str = "") -> dict[str, Any]:
    """Return the titles of the fields of a form and of those within them, by path."""
    match form:
        case {"properties": dict() as fields}:
            own = {f"{at}/{name}": field.get("title") for name, field in fields.items()}
            inner = [titles(field, f"{at}/{name}") for name, field in fields.items()]
        case dict():
            own = {}
            inner = [titles(part, at) for part in form.values()]
        case list():
            own = {}
            inner = [titles(part, at) for part in form]
        case _:
            return {}
    return {path: title for part in [own, *inner] for path, title in part.items()}


async def test_without_a_wish_it_is_the_language_of_the_reader_else_of_the_company(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database, sign_in: SignIn
) -> None:
    anne, bob = (
        User(name="Anne", role=Role.MANAGER, locale="fr_FR"),
        User(name="Bob", role=Role.MANAGER, locale="it_IT"),
    )
    await company.add(anne, bob)
    before = await spoken(api)

    async with database.transaction() as session:
        (await installation(session)).locale = "pl_PL"

    assert before == "en"
    assert await spoken(api) == "pl"
    assert await spoken(await sign_in(anne)) == "fr"
    assert await spoken(await sign_in(bob)) == "pl"
    assert await spoken(await sign_in(anne), **{"Accept-Language": "de"}) == "de"


async def test_a_sheet_is_in_that_language_too(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/actions", headers={"Accept": "text/csv", **POLISH})

    assert "Dodaj do wyjątków" in answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-language"] == "pl"
    assert answer.headers["vary"] == "Accept-Language"


async def test_fields_are_told_in_that_language_but_custom_ones_as_people_call_them(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.custom("amount", "money", title="Amount")
    await company.custom("manager", "user", title="Stage: Manager")

    answer = await api.get("/v1/fields", params={"limit": 200}, headers=POLISH)

    told = {each["path"]: each["title"] for each in answer.json()["items"]}
    assert told["deal.amount"] == "Kwota"
    assert told["contact.phone"] == "Kontakt: Telefon"
    assert told["deal.custom.amount"] == "Amount"
    assert told["deal.custom.manager"] == "Stage: Manager"
    assert told["deal.custom.manager.email"] == "Stage: Manager: E-mail"
    assert told["deal.custom.manager.name"] == "Stage: Manager: Nazwa"
    assert answer.headers["content-language"] == "pl"


async def test_a_text_that_nobody_has_chosen_is_kept_in_the_language_of_the_company(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    [stage] = await company.pipeline("Won")
    async with database.transaction() as session:
        (await installation(session)).locale = "pl_PL"

    left_out = await company.rule(stage, action="create_repeat_lead", params={})
    chosen = await company.rule(stage, action="create_repeat_lead", params={"title": "Text"})

    assert left_out["params"]["title"] == "{{ deal.title }}, powtórny"
    assert chosen["params"]["title"] == "Text"


def test_the_document_tells_how_to_ask_for_a_language(one_app: FastAPI) -> None:
    said = one_app.openapi()["paths"]["/v1/actions"]["get"]

    asked = {each["name"]: each for each in said["parameters"]}["Accept-Language"]
    assert (asked["in"], asked["required"]) == ("header", False)
    assert "`pl`" in asked["description"]
    assert {"Content-Language", "Vary"} <= said["responses"]["200"]["headers"].keys()


def test_only_what_is_read_and_has_no_version_speaks_languages(one_app: FastAPI) -> None:
    translated = {
        path: (list(methods), said["responses"]["200"]["headers"])
        for path, methods in one_app.openapi()["paths"].items()
        for said in methods.values()
        if "Accept-Language" in {each["name"] for each in said.get("parameters", ())}
    }

    assert translated.keys() == {"/v1/actions", "/v1/fields", "/v1/trigger-types"}
    assert {tuple(methods) for methods, _ in translated.values()} == {("get",)}
    assert [path for path, (_, headers) in translated.items() if "ETag" in headers] == []
