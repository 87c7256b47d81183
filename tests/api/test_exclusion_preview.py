"""Exclusion preview: what would be listed and deleted, told without doing it, in the same words."""

from typing import Any

import httpx2
import pytest

from activities.actions.add_to_exclusions import AddToExclusions
from api.exclusion_preview import ExclusionWish
from models.company import Company
from models.contact import Contact
from models.contact_point import email, phone
from models.database import Database
from models.exclusion import Exclusion, ExclusionKind
from models.history import HistoryEntry
from models.item_type import ItemType
from tests.factories import all_of
from tests.fixtures.api import SmallCompany
from tests.fixtures.runner import Runner


class Spam:
    """A deal of Sam's and of a firm that another deal needs; half of Sam is on the list."""

    def __init__(self, company: SmallCompany, stage_id: int) -> None:
        self.company = company
        self.stage_id = stage_id

    async def come(self) -> None:
        self.firm = Company(name="Prizes", contact_points=[email("office@prizes.example")])
        self.sam = Contact(
            first_name="Sam",
            company=self.firm,
            contact_points=[phone("020 7946 0958", region="GB"), email("Sam@Prizes.example")],
        )
        self.ben = Contact(
            first_name="Ben", contact_points=[email("ben@prizes.example"), email("b@x.example")]
        )
        self.known = Exclusion(kind=ExclusionKind.EMAIL, value="sam@prizes.example")
        await self.company.add(self.sam, self.ben, self.known)
        self.deal = await self.company.deal(
            contact_id=self.sam.id, company_id=self.firm.id, further_contact_ids=[self.ben.id]
        )
        self.other = await self.company.deal(company_id=self.firm.id)


@pytest.fixture
async def spam(company: SmallCompany) -> Spam:
    [_, stage] = await company.pipeline("New", "Spam")
    spam = Spam(company, stage)
    await spam.come()
    return spam


async def foreseen(api: httpx2.AsyncClient, item: Any, **wish: bool) -> Any:
    params = {name: str(value).lower() for name, value in wish.items()}
    path = f"/v1/items/{item['id']}/exclusion-preview"
    return SmallCompany.made(await api.get(path, params=params))


async def test_it_says_who_goes_who_stays_and_why_and_what_is_new_on_the_list(
    api: httpx2.AsyncClient, spam: Spam
) -> None:
    told = await foreseen(api, spam.deal)

    assert told == {
        "item_id": spam.deal["id"],
        "outcome": f"Put 2 addresses on the exceptions list, deleted deal {spam.deal['id']}, Sam."
        f" Prizes stays: deal {spam.other['id']}; their addresses are excepted.",
        "clients": [
            {"type": "contact", "id": spam.sam.id, "name": "Sam", "goes": True, "uses": None},
            {
                "type": "company",
                "id": spam.firm.id,
                "name": "Prizes",
                "goes": False,
                "uses": f"deal {spam.other['id']}",
            },
        ],
        "values": [
            {"kind": "email", "value": "office@prizes.example", "exclusion_id": None},
            {"kind": "email", "value": "sam@prizes.example", "exclusion_id": spam.known.id},
            {"kind": "phone", "value": "+442079460958", "exclusion_id": None},
        ],
    }


async def test_nothing_is_changed_by_it(
    api: httpx2.AsyncClient, spam: Spam, database: Database
) -> None:
    before = await all_of(database, HistoryEntry)

    await foreseen(api, spam.deal, further_contacts=True)

    assert len(await all_of(database, HistoryEntry)) == len(before)
    assert [each.value for each in await all_of(database, Exclusion)] == ["sam@prizes.example"]
    assert (await api.get(f"/v1/deals/{spam.deal['id']}")).json() == spam.deal
    assert (await api.get(f"/v1/contacts/{spam.sam.id}")).status_code == 200


@pytest.mark.parametrize("further_contacts", [True, False])
@pytest.mark.parametrize("list_clients_who_stay", [True, False])
async def test_the_action_does_what_was_foreseen(
    api: httpx2.AsyncClient,
    spam: Spam,
    database: Database,
    runner: Runner,
    *,
    further_contacts: bool,
    list_clients_who_stay: bool,
) -> None:
    wish = {"further_contacts": further_contacts, "list_clients_who_stay": list_clients_who_stay}
    told = await foreseen(api, spam.deal, **wish)

    await spam.company.rule(spam.stage_id, action="add_to_exclusions", params=wish)
    moved = await spam.company.move(spam.deal["id"], spam.stage_id)
    run = await runner.do(moved["stage_entry_id"])

    assert run.outcome == told["outcome"]
    new = [each for each in await all_of(database, Exclusion) if each.made_by_run_id == run.id]
    assert [each.value for each in new] == [
        each["value"] for each in told["values"] if each["exclusion_id"] is None
    ]
    gone = await all_of(database, Contact, Contact.deleted_by_run_id == run.id)
    assert [each.id for each in gone] == [
        each["id"] for each in told["clients"] if each["goes"] and each["type"] == "contact"
    ]


async def test_a_lead_without_a_client_is_listed_by_its_own_addresses(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    lead = await company.lead(phones=["030 1234567"], emails=["bot@prizes.example"])

    told = await foreseen(api, lead)

    assert told["clients"] == []
    assert [each["value"] for each in told["values"]] == ["bot@prizes.example", "+49301234567"]


async def test_quotes_are_not_added_to_exceptions(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("Draft", item_type=ItemType.QUOTE)
    quote = await company.quote()

    answer = await api.get(f"/v1/items/{quote['id']}/exclusion-preview")

    assert answer.status_code == 409
    assert answer.json()["detail"] == (
        f"Only leads and deals are added to exceptions; this is quote {quote['id']}."
    )


def test_what_is_left_out_is_as_in_a_rule() -> None:
    assert ExclusionWish().model_dump() == AddToExclusions().model_dump()
