"""Send an e-mail: the client reads what the rule says, in the name of the responsible person."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import undefer

from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, ContactPointKind, email
from models.crm_activity import (
    Completion,
    CrmActivity,
    CrmActivityDirection,
    CrmActivityKind,
    CrmActivityStatus,
)
from models.database import Database
from models.delivery import Delivery, DeliveryState
from models.document import DOCX_TYPE, PDF_TYPE, Document
from models.document_template import DocumentTemplate
from models.exclusion import Exclusion, ExclusionKind
from models.history import HistoryEntry, HistoryKind
from models.item import Item
from models.item_type import ItemType
from models.rule_run import RuleRun, RunState, retry
from models.stage_entry import StageEntry, lock_entry
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.documents import a_template
from tests.fixtures.mail import MailServer
from tests.fixtures.runner import Runner

Client = Callable[[], dict[str, Any]]

THANKS = {"subject": "Thanks", "text": "Dear {{ contact.name }}, **thank you**."}


def reached_at(*addresses: str) -> list[ContactPoint]:
    return [email(address) for address in addresses]


def ann(*addresses: str) -> Contact:
    return Contact(first_name="Ann", contact_points=reached_at(*addresses))


def bob(*addresses: str) -> Contact:
    return Contact(first_name="Bob", contact_points=reached_at(*addresses))


def firm(*addresses: str) -> Company:
    return Company(name="Firm", contact_points=reached_at(*addresses))


def unreadable() -> ContactPoint:
    return ContactPoint(kind=ContactPointKind.EMAIL, raw="ann(at)x", value=None)


async def entered(
    database: Database, params: dict[str, Any] | None = None, **deal: Any
) -> StageEntry:
    """Let a deal enter a stage that sends a mail with these params."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Won")
        a_rule(session, stage, "send_email", params=THANKS | (params or {}))
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def lead_entered(database: Database, **lead: Any) -> StageEntry:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New", item_type=ItemType.LEAD)
        a_rule(session, stage, "send_email", params=THANKS)
        _, entry = await a_lead(session, stage, **lead)
    return entry


async def sent(runner: Runner, entry: StageEntry, count: int = 1) -> RuleRun:
    """Do the action, then send so many mails."""
    run = await runner.do(entry.id)
    for _ in range(count):
        run = await runner.do(entry.id)
    return run


CREATOR = {"by": "user", "user": {"by": "creator"}}


async def test_the_others_get_it_also_where_one_of_them_has_left(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    gil = User(name="Gil", email="gil@firm.example", active=False)
    to = {"to": [CREATOR, {"by": "client"}]}
    entry = await entered(database, to, contact=ann("ann@x.example"), creator=gil)

    run = await sent(sending_runner, entry)

    (mail,) = mail_server.arrived
    assert mail.recipients == ["ann@x.example"]
    assert run.state is RunState.DONE
    assert run.outcome == (
        "E-mail «Thanks» to ann@x.example. The creator does not work here any more. "
        "Sent to ann@x.example."
    )


async def test_it_fails_where_it_is_only_for_who_has_left(
    database: Database, sending_runner: Runner
) -> None:
    gil = User(name="Gil", email="gil@firm.example", active=False)
    entry = await entered(database, {"to": [CREATOR]}, creator=gil)

    run = await sending_runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "The creator does not work here any more.",
    )


async def test_the_client_gets_it_in_the_name_of_the_responsible(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    tom = User(name="Tom", email="tom@firm.example")
    entry = await entered(database, contact=ann("ann@x.example"), responsible=tom)

    run = await sent(sending_runner, entry)

    (mail,) = mail_server.arrived
    assert (mail.sender, mail.recipients) == ("crm@firm.example", ["ann@x.example"])
    assert mail.message["From"] == "Tom <crm@firm.example>"
    assert mail.message["Reply-To"] == "Tom <tom@firm.example>"
    assert mail.message["To"] == "Ann <ann@x.example>"
    assert mail.message["Subject"] == "Thanks"
    assert mail.text == "Dear Ann, **thank you**.\n"
    assert "<p>Dear Ann, <strong>thank you</strong>.</p>" in mail.html
    assert (run.state, run.outcome) == (
        RunState.DONE,
        "E-mail «Thanks» to ann@x.example. Sent to ann@x.example.",
    )
    assert run.result == {"recipients": "ann@x.example", "count": 1, "subject": "Thanks"}


async def test_it_is_noted_as_a_completed_crm_activity_of_item_and_client(
    database: Database, sending_runner: Runner
) -> None:
    tom, contact, company = User(name="Tom"), ann("ann@x.example"), firm()
    entry = await entered(database, contact=contact, company=company, responsible=tom)

    run = await sent(sending_runner, entry)

    (noted,) = await all_of(database, CrmActivity)
    (delivery,) = await all_of(database, Delivery)
    assert (noted.kind, noted.direction) == (CrmActivityKind.EMAIL, CrmActivityDirection.OUTGOING)
    assert (noted.status, noted.completion) == (CrmActivityStatus.COMPLETED, Completion.RULE)
    assert (noted.item_id, noted.responsible_id) == (entry.item_id, tom.id)
    assert (noted.contact_id, noted.company_id) == (contact.id, company.id)
    assert (noted.subject, noted.description) == ("Thanks", "Dear Ann, **thank you**.")
    assert noted.made_by_run_id == run.id
    assert noted.completed_at is not None
    assert (delivery.crm_activity_id, delivery.state) == (noted.id, DeliveryState.SENT)
    told = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.EMAIL)
    assert [line.text for line in told] == [f"Sent email {noted.id} «Thanks» to ann@x.example."]
    assert [(line.run_id, line.author_id) for line in told] == [(run.id, None)]


async def test_without_a_mail_server_it_is_caught_here(database: Database, runner: Runner) -> None:
    entry = await entered(database, contact=ann("ann@x.example"))

    run = await sent(runner, entry)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.caught
    assert (run.state, run.outcome) == (
        RunState.DONE,
        "E-mail «Thanks» to ann@x.example. Caught here, not sent to ann@x.example.",
    )


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (lambda: {"contact": ann("1@x.example", "2@x.example")}, "1@x.example"),
        (lambda: {"contact": ann(), "further_contacts": [bob("2@x.example")]}, "2@x.example"),
        (lambda: {"contact": ann(), "company": firm("3@x.example")}, "3@x.example"),
        (lambda: {"company": firm("3@x.example")}, "3@x.example"),
        (
            lambda: {"further_contacts": [bob("2@x.example")], "company": firm("3@x.example")},
            "2@x.example",
        ),
    ],
)
async def test_the_client_is_the_primary_contact_else_another_else_the_company(
    database: Database, runner: Runner, client: Client, address: str
) -> None:
    entry = await entered(database, **client())

    await runner.do(entry.id)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.recipient == address


async def test_a_lead_is_written_to_at_its_own_address_first(
    database: Database, runner: Runner
) -> None:
    entry = await lead_entered(
        database,
        first_name="Ida",
        contact_points=reached_at("ida@x.example"),
        contact=ann("ann@x.example"),
    )

    await runner.do(entry.id)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.recipient == "ida@x.example"
    assert delivery.content["to_name"] == "Ida"


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (lambda: {"contact": ann()}, "Contact {contact} «Ann» has no e-mail address."),
        (
            lambda: {"contact": ann(), "company": firm()},
            (
                "Contact {contact} «Ann» has no e-mail address; "
                "Company {company} «Firm» has no e-mail address."
            ),
        ),
        (
            lambda: {"contact": Contact(contact_points=[unreadable()])},
            "Contact {contact} has no e-mail address that can be read.",
        ),
        (dict, "Deal {deal} has no contact and no company."),
    ],
)
async def test_without_an_address_it_fails_with_the_reason(
    database: Database, runner: Runner, client: Client, reason: str
) -> None:
    entry = await entered(database, **client())

    run = await runner.do(entry.id)

    (item,) = await all_of(database, Item)
    known = {"deal": item.id, "contact": item.contact_id, "company": item.company_id}
    assert (run.state, run.outcome) == (RunState.FAILED, reason.format(**known))
    assert await all_of(database, Delivery) == []


async def test_a_lead_without_an_address_fails_with_the_reason(
    database: Database, runner: Runner
) -> None:
    entry = await lead_entered(database)

    run = await runner.do(entry.id)

    assert run.outcome == f"Lead {entry.item_id} has no e-mail address."


async def test_all_contacts_get_a_mail_of_their_own_and_who_cannot_is_named(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    cid = Contact(first_name="Cid")
    entry = await entered(
        database,
        {"to": [{"by": "contacts"}]},
        contact=ann("ann@x.example"),
        further_contacts=[bob("bob@x.example"), cid],
    )

    run = await sent(sending_runner, entry, 2)

    assert [mail.recipients for mail in mail_server.arrived] == [
        ["ann@x.example"],
        ["bob@x.example"],
    ]
    assert run.outcome == (
        "E-mail «Thanks» to ann@x.example, bob@x.example. "
        f"Contact {cid.id} «Cid» has no e-mail address. "
        "Sent to ann@x.example. Sent to bob@x.example."
    )


async def test_typed_addresses_may_hold_fields_and_belong_to_the_client_they_are_of(
    database: Database, runner: Runner
) -> None:
    contact = ann("ann@x.example", "ann@home.example")
    entry = await entered(
        database,
        {
            "to": [
                {"by": "address", "address": "{{ contact.email }}; office@y.example"},
                {"by": "address", "address": "Office@y.example, Ann@home.example"},
            ]
        },
        contact=contact,
    )

    await runner.do(entry.id)

    assert [(each.recipient, each.contact_id) for each in await all_of(database, Delivery)] == [
        ("ann@x.example", contact.id),
        ("office@y.example", None),
        ("ann@home.example", contact.id),
    ]


async def test_people_who_work_here_read_it_in_their_language_and_no_crm_activity_is_noted(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    tom = User(name="Tom", email="tom@firm.example", locale="de_DE")
    entry = await entered(
        database,
        {
            "to": [{"by": "user", "user": {"by": "responsible"}}],
            "text": "{{ deal.amount | money }}",
        },
        responsible=tom,
        amount=Decimal("1234.50"),
        currency="EUR",
    )

    await sent(sending_runner, entry)

    (mail,) = mail_server.arrived
    assert (mail.recipients, mail.text) == (
        ["tom@firm.example"],
        "1.234,50\N{NO-BREAK SPACE}€\n",
    )
    assert await all_of(database, CrmActivity) == []


async def test_the_exceptions_list_is_no_reason_not_to_write(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, contact=ann("ann@x.example"))
    async with database.transaction() as session:
        session.add(Exclusion(kind=ExclusionKind.EMAIL, value="ann@x.example"))

    await runner.do(entry.id)

    assert len(await all_of(database, Delivery)) == 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [(ExclusionKind.EMAIL, "ann@x.example"), (ExclusionKind.DOMAIN, "x.example")],
)
async def test_who_is_on_the_exceptions_list_can_be_left_out(
    database: Database, runner: Runner, kind: ExclusionKind, value: str
) -> None:
    entry = await entered(
        database,
        {"to": [{"by": "contacts"}], "skip_excluded": True},
        contact=ann("Ann@x.example"),
        further_contacts=[bob("bob@y.example")],
    )
    async with database.transaction() as session:
        session.add(Exclusion(kind=kind, value=value))

    run = await sent(runner, entry)

    assert run.outcome == (
        "E-mail «Thanks» to bob@y.example. Ann@x.example is on the exceptions list. "
        "Caught here, not sent to bob@y.example."
    )


async def test_when_all_are_left_out_nothing_is_sent_and_nothing_has_failed(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"skip_excluded": True}, contact=ann("ann@x.example"))
    async with database.transaction() as session:
        session.add(Exclusion(kind=ExclusionKind.EMAIL, value="ann@x.example"))

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        "E-mail «Thanks» goes to nobody. ann@x.example is on the exceptions list.",
    )


async def test_a_clients_name_cannot_bring_in_markup(database: Database, runner: Runner) -> None:
    name = "<script>x</script> [here](http://evil.example) **now**"
    entry = await entered(
        database, contact=Contact(first_name=name, contact_points=reached_at("ann@x.example"))
    )

    await runner.do(entry.id)

    (delivery,) = await all_of(database, Delivery)
    html = delivery.content["html"]
    assert html == (
        "<p>Dear &lt;script&gt;x&lt;/script&gt; [here](http://evil.example) **now**, "
        "<strong>thank you</strong>.</p>\n"
    )
    assert delivery.content["text"] == f"Dear {name}, **thank you**."


async def test_a_name_with_a_new_line_adds_no_header(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    entry = await entered(
        database,
        {"subject": "{{ deal.title }}"},
        title="Lathe\r\nBcc: eve@x.example",
        contact=ann("ann@x.example"),
        responsible=User(name="Tom\r\nBcc: eve@x.example"),
    )

    await sent(sending_runner, entry)

    (mail,) = mail_server.arrived
    assert mail.message["Bcc"] is None
    assert mail.message["Subject"] == "Lathe Bcc: eve@x.example"
    assert mail.recipients == ["ann@x.example"]


async def test_the_second_mail_about_an_item_is_an_answer_to_the_first(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Won")
        a_rule(session, stage, "send_email", params=THANKS, position=0)
        a_rule(session, stage, "send_email", params=THANKS, position=1)
        _, entry = await a_deal(session, stage, contact=ann("ann@x.example"))

    await sent(sending_runner, entry, 3)

    first, second = [mail.message for mail in mail_server.arrived]
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == first["Message-ID"]
    assert second["References"] == first["Message-ID"]


async def test_where_tracking_is_wanted_links_lead_by_us(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    entry = await entered(
        database,
        {"text": "[Shop](https://shop.example/a)", "track": True},
        contact=ann("ann@x.example"),
    )

    await sent(sending_runner, entry)

    (mail,) = mail_server.arrived
    assert "http://crm.example/v1/t/" in mail.html
    assert 'href="https://shop.example' not in mail.html
    assert mail.text == "[Shop](https://shop.example/a)\n"


async def test_a_mail_that_is_refused_fails_with_the_words_and_the_others_arrive(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    mail_server.refused["bob@x.example"] = "550 5.1.1 No such user"
    entry = await entered(
        database,
        {"to": [{"by": "contacts"}]},
        contact=ann("ann@x.example"),
        further_contacts=[bob("bob@x.example")],
    )

    run = await sent(sending_runner, entry, 2)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        (
            "E-mail «Thanks» to ann@x.example, bob@x.example. Sent to ann@x.example. "
            "bob@x.example refused it: 550 5.1.1 No such user"
        ),
    )


async def test_whoever_has_it_already_is_not_written_to_when_a_person_tries_again(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    mail_server.refused["bob@x.example"] = "550 No such user"
    entry = await entered(
        database,
        {"to": [{"by": "contacts"}]},
        contact=ann("ann@x.example"),
        further_contacts=[bob("bob@x.example")],
    )
    failed = await sent(sending_runner, entry, 2)
    mail_server.refused.clear()

    async with database.transaction() as session:
        await lock_entry(session, entry.id)
        retry(session, await session.get_one(RuleRun, failed.id))
    run = await sent(sending_runner, entry)

    assert [mail.recipients for mail in mail_server.arrived] == [
        ["ann@x.example"],
        ["bob@x.example"],
    ]
    assert (run.state, run.outcome) == (
        RunState.DONE,
        "E-mail «Thanks» to bob@x.example. ann@x.example has it already. Sent to bob@x.example.",
    )


async def test_an_empty_text_fails_and_sends_nothing(database: Database, runner: Runner) -> None:
    entry = await entered(database, {"text": "{{ deal.source }}"}, contact=ann("ann@x.example"))

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "The text is empty, now that its fields are filled in.",
    )


async def test_a_client_in_the_recycle_bin_is_none(database: Database, runner: Runner) -> None:
    contact = ann("ann@x.example")
    entry = await entered(database, contact=contact, company=firm("firm@x.example"))
    async with database.transaction() as session:
        found = await session.get_one(Contact, contact.id)
        found.deleted_at = found.created_at

    await runner.do(entry.id)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.recipient == "firm@x.example"


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({"subject": ""}, "/params/subject", "String should have at least 1 character"),
        (
            {"text": "{{ contract.name }}"},
            "/params/text",
            "line 1, column 4: unknown field contract.name, did you mean contact.name?",
        ),
        (
            {"to": []},
            "/params/to",
            "Input should have at least 1 item, not 0",
        ),
        (
            {"to": [{"by": "address"}]},
            "/params/to/0",
            "a recipient by address needs address",
        ),
        (
            {"to": [{"by": "client", "address": "a@x.example"}]},
            "/params/to/0",
            "a recipient by client has no address",
        ),
        (
            {"to": [{"by": "user", "user": {"by": "user", "id": 42}}]},
            "/params/to/0/user/id",
            "There is no user 42.",
        ),
        (
            {"to": [{"by": "address", "address": "ann(at)x.example"}]},
            "/params/to/0/address",
            "«ann(at)x.example» is not an e-mail address: An email address must have an @-sign.",
        ),
        (
            {"to": [{"by": "address", "address": " , "}]},
            "/params/to/0/address",
            "There is no e-mail address in «,».",
        ),
        (
            {"to": [{"by": "boss"}]},
            "/params/to/0/by",
            "Input should be 'client', 'contacts', 'user' or 'address'",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "send_email", THANKS | params) == {field: reason}


async def with_offer(
    database: Database, template: DocumentTemplate, *, as_pdf: bool = False
) -> StageEntry:
    """Let a deal enter a stage that makes an offer and sends it."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        made = {"template": template.id, "as_pdf": as_pdf}
        sending = THANKS | {"attachments": [template.id]}
        a_rule(session, stage, "create_document", params=made)
        a_rule(session, stage, "send_email", params=sending, position=1)
        _, entry = await a_deal(session, stage, contact=ann("ann@x.example"))
    return entry


@pytest.mark.parametrize(
    ("as_pdf", "name", "media_type"),
    [(True, "Offer 1.pdf", PDF_TYPE), (False, "Offer 1.docx", DOCX_TYPE)],
)
async def test_a_document_that_a_rule_above_is_still_making_is_waited_for_and_attached(
    database: Database,
    sending_runner: Runner,
    mail_server: MailServer,
    *,
    as_pdf: bool,
    name: str,
    media_type: str,
) -> None:
    entry = await with_offer(database, await a_template(database), as_pdf=as_pdf)
    _ = [await sending_runner.do(entry.id) for _ in range(2)]

    waiting = await sending_runner.offer(await sending_runner.step(entry.id, 1))
    arrived_early = list(mail_server.arrived)
    _ = [await sending_runner.do(entry.id) for _ in range(2)]

    [mail] = mail_server.arrived
    [attached] = mail.message.iter_attachments()
    [document] = await all_of(database, Document, options=(undefer(Document.docx),))
    assert arrived_early == []
    assert len(waiting.items) == 2
    assert (attached.get_filename(), attached.get_content_type()) == (name, media_type)
    assert as_pdf or attached.get_content() == document.docx


async def test_a_mail_whose_attachment_cannot_be_made_is_not_sent(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    entry = await with_offer(database, await a_template(database, b"something else"))
    _ = [await sending_runner.do(entry.id) for _ in range(3)]

    run = await sending_runner.do(entry.id)

    assert mail_server.arrived == []
    assert run.state is RunState.FAILED
    assert run.outcome is not None
    assert "The attachment «Offer» could not be made: " in run.outcome


async def test_a_document_that_was_made_before_is_attached_the_newest_of_its_template(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    template = await a_template(database)
    made = {"template": template.id, "as_pdf": False}
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "create_document", params=made)
        a_rule(session, stage, "create_document", params=made, position=1)
        attached = THANKS | {"attachments": [template.id]}
        a_rule(session, stage, "send_email", params=attached, position=2, after_previous=True)
        _, entry = await a_deal(session, stage, contact=ann("ann@x.example"))

    _ = [await sending_runner.do(entry.id) for _ in range(6)]

    [mail] = mail_server.arrived
    assert [each.get_filename() for each in mail.message.iter_attachments()] == ["Offer 2.docx"]


async def test_a_mail_that_lacks_what_it_is_to_bring_is_not_sent(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    template = await a_template(database)
    params = {"attachments": [template.id]}
    entry = await entered(database, params, contact=ann("ann@x.example"))

    run = await sending_runner.do(entry.id)

    assert mail_server.arrived == []
    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Nothing has been made of document template {template.id} for deal {entry.item_id}.",
    )


async def test_a_rule_attaches_only_what_is_made_of_a_template_that_is_there(
    database: Database,
) -> None:
    letter = await a_template(database, name="Letter", item_type=ItemType.LEAD)
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
    params = THANKS | {"attachments": [letter.id, 4711]}

    assert await refused(database, stage, "send_email", params) == {
        "/params/attachments/0": "«Letter» is for leads, not for deals.",
        "/params/attachments/1": "There is no document template 4711.",
    }
