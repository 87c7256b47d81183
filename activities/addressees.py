"""Addressees: whom a mail or message goes to, and at which address or number."""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from activities.field_changes import WITH_FIELDS
from activities.registry import ActionContext, ActionParams, RulePlace
from models.client import contacts_of
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPointKind, Reachable, email, phone
from models.errors import ActionFailed, Invalid, Problem
from models.exclusion import excluded_among
from models.installation import installation
from models.item import Lead, load_whole
from models.templates import Template
from models.user import User
from models.user_choice import UserChoice

MOST_CHOICES = 20

BETWEEN = re.compile(r"[,;\n]")
"""What parts several addresses in one text."""

WORDS = {ContactPointKind.EMAIL: "e-mail address", ContactPointKind.PHONE: "phone number"}


class RecipientBy(StrEnum):
    """How a rule names whom it writes to."""

    CLIENT = "client"
    CONTACTS = "contacts"
    USER = "user"
    ADDRESS = "address"


class RecipientChoice(ActionParams):
    """The client, all contacts of the item, somebody who works here, or an address as it is.

    The client is reached at the primary contact, else at another contact, else at the company; a
    lead at its own address first.
    """

    by: RecipientBy = Field(title="Who")
    user: UserChoice | None = Field(default=None, title="User or department")
    address: Template | None = Field(
        default=None, title="Address or number", description="Several are parted by commas."
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        for name in (RecipientBy.USER, RecipientBy.ADDRESS):
            if (getattr(self, name) is not None) != (self.by == name):
                needed = f"needs {name}" if self.by == name else f"has no {name}"
                raise ValueError(f"a recipient by {self.by} {needed}")
        return self


CLIENT = (RecipientChoice(by=RecipientBy.CLIENT),)


class Addressee(NamedTuple):
    """Somebody and where they are reached; `user` is set for who works here.

    Contact and company are the client that it concerns.
    """

    name: str | None
    address: str
    contact_id: int | None = None
    company_id: int | None = None
    user: User | None = None


class Addressees(NamedTuple):
    """Each once; `notes` are sentences about those who were left out."""

    people: list[Addressee]
    notes: list[str]


async def problems_of(
    choices: Sequence[RecipientChoice], kind: ContactPointKind, place: RulePlace
) -> list[Problem]:
    """Return what cannot be an address, or number, among those that are typed without fields."""
    home = await installation(place.session)
    found = []
    for index, choice in enumerate(choices):
        typed = choice.address or ""
        if choice.by is RecipientBy.ADDRESS and not any(mark in typed for mark in WITH_FIELDS):
            try:
                list(_typed(typed, kind, home.phone_region))
            except (Invalid, ActionFailed) as error:
                found.append(Problem(f"/to/{index}/address", error.reason))
    return found


async def addressees(
    context: ActionContext,
    choices: Iterable[RecipientChoice],
    kind: ContactPointKind,
    *,
    skip_excluded: bool = False,
) -> Addressees:
    """Return whom these choices mean; fails where one of them means nobody who can be reached.

    Who is on the exceptions list is reached all the same, unless they are to be skipped.
    """
    asking = _Asking(context, kind)
    await asking.load()
    found: dict[str, Addressee] = {}
    for choice in choices:
        for each in await asking.meant_by(choice):
            found.setdefault(each.address.casefold(), each)
    if not found:
        raise ActionFailed(" ".join(asking.notes))
    people = list(found.values())
    if skip_excluded:
        skipped = await excluded_among(
            context.session, [each.address for each in people if each.user is None]
        )
        people = [each for each in people if each.user or each.address not in skipped]
        asking.notes += [f"{address} is on the exceptions list." for address in sorted(skipped)]
    return Addressees(people, asking.notes)


class _Asking:
    """Looks for addresses of one kind in an item, its clients and the people who work here."""

    def __init__(self, context: ActionContext, kind: ContactPointKind) -> None:
        self.context = context
        self.kind = kind
        self.words = WORDS[kind]
        self.notes: list[str] = []
        self.contacts: Sequence[Contact] = ()

    async def load(self) -> None:
        item = self.context.item
        await load_whole(self.context.session, item, reachable=True)
        self.contacts = await contacts_of(self.context.session, item)

    async def meant_by(self, choice: RecipientChoice) -> list[Addressee]:
        match choice.by:
            case RecipientBy.CLIENT:
                return [self._client()]
            case RecipientBy.CONTACTS:
                return self._all_contacts()
            case RecipientBy.USER:
                return await self._who_works(choice.user)
            case RecipientBy.ADDRESS:
                return self._as_typed(choice.address or "")

    def _client(self) -> Addressee:
        everybody = [self._of(who) for who in self._reachable()]
        for each in everybody:
            if isinstance(each, Addressee):
                return each
        if not everybody:
            self.context.client_or_fail()
        raise ActionFailed(f"{'; '.join(map(str, everybody))}.")

    def _reachable(self) -> Iterator[Lead | Contact | Company]:
        if isinstance(self.context.item, Lead):
            yield self.context.item
        yield from self.contacts
        if self.context.client.company is not None:
            yield self.context.client.company

    def _all_contacts(self) -> list[Addressee]:
        if not self.contacts:
            raise ActionFailed(f"{self.context.item.called.capitalize()} has no contact.")
        return self._those_found([self._of(contact) for contact in self.contacts])

    async def _who_works(self, choice: UserChoice | None) -> list[Addressee]:
        """Return the people of a choice; that somebody of the item has left is only noted."""
        choices = () if choice is None else (choice,)
        people = await self.context.users(choices, or_nobody=True)
        if people:
            return self._people(people)
        self.notes += [f"The {each.by} does not work here any more." for each in choices]
        return []

    def _people(self, people: Iterable[User]) -> list[Addressee]:
        def reached(user: User) -> Addressee | str:
            if self.kind is ContactPointKind.EMAIL and user.email:
                return Addressee(user.name, user.email, user=user)
            return f"{user.name} has no {self.words}"

        return self._those_found([reached(user) for user in people])

    def _those_found(self, everybody: Iterable[Addressee | str]) -> list[Addressee]:
        """Return who can be reached and note who cannot; fails if that is everybody."""
        found = [each for each in everybody if isinstance(each, Addressee)]
        lacking = [each for each in everybody if isinstance(each, str)]
        if not found:
            raise ActionFailed(f"{'; '.join(lacking)}.")
        self.notes += [f"{each}." for each in lacking]
        return found

    def _as_typed(self, typed: Template) -> list[Addressee]:
        region = self.context.home.phone_region
        known = {
            each.address.casefold(): each
            for who in self._reachable()
            for each in self._every_address(who)
        }
        return [
            known.get(address.casefold(), Addressee(None, address))
            for address in _typed(self.context.exact(typed), self.kind, region)
        ]

    def _of(self, who: Lead | Contact | Company) -> Addressee | str:
        """Return somebody at their first address, or why there is none."""
        for each in self._every_address(who):
            return each
        name = f" «{who.name}»" if isinstance(who, Contact | Company) and who.name else ""
        called = f"{type(who).__name__} {who.id}{name}"
        written = any(point.kind is self.kind for point in who.contact_points)
        return f"{called} has no {self.words}{' that can be read' if written else ''}"

    def _every_address(self, who: Lead | Contact | Company) -> Iterator[Addressee]:
        company = self.context.client.company
        company_id = None if company is None else company.id
        contact = who if isinstance(who, Contact) else self.context.client.contact
        contact_id = None if contact is None or isinstance(who, Company) else contact.id
        for point in who.contact_points:
            if point.kind is self.kind and point.value is not None:
                yield Addressee(_name_of(who), point.value, contact_id, company_id)


def _name_of(who: Reachable) -> str | None:
    match who:
        case Contact() | Company():
            return who.name or None
        case Lead():
            return " ".join(filter(None, (who.first_name, who.last_name))) or None
    return None


def _typed(text: str, kind: ContactPointKind, region: str) -> Iterator[str]:
    """Yield the addresses, or numbers, of a text; raises `Invalid` for what is neither."""
    parts = [part.strip() for part in BETWEEN.split(text) if part.strip()]
    if not parts:
        raise ActionFailed(f"There is no {WORDS[kind]} in «{text.strip()}».")
    for part in parts:
        point = email(part) if kind is ContactPointKind.EMAIL else phone(part, region=region)
        yield point.value or part
