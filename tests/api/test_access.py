"""Who may do what over HTTP: every route has an access decision, and keeps it."""

import re
from dataclasses import dataclass

import httpx2
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from api.app import BY_THEMSELVES, RESOURCES
from models.api_token import ApiToken, make_token
from models.booking import Booking
from models.clock import now
from models.crm_activity import CrmActivity, CrmActivityKind
from models.database import Database
from models.delivery import Delivery, DeliveryKind
from models.department import Department
from models.document import Document
from models.document_template import TemplateFile, add_template
from models.entering import create_item
from models.feed_post import FeedPost
from models.inbound import Inbound, InboundKind, InboundOutcome
from models.item import Invoice, Quote
from models.item_type import ItemType
from models.notification import Notification
from models.stage_entry import Cause
from models.task import Task
from models.user import Role, User
from tests.factories import a_deal, a_lead, a_pipeline, rules_of
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import counted, on_one_database, on_postgres

EVERYBODY = frozenset(Role)
MANAGING = frozenset({Role.MANAGER, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
NOBODY: frozenset[Role] = frozenset()


@dataclass(frozen=True)
class Access:
    """Which roles may do it with what is within everybody's reach, and with what is not."""

    near: frozenset[Role]
    far: frozenset[Role]

    @property
    def depends(self) -> bool:
        """Whether it matters whose the thing is."""
        return self.near != self.far


FOR_ALL = Access(EVERYBODY, EVERYBODY)
FOR_MANAGERS = Access(MANAGING, MANAGING)
FOR_ADMINS = Access(ADMINS, ADMINS)
IN_REACH = Access(EVERYBODY, MANAGING)
OWN_OR_ADMIN = Access(EVERYBODY, ADMINS)
OWN = Access(EVERYBODY, NOBODY)

DECIDED = {
    "GET /leads": FOR_ALL,
    "POST /leads": FOR_ALL,
    "GET /leads/{lead_id}": IN_REACH,
    "PATCH /leads/{lead_id}": IN_REACH,
    "DELETE /leads/{lead_id}": IN_REACH,
    "GET /deals": FOR_ALL,
    "POST /deals": FOR_ALL,
    "GET /deals/{deal_id}": IN_REACH,
    "PATCH /deals/{deal_id}": IN_REACH,
    "DELETE /deals/{deal_id}": IN_REACH,
    "GET /quotes": FOR_ALL,
    "POST /quotes": FOR_ALL,
    "GET /quotes/{quote_id}": IN_REACH,
    "PATCH /quotes/{quote_id}": IN_REACH,
    "DELETE /quotes/{quote_id}": IN_REACH,
    "GET /invoices": FOR_ALL,
    "POST /invoices": FOR_ALL,
    "GET /invoices/{invoice_id}": IN_REACH,
    "PATCH /invoices/{invoice_id}": IN_REACH,
    "POST /invoices/{invoice_id}/pay": IN_REACH,
    "POST /invoices/{invoice_id}/unpay": IN_REACH,
    "DELETE /invoices/{invoice_id}": IN_REACH,
    "GET /items/{item_id}": IN_REACH,
    "POST /items/{item_id}/move": IN_REACH,
    "GET /items/{item_id}/agenda": IN_REACH,
    "GET /items/{item_id}/runs": IN_REACH,
    "GET /items/{item_id}/history": IN_REACH,
    "POST /items/{item_id}/view": IN_REACH,
    "GET /items/{item_id}/exclusion-preview": IN_REACH,
    "GET /items/{item_id}/timeline": IN_REACH,
    "GET /items/{item_id}/trigger-log": IN_REACH,
    "POST /items/{item_id}/comments": IN_REACH,
    "POST /items/{item_id}/end-wait": IN_REACH,
    "POST /items/{item_id}/restore": IN_REACH,
    "POST /items/{item_id}/preview/text": IN_REACH,
    "POST /items/{item_id}/preview/conditions": IN_REACH,
    "GET /recycle-bin": FOR_ALL,
    "GET /pipelines": FOR_ALL,
    "POST /pipelines": FOR_MANAGERS,
    "GET /pipelines/{pipeline_id}": FOR_ALL,
    "PATCH /pipelines/{pipeline_id}": FOR_MANAGERS,
    "DELETE /pipelines/{pipeline_id}": FOR_MANAGERS,
    "GET /stages": FOR_ALL,
    "POST /stages": FOR_MANAGERS,
    "GET /stages/{stage_id}": FOR_ALL,
    "PATCH /stages/{stage_id}": FOR_MANAGERS,
    "DELETE /stages/{stage_id}": FOR_MANAGERS,
    "GET /stages/{stage_id}/rules": FOR_ALL,
    "POST /stages/{stage_id}/rules": FOR_MANAGERS,
    "GET /rules/{rule_id}": FOR_ALL,
    "PATCH /rules/{rule_id}": FOR_MANAGERS,
    "DELETE /rules/{rule_id}": FOR_MANAGERS,
    "POST /rules/{rule_id}/release": FOR_MANAGERS,
    "GET /stages/{stage_id}/triggers": FOR_ALL,
    "POST /stages/{stage_id}/triggers": FOR_MANAGERS,
    "GET /triggers/{trigger}": FOR_ALL,
    "PATCH /triggers/{trigger}": FOR_MANAGERS,
    "DELETE /triggers/{trigger}": FOR_MANAGERS,
    "POST /triggers/{trigger}": FOR_ALL,
    "GET /triggers/{trigger}/log": FOR_ALL,
    "GET /trigger-types": FOR_ALL,
    "GET /actions": FOR_ALL,
    "GET /fields": FOR_ALL,
    "GET /stage-entries/{entry_id}": IN_REACH,
    "GET /stage-entries/{entry_id}/causes": IN_REACH,
    "GET /runs/{run_id}": IN_REACH,
    "POST /runs/{run_id}/run-now": FOR_MANAGERS,
    "POST /runs/{run_id}/skip": FOR_MANAGERS,
    "POST /runs/{run_id}/postpone": FOR_MANAGERS,
    "POST /runs/{run_id}/retry": FOR_MANAGERS,
    "GET /deliveries": FOR_ALL,
    "GET /deliveries/{delivery_id}": IN_REACH,
    "GET /deliveries/{delivery_id}/raw": IN_REACH,
    "POST /deliveries/{delivery_id}/settle": FOR_MANAGERS,
    "GET /contacts": FOR_ALL,
    "POST /contacts": FOR_ALL,
    "GET /contacts/{contact_id}": FOR_ALL,
    "PATCH /contacts/{contact_id}": FOR_ALL,
    "DELETE /contacts/{contact_id}": FOR_ALL,
    "GET /companies": FOR_ALL,
    "POST /companies": FOR_ALL,
    "GET /companies/{company_id}": FOR_ALL,
    "PATCH /companies/{company_id}": FOR_ALL,
    "DELETE /companies/{company_id}": FOR_ALL,
    "GET /tasks": FOR_ALL,
    "POST /tasks": FOR_ALL,
    "GET /tasks/{task_id}": IN_REACH,
    "PATCH /tasks/{task_id}": IN_REACH,
    "DELETE /tasks/{task_id}": IN_REACH,
    "POST /tasks/{task_id}/time": IN_REACH,
    "GET /feed-posts": FOR_ALL,
    "POST /feed-posts": FOR_ALL,
    "GET /feed-posts/{feed_post_id}": OWN_OR_ADMIN,
    "DELETE /feed-posts/{feed_post_id}": OWN_OR_ADMIN,
    "GET /feed-posts/{feed_post_id}/comments": OWN_OR_ADMIN,
    "POST /feed-posts/{feed_post_id}/comments": OWN_OR_ADMIN,
    "GET /crm-activities": FOR_ALL,
    "POST /crm-activities": FOR_ALL,
    "GET /crm-activities/{crm_activity_id}": IN_REACH,
    "PATCH /crm-activities/{crm_activity_id}": IN_REACH,
    "DELETE /crm-activities/{crm_activity_id}": IN_REACH,
    "POST /crm-activities/{crm_activity_id}/complete": IN_REACH,
    "POST /crm-activities/{crm_activity_id}/reopen": IN_REACH,
    "POST /crm-activities/{crm_activity_id}/postpone": IN_REACH,
    "GET /inbound": FOR_ALL,
    "POST /inbound/emails": FOR_MANAGERS,
    "POST /inbound/calls": FOR_MANAGERS,
    "POST /inbound/messages": FOR_MANAGERS,
    "POST /inbound/forms": FOR_MANAGERS,
    "GET /inbound/{inbound_id}": IN_REACH,
    "GET /inbound/{inbound_id}/raw": IN_REACH,
    "GET /bookings": FOR_ALL,
    "POST /bookings": FOR_ALL,
    "GET /bookings/availability": FOR_ALL,
    "GET /bookings/{booking_id}": IN_REACH,
    "PATCH /bookings/{booking_id}": IN_REACH,
    "DELETE /bookings/{booking_id}": IN_REACH,
    "GET /resources": FOR_ALL,
    "POST /resources": FOR_MANAGERS,
    "GET /resources/{resource_id}": FOR_ALL,
    "PATCH /resources/{resource_id}": FOR_MANAGERS,
    "DELETE /resources/{resource_id}": FOR_MANAGERS,
    "GET /document-templates": FOR_ALL,
    "POST /document-templates": FOR_MANAGERS,
    "GET /document-templates/{document_template_id}": FOR_ALL,
    "PATCH /document-templates/{document_template_id}": FOR_MANAGERS,
    "DELETE /document-templates/{document_template_id}": FOR_MANAGERS,
    "POST /document-templates/{document_template_id}/versions": FOR_MANAGERS,
    "GET /document-templates/{document_template_id}/versions/{number}/docx": FOR_ALL,
    "GET /documents": FOR_ALL,
    "GET /documents/{document_id}": IN_REACH,
    "GET /documents/{document_id}/docx": IN_REACH,
    "GET /documents/{document_id}/pdf": IN_REACH,
    "DELETE /documents/{document_id}": IN_REACH,
    "POST /documents/{document_id}/link": IN_REACH,
    "DELETE /documents/{document_id}/link": IN_REACH,
    "POST /calendar-link": FOR_ALL,
    "DELETE /calendar-link": FOR_ALL,
    "GET /exclusions": FOR_ALL,
    "POST /exclusions": FOR_ALL,
    "DELETE /exclusions": FOR_MANAGERS,
    "GET /exclusions/check": FOR_ALL,
    "POST /exclusions/import": FOR_MANAGERS,
    "POST /exclusions/undo": FOR_MANAGERS,
    "GET /exclusions/{exclusion_id}": FOR_ALL,
    "PATCH /exclusions/{exclusion_id}": FOR_MANAGERS,
    "DELETE /exclusions/{exclusion_id}": FOR_MANAGERS,
    "GET /notifications": FOR_ALL,
    "GET /notifications/unread-count": FOR_ALL,
    "GET /notifications/stream": FOR_ALL,
    "POST /notifications/read": FOR_ALL,
    "POST /notifications/{notification_id}/read": OWN,
    "GET /users": FOR_ALL,
    "POST /users": FOR_ADMINS,
    "GET /users/{user_id}": FOR_ALL,
    "PATCH /users/{user_id}": FOR_ADMINS,
    "DELETE /users/{user_id}": FOR_ADMINS,
    "GET /users/{user_id}/supervisor": FOR_ALL,
    "GET /departments": FOR_ALL,
    "POST /departments": FOR_ADMINS,
    "GET /departments/{department_id}": FOR_ALL,
    "PATCH /departments/{department_id}": FOR_ADMINS,
    "DELETE /departments/{department_id}": FOR_ADMINS,
    "GET /tokens": FOR_ALL,
    "POST /tokens": FOR_ALL,
    "DELETE /tokens/{token_id}": OWN_OR_ADMIN,
    "GET /installation": FOR_ALL,
    "PATCH /installation": FOR_ADMINS,
    "POST /items/move": FOR_ALL,
    "GET /stage-entries": FOR_ALL,
    "GET /runs": FOR_ALL,
    "GET /history": FOR_ALL,
    "GET /history/counts": FOR_ALL,
    "GET /products": FOR_ALL,
    "POST /products": FOR_MANAGERS,
    "GET /products/{product_id}": FOR_ALL,
    "PATCH /products/{product_id}": FOR_MANAGERS,
    "DELETE /products/{product_id}": FOR_MANAGERS,
    "GET /field-definitions": FOR_ALL,
    "POST /field-definitions": FOR_MANAGERS,
    "GET /field-definitions/{field_definition_id}": FOR_ALL,
    "PATCH /field-definitions/{field_definition_id}": FOR_MANAGERS,
    "DELETE /field-definitions/{field_definition_id}": FOR_MANAGERS,
}
"""For every route of the API, who may use it. A new one needs a decision here."""

ENDLESS = {"GET /notifications/stream": {"seconds": 0}}
"""Routes that answer without an end, unless they are asked to end at once."""

NOT_THERE = 4711
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_every_route_has_an_access_decision() -> None:
    routes = {
        f"{method} {route.path}"
        for router in (*(resource.router for resource in RESOURCES), *BY_THEMSELVES.values())
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }

    assert routes == DECIDED.keys()


class Office:
    """One person of each role, and a stranger of another department."""

    def __init__(self, database: Database, sign_in: SignIn, people: dict[Role, User]) -> None:
        self._database = database
        self._sign_in = sign_in
        self.people = people
        self.stranger = User(name="Stranger", department=Department(name="Elsewhere"))
        self._made: dict[int, dict[str, int]] = {}

    async def allowed(self, route: str, *, of: User | None = None) -> set[Role]:
        """Let each role use a route, with an empty body, on what is theirs or somebody's."""
        answers = {role: await self._use(role, route, of or self.people[role]) for role in Role}
        return {role for role, answer in answers.items() if answer.status_code != 403}

    async def _use(self, role: Role, route: str, of: User) -> httpx2.Response:
        method, path = route.split()
        client = await self._sign_in(self.people[role])
        whose = await self._there(of, anew=method != "GET") if DECIDED[route].depends else {}
        known = PLACEHOLDER.sub(lambda name: str(whose.get(name[1], NOT_THERE)), path)
        ending = ENDLESS.get(route, {})
        return await client.request(method, f"/v1{known}", json={}, params=ending)

    async def _there(self, whose: User, *, anew: bool) -> dict[str, int]:
        """Return what somebody has; what others have only looked at is as it was."""
        if anew or whose.id not in self._made:
            self._made[whose.id] = await self._belongings(whose)
        return self._made[whose.id]

    async def _belongings(self, whose: User) -> dict[str, int]:
        """Make one of each thing that can be somebody's; return their ids as paths name them."""
        async with self._database.transaction() as session:
            person = await session.get_one(User, whose.id)
            [new] = a_pipeline(session, "New")
            [fresh] = a_pipeline(session, "Fresh", item_type=ItemType.LEAD)
            [draft] = a_pipeline(session, "Draft", item_type=ItemType.QUOTE)
            [sent] = a_pipeline(session, "Sent", item_type=ItemType.INVOICE)
            rules_of(session, new, {})
            deal, entry = await a_deal(session, new, responsible=person)
            lead, _ = await a_lead(session, fresh, responsible=person, contact_points=[])
            quote = Quote(title="Roof", responsible=person)
            invoice = Invoice(title="Roof", responsible=person)
            await create_item(session, quote, draft, Cause.person(person))
            await create_item(session, invoice, sent, Cause.person(person))
            task = Task(title="Call", item=deal, people=[], tags=[], checklist=[])
            mail = Inbound(
                kind=InboundKind.EMAIL,
                key=str(entry.id),
                outcome=InboundOutcome.NOTED,
                reason="",
                sender=None,
                address=None,
                subject="Look",
                happened_at=now(),
                content={},
                raw=b"Look",
                item_id=deal.id,
            )
            call = CrmActivity(
                kind=CrmActivityKind.CALL,
                subject="Call",
                item=deal,
                starts_at=deal.created_at,
                reminders=[],
            )
            note = Notification(recipient_id=person.id, text="Look")
            post = FeedPost(text="Look", author=person, recipients=[])
            make_token(session, person, "theirs")
            session.add_all([task, call, mail, note, post])
            visit = Booking(
                item=deal, field="visit", service="Survey", starts_at=now(), ends_at=now(), holds=[]
            )
            session.add(visit)
            await session.flush()
            letter = Delivery(
                kind=DeliveryKind.EMAIL,
                run_id=entry.runs[0].id,
                item=deal,
                recipient="ann@example.com",
                subject="Look",
                content={"sent_from": "us@example.com", "text": "Look", "html": "<p>Look</p>"},
            )
            session.add(letter)
            await session.flush()
            file = TemplateFile(b"", "offer.docx", ())
            template = await add_template(
                session, file, None, name="Offer", item_type=ItemType.DEAL
            )
            offer = Document(
                title="Offer",
                template=template,
                template_version=template.versions[0],
                item=deal,
                values={},
            )
            session.add(offer)
            await session.flush()
            token_id = await session.scalar(
                select(ApiToken.id).where(ApiToken.name == "theirs", ApiToken.user == person)
            )
        return {
            "item_id": deal.id,
            "deal_id": deal.id,
            "lead_id": lead.id,
            "quote_id": quote.id,
            "invoice_id": invoice.id,
            "entry_id": entry.id,
            "run_id": entry.runs[0].id,
            "delivery_id": letter.id,
            "document_id": offer.id,
            "task_id": task.id,
            "crm_activity_id": call.id,
            "inbound_id": mail.id,
            "booking_id": visit.id,
            "feed_post_id": post.id,
            "notification_id": note.id,
            "token_id": token_id or NOT_THERE,
        }


@pytest.fixture
async def office(database: Database, sign_in: SignIn) -> Office:
    sales = Department(name="Sales")
    people = {role: User(name=role, role=role, department=sales) for role in Role}
    office = Office(database, sign_in, people)
    async with database.transaction() as session:
        session.add_all([*people.values(), office.stranger])
    return office


# One database is asked here, the other below, and both in the tests of reach.
@on_one_database
@pytest.mark.parametrize("route", DECIDED)
async def test_a_route_is_open_to_just_these_roles(office: Office, route: str) -> None:
    assert await office.allowed(route) == DECIDED[route].near


@on_postgres
@pytest.mark.parametrize("route", [each for each in DECIDED if DECIDED[each].depends])
async def test_what_is_out_of_reach_is_open_to_fewer(office: Office, route: str) -> None:
    assert await office.allowed(route, of=office.stranger) == DECIDED[route].far


@pytest.fixture
async def tom(database: Database) -> User:
    """An agent of a department."""
    tom = User(name="Tom", department=Department(name="Sales"))
    async with database.transaction() as session:
        session.add(tom)
    return tom


async def test_a_refusal_says_which_role_is_missing(
    company: SmallCompany, sign_in: SignIn, tom: User
) -> None:
    [new] = await company.pipeline("New")
    rule = {"title": "Note", "action": "add_history_entry", "params": {"text": "Seen"}}

    answer = await (await sign_in(tom)).post(f"/v1/stages/{new}/rules", json=rule)

    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/not-allowed"
    assert answer.json()["detail"] == (
        "Only managers and administrators change rules; you are an agent."
    )


async def test_a_role_is_asked_for_before_anything_that_was_sent(
    sign_in: SignIn, tom: User
) -> None:
    client = await sign_in(tom)
    del client.headers["If-Match"]

    answer = await client.patch(f"/v1/rules/{NOT_THERE}", json={"nonsense": 1})

    assert answer.status_code == 403


async def test_a_refusal_says_that_an_item_is_out_of_reach(
    company: SmallCompany, sign_in: SignIn, tom: User
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await (await sign_in(tom)).get(f"/v1/deals/{deal['id']}")

    assert answer.status_code == 403
    assert answer.json()["detail"].startswith(
        f"Deal {deal['id']} is neither yours nor of your department"
    )


async def test_agents_list_what_is_within_their_reach(
    company: SmallCompany, api: httpx2.AsyncClient, sign_in: SignIn, tom: User
) -> None:
    await company.pipeline("New")
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    mine, other = await company.deal(responsible_id=tom.id), await company.deal()
    my_lead, _ = await company.lead(responsible_id=tom.id), await company.lead()
    gone, other_gone = await company.deal(responsible_id=tom.id), await company.deal()
    await api.delete(f"/v1/deals/{gone['id']}")
    await api.delete(f"/v1/deals/{other_gone['id']}")
    call = await api.post("/v1/tasks", json={"title": "Call", "item_id": mine["id"]})
    await api.post("/v1/tasks", json={"title": "Call", "item_id": other["id"]})
    client = await sign_in(tom)

    assert await ids_of(client, "/v1/deals") == [mine["id"]]
    assert await ids_of(client, "/v1/leads") == [my_lead["id"]]
    assert await ids_of(client, "/v1/recycle-bin") == [gone["id"]]
    assert await ids_of(client, "/v1/tasks") == [call.json()["id"]]


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/stage-entries", "/v1/history"])
async def test_agents_list_what_happens_to_items_within_their_reach(
    company: SmallCompany, sign_in: SignIn, tom: User, path: str
) -> None:
    [new] = await company.pipeline("New")
    await company.rule(new)
    mine, _ = await company.deal(responsible_id=tom.id), await company.deal()
    client = await sign_in(tom)

    rows = SmallCompany.made(await client.get(path))["items"]

    assert [row["item_id"] for row in rows] == [mine["id"]]


@pytest.mark.parametrize("path", ["/v1/deals", "/v1/runs", "/v1/history", "/v1/contacts"])
async def test_whole_lists_are_for_managers(
    api: httpx2.AsyncClient, sign_in: SignIn, tom: User, path: str
) -> None:
    csv = {"Accept": "text/csv"}

    by_agent = await (await sign_in(tom)).get(path, headers=csv)
    by_admin = await api.get(path, headers=csv)

    assert by_agent.status_code == 403
    assert by_agent.json()["detail"] == (
        "Only managers and administrators take whole lists as CSV; you are an agent."
    )
    assert by_admin.headers["content-type"].startswith("text/csv")


async def ids_of(client: httpx2.AsyncClient, path: str) -> list[int]:
    return [each["id"] for each in SmallCompany.made(await client.get(path))["items"]]


async def test_an_agent_may_hand_an_item_over_and_is_answered_though_it_is_out_of_reach_then(
    company: SmallCompany, sign_in: SignIn, admin: User, tom: User
) -> None:
    await company.pipeline("New")
    deal = await company.deal(responsible_id=tom.id)
    client, path = await sign_in(tom), f"/v1/deals/{deal['id']}"

    handed_over = await client.patch(path, json={"responsible_id": admin.id})
    again = await client.get(path)

    assert handed_over.status_code == 200
    assert handed_over.json()["responsible_id"] == admin.id
    assert again.status_code == 403


async def test_an_agent_reaches_what_he_has_created_for_somebody_else(
    company: SmallCompany, sign_in: SignIn, admin: User, tom: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    client = await sign_in(tom)
    deal = {"title": "Roof", "responsible_id": admin.id}

    made = SmallCompany.made(await client.post("/v1/deals", json=deal))
    moved = await client.post(f"/v1/items/{made['id']}/move", json={"stage_id": won})

    assert moved.status_code == 200


async def test_a_task_is_tied_only_to_an_item_within_reach(
    company: SmallCompany, sign_in: SignIn, tom: User
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    client = await sign_in(tom)
    task = SmallCompany.made(await client.post("/v1/tasks", json={"title": "Call"}))

    created = await client.post("/v1/tasks", json={"title": "Call", "item_id": deal["id"]})
    changed = await client.patch(f"/v1/tasks/{task['id']}", json={"item_id": deal["id"]})

    assert [created.status_code, changed.status_code] == [403, 403]
    assert created.json()["detail"].startswith(f"Deal {deal['id']} is neither yours")


async def test_only_administrators_read_what_others_are_told(
    company: SmallCompany, api: httpx2.AsyncClient, sign_in: SignIn, tom: User, admin: User
) -> None:
    await company.add(Notification(recipient_id=tom.id, text="his"))

    own = await (await sign_in(tom)).get("/v1/notifications", params={"recipient_id": tom.id})
    of_admin = await (await sign_in(tom)).get(
        "/v1/notifications", params={"recipient_id": admin.id}
    )

    assert [each["text"] for each in own.json()["items"]] == ["his"]
    assert of_admin.status_code == 403
    assert of_admin.json()["detail"] == (
        "Only administrators read what others are told; you are an agent."
    )


async def test_a_manager_who_becomes_an_agent_is_one_at_once(
    company: SmallCompany, api: httpx2.AsyncClient, sign_in: SignIn, tom: User
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    await api.patch(f"/v1/users/{tom.id}", json={"role": "manager"})
    client, path = await sign_in(tom), f"/v1/deals/{deal['id']}"

    before = await client.get(path)
    await api.patch(f"/v1/users/{tom.id}", json={"role": "agent", "reach": "own"})
    after = await client.get(path)

    assert [before.status_code, after.status_code] == [200, 403]
    assert after.json()["detail"].startswith(f"Deal {deal['id']} is not yours")


@pytest.mark.parametrize(
    "path", ["/v1/deals", "/v1/deals/{}", "/v1/items/{}/runs", "/v1/tasks", "/v1/recycle-bin"]
)
async def test_asking_what_an_agent_reaches_costs_one_statement_at_most(
    company: SmallCompany,
    api: httpx2.AsyncClient,
    sign_in: SignIn,
    database: Database,
    tom: User,
    path: str,
) -> None:
    await company.pipeline("New")
    deal = await company.deal(responsible_id=tom.id)
    client, path = await sign_in(tom), path.format(deal["id"])

    with counted(database) as by_admin:
        SmallCompany.made(await api.get(path))
    with counted(database) as by_agent:
        SmallCompany.made(await client.get(path))

    assert len(by_agent) <= len(by_admin) + 1


async def test_a_move_by_an_agent_costs_one_statement_more(
    company: SmallCompany, sign_in: SignIn, database: Database, tom: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    one, other = await company.deal(responsible_id=tom.id), await company.deal()
    client = await sign_in(tom)

    with counted(database) as by_admin:
        await company.move(other["id"], won)
    with counted(database) as by_agent:
        moved = await client.post(f"/v1/items/{one['id']}/move", json={"stage_id": won})

    assert moved.status_code == 200
    assert len(by_agent) == len(by_admin) + 1
