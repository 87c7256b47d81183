"""What is true of every resource: versions, pages, orders, filters, sheets."""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from api.dependencies import if_match
from api.paging import PageQuery
from api.routing import Route
from models.item_type import ItemType
from models.user import Reach, Role, User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database
from tests.fixtures.documents import OFFER

NOT_SHARED = {
    ("DELETE", "/v1/tokens/{token_id}"): "a token never changes, it only ends",
    ("DELETE", "/v1/calendar-link"): "it is nobody else's",
}
"""What is changed or deleted without `If-Match`, and why."""

Body = dict[str, Any]


@dataclass(frozen=True)
class Thing:
    """Something people make and change: where, with what, and how it is changed."""

    path: str
    of: str
    change: Body
    body: Callable[[Mapping[str, int]], Body | bytes] = field(default=lambda _: {})
    needs: Mapping[str, tuple[str, Body]] = field(default_factory=dict)
    """What must be there before: where it is made and with what, by how its id is named."""


THINGS = [
    Thing("/v1/leads/{lead_id}", "/v1/leads", {"title": "New"}, lambda _: {"title": "Old"}),
    Thing("/v1/deals/{deal_id}", "/v1/deals", {"title": "New"}, lambda _: {"title": "Old"}),
    Thing("/v1/quotes/{quote_id}", "/v1/quotes", {"title": "New"}, lambda _: {"title": "Old"}),
    Thing(
        "/v1/invoices/{invoice_id}", "/v1/invoices", {"title": "New"}, lambda _: {"title": "Old"}
    ),
    Thing("/v1/contacts/{contact_id}", "/v1/contacts", {"phones": ["030 22222"]}),
    Thing(
        "/v1/companies/{company_id}",
        "/v1/companies",
        {"emails": ["a@b.example"]},
        lambda _: {"name": "Roofs"},
    ),
    Thing(
        "/v1/tasks/{task_id}",
        "/v1/tasks",
        {"checklist": [{"text": "Price", "done": True}]},
        lambda _: {"title": "Call"},
    ),
    Thing(
        "/v1/crm-activities/{crm_activity_id}",
        "/v1/crm-activities",
        {"reminders": [60]},
        lambda place: {"kind": "call", "subject": "Call", "item_id": place["item_id"]},
    ),
    Thing(
        "/v1/pipelines/{pipeline_id}",
        "/v1/pipelines",
        {"name": "Other"},
        lambda _: {"name": "Sales", "item_type": "deal"},
    ),
    Thing(
        "/v1/stages/{stage_id}",
        "/v1/stages",
        {"name": "Other"},
        lambda place: {"name": "Won", "pipeline_id": place["pipeline_id"]},
    ),
    Thing(
        "/v1/rules/{rule_id}",
        "/v1/stages/{stage_id}/rules",
        {"enabled": False},
        lambda _: {"title": "Note", "action": "add_history_entry", "params": {"text": "Seen"}},
    ),
    Thing(
        "/v1/triggers/{trigger}",
        "/v1/stages/{stage_id}/triggers",
        {"settings": {"code": "signed"}},
        lambda _: {"type": "webhook", "settings": {"code": "paid"}, "allow_moving_back": True},
    ),
    Thing(
        "/v1/exclusions/{exclusion_id}",
        "/v1/exclusions",
        {"comment": "Spam"},
        lambda _: {"kind": "domain", "value": "spam.example"},
    ),
    Thing(
        "/v1/document-templates/{document_template_id}",
        "/v1/document-templates?name=Offer&item_type=deal",
        {"number_format": "C-{number:04}"},
        lambda _: OFFER,
    ),
    Thing("/v1/users/{user_id}", "/v1/users", {"name": "Bob"}, lambda _: {"name": "Bo"}),
    Thing(
        "/v1/departments/{department_id}",
        "/v1/departments",
        {"name": "Sales"},
        lambda _: {"name": "Sale"},
    ),
    Thing("/v1/products/{product_id}", "/v1/products", {"price": "2"}, lambda _: {"name": "Tile"}),
    Thing(
        "/v1/field-definitions/{field_definition_id}",
        "/v1/field-definitions",
        {"title": "Contract no."},
        lambda _: {
            "item_type": "deal",
            "name": "contract_no",
            "title": "Contract",
            "kind": "text",
        },
    ),
]

THINGS += [
    Thing(
        "/v1/resources/{resource_id}",
        "/v1/resources",
        {"working_hours": {"mon": [["09:00", "12:00"]]}},
        lambda _: {"name": "Crane"},
    ),
    Thing(
        "/v1/bookings/{booking_id}",
        "/v1/bookings",
        {"ends_at": "2099-08-03T11:00:00Z"},
        lambda place: {
            "item_id": place["item_id"],
            "field": "visit",
            "service": "Survey",
            "starts_at": "2099-08-03T09:00:00Z",
            "ends_at": "2099-08-03T10:00:00Z",
            "resource_ids": [place["resource_id"]],
        },
        {
            "resource_id": ("/v1/resources", {"name": "Crane"}),
            "field_definition_id": (
                "/v1/field-definitions",
                {"item_type": "deal", "name": "visit", "title": "Visit", "kind": "booking"},
            ),
        },
    ),
]

each_thing = pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.of)


async def made(company: SmallCompany, api: httpx2.AsyncClient, thing: Thing) -> str:
    """Make one; return its path."""
    [stage] = await company.pipeline("New")
    for item_type in (ItemType.LEAD, ItemType.QUOTE, ItemType.INVOICE):
        await company.pipeline("New", item_type=item_type)
    standing = (await api.get(f"/v1/stages/{stage}")).json()
    deal = await company.deal()
    place = {
        "stage_id": stage,
        "pipeline_id": standing["pipeline_id"],
        "item_id": deal["id"],
    }
    for name, (where, body) in thing.needs.items():
        place[name] = company.made(await api.post(where, json=body))["id"]
    said = thing.body(place)
    sent: Body = {"content": said} if isinstance(said, bytes) else {"json": said}
    new = company.made(await api.post(thing.of.format(**place), **sent))
    return f"{thing.path.rpartition('/')[0]}/{new['id']}"


LIVE = {"/v1/rules/{rule_id}", "/v1/document-templates/{document_template_id}"}
"""What rules show of their runs and templates of their documents changes by itself."""


def routes(app: FastAPI) -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and route of everything that needs a token."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, Route):
            for method in context.methods or ():
                yield method, str(context.path_format), context


def asked(dependant: Dependant) -> set[object]:
    return {dependant.call}.union(*(asked(each) for each in dependant.dependencies))


def test_whatever_is_changed_or_deleted_asks_for_its_version(one_app: FastAPI) -> None:
    careless = {
        (method, path)
        for method, path, route in routes(one_app)
        if method in {"PATCH", "PUT", "DELETE"} and if_match not in asked(route.dependant)
    }

    assert careless == set(NOT_SHARED)


def test_each_thing_that_can_be_changed_is_tried_here(one_app: FastAPI) -> None:
    changed = {path for method, path, _ in routes(one_app) if method == "PATCH"}

    assert changed == {thing.path for thing in THINGS} | {"/v1/installation"}


@on_one_database
@each_thing
async def test_a_change_needs_the_version_that_was_read(
    api: httpx2.AsyncClient, company: SmallCompany, thing: Thing
) -> None:
    path = await made(company, api, thing)
    seen = (await api.get(path)).headers["etag"]
    del api.headers["If-Match"]

    blind = [await api.patch(path, json=thing.change), await api.delete(path)]
    first = await api.patch(path, json=thing.change, headers={"If-Match": seen})
    late = await api.patch(path, json=thing.change, headers={"If-Match": seen})
    late_too = await api.delete(path, headers={"If-Match": seen})

    assert [answer.status_code for answer in blind] == [428, 428]
    assert blind[0].json()["type"] == "/problems/precondition-required"
    assert first.status_code == 200
    assert (late.status_code, late_too.status_code) == (412, 412)
    assert late.json()["type"] == "/problems/precondition-failed"
    assert late.headers["etag"] == first.headers["etag"] != seen


@on_one_database
@each_thing
async def test_who_has_the_present_version_may_delete(
    api: httpx2.AsyncClient, company: SmallCompany, thing: Thing
) -> None:
    path = await made(company, api, thing)
    seen = (await api.get(path)).headers["etag"]

    answer = await api.delete(path, headers={"If-Match": f"W/{seen}"})

    assert answer.status_code == 204


@on_one_database
@each_thing
async def test_a_change_that_changes_nothing_keeps_the_version(
    api: httpx2.AsyncClient, company: SmallCompany, thing: Thing
) -> None:
    path = await made(company, api, thing)

    changed = await api.patch(path, json=thing.change)
    again = await api.patch(path, json=thing.change)

    assert again.headers["etag"] == changed.headers["etag"]
    assert again.json() == changed.json()


@on_one_database
@each_thing
async def test_what_somebody_has_already_is_not_sent_again(
    api: httpx2.AsyncClient, company: SmallCompany, thing: Thing
) -> None:
    path = await made(company, api, thing)
    read = await api.get(path)

    again = await api.get(path, headers={"If-None-Match": f'"x", {read.headers["etag"]}'})
    changed = await api.patch(path, json=thing.change)
    other = await api.get(path, headers={"If-None-Match": read.headers["etag"]})

    live = thing.path in LIVE
    assert (again.status_code, again.content == b"") == ((200, False) if live else (304, True))
    assert again.headers["etag"] == read.headers["etag"]
    assert (other.status_code, other.headers["etag"]) == (200, changed.headers["etag"])


async def test_people_and_rows_of_other_tables_count_as_a_change(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    person = company.made(await api.post("/v1/users", json={"name": "Bob"}))
    task = company.made(await api.post("/v1/tasks", json={"title": "Call"}))
    rows = {"product_rows": [{"name": "Tile", "price": "2.50"}]}
    people = {"observer_ids": [person["id"]]}

    deals = [await api.patch(f"/v1/deals/{deal['id']}", json=rows) for _ in range(2)]
    tasks = [await api.patch(f"/v1/tasks/{task['id']}", json=people) for _ in range(2)]

    assert [answer.json()["version"] for answer in deals] == [2, 2]
    assert [answer.json()["version"] for answer in tasks] == [2, 2]


async def test_a_pipeline_has_another_version_when_its_stages_change(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    pipeline = (await api.get("/v1/pipelines")).json()["items"][0]
    path = f"/v1/pipelines/{pipeline['id']}"

    added = {"name": "Won", "pipeline_id": pipeline["id"]}
    won = company.made(await api.post("/v1/stages", json=added))
    after_adding = (await api.get(path)).json()["version"]
    await api.patch(f"/v1/stages/{stage}", json={"name": "First"})
    await api.patch(f"/v1/stages/{stage}", json={"name": "First"})
    after_renaming = (await api.get(path)).json()["version"]
    await api.delete(f"/v1/stages/{won['id']}")
    after_deleting = (await api.get(path)).json()["version"]

    seen = pipeline["version"]
    assert [after_adding, after_renaming, after_deleting] == [seen + 1, seen + 2, seen + 3]


async def test_a_move_heeds_a_version_that_is_sent(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    _, won = await company.pipeline("New", "Won")
    deal = await company.deal()
    await api.patch(f"/v1/deals/{deal['id']}", json={"title": "Attic"})
    path = f"/v1/items/{deal['id']}/move"
    del api.headers["If-Match"]

    late = await api.post(path, json={"stage_id": won}, headers={"If-Match": '"1"'})
    anyhow = await api.post(path, json={"stage_id": won})

    assert (late.status_code, late.headers["etag"]) == (412, '"2"')
    assert anyhow.status_code == 200


# Lists.


def lists(app: FastAPI) -> dict[str, Any]:
    return {
        path: route
        for method, path, route in routes(app)
        if method == "GET" and route.original_route.is_list
    }


def test_every_answer_that_has_items_is_a_page(one_app: FastAPI) -> None:
    shapes = {
        path
        for method, path, route in routes(one_app)
        if method == "GET" and "items" in getattr(route.response_model, "model_fields", ())
    }

    assert shapes == set(lists(one_app))
    assert len(shapes) > 20


def test_every_list_has_pages_and_can_be_narrowed_or_belongs_to_one_thing(
    one_app: FastAPI,
) -> None:
    names = {path: route.original_route.parameters for path, route in lists(one_app).items()}

    assert [path for path, known in names.items() if not {"limit", "after"} <= known] == []
    bare = {path for path, known in names.items() if known <= {"limit", "after", "sort"}}
    assert {path for path in bare if "{" not in path} == {
        "/v1/actions",
        "/v1/trigger-types",
    }


async def ids_in_paths(
    api: httpx2.AsyncClient, company: SmallCompany, item_id: int, stage_id: int
) -> dict[str, int]:
    """Return the ids that paths of lists name, of things that are there."""
    post = company.made(await api.post("/v1/feed-posts", json={"text": "Look", "to_all": True}))
    paid = {"type": "webhook", "settings": {"code": "paid"}, "allow_moving_back": True}
    path = f"/v1/stages/{stage_id}/triggers"
    trigger = company.made(await api.post(path, json=paid))
    stays = company.made(await api.get("/v1/stage-entries", params={"item_id": item_id}))
    return {
        "item_id": item_id,
        "stage_id": stage_id,
        "feed_post_id": post["id"],
        "trigger": trigger["id"],
        "entry_id": stays["items"][0]["id"],
    }


async def test_no_list_takes_a_parameter_that_it_does_not_know(
    one_app: FastAPI, api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    deal = await company.deal()
    ids = await ids_in_paths(api, company, deal["id"], stage)

    answers = {
        path: (await api.get(path.format(**ids), params={"limitt": "hush-hush"})).json()
        for path in lists(one_app)
    }

    reason = "unknown parameter limitt, did you mean limit?"
    told = {path: answer["errors"] for path, answer in answers.items()}
    assert told == {path: [{"field": "/limitt", "reason": reason}] for path in told}


@pytest.mark.parametrize("name", ["stage_id[]", "stage_id[0]", "limit[x]"])
async def test_only_an_object_takes_a_parameter_with_brackets(
    api: httpx2.AsyncClient, name: str
) -> None:
    answer = await api.get("/v1/deals", params={name: 7})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"/{name}"


@pytest.mark.parametrize(
    "path", ["deals?source=", "companies?industry=", "history?field=", "history?subject_type="]
)
async def test_what_no_database_can_hold_is_not_looked_for(
    api: httpx2.AsyncClient, path: str
) -> None:
    answer = await api.get(f"/v1/{path}a%00")

    assert answer.status_code == 422
    assert "U+0000" in answer.json()["errors"][0]["reason"]


async def test_the_nearest_filter_is_proposed(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals", params={"stage_idd": 1, "custom[x]": "1", "x" * 300: 1})

    assert answer.status_code == 422
    first, second = answer.json()["errors"]
    assert first == {
        "field": "/stage_idd",
        "reason": "unknown parameter stage_idd, did you mean stage_id?",
    }
    assert second["field"] == f"/{'x' * 100}…"


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("amount", [1, 0, 3, 2, 4]),
        ("-amount", [3, 0, 1, 4, 2]),
        ("id", [0, 1, 2, 3, 4]),
        ("-id", [4, 3, 2, 1, 0]),
        ("-created_at", [4, 3, 2, 1, 0]),
        ("title", [2, 4, 3, 1, 0]),
        ("close_date", [4, 0, 1, 2, 3]),
        ("-begin_date", [4, 3, 2, 1, 0]),
    ],
)
async def test_deals_come_in_the_order_that_is_asked_for_those_without_value_last(
    api: httpx2.AsyncClient, company: SmallCompany, sort: str, order: list[int]
) -> None:
    await company.pipeline("New")
    said: list[Body] = [
        {"title": "e", "amount": "20"},
        {"title": "d", "amount": "3.50"},
        {"title": "a"},
        {"title": "c", "amount": "20.00"},
        {"title": "b", "close_date": "2027-01-31"},
    ]
    ids = [(await company.deal(**each))["id"] for each in said]

    pages = await all_pages(api, "/v1/deals", sort=sort, limit=2)

    assert [ids.index(deal["id"]) for page in pages for deal in page] == order
    assert [len(page) for page in pages] == [2, 2, 1]


async def all_pages(api: httpx2.AsyncClient, path: str, **params: Any) -> list[list[Any]]:
    """Return every page of a list."""
    pages: list[list[Any]] = []
    after: dict[str, str] = {}
    while True:
        page = SmallCompany.made(await api.get(path, params=params | after))
        pages.append(page["items"])
        if page["next"] is None:
            return pages
        after = {"after": page["next"]}


@pytest.mark.parametrize("sort", ["amount", "-amount"])
async def test_what_comes_and_goes_between_two_pages_shifts_nothing(
    api: httpx2.AsyncClient, company: SmallCompany, sort: str
) -> None:
    await company.pipeline("New")
    amounts = ["10", "20", "30", None, None]
    ids = [(await company.deal(amount=amount))["id"] for amount in amounts]
    params = {"sort": sort, "limit": "2"}

    first = (await api.get("/v1/deals", params=params)).json()
    await company.deal(amount="5")
    await company.deal(amount="35")
    await api.delete(f"/v1/deals/{first['items'][1]['id']}")
    second = (await api.get("/v1/deals", params=params | {"after": first["next"]})).json()

    seen = {deal["id"] for page in (first, second) for deal in page["items"]}
    assert len(seen) == 4
    assert seen >= set(ids[:3])


async def test_the_end_of_a_page_belongs_to_its_order(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    await company.deal(amount="1")
    await company.deal(amount="2")
    page = (await api.get("/v1/deals", params={"sort": "amount", "limit": 1})).json()

    other = await api.get("/v1/deals", params={"sort": "-amount", "after": page["next"]})
    usual = await api.get("/v1/deals", params={"after": page["next"]})

    assert (other.status_code, usual.status_code) == (422, 422)
    assert [each["field"] for each in other.json()["errors"]] == ["/after"]


@on_one_database
@pytest.mark.parametrize(
    "key",
    [
        ("1e400", 1),
        ("NaN", 1),
        ("-1", 1),
        ("x", 1),
        ("1.00", 10**30),
        ("1.00", None),
        ([], 1),
        ("1.00", 1, 1),
        (1,),
    ],
)
async def test_a_forged_end_of_a_sorted_page_is_refused(
    api: httpx2.AsyncClient, key: tuple[Any, ...]
) -> None:
    after = PageQuery(sort="amount").cursor(key)

    answer = await api.get("/v1/deals", params={"sort": "amount", "after": after})

    assert answer.status_code == 422


async def test_an_order_that_is_none_is_refused_with_the_nearest(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals", params={"sort": "-amont"})

    assert answer.json()["errors"] == [
        {"field": "/sort", "reason": "unknown order -amont, did you mean -amount?"}
    ]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/deals?amount_min=20", 1),
        ("/v1/deals?amount_max=20", 2),
        ("/v1/deals?amount_min=10&amount_max=15", 1),
        ("/v1/deals?close_date_from=2027-02-01", 1),
        ("/v1/deals?close_date_to=2027-01-31", 1),
        ("/v1/deals?close_date_from=2027-01-31&close_date_to=2027-02-28", 2),
        ("/v1/deals?created_from=2020-01-01T00:00:00Z", 2),
        ("/v1/deals?created_to=2020-01-01T00:00:00Z", 0),
        ("/v1/deals?q=ROO", 1),
        ("/v1/deals?q=%25", 0),
        ("/v1/deals?source=Fair", 1),
        ("/v1/contacts?q=na+no", 1),
        ("/v1/contacts?q=nowhere", 0),
        ("/v1/contacts?phone=%2B4930123456", 1),
        ("/v1/contacts?phone=030-12%2034%2056", 1),
        ("/v1/contacts?email=ANNA%40example.com", 1),
        ("/v1/contacts?email=bob%40example.com", 0),
        ("/v1/companies?q=roofs", 1),
        ("/v1/users?q=ada", 1),
        ("/v1/stages?q=wo", 1),
        ("/v1/pipelines?q=sal", 1),
        ("/v1/tasks?deadline_from=2027-01-01T00:00:00Z", 1),
        ("/v1/tasks?deadline_to=2027-01-01T00:00:00Z", 0),
        ("/v1/tasks?q=call&priority=high", 1),
        ("/v1/crm-activities?kind=call&status=planned", 1),
        ("/v1/crm-activities?starts_to=2027-01-01T00:00:00Z", 0),
        ("/v1/exclusions?q=spam", 1),
        ("/v1/exclusions?value=spam.example", 1),
        ("/v1/exclusions?kind=phone", 0),
        ("/v1/runs?open=true", 2),
        ("/v1/runs?open=false", 0),
        ("/v1/runs?state=waiting&sort=due_at", 2),
        ("/v1/runs?due_to=2020-01-01T00:00:00Z", 0),
        ("/v1/history?kind=created", 3),
        ("/v1/history?item_type=lead", 0),
        ("/v1/history?created_to=2020-01-01T00:00:00Z", 0),
        ("/v1/stage-entries?present=true", 2),
        ("/v1/stage-entries?present=false", 1),
        ("/v1/recycle-bin?type=deal", 1),
        ("/v1/recycle-bin?type=lead", 0),
        ("/v1/recycle-bin?deleted_to=2020-01-01T00:00:00Z", 0),
        ("/v1/notifications?unread=true", 0),
    ],
)
async def test_a_list_can_be_narrowed(
    api: httpx2.AsyncClient, company: SmallCompany, path: str, found: int
) -> None:
    await a_company_with_something_of_all(api, company)

    page = company.made(await api.get(path))

    assert len(page["items"]) == found


async def a_company_with_something_of_all(api: httpx2.AsyncClient, company: SmallCompany) -> int:
    """Make two deals whose rule waits, a deleted one, and one of most other things."""
    new, _won = await company.pipeline("New", "Won")
    later = {"kind": "after_delay", "amount": 1, "unit": "days"}
    await company.rule(new, timing=later)
    roof = await company.deal(title="Roof", amount="10", close_date="2027-01-31", source="Fair")
    await company.deal(title="Attic", amount="20", close_date="2027-02-28")
    [gone] = await company.pipeline("Gone", name="Other")
    deleted = await company.deal(stage_id=gone)
    await api.delete(f"/v1/deals/{deleted['id']}")
    for path, body in (
        (
            "/v1/contacts",
            {
                "first_name": "Anna",
                "last_name": "Nowak",
                "phones": ["030 123456"],
                "emails": ["Anna@Example.com"],
            },
        ),
        ("/v1/companies", {"name": "Roofs Ltd"}),
        (
            "/v1/tasks",
            {"title": "Call", "deadline_at": "2027-01-01T08:00:00Z", "priority": "high"},
        ),
        (
            "/v1/crm-activities",
            {
                "kind": "call",
                "subject": "Call",
                "item_id": roof["id"],
                "starts_at": "2027-02-01T00:00:00Z",
            },
        ),
        ("/v1/exclusions", {"kind": "domain", "value": "spam.example"}),
    ):
        company.made(await api.post(path, json=body))
    return int(roof["id"])


async def an_agent_with(api: httpx2.AsyncClient, company: SmallCompany, item_id: int) -> User:
    """Make somebody who reaches this item alone."""
    agnes = User(name="Agnes", role=Role.AGENT, reach=Reach.OWN)
    await company.add(agnes)
    company.made(await api.patch(f"/v1/deals/{item_id}", json={"responsible_id": agnes.id}))
    return agnes


async def test_runs_and_history_of_all_items_are_those_within_reach(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn
) -> None:
    roof = await a_company_with_something_of_all(api, company)
    agnes = await sign_in(await an_agent_with(api, company, roof))

    lists = [
        company.made(await agnes.get(path))["items"]
        for path in ("/v1/runs", "/v1/stage-entries", "/v1/history?kind=created")
    ]

    assert [[row["item_id"] for row in rows] for rows in lists] == [[roof], [roof], [roof]]


# Sheets.


async def sheet(api: httpx2.AsyncClient, path: str) -> list[dict[str, str]]:
    answer = await api.get(path, headers={"Accept": "text/csv"})
    assert answer.is_success, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(StringIO(answer.text)))


async def test_a_list_as_csv_is_the_whole_list_in_its_order(
    api: httpx2.AsyncClient, company: SmallCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    await company.pipeline("New")
    monkeypatch.setattr("api.paging.ROWS_AT_ONCE", 2)
    rows = [{"name": "Tile, red", "price": "2.50"}]
    amounts = ("3", None, "1", "2", None)
    _ = [await company.deal(amount=amount, product_rows=rows) for amount in amounts]

    told = await sheet(api, "/v1/deals?sort=-amount&limit=1")

    assert [row["amount"] for row in told] == ["3.00", "2.00", "1.00", "", ""]
    shown = (await api.get("/v1/deals?limit=1")).json()["items"][0]
    assert list(told[0]) == list(shown)
    assert '"name": "Tile, red"' in told[0]["product_rows"]


async def test_no_cell_of_a_sheet_is_a_formula(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    titles = ["=cmd|' /C calc'!A0", "@SUM(A1)", "-2+cmd", "+49 30 123", "-5.00", "Tile = 3"]
    made = [await company.deal(title=title) for title in titles]

    told = await sheet(api, "/v1/deals?sort=id")

    assert len(made) == len(told)
    assert [row["title"] for row in told] == [
        *("'=cmd|' /C calc'!A0", "'@SUM(A1)", "'-2+cmd"),
        *("+49 30 123", "-5.00", "Tile = 3"),
    ]


async def test_a_sheet_is_a_file_with_a_name(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals", headers={"Accept": "text/csv; charset=utf-8, */*"})

    assert answer.headers["content-disposition"] == 'attachment; filename="deals.csv"'
    assert answer.text.startswith("id,type,title,")
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_whoever_takes_anything_gets_json(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals", headers={"Accept": "application/json, text/csv;q=0.5"})

    assert answer.headers["content-type"] == "application/json"


def as_it_was(path: str) -> tuple[bool, int]:
    """Sort history before all others: it grows by a line with each sheet of rows."""
    return not path.startswith("/v1/history"), -len(path)


async def test_every_list_has_a_sheet(
    one_app: FastAPI, api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    roof = await a_company_with_something_of_all(api, company)
    stage = (await api.get(f"/v1/items/{roof}")).json()["stage_id"]
    ids = await ids_in_paths(api, company, roof, stage)
    paths = [path.format(**ids) for path in lists(one_app)]
    pages = {path: await all_pages(api, path, limit=200) for path in paths}

    sheets = {path: len(await sheet(api, path)) for path in sorted(paths, key=as_it_was)}

    assert sheets == {path: sum(len(page) for page in found) for path, found in pages.items()}
