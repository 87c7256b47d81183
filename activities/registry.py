"""What an action is, what it may ask for, and the catalogue of all there are.

A file in `activities/actions/` that uses `rule_action` is in the catalogue; nothing else is
needed.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from inspect import get_annotations, getdoc
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.catalogues import SelfFilled
from models.client import outside_bin
from models.company import Company
from models.contact import Contact
from models.delivery import Delivery, DeliveryKind, has_arrived
from models.entering import create_item
from models.errors import ActionFailed, InvalidRule, Problem
from models.fields import Field as CrmField
from models.inputs import LONGEST_TEXT
from models.installation import Installation
from models.item import Item
from models.item_date import ItemDate, When
from models.item_type import ItemType
from models.notification import Notification
from models.pipeline import Stage, first_stage
from models.rule_run import RuleRun, own_field
from models.stage_entry import Cause
from models.templates import render
from models.user import User
from models.user_choice import UserBy, UserChoice, all_chosen, chosen

LONGEST_TITLE = 200
"""Characters, as for people."""


class ActionGroup(StrEnum):
    """The headings under which the catalogue shows actions."""

    RECURRING_SALES = "Recurring sales"
    EMPLOYEE_CONTROL = "Employee monitoring and control"
    CLIENT_BASE = "Spam and client base"
    MANAGE_ITEMS = "Manage items"
    COMMUNICATION = "Communication and paper"


class RulePlace(NamedTuple):
    """Where a rule is being saved: actions check their params against it.

    `unhindered`: the rule runs at once and always, so that it must not lead to its own stage.
    Without a position it is below all other rules; a new one has no id.
    """

    session: AsyncSession
    stage: Stage
    unhindered: bool = False
    position: int | None = None
    rule_id: int | None = None


class ActionParams(BaseModel):
    """The settings of an action: form, API schema and validation in one."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    secrets: ClassVar[frozenset[str]] = frozenset()
    """Settings that nobody is shown again when they have been saved."""

    async def problems(self, place: RulePlace) -> Sequence[Problem]:  # noqa: ARG002
        """Return what is wrong with these params on that stage; pointers begin at the params."""
        return ()


Params = TypeVar("Params", bound=ActionParams)
Handler = Callable[[Params, "ActionContext"], Awaitable[str]]
Otherwise = Callable[["ActionContext", str], Awaitable[str]]
"""What is done where an action has failed for that reason and all that it did was taken back.

It returns one more sentence for the history.
"""


@dataclass(frozen=True)
class Result(CrmField):
    """Something that an action leaves for the rules below it; its path is its name there.

    `short` is a second, shorter path for it: `code` beside `results.generate_code.code`.
    """

    short: str | None = None


@dataclass(frozen=True)
class StayingOpen:
    """A run that goes on when its action has been done, at most until then."""

    until: datetime | None


@dataclass(frozen=True)
class RuleAction(Generic[Params]):
    """One kind of thing that rules do; `code` is its name everywhere."""

    code: str
    title: str
    description: str
    group: ActionGroup
    items: tuple[ItemType, ...]
    params: type[Params]
    handler: Handler[Params]
    warning: str | None = None
    results: tuple[Result, ...] = ()
    also_in: tuple[ActionGroup, ...] = ()
    otherwise: Otherwise | None = None


def rule_action(  # noqa: PLR0913 - all that an action says of itself, by name
    *,
    title: str,
    group: ActionGroup,
    items: Iterable[ItemType],
    warning: str | None = None,
    results: Iterable[Result] = (),
    also_in: Iterable[ActionGroup] = (),
    otherwise: Otherwise | None = None,
) -> Callable[[Handler[Params]], Handler[Params]]:
    """Put a handler into the catalogue under its own name, with the params it is annotated with.

    `warning` is shown before somebody chooses an action that destroys something. `results` are
    what it leaves by `context.leave` (`results.create_task.id`). Under the headings `also_in`
    people look for it too. `otherwise` is done where the action fails.
    """

    def register(handler: Handler[Params]) -> Handler[Params]:
        action = RuleAction(
            code=handler.__name__,
            title=title,
            description=(getdoc(handler) or "").strip(),
            group=group,
            items=tuple(items),
            params=get_annotations(handler)["params"],
            handler=handler,
            warning=warning,
            results=tuple(results),
            otherwise=otherwise,
            also_in=tuple(also_in),
        )
        _actions.add(action.code, action)
        return handler

    return register


_actions: SelfFilled[RuleAction[Any]] = SelfFilled("activities.actions", what="actions")


@cache
def all_actions() -> dict[str, RuleAction[Any]]:
    """Return every action by its code."""
    return _actions.whole()


@cache
def destructive() -> frozenset[str]:
    """Return the codes of the actions that destroy something, and so have a warning."""
    return frozenset(code for code, action in all_actions().items() if action.warning)


HIDDEN = "••••••••"
"""What is shown instead of a secret; sent back, it leaves the secret as it is."""


def without_secrets(action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a rule as people may read them."""
    return {**params, **dict.fromkeys(_secrets_in(action, params), HIDDEN)}


def with_secrets(
    action: str, sent: Mapping[str, Any], present: Mapping[str, Any]
) -> dict[str, Any]:
    """Return settings that were sent with the secrets that were not shown.

    Raises `InvalidRule` where there is none to stay as it is.
    """
    kept = {name: present.get(name) for name in _secrets_in(action, sent) if sent[name] == HIDDEN}
    if lost := [name for name, secret in kept.items() if not secret]:
        reason = "This is shown instead of a secret, and there is none yet: send the secret itself."
        raise InvalidRule(*(Problem(f"/params/{name}", reason) for name in lost))
    return {**sent, **kept}


def _secrets_in(action: str, params: Mapping[str, Any]) -> Sequence[str]:
    known = all_actions().get(action)
    return [] if known is None else [name for name in known.params.secrets if params.get(name)]


def as_title(text: str) -> str:
    """Return a text as the API would accept it for a title, cut to size; it may not be empty."""
    title = text.strip()
    if not title:
        raise ActionFailed("The title is empty, now that its fields are filled in.")
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


def as_text(text: str) -> str:
    """Return a text as the API would accept it, cut to size; it may not be empty."""
    text = text.strip()
    if not text:
        raise ActionFailed("The text is empty, now that its fields are filled in.")
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


class ClientOfItem(NamedTuple):
    contact: Contact | None
    company: Company | None


@dataclass(frozen=True)
class ActionContext:
    """What an action may ask for while it runs, in the one transaction of its run.

    The item is locked and whole: client, people, stage and pipeline are loaded.
    """

    session: AsyncSession
    item: Item
    run: RuleRun
    home: Installation
    values: dict[str, object] = field(default_factory=dict)
    url: str = ""
    mail_from: str = ""
    result: dict[str, object] = field(default_factory=dict)
    staying: list[StayingOpen] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def cause(self) -> Cause:
        return Cause.rule(self.run)

    async def cause_as(self, choice: UserChoice | None) -> Cause:
        """Return the cause of a change that is made as somebody, or as automation (None)."""
        return Cause.rule(self.run, None if choice is None else await self.user(choice))

    def render(
        self,
        template: str,
        reader: User | None = None,
        *,
        escape: Callable[[str], str] = str,
    ) -> str:
        """Fill in the fields, in the locale and zone of the reader, else of the company.

        Where the text is markup, `escape` makes each value that is filled in mere text.
        """
        return render(
            template,
            self.values,
            locale=(reader and reader.locale) or self.home.locale,
            zone=(reader and reader.time_zone) or self.home.time_zone,
            escape=escape,
        )

    def exact(self, template: str, escape: Callable[[str], str] = str) -> str:
        """Fill in the fields, each escaped, for a machine that reads the text, not for a person."""
        return render(
            template,
            self.values,
            locale=self.home.locale,
            zone=self.home.time_zone,
            exact=True,
            escape=escape,
        )

    def leave(self, **result: object) -> None:
        """Leave something for the rules below, under names that the action has declared."""
        self.result.update(result)

    def stay_open(self, until: datetime | None = None) -> None:
        """Keep the run open when the action has been done, until `conclude` ends it or its time.

        The sentence that the action returns says what it waits for.
        """
        self.staying.append(StayingOpen(until))

    async def deliver(
        self,
        kind: DeliveryKind,
        recipient: str,
        subject: str,
        content: BaseModel,
        **about: int | None,
    ) -> Delivery | None:
        """Have something sent after this transaction; the run stays open until it is.

        `about` are columns of the delivery that say whom it concerns: `contact_id`, `company_id`,
        `user_id`. None where an earlier try of this run has reached the recipient already. The
        sentence that the action returns names what is to be sent; how it went is added to it.
        """
        if await has_arrived(self.session, self.run.id, kind, recipient):
            return None
        delivery = Delivery(
            kind=kind,
            run_id=self.run.id,
            item=self.item,
            recipient=recipient,
            subject=subject,
            content=content.model_dump(mode="json"),
            **about,
        )
        self.session.add(delivery)
        self.deliveries.append(delivery)
        return delivery

    def url_of(self, item: Item) -> str:
        """Return where people find an item."""
        return f"{self.url}/v1/{item.type}s/{item.id}"

    def moment(self, when: When | None) -> datetime | None:
        """Return the moment so long after now, or that a date of the item tells.

        None if that is empty. Days and longer are counted on the company's calendar.
        """
        if isinstance(when, ItemDate):
            return when.moment(own_field(self.item, when.name), self.home.time_zone)
        return None if when is None else when.ends_at(clock.now(), self.home.time_zone)

    def in_words(self, moment: datetime) -> str:
        """Return a moment as the company writes it, in its time zone."""
        said = "{{ moment | datetime }}"
        locale, zone = self.home.locale, self.home.time_zone
        return render(said, {"moment": moment}, locale=locale, zone=zone)

    @property
    def client(self) -> ClientOfItem:
        """Contact and company, without those in the recycle bin."""
        return ClientOfItem(outside_bin(self.item.contact), outside_bin(self.item.company))

    def client_or_fail(self) -> ClientOfItem:
        """Return contact and company outside the recycle bin; there must be one."""
        client = self.client
        if client == (None, None):
            raise ActionFailed(f"{self.item.called.capitalize()} has no contact and no company.")
        return client

    async def user(self, choice: UserChoice) -> User:
        """Return the one person chosen, or fail with the reason why there is none."""
        return await chosen(self.session, self.item, choice)

    async def in_charge(self, choice: UserChoice) -> User | None:
        """Return the person chosen; an item that nobody is responsible for is no failure here."""
        if choice.by is UserBy.RESPONSIBLE:
            return self.item.responsible
        return await self.user(choice)

    async def users(self, choices: Iterable[UserChoice], *, or_nobody: bool = False) -> list[User]:
        """Return everybody chosen who works here, each once, in order; of a department all members.

        Fails where all of them have left, unless nobody will do as well.
        """
        return await all_chosen(self.session, self.item, choices, or_nobody=or_nobody)

    async def create(self, item: Item, stage: Stage | None = None) -> None:
        """Put a new item into a stage, by default the first of its type, whose rules start."""
        where = stage or await first_stage(self.session, item.type)
        await create_item(self.session, item, where, self.cause)

    def notify(
        self, recipient: User, text: str, *, sender: User | None = None, link: str | None = None
    ) -> None:
        """Tell somebody something, with a link, by default to the item."""
        self.session.add(
            Notification(
                recipient_id=recipient.id,
                text=text,
                sender_id=None if sender is None else sender.id,
                item_id=self.item.id,
                link=link or str(self.values["item.url"]),
            )
        )
