"""The requests that the OpenAPI document shows, all of which work on the sample company.

`docs/record.py` sends them and keeps the answers. Each stands for itself: it finds the company as
it is a minute after it was loaded, changed only by what is said to go before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.document import SIGNED
from models.signing import signature
from sample_company import sample_offer

ANY_VERSION = {"If-Match": "*"}

Request = tuple[str, str, Any]
"""Method, path and body."""

WORK = ("WORK", "", None)
"""Let the worker do what is due."""

CALENDAR_KEY = "8xJ2oN0r4Vd6yQm1tHc7bWk3uZf5aSg9eLpXiRsTx3Q"
LINK = ("LINK", "", None)
"""Let this key open the calendar of Tom."""

LETTERS_KEY = "0b7c1d52-6a0e-4c55-9d3a-3f8f2b6f9a11"
KEYS = ("KEYS", "", None)
"""Let deliveries have keys of which this is the first."""

SIGNING_KEY = "of the examples"
"""What links to documents are signed with."""

DOUBT = ("DOUBT", "", None)
"""Let nobody know whether the first delivery has arrived."""


@dataclass(frozen=True)
class Example:
    """One request of an operation; `parameters` are those of path, query and headers by name."""

    title: str
    body: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    before: Sequence[Request] = ()


def example(title: str, body: Any = None, *before: Request, **parameters: Any) -> Example:
    return Example(title, body, parameters, before)


def moved(item_id: int, stage_id: int) -> Request:
    return ("POST", f"/v1/items/{item_id}/move", {"stage_id": stage_id})


def made(resource: str, **body: Any) -> Request:
    return ("POST", f"/v1/{resource}", body)


A_MAIL = b"""From: Ida Hill <ida@hill.example>
Subject: A flat roof
Message-ID: <7@hill.example>

Do you build on flat roofs?
"""

A_LIST = b"""kind;value;comment
phone;+44 20 7946 0958;Raffle
domain;@prizes.example;Raffle
phone;ask them;
"""

POST = made("feed-posts", text="Who comes along on Friday?", to_all=True)

RUN_NOW = ("POST", "/v1/runs/2/run-now", None)

THANKS = {
    "title": "Thank them",
    "action": "send_email",
    "params": {
        "subject": "Thank you, {{ contact.name }}",
        "text": "**{{ deal.title }}** is yours.",
    },
}
HOOK = {
    "url": "https://hooks.example/deals/{{ deal.id }}/won",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "body": {
        "title": "{{ deal.title }}",
        "amount": "{{ deal.amount }}",
        "client": {"name": "{{ contact.name }}", "phone": "{{ contact.phone }}"},
    },
}
TELL = {"title": "Tell the shop floor", "action": "call_webhook", "params": HOOK}
LETTERS = (
    ("POST", "/v1/stages/7/rules", THANKS),
    (
        "POST",
        "/v1/stages/7/rules",
        {**TELL, "params": {**HOOK, "url": "https://127.0.0.1/won"}},
    ),
    moved(1, 7),
    WORK,
    KEYS,
)
"""Let a deal be won for which a mail is sent, and an address called that is none of the public."""

OFFER = {
    "title": "Make the offer",
    "action": "create_document",
    "params": {
        "template": 1,
        "title": "Offer for {{ contact.name }}",
        "values": [{"field": "document.date", "text": "{{ deal.created_at | date }}"}],
        "on_timeline": True,
    },
}
MADE = (("POST", "/v1/stages/7/rules", OFFER), moved(1, 7), WORK)
"""Let a document be made for a deal."""

BATTERIES = {
    "title": "Batteries after six months",
    "action": "create_repeat_lead",
    "params": {"title": "Batteries for {{ contact.name }}?"},
}
REMINDER = {
    "title": "Note that the day is near",
    "action": "add_history_entry",
    "params": {"text": "{{ deal.title }} is to close on {{ deal.close_date | date }}."},
}

VISIT = {
    "item_id": 1,
    "field": "visit",
    "service": "Measure the roof",
    "starts_at": "2027-08-04T14:00:00+02:00",
    "ends_at": "2027-08-04T16:00:00+02:00",
    "resource_ids": [1],
    "user_ids": [4],
}
BOOKED = made("bookings", **VISIT)

WAIT = {
    "title": "Wait for an answer",
    "action": "wait",
    "params": {"until": {"amount": 3, "unit": "days"}, "comment": "The contract is with them."},
}
NO_ANSWER = {
    "title": "Remind them",
    "action": "create_task",
    "params": {"title": "Call {{ contact.name }}: no answer in three days"},
    "conditions": {"field": "wait.ended_by", "operator": "=", "value": "time"},
    "after_previous": True,
}

SHOP = {"type": "webhook", "settings": {"code": "paid-in-shop"}}
CALLED = ("POST", "/v1/stages/7/triggers", SHOP)
"""Let a trigger wait for a call."""

PREPARED = made("tasks", title="Prepare the invoice", item_id=1, responsible_id=4)
INVOICED = (PREPARED, ("PATCH", "/v1/tasks/2", {"status": "completed"}))
"""Let a trigger move a deal as its invoice is prepared."""

CONVERT = {
    "title": "Make a client of it",
    "action": "create_from_item",
    "params": {"create": ["contact", "company", "deal"], "pipeline": 2},
}

EXAMPLES: Mapping[str, Sequence[Example]] = {
    "listDeals": [
        example("Deals in the stage «Engaging»", stage_id=5),
        example("The greatest first, two at a time", pipeline_id=2, sort="-amount", limit=2),
    ],
    "createDeal": [
        example("Only a title", {"title": "Roof of the town hall"}),
        example(
            "With client, products and money",
            {
                "title": "Roof of the second bakery",
                "pipeline_id": 2,
                "stage_id": 5,
                "responsible_id": 4,
                "contact_id": 2,
                "company_id": 1,
                "amount": "52000.00",
                "currency": "EUR",
                "close_date": "2027-10-31",
                "source": "Recommendation",
                "product_rows": [
                    {"name": "Solar roof", "price": "46000.00"},
                    {"name": "Battery", "price": "3000.00", "quantity": "2.00"},
                ],
            },
        ),
        example("Refused: no such client", {"title": "Roof", "contact_id": 77}),
        example("Refused: no such stage", {"title": "Roof", "stage_id": 77}),
        example("Refused: two wrong fields", {"title": "", "amount": "-1"}),
    ],
    "readDeal": [example("A deal", deal_id=1)],
    "updateDeal": [
        example(
            "Another amount and day", {"amount": "19900.00", "close_date": "2027-09-30"}, deal_id=1
        ),
        example("Handed over", {"responsible_id": 2}, deal_id=1),
        example("Refused: no such currency", {"currency": "EURO"}, deal_id=1),
    ],
    "deleteDeal": [example("Put into the recycle bin", deal_id=3)],
    "listLeads": [example("Leads of one person", responsible_id=4)],
    "createLead": [
        example(
            "A caller",
            {"title": "Call about batteries", "first_name": "Ida", "phones": ["0171 5550100"]},
        ),
        example("A client who comes again", {"title": "More panels", "contact_id": 1}),
        example("Refused: no such stage", {"title": "Call", "stage_id": 77}),
    ],
    "readLead": [example("A lead", lead_id=4)],
    "updateLead": [
        example("An address has come in", {"emails": ["clara@vogt.example"]}, lead_id=4)
    ],
    "deleteLead": [example("Put into the recycle bin", lead_id=4)],
    "listQuotes": [example("Quotes that were made from a deal", source_item_id=1)],
    "createQuote": [
        example(
            "An offer for a deal",
            {
                "title": "Roof of the bakery",
                "contact_id": 2,
                "company_id": 1,
                "amount": "46000.00",
                "currency": "EUR",
                "close_date": "2027-08-31",
                "product_rows": [{"name": "Solar roof", "price": "46000.00"}],
            },
        ),
        example("Refused: a stage of something else", {"title": "Offer", "stage_id": 7}),
    ],
    "readQuote": [example("A quote", quote_id=5)],
    "updateQuote": [example("Valid for longer", {"close_date": "2027-10-31"}, quote_id=5)],
    "deleteQuote": [example("Put into the recycle bin", quote_id=5)],
    "listInvoices": [
        example("What was to be paid by now", is_paid=False, close_date_to="2027-08-31")
    ],
    "createInvoice": [
        example(
            "A bill",
            {
                "title": "Maintenance 2027",
                "contact_id": 1,
                "amount": "190.00",
                "currency": "EUR",
                "close_date": "2027-08-31",
            },
        ),
        example("Refused: a stage of something else", {"title": "Bill", "stage_id": 7}),
    ],
    "readInvoice": [example("An invoice", invoice_id=6)],
    "updateInvoice": [example("To be paid later", {"close_date": "2027-10-31"}, invoice_id=6)],
    "deleteInvoice": [example("Put into the recycle bin", invoice_id=6)],
    "payInvoice": [
        example("Paid now", {}, invoice_id=6),
        example("Paid a while ago", {"paid_at": "2027-07-30T12:00:00+02:00"}, invoice_id=6),
        example(
            "Refused: it is paid already", {}, ("POST", "/v1/invoices/6/pay", {}), invoice_id=6
        ),
    ],
    "unpayInvoice": [
        example(
            "A mistake",
            None,
            ("POST", "/v1/invoices/6/pay", {}),
            moved(6, 18),
            invoice_id=6,
        ),
        example("Refused: it is not paid", invoice_id=6),
    ],
    "readItem": [example("A deal, found by its id alone", item_id=1)],
    "moveItem": [
        example("Won", {"stage_id": 7}, item_id=1),
        example("It stands there already", {"stage_id": 6}, item_id=1),
        example("Moved without its rules", {"stage_id": 7, "automation": "skip"}, item_id=1),
        example("Refused: a stage of another pipeline", {"stage_id": 10}, item_id=1),
    ],
    "moveItems": [
        example("What would come of it", {"item_ids": [1, 2], "stage_id": 7, "dry": True}),
        example("Several at once", {"item_ids": [1, 2, 4], "stage_id": 7}),
        example("Refused: no such stage", {"item_ids": [1], "stage_id": 77}),
    ],
    "readAgenda": [
        example("What waits for a deal", item_id=3),
        example("After a deal was won", None, moved(1, 7), WORK, item_id=1),
    ],
    "listRuns": [
        example("What rules did and will do", item_id=2),
        example("After a deal was won", None, moved(1, 7), WORK, item_id=1),
    ],
    "listHistory": [example("Everything noted", item_id=2, limit=3)],
    "listTimeline": [example("What people see", item_id=2, limit=3)],
    "addComment": [
        example("A comment", {"text": "Wants the inverter in the cellar."}, item_id=1),
        example(
            "What the client said", {"text": "Call me on Monday.", "from_client": True}, item_id=1
        ),
    ],
    "endWait": [
        example(
            "Waited long enough",
            None,
            ("POST", "/v1/stages/7/rules", WAIT),
            moved(1, 7),
            WORK,
            item_id=1,
        ),
        example("Refused: it waits for nothing", item_id=1),
    ],
    "restoreItem": [
        example("Back from the recycle bin", None, ("DELETE", "/v1/deals/3", None), item_id=3)
    ],
    "listDeletedItems": [example("What can be restored", None, ("DELETE", "/v1/deals/3", None))],
    "listPipelines": [example("Pipelines for leads", item_type="lead")],
    "createPipeline": [
        example(
            "With its stages",
            {
                "name": "Service",
                "item_type": "deal",
                "stages": [
                    {"name": "Reported"},
                    {"name": "Repaired", "kind": "won"},
                    {"name": "Beyond repair", "kind": "lost"},
                ],
            },
        )
    ],
    "readPipeline": [example("With its stages, in order", pipeline_id=3)],
    "updatePipeline": [example("Another name", {"name": "Mounting"}, pipeline_id=3)],
    "deletePipeline": [
        example("Without items", pipeline_id=3),
        example("Refused: items stand there", pipeline_id=2),
    ],
    "listStages": [example("Stages of a pipeline", pipeline_id=3)],
    "createStage": [
        example("In third place", {"pipeline_id": 3, "name": "Inspection", "position": 2})
    ],
    "readStage": [example("A stage", stage_id=7)],
    "updateStage": [
        example("Another name", {"name": "Sold"}, stage_id=7),
        example("Another place", {"position": 1}, stage_id=12),
    ],
    "deleteStage": [
        example("Without items", stage_id=12),
        example("Refused: an item stands there", stage_id=6),
    ],
    "listRules": [example("Rules of «Closed won»", stage_id=7)],
    "createRule": [
        example(
            "Repeat lead after six months",
            BATTERIES | {"timing": {"kind": "after_delay", "amount": 6, "unit": "months"}},
            stage_id=8,
        ),
        example(
            "Task, at once",
            {
                "title": "Call and ask why",
                "action": "create_task",
                "params": {
                    "title": "Ask {{ contact.name }} why",
                    "responsible": {"by": "responsible"},
                    "deadline": {"amount": 2, "unit": "days"},
                    "checklist": ["Price?", "Trust?"],
                },
            },
            stage_id=8,
        ),
        example(
            "Task that the rule after it waits for, due before a date of the deal",
            {
                "title": "Survey",
                "action": "create_task",
                "params": {
                    "title": "Measure the roof",
                    "deadline": {
                        "field": "deal.close_date",
                        "direction": "before",
                        "amount": 2,
                        "unit": "weeks",
                    },
                    "time_tracking": True,
                    "estimated_minutes": 120,
                    "wait_until_completed": True,
                },
            },
            stage_id=6,
        ),
        example(
            "Tasks of another stage are done with",
            {
                "title": "No offer is needed any more",
                "action": "complete_tasks",
                "params": {"stages": [5]},
            },
            stage_id=7,
        ),
        example("A lead becomes a deal of a client", CONVERT, stage_id=2),
        example(
            "A lead gets a contact",
            {
                "title": "Know them from now on",
                "action": "create_contact_for_lead",
                "params": {},
            },
            stage_id=1,
        ),
        example(
            "Quote and invoice of a deal",
            {
                "title": "Write the papers",
                "action": "create_from_item",
                "params": {"create": ["quote", "invoice"]},
            },
            stage_id=6,
        ),
        example("Wait for the client", WAIT, stage_id=6),
        example(
            "Only if the client has not answered",
            NO_ANSWER,
            ("POST", "/v1/stages/6/rules", WAIT),
            stage_id=6,
        ),
        example(
            "Comment on the timeline",
            {
                "title": "Say what was agreed",
                "action": "add_comment",
                "params": {"text": "{{ deal.title }} was agreed at {{ deal.amount | money }}."},
            },
            stage_id=7,
        ),
        example(
            "Message to everybody",
            {
                "title": "Good news",
                "action": "post_to_feed",
                "params": {
                    "title": "{{ deal.title }} is won",
                    "text": "{{ responsible.name }} has won {{ contact.name }}.",
                    "to_all": True,
                },
            },
            stage_id=7,
        ),
        example(
            "Fields of the deal, each as its kind takes it",
            {
                "title": "Prepare the contract",
                "action": "edit_item",
                "params": {
                    "changes": [
                        {"field": "deal.title", "value": "{{ deal.title }}, {{ contact.name }}"},
                        {
                            "field": "deal.amount",
                            "value": "{{ deal.amount | times: 1.1 | round: 2 }}",
                        },
                        {"field": "deal.close_date", "value": {"amount": 2, "unit": "weeks"}},
                        {"field": "deal.custom.roof", "value": "Flat"},
                        {"field": "deal.source"},
                    ],
                    "changed_by": {"by": "responsible"},
                },
            },
            stage_id=6,
        ),
        example(
            "One more phone for the contact",
            {
                "title": "Note the hotline",
                "action": "edit_contact",
                "params": {
                    "changes": [{"field": "contact.phones", "value": ["+49 30 901821"]}],
                    "append": True,
                },
            },
            stage_id=7,
        ),
        example(
            "Comments of the company",
            {
                "title": "Note the sale",
                "action": "edit_company",
                "params": {
                    "changes": [{"field": "company.comments", "value": "Bought {{ deal.title }}."}]
                },
            },
            stage_id=7,
        ),
        example(
            "Responsible in turn",
            {
                "title": "Share the work",
                "action": "change_responsible",
                "params": {
                    "candidates": [{"by": "department", "id": 3}, {"by": "user", "id": 2}],
                    "pick": "in turn",
                },
            },
            stage_id=5,
        ),
        example(
            "Another stage, after a month",
            {
                "title": "Give up",
                "action": "change_stage",
                "params": {"stage": 8},
                "timing": {"kind": "after_delay", "amount": 1, "unit": "months"},
            },
            stage_id=6,
        ),
        example(
            "Another pipeline, at once",
            {
                "title": "Hand over to Installation",
                "action": "change_pipeline",
                "params": {"pipeline": 3},
            },
            stage_id=7,
        ),
        example(
            "Deleted after a year",
            {
                "title": "Tidy up",
                "action": "delete_item",
                "timing": {"kind": "after_delay", "amount": 1, "unit": "years"},
            },
            stage_id=8,
        ),
        example(
            "A code of six characters",
            {
                "title": "Code for the portal",
                "action": "generate_code",
                "params": {"length": 6, "alphabets": ["digits", "upper"]},
            },
            stage_id=7,
        ),
        example(
            "Platform and people, in the next free two hours",
            {
                "title": "Book the visit",
                "action": "book_resource",
                "params": {
                    "field": "deal.custom.visit",
                    "service": "Measure the roof of {{ contact.name }}",
                    "next_free_slot": True,
                    "within_days": 14,
                    "duration": {"amount": 2, "unit": "hours"},
                    "resources": [1],
                    "users": [{"by": "responsible"}],
                },
            },
            stage_id=6,
        ),
        example(
            "What was booked is free again",
            {
                "title": "No visit then",
                "action": "cancel_booking",
                "params": {"field": "deal.custom.visit"},
            },
            stage_id=8,
        ),
        example(
            "History entry, a day before what is booked",
            {
                "title": "Note the visit",
                "action": "add_history_entry",
                "params": {"text": "Visit: {{ deal.custom.visit | datetime }}."},
                "timing": {
                    "kind": "around_date",
                    "field": "deal.custom.visit",
                    "direction": "before",
                    "amount": 1,
                    "unit": "days",
                },
            },
            stage_id=6,
        ),
        example(
            "Employee, at once",
            {
                "title": "Tell who is responsible",
                "action": "notify_employee",
                "params": {"text": "{{ deal.title }} is yours to finish."},
            },
            stage_id=6,
        ),
        example(
            "Refused: a value that the field does not take",
            {
                "title": "Prepare the contract",
                "action": "edit_item",
                "params": {"changes": [{"field": "deal.amount", "value": "-1"}]},
            },
            stage_id=6,
        ),
        example(
            "Call, tomorrow, that completes itself when the deal moves on",
            {
                "title": "Call about the invoice",
                "action": "schedule_call",
                "params": {
                    "subject": "Call {{ contact.name }}: has the invoice come?",
                    "start": {"days": 1, "time": "10:00"},
                    "duration": {"amount": 15, "unit": "minutes"},
                    "complete_on_stage_change": True,
                },
            },
            stage_id=6,
        ),
        example(
            "Meeting at the client's address, a week before a date of the deal",
            {
                "title": "Meet them",
                "action": "schedule_meeting",
                "params": {
                    "subject": "Look at the roof of {{ company.name }}",
                    "place": "{{ company.address }}",
                    "start": {
                        "date": {
                            "field": "deal.close_date",
                            "direction": "before",
                            "amount": 1,
                            "unit": "weeks",
                        },
                        "time": "14:30",
                    },
                    "duration": {"amount": 2, "unit": "hours"},
                    "reminders": [60],
                },
            },
            stage_id=6,
        ),
        example(
            "To-do that whoever is responsible is told of",
            {
                "title": "Papers",
                "action": "plan_activity",
                "params": {
                    "subject": "Send {{ contact.name }} the papers",
                    "important": True,
                    "colour": "gold",
                },
            },
            stage_id=6,
        ),
        example("Another program is told, with a signature", TELL, stage_id=7),
        example("An offer, under the next number", OFFER, stage_id=7),
        example(
            "Refused: no such template, no such field",
            {
                **OFFER,
                "params": {"template": 99, "values": [{"field": "deal.titel", "text": "Roof"}]},
            },
            stage_id=7,
        ),
        example("The client is thanked by mail", THANKS, stage_id=7),
        example(
            "All contacts hear of it by mail, and the office too",
            {
                "title": "Tell them all",
                "action": "send_email",
                "params": {
                    "subject": "{{ deal.title }}",
                    "text": "We begin **soon**: [read more](https://sun.example/begin).",
                    "to": [
                        {"by": "contacts"},
                        {"by": "address", "address": "office@sun.example"},
                        {"by": "user", "user": {"by": "supervisor"}},
                    ],
                    "sender": {"by": "responsible"},
                    "track": True,
                    "skip_excluded": True,
                },
            },
            stage_id=7,
        ),
        example(
            "The client gets an SMS",
            {
                "title": "Say that we come",
                "action": "send_message",
                "params": {"text": "{{ responsible.name }} calls you tomorrow."},
            },
            stage_id=6,
        ),
        example(
            "Supervisor, after a day",
            {
                "title": "Tell the supervisor",
                "action": "notify_supervisor",
                "params": {"text": "{{ deal.title }} has been in «Contract» for a day."},
                "timing": {"kind": "after_delay", "amount": 1, "unit": "days"},
            },
            stage_id=6,
        ),
        example(
            "History entry, three days before a date of the deal",
            REMINDER
            | {
                "timing": {
                    "kind": "around_date",
                    "field": "deal.close_date",
                    "direction": "before",
                    "amount": 3,
                    "unit": "days",
                }
            },
            stage_id=6,
        ),
        example(
            "History entry at nine, two working days later, if the rule above has not failed",
            REMINDER
            | {
                "timing": {
                    "kind": "after_delay",
                    "amount": 2,
                    "unit": "days",
                    "clock_time": "09:00",
                    "working_hours": "responsible",
                    "spread_minutes": 30,
                },
                "after_previous": True,
                "stop_on_failure": True,
            },
            stage_id=6,
        ),
        example(
            "Copy into another pipeline, on one condition",
            {
                "title": "Copy big ones to Installation",
                "action": "copy_deal",
                "params": {"name": "{{ deal.title }}", "pipeline": 3},
                "conditions": {"field": "deal.amount", "operator": ">=", "value": 10000},
            },
            stage_id=6,
        ),
        example(
            "Exceptions list, on conditions put together",
            {
                "title": "Forget who never had money",
                "action": "add_to_exclusions",
                "params": {"further_contacts": False},
                "conditions": {
                    "all": [
                        {"field": "deal.amount", "operator": "empty"},
                        {
                            "any": [
                                {
                                    "field": "deal.created_at",
                                    "operator": "more than ago",
                                    "value": {"amount": 3, "unit": "months"},
                                },
                                {
                                    "field": "deal.source",
                                    "operator": "in",
                                    "value": ["Bought list", "Raffle"],
                                },
                            ]
                        },
                        {
                            "not": {
                                "field": "responsible.id",
                                "operator": "changed since entry",
                            }
                        },
                    ]
                },
            },
            stage_id=8,
        ),
        example(
            "Field beside field",
            REMINDER
            | {
                "conditions": {
                    "field": "deal.close_date",
                    "operator": "<=",
                    "value": {"field": "deal.begin_date"},
                }
            },
            stage_id=6,
        ),
        example(
            "Refused: a field that nobody knows",
            {
                "title": "Greet",
                "action": "add_history_entry",
                "params": {"text": "Hello {{ contact.nmae }}"},
            },
            stage_id=6,
        ),
    ],
    "readRule": [example("A rule", rule_id=5)],
    "updateRule": [
        example(
            "Another delay",
            {"timing": {"kind": "after_delay", "amount": 1, "unit": "years"}},
            rule_id=5,
        ),
        example("Switched off", {"enabled": False}, rule_id=5),
        example(
            "What waits follows",
            {"timing": {"kind": "after_delay", "amount": 1, "unit": "years"}},
            rule_id=1,
            waiting="retime",
        ),
    ],
    "releaseRule": [example("It is not held, and stays as it is", rule_id=5)],
    "deleteRule": [
        example("Nothing waits for it", rule_id=6),
        example("What waits is dropped", rule_id=1, waiting="drop"),
        example("Refused: a run waits for it", rule_id=1),
    ],
    "listActions": [
        example("The catalogue"),
        example("In Polish", limit=1, **{"Accept-Language": "pl-PL, en;q=0.5"}),
    ],
    "listFields": [
        example("What rules on deals can speak of"),
        example("What rules on leads can speak of", item_type="lead"),
        example("What rules on invoices can speak of", item_type="invoice"),
    ],
    "readStageEntry": [example("A stay with its runs", entry_id=2)],
    "readRun": [example("A run that waits", run_id=2), example("A run that is done", run_id=1)],
    "runNow": [
        example("Not tomorrow but now", run_id=2),
        example("Refused: it is done", run_id=1),
    ],
    "skipRun": [example("Never", run_id=2)],
    "postponeRun": [example("Later", {"until": "2027-08-16T09:00:00+02:00"}, run_id=2)],
    "retryRun": [
        example(
            "Once more",
            None,
            made("deals", title="Roof without a client", stage_id=7),
            WORK,
            ("POST", "/v1/runs/5/run-now", None),
            WORK,
            run_id=5,
        )
    ],
    "listDeliveries": [
        example("What left for a deal", None, *LETTERS, item_id=1),
        example("What did not arrive", None, *LETTERS, state="failed"),
    ],
    "readDelivery": [example("A mail that was caught", None, *LETTERS, delivery_id=1)],
    "readRawDelivery": [
        example("A mail", None, *LETTERS, delivery_id=1),
        example("A call of a webhook", None, *LETTERS, delivery_id=2),
    ],
    "settleDelivery": [
        example("It has arrived", {"arrived": True}, *LETTERS, DOUBT, delivery_id=1),
        example("Refused: it is certain", {"arrived": False}, *LETTERS, delivery_id=1),
    ],
    "listTasks": [example("Open tasks of a deal", item_id=2, status="pending")],
    "createTask": [
        example(
            "For a deal, with a deadline",
            {
                "title": "Measure the roof",
                "item_id": 1,
                "responsible_id": 4,
                "deadline_at": "2027-08-06T12:00:00+02:00",
                "checklist": [{"text": "Ladder"}, {"text": "Camera"}],
            },
        ),
        example(
            "For two deals at once",
            {"title": "Order the tiles", "item_id": 1, "further_item_ids": [2]},
        ),
    ],
    "readTask": [example("A task that a rule has made", task_id=1)],
    "updateTask": [
        example("Completed", {"status": "completed"}, task_id=1),
        example(
            "Refused: taken up again first",
            {"status": "deferred"},
            ("PATCH", "/v1/tasks/1", {"status": "completed"}),
            task_id=1,
        ),
    ],
    "deleteTask": [example("Deleted", task_id=1)],
    "addTaskTime": [
        example(
            "Three quarters of an hour",
            {"minutes": 45},
            ("PATCH", "/v1/tasks/1", {"time_tracking": True}),
            task_id=1,
        ),
        example("Refused: without time tracking", {"minutes": 45}, task_id=1),
    ],
    "listCrmActivities": [example("What is planned for a deal", item_id=1, status="planned")],
    "createCrmActivity": [
        example(
            "A meeting that is planned",
            {
                "kind": "meeting",
                "subject": "Look at the roof",
                "item_id": 1,
                "place": "Works Road 1, Berlin",
                "starts_at": "2027-08-04T14:30:00+02:00",
                "ends_at": "2027-08-04T16:00:00+02:00",
                "reminders": [60, 0],
            },
        ),
        example(
            "A call that has come in",
            {
                "kind": "call",
                "status": "completed",
                "direction": "incoming",
                "subject": "Asked for a battery",
                "item_id": 1,
                "result": "Wants an offer by Friday.",
            },
        ),
        example("Refused: no such item", {"kind": "call", "subject": "Call back", "item_id": 77}),
    ],
    "readCrmActivity": [example("A call that is planned", crm_activity_id=1)],
    "updateCrmActivity": [
        example("Somebody else makes it", {"responsible_id": 2}, crm_activity_id=1)
    ],
    "deleteCrmActivity": [example("Deleted", crm_activity_id=1)],
    "completeCrmActivity": [example("Done", {"result": "On Monday."}, crm_activity_id=1)],
    "reopenCrmActivity": [
        example(
            "Not done after all",
            None,
            ("POST", "/v1/crm-activities/1/complete", {}),
            crm_activity_id=1,
        ),
        example("Refused: it is planned", crm_activity_id=1),
    ],
    "postponeCrmActivity": [
        example(
            "To another day",
            {"starts_at": "2027-08-05T10:00:00+02:00"},
            crm_activity_id=1,
        )
    ],
    "listBookings": [
        example("What is booked for a deal", None, BOOKED, item_id=1, cancelled=False)
    ],
    "createBooking": [
        example("A platform and who drives it", VISIT),
        example("Refused: it is booked already", VISIT | {"item_id": 2}, BOOKED),
        example("Refused: no such field", VISIT | {"field": "visits"}),
    ],
    "readAvailability": [
        example(
            "When both are free",
            None,
            BOOKED,
            resource_ids=[1],
            user_ids=[4],
            minutes=120,
            until="2027-08-05T00:00:00+02:00",
            **{"from": "2027-08-04T00:00:00+02:00"},
        )
    ],
    "readBooking": [example("A booking", None, BOOKED, booking_id=1)],
    "updateBooking": [
        example(
            "Moved by a day",
            {"starts_at": "2027-08-05T14:00:00+02:00"},
            BOOKED,
            booking_id=1,
        )
    ],
    "cancelBooking": [example("Free again", None, BOOKED, booking_id=1)],
    "listResources": [example("What can be booked", limit=2)],
    "createResource": [
        example(
            "With hours of its own",
            {
                "name": "Showroom",
                "working_hours": {"wed": [["10:00", "16:00"]], "sat": [["10:00", "14:00"]]},
            },
        )
    ],
    "readResource": [example("A resource", resource_id=1)],
    "updateResource": [
        example("Another description", {"description": "In repair."}, resource_id=1)
    ],
    "deleteResource": [
        example("Nobody needs it", None, resource_id=1),
        example("Refused: it is booked", None, BOOKED, resource_id=1),
    ],
    "listDocumentTemplates": [example("Those for deals", item_type="deal")],
    "createDocumentTemplate": [
        example(
            "An offer with numbers that begin with the year",
            sample_offer(),
            name="Short offer",
            item_type="deal",
            number_format="S-{year}-{number:04}",
            file_name="short offer.docx",
        ),
        example("Refused: no document", b"Dear {{ deal.nam }}", name="x", item_type="deal"),
        example(
            "Refused: fields that quotes have not", sample_offer(), name="x", item_type="quote"
        ),
    ],
    "readDocumentTemplate": [example("A template", document_template_id=1)],
    "updateDocumentTemplate": [
        example(
            "Other numbers from now on",
            {"number_format": "Offer {number}/{year}"},
            document_template_id=1,
        ),
        example("Refused: no number", {"number_format": "Offer"}, document_template_id=1),
    ],
    "deleteDocumentTemplate": [example("Nothing more is made of it", document_template_id=1)],
    "addDocumentTemplateVersion": [
        example("A new file", sample_offer(), document_template_id=1, file_name="offer 2.docx")
    ],
    "readDocumentTemplateFile": [
        example("The file that was uploaded", document_template_id=1, number=1)
    ],
    "listDocuments": [
        example("What was made for a deal", None, *MADE, item_id=1),
        example("What could not be made", None, *MADE, state="failed"),
    ],
    "readDocument": [example("An offer", None, *MADE, document_id=1)],
    "readDocumentDocx": [example("To be edited", None, *MADE, document_id=1)],
    "readDocumentPdf": [example("To be printed", None, *MADE, document_id=1)],
    "deleteDocument": [example("It was a mistake", None, *MADE, document_id=1)],
    "createDocumentLink": [example("For the client", None, *MADE, document_id=1)],
    "revokeDocumentLink": [example("It opens nothing now", None, *MADE, document_id=1)],
    "readSharedDocument": [
        example(
            "What the client sees",
            None,
            *MADE,
            document_id=1,
            signature=signature(SIGNING_KEY, SIGNED, 1, 1),
        )
    ],
    "createCalendarLink": [example("A link of one's own")],
    "revokeCalendarLink": [example("From now on it opens nothing", None, LINK)],
    "readCalendar": [example("What a program is sent", None, LINK, key=CALENDAR_KEY)],
    "listFeedPosts": [example("The latest", None, POST)],
    "createFeedPost": [
        example(
            "To a department",
            {
                "title": "The bakery wants to see the crane",
                "text": "Who comes along on Friday?",
                "item_id": 2,
                "department_ids": [2],
            },
        ),
        example("To everybody", {"text": "The office is closed on Monday.", "to_all": True}),
        example("Refused: to nobody", {"text": "Hello?"}),
    ],
    "readFeedPost": [example("A post", None, POST, feed_post_id=1)],
    "deleteFeedPost": [example("Deleted with its comments", None, POST, feed_post_id=1)],
    "listFeedComments": [
        example(
            "What was said",
            None,
            POST,
            ("POST", "/v1/feed-posts/1/comments", {"text": "I do."}),
            feed_post_id=1,
        )
    ],
    "addFeedComment": [example("A word", {"text": "I do."}, POST, feed_post_id=1)],
    "listNotifications": [
        example(
            "What I was told",
            None,
            ("PATCH", "/v1/deals/3", {"responsible_id": 2}),
            RUN_NOW,
            WORK,
        )
    ],
    "readUnreadCount": [
        example(
            "What I have not read",
            None,
            ("PATCH", "/v1/deals/3", {"responsible_id": 2}),
            RUN_NOW,
            WORK,
        )
    ],
    "markNotificationsRead": [
        example(
            "All I have seen",
            {"up_to": 2},
            ("PATCH", "/v1/deals/3", {"responsible_id": 2}),
            RUN_NOW,
            WORK,
        )
    ],
    "streamNotifications": [
        example(
            "What I have missed",
            None,
            ("PATCH", "/v1/deals/3", {"responsible_id": 2}),
            RUN_NOW,
            WORK,
            last_event_id="0",
            seconds=0,
        ),
        example("Refused: no bookmark", last_event_id="yesterday"),
    ],
    "markNotificationRead": [
        example(
            "Read",
            None,
            ("PATCH", "/v1/deals/3", {"responsible_id": 2}),
            RUN_NOW,
            WORK,
            notification_id=2,
        ),
        example("Refused: somebody else was told", notification_id=1),
    ],
    "listContacts": [example("Contacts", limit=2)],
    "createContact": [
        example(
            "A person of a firm",
            {
                "first_name": "Ida",
                "last_name": "Brandt",
                "company_id": 1,
                "phones": ["+49 30 901821"],
                "emails": ["ida@sonne.example"],
            },
        )
    ],
    "readContact": [example("A contact", contact_id=2)],
    "updateContact": [
        example("A second phone", {"phones": ["+49 40 5550123", "+49 40 5550124"]}, contact_id=2)
    ],
    "deleteContact": [
        example("Nobody needs it", None, made("contacts", last_name="Brandt"), contact_id=4),
        example("Refused: a deal is tied to it", contact_id=3),
    ],
    "listCompanies": [example("Companies")],
    "createCompany": [example("A firm", {"name": "Mill Brandt", "phones": ["030 901822"]})],
    "readCompany": [example("A firm", company_id=1)],
    "updateCompany": [
        example("A comment", {"comments": "Two more branches to come."}, company_id=1)
    ],
    "deleteCompany": [
        example("Deleted", None, made("companies", name="Mill Brandt"), company_id=2)
    ],
    "listFieldDefinitions": [example("Custom fields of deals", item_type="deal")],
    "createFieldDefinition": [
        example(
            "A date, for reminders",
            {"item_type": "deal", "name": "renewal", "title": "Renewal on", "kind": "date"},
        ),
        example(
            "One of several choices",
            {
                "item_type": "deal",
                "name": "inverter",
                "title": "Inverter",
                "kind": "list",
                "choices": ["Cellar", "Roof"],
            },
        ),
        example(
            "Refused: the name is taken",
            {"item_type": "deal", "name": "roof", "title": "Roof", "kind": "text"},
        ),
    ],
    "readFieldDefinition": [example("A custom field", field_definition_id=2)],
    "updateFieldDefinition": [
        example(
            "Other choices",
            {"choices": ["Flat", "Gable", "Hipped", "Dome"]},
            field_definition_id=2,
        )
    ],
    "deleteFieldDefinition": [example("Deleted, with what it held", field_definition_id=3)],
    "listInbound": [
        example("What came in", None, made("inbound/calls", id="815", phone="+44 20 7946 0958")),
    ],
    "receiveEmail": [
        example("Somebody new", A_MAIL),
        example("The same again", A_MAIL, ("POST", "/v1/inbound/emails", A_MAIL)),
        example(
            "Of somebody on the exceptions list nothing is kept",
            A_MAIL,
            made("exclusions", kind="domain", value="hill.example"),
        ),
        example("Refused: no mail", b""),
    ],
    "receiveCall": [
        example(
            "A missed call",
            {"id": "815", "phone": "+44 20 7946 0958", "line": "Berlin", "answered": False},
        ),
        example("A hidden number", {"id": "816", "phone": None, "seconds": 20}),
        example(
            "The same again",
            {"id": "815", "phone": "+44 20 7946 0958"},
            made("inbound/calls", id="815", phone="+44 20 7946 0958"),
        ),
        example(
            "Refused: another call has that id",
            {"id": "815", "phone": "+44 20 7946 0999"},
            made("inbound/calls", id="815", phone="+44 20 7946 0958"),
        ),
    ],
    "receiveMessage": [
        example(
            "From somebody with a handle",
            {"id": "42", "channel": "Chat", "handle": "@ida", "text": "Do you have time in May?"},
        ),
        example(
            "The same again",
            {"id": "42", "channel": "Chat", "handle": "@ida", "text": "Hello"},
            made("inbound/messages", id="42", channel="Chat", handle="@ida", text="Hello"),
        ),
        example("Refused: from nobody", {"id": "43", "channel": "SMS", "text": "Hello"}),
    ],
    "receiveForm": [
        example(
            "From the page about roofs",
            {
                "key": "f3b1c7e0",
                "form": "contact",
                "name": "Ida Hill",
                "emails": ["ida@hill.example"],
                "comments": "We have a flat roof.",
                "utm": {"source": "newsletter"},
            },
        ),
        example(
            "The same again",
            {"key": "f3b1c7e0", "form": "contact", "name": "Ida Hill"},
            made("inbound/forms", key="f3b1c7e0", form="contact", name="Ida Hill"),
        ),
    ],
    "readInbound": [
        example(
            "A call",
            None,
            made("inbound/calls", id="815", phone="+44 20 7946 0958"),
            inbound_id=1,
        )
    ],
    "readRawInbound": [
        example("A mail", None, ("POST", "/v1/inbound/emails", A_MAIL), inbound_id=1)
    ],
    "listExclusions": [
        example("The list", None, made("exclusions", kind="email", value="win@prizes.example"))
    ],
    "deleteExclusionByValue": [
        example(
            "No longer ignored, in another spelling",
            None,
            made("exclusions", kind="phone", value="+44 20 7946 0958"),
            kind="phone",
            value="0044 20 79 46 09 58",
        ),
        example("Refused: it is not on the list", kind="email", value="ida@hill.example"),
    ],
    "readExclusionCheck": [
        example(
            "Excluded by the domain",
            None,
            made("exclusions", kind="domain", value="prizes.example"),
            email="Win@Prizes.Example",
        ),
        example("Nobody is excluded", phone="030 1234567"),
        example("Refused: no phone", phone="ask them"),
    ],
    "importExclusions": [
        example("From a spreadsheet, but for a line", A_LIST),
        example("What would come of it", A_LIST, dry=True),
        example("Values alone", b"+44 20 7946 0958\n@raffle.example\n"),
        example("Refused: no column for the value", b"kind,comment\nphone,Raffle\n"),
    ],
    "createExclusion": [
        example("A phone", {"kind": "phone", "value": "+44 20 7946 0958", "comment": "Raffle"}),
        example("A whole mail domain", {"kind": "domain", "value": "prizes.example"}),
    ],
    "undoExclusion": [
        example("Take back what a rule did", {"run_id": 4}, moved(3, 9), WORK),
        example("Refused: no such run", {"run_id": 77}),
    ],
    "readExclusion": [
        example(
            "An address that is ignored",
            None,
            made("exclusions", kind="email", value="win@prizes.example"),
            exclusion_id=1,
        )
    ],
    "updateExclusion": [
        example(
            "A reason",
            {"comment": "Raffle"},
            made("exclusions", kind="email", value="win@prizes.example"),
            exclusion_id=1,
        )
    ],
    "deleteExclusion": [
        example(
            "No longer ignored",
            None,
            made("exclusions", kind="email", value="win@prizes.example"),
            exclusion_id=1,
        )
    ],
    "listUsers": [example("Managers", role="manager")],
    "createUser": [
        example(
            "A new colleague",
            {
                "name": "Lena Kraus",
                "email": "lena@example.com",
                "department_id": 3,
                "role": "agent",
                "reach": "own",
            },
        ),
        example("Refused: no such department", {"name": "Tom", "department_id": 77}),
    ],
    "readUser": [example("A user", user_id=4)],
    "updateUser": [
        example("Away for a while", {"absent_until": "2027-08-20T22:00:00Z"}, user_id=4)
    ],
    "deactivateUser": [example("Works here no longer", user_id=3)],
    "readSupervisor": [example("The next above who is there", user_id=4)],
    "listDepartments": [example("Below «Sales»", parent_id=2)],
    "createDepartment": [
        example("Below another", {"name": "Sales South", "parent_id": 2, "head_id": 2})
    ],
    "readDepartment": [example("A department", department_id=3)],
    "updateDepartment": [example("An empty post", {"head_id": None}, department_id=3)],
    "deleteDepartment": [
        example(
            "Where nobody works", None, made("departments", name="Sales South"), department_id=4
        )
    ],
    "listTokens": [example("Those that open something", valid=True)],
    "createToken": [
        example("For the web shop", {"name": "Web shop", "expires_at": "2028-08-01T00:00:00Z"}),
        example("For somebody else", {"name": "Phone app", "user_id": 4}),
    ],
    "revokeToken": [
        example("From now on it opens nothing", None, made("tokens", name="Web shop"), token_id=2)
    ],
    "readInstallation": [example("The company")],
    "updateInstallation": [
        example("Another zone and money", {"time_zone": "Europe/Zurich", "currency": "CHF"}),
        example(
            "Working hours, holidays and days off",
            {
                "working_hours": {
                    "mon": [["09:00", "13:00"], ["14:00", "18:00"]],
                    "tue": [["09:00", "13:00"], ["14:00", "18:00"]],
                    "wed": [["09:00", "13:00"], ["14:00", "18:00"]],
                    "thu": [["09:00", "13:00"], ["14:00", "18:00"]],
                    "fri": [["09:00", "15:00"]],
                },
                "holiday_country": "DE-BE",
                "days_off": ["2027-12-24", "2027-12-31"],
            },
        ),
    ],
    "readHealth": [example("Before a worker was seen")],
    "explainProblem": [example("What it means", name="not-found")],
    "renderText": [
        example(
            "A text as it would be now",
            {"text": "Call {{ contact.name }} about {{ deal.title }}: {{ deal.amount | money }}"},
            item_id=1,
        ),
        example("Refused: a slip", {"text": "Call {{ contact.nmae }}"}, item_id=1),
    ],
    "judgeConditions": [
        example(
            "Met",
            {"conditions": {"field": "deal.amount", "operator": ">=", "value": 10000}},
            item_id=1,
        ),
        example(
            "Not met, and what decided",
            {
                "conditions": {
                    "all": [
                        {"field": "deal.amount", "operator": "between", "value": [1, 10000]},
                        {"not": {"field": "contact.phone", "operator": "empty"}},
                    ]
                }
            },
            item_id=1,
        ),
    ],
    "listTriggers": [example("Triggers that move deals to «Closed won»", stage_id=7)],
    "createTrigger": [
        example(
            "The task of preparing the invoice is completed",
            {
                "type": "task_status",
                "name": "The invoice is prepared",
                "settings": {
                    "status": "completed",
                    "filter": {"field": "task.title", "operator": "contains", "value": "invoice"},
                },
            },
            stage_id=22,
        ),
        example("Another system says so", SHOP, stage_id=7),
        example(
            "Only deals of some worth, as automation",
            {
                "type": "email_received",
                "conditions": {"field": "deal.amount", "operator": ">=", "value": 10000},
                "moves_as": None,
            },
            stage_id=5,
        ),
        example("Refused: a slip", {"type": "webhok"}, stage_id=7),
        example("Refused: nothing is before the first stage", SHOP, stage_id=4),
    ],
    "readTrigger": [example("A trigger", trigger=1)],
    "updateTrigger": [
        example("Switched off", {"enabled": False}, trigger=2),
        example("Back from later stages, too", {"allow_moving_back": True}, trigger=1),
        example("Refused: no such status", {"settings": {"status": "done"}}, trigger=1),
    ],
    "deleteTrigger": [example("Taken off its stage", trigger=2)],
    "listLogOfTrigger": [example("When it was considered", None, *INVOICED, trigger=1)],
    "listTriggerLog": [example("Why a deal was moved", None, *INVOICED, item_id=1)],
    "listTriggerTypes": [example("Two of the types", limit=2)],
    "fireTriggers": [
        example(
            "Paid in the shop",
            {"item_id": 1, "text": "Order 4711 is paid"},
            CALLED,
            trigger="paid-in-shop",
        ),
        example(
            "Refused: no trigger waits for it", {"item_id": 1}, CALLED, trigger="paid-in-the-shop"
        ),
        example("Refused: no such item", {"item_id": 77}, CALLED, trigger="paid-in-shop"),
    ],
    "listCauses": [example("Why a copy is there", None, moved(1, 7), WORK, entry_id=8)],
    "listStageEntries": [example("Every stay of a deal", None, moved(1, 7), item_id=1)],
    "listAllRuns": [example("What waits, the next first", state="waiting", sort="due_at")],
    "listAllHistory": [example("The latest of all", limit=3)],
    "listHistoryCounts": [
        example("How often each manager was written about", by="responsible"),
        example("How much happened each day", by="day"),
        example("Calls and mails of one manager", kind=["call", "e-mail"], responsible_id=4),
    ],
    "markItemViewed": [example("A page has shown the deal to you", item_id=1)],
    "readExclusionPreview": [
        example("Who would go with a deal", item_id=1),
        example("Without listing who stays", item_id=1, list_clients_who_stay=False),
    ],
    "listProducts": [
        example("Products", None, made("products", name="Solar roof S", price="9900.00"))
    ],
    "createProduct": [
        example(
            "A product",
            {
                "name": "Battery 10 kWh",
                "series": "Batteries",
                "price": "3000.00",
                "currency": "EUR",
            },
        )
    ],
    "readProduct": [
        example(
            "A product", None, made("products", name="Solar roof S", price="9900.00"), product_id=1
        )
    ],
    "updateProduct": [
        example(
            "Another price",
            {"price": "9500.00"},
            made("products", name="Solar roof S", price="9900.00"),
            product_id=1,
        )
    ],
    "deleteProduct": [
        example(
            "No longer sold",
            None,
            made("products", name="Solar roof S", price="9900.00"),
            product_id=1,
        )
    ],
}
"""By operation; what is refused shows a problem."""
