"""The requests that the OpenAPI document shows, all of which work on the sample company.

`docs/record.py` sends them and keeps the answers. Each stands for itself: it finds the company as
it is a minute after it was loaded, changed only by what is said to go before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ANY_VERSION = {"If-Match": "*"}

Request = tuple[str, str, Any]
"""Method, path and body."""

WORK = ("WORK", "", None)
"""Let the worker do what is due."""


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


RUN_NOW = ("POST", "/v1/runs/2/run-now", None)

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
    "addComment": [example("A comment", {"text": "Wants the inverter in the cellar."}, item_id=1)],
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
    ],
    "deleteRule": [
        example("Nothing waits for it", rule_id=6),
        example("What waits is dropped", rule_id=1, waiting="drop"),
        example("Refused: a run waits for it", rule_id=1),
    ],
    "listActions": [example("The catalogue")],
    "listFields": [
        example("What rules on deals can speak of"),
        example("What rules on leads can speak of", item_type="lead"),
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
        )
    ],
    "readTask": [example("A task that a rule has made", task_id=1)],
    "updateTask": [example("Completed", {"status": "completed"}, task_id=1)],
    "deleteTask": [example("Deleted", task_id=1)],
    "listNotifications": [
        example(
            "What I was told",
            None,
            ("PATCH", "/v1/deals/3", {"responsible_id": 2}),
            RUN_NOW,
            WORK,
        )
    ],
    "markNotificationRead": [
        example(
            "Read",
            None,
            ("PATCH", "/v1/deals/3", {"responsible_id": 2}),
            RUN_NOW,
            WORK,
            notification_id=1,
        )
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
    "listExclusions": [
        example("The list", None, made("exclusions", kind="email", value="win@prizes.example"))
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
        example("Another zone and money", {"time_zone": "Europe/Zurich", "currency": "CHF"})
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
    "listStageEntries": [example("Every stay of a deal", None, moved(1, 7), item_id=1)],
    "listAllRuns": [example("What waits, the next first", state="waiting", sort="due_at")],
    "listAllHistory": [example("The latest of all", limit=3)],
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
