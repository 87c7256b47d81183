"""What people do with items: create, move and edit them, each real change kept in history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.sql.base import ExecutableOption

from models.access import within_reach
from models.base import assign, containing, count_change, having, in_order, linked
from models.company import Company
from models.contact import Contact
from models.contact_point import replace_points
from models.custom_fields import custom_changes, with_custom
from models.entering import create_item
from models.errors import Invalid, Problem
from models.fields import Catalogue
from models.history import HistoryEntry, HistoryKind, about_item, change_in_words, said
from models.installation import installation
from models.item import Item, Lead, find_item, item_contacts, type_of
from models.item_move import may_run
from models.occasion import Occasion, fields_changed, occurred
from models.pipeline import Stage, find_stage_sent, first_stage
from models.product import priced
from models.product_row import ProductRow
from models.retiming import RESPONSIBLE, retime
from models.stage_entry import Automation, Cause, sign
from models.timing import moment_of
from models.triggering import fire_triggers
from models.user import User

ADDRESSES = frozenset({"phones", "emails"})

COLLECTIONS = ADDRESSES | {"product_rows", "further_contact_ids"}
"""Fields that stand in tables of their own."""

LINKS: Mapping[str, type[Contact | Company]] = {
    "contact_id": Contact,
    "company_id": Company,
    "further_contact_ids": Contact,
}
"""Fields that tie an item to clients."""


def items_where(
    kind: type[Item],
    by: User,
    *,
    contact_id: int | None = None,
    q: str | None = None,
    custom: Sequence[ColumnElement[bool]] = (),
    **values: object,
) -> Select[Item]:
    """Return the items outside the bin, within somebody's reach, with these values; None means any.

    A contact counts also where it is not the primary one, and `q` is looked for in titles. All
    conditions on custom fields hold.
    """
    there = select(kind).where(kind.deleted_at.is_(None), within_reach(by))
    wanted = having(there.options(*whole(kind)), **values).where(*custom)
    wanted = wanted.where(*containing(kind.title, q))
    if contact_id is not None:
        further = select(item_contacts.c.item_id).where(item_contacts.c.contact_id == contact_id)
        wanted = wanted.where(or_(kind.contact_id == contact_id, kind.id.in_(further)))
    return wanted


def whole(kind: type[Item]) -> Sequence[ExecutableOption]:
    """Return what loads the collections that belong to an item."""
    of_all = (
        selectinload(Item.further_contacts).load_only(Contact.id),
        selectinload(Item.product_rows),
    )
    return (*of_all, selectinload(Lead.contact_points)) if issubclass(kind, Lead) else of_all


async def find_whole(
    session: AsyncSession, item_id: int, kind: type[Item], *, lock: bool = False
) -> Item:
    """Return an item outside the bin with its collections, or raise `NotFound`."""
    item = await find_item(session, item_id, kind, lock=lock)
    await session.execute(select(kind).where(kind.id == item_id).options(*whole(kind)))
    return item


@dataclass(frozen=True)
class Beginning:
    """Where a new item begins: in that stage, or the first of the pipeline, or of the first."""

    pipeline_id: int | None = None
    stage_id: int | None = None
    automation: Automation = Automation.RUN


ANYWHERE = Beginning()

SomeItem = TypeVar("SomeItem", bound=Item)


async def add_item(
    session: AsyncSession,
    kind: type[Item],
    sent: Mapping[str, Any],
    by: User,
    beginning: Beginning = ANYWHERE,
) -> Item:
    """Create an item with the fields sent, in a stage or in the first; rules start, if wanted.

    Whoever creates it is responsible unless somebody else is named, or nobody (None).
    """
    stage = await _initial_stage(session, kind, beginning.pipeline_id, beginning.stage_id)
    empty: dict[str, Any] = {"custom": {}, "further_contacts": [], "product_rows": []}
    if issubclass(kind, Lead):
        empty["contact_points"] = []
    item = kind(title=sent["title"], creator=by, responsible=by, **empty)
    await _assign(session, item, await _normal(session, item, sent))
    await create_item(
        session, item, stage, Cause.person(by), automation=may_run(by, beginning.automation)
    )
    return item


async def _initial_stage(
    session: AsyncSession, kind: type[Item], pipeline_id: int | None, stage_id: int | None
) -> Stage:
    if stage_id is None:
        return await first_stage(session, type_of(kind), pipeline_id)
    stage = await find_stage_sent(session, stage_id)
    if pipeline_id not in {None, stage.pipeline_id}:
        raise Invalid(
            Problem(
                "/stage_id",
                f"Stage {stage.id} «{stage.name}» belongs to pipeline {stage.pipeline_id}.",
            )
        )
    return stage


async def edit_item(
    session: AsyncSession, item: Item, sent: Mapping[str, Any], cause: Cause
) -> list[str]:
    """Give a locked item, loaded whole, the fields sent; history tells those that really changed.

    Of custom fields, those sent are set and None removes one; the others stay. Runs that wait
    around a date of the item follow it. Returns what people call the fields that changed.
    """
    new = await _normal(session, item, sent)
    old = {name: _present(item, name) for name in new}
    changed = [name for name in new if _differs(old[name], new[name])]
    await _assign(session, item, {name: new[name] for name in changed})
    if COLLECTIONS.intersection(changed):
        # Rows of other tables count as a change of the item too: its version goes up.
        count_change(item, "title")
    await session.flush()
    told = []
    for name in changed:
        told += await _remember(session, item, name, old[name], new[name], cause)
    timed_by = [each for name in changed for each in _timed_by(name, old[name], new[name])]
    if timed_by:
        await retime(session, item, timed_by, cause)
    _let_triggers_know(session, item, told, cause)
    return [each.title for each in told]


async def after_triggers(session: AsyncSession, item: SomeItem) -> SomeItem:
    """Return a whole item as triggers leave it, now that something has happened to it."""
    if await fire_triggers(session):
        await find_whole(session, item.id, type(item))
    return item


def _timed_by(name: str, old: Any, new: Any) -> list[str]:
    """Return what runs may be timed by: who is responsible, or what held a date, or does now."""
    if name != "custom":
        dated = isinstance(old, date) or isinstance(new, date)
        return [name] if dated or name == RESPONSIBLE else []
    return [
        f"custom.{key}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
        and (moment_of(old.get(key), "UTC") or moment_of(new.get(key), "UTC"))
    ]


async def _normal(session: AsyncSession, item: Item, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields sent as the item will hold them, or raise `Invalid`."""
    new = dict(sent)
    if "further_contact_ids" in new:
        new["further_contact_ids"] = in_order(new["further_contact_ids"])
    if "product_rows" in new:
        sold = [row.product_id for row in item.product_rows]
        new["product_rows"] = await priced(session, new["product_rows"], sold)
    if "custom" in new:
        new["custom"] = await with_custom(session, item, new["custom"])
    return new


def _present(item: Item, name: str) -> Any:
    if name == "product_rows":
        return [
            {
                "name": row.name,
                "price": row.price,
                "quantity": row.quantity,
                "product_id": row.product_id,
            }
            for row in item.product_rows
        ]
    return getattr(item, name)


def _differs(old: object, new: object) -> bool:
    # True equals 1, yet they are two things to whoever reads a custom field.
    return old != new or (isinstance(old, dict) and repr(old) != repr(new))


async def _assign(session: AsyncSession, item: Item, sent: Mapping[str, Any]) -> None:
    """Give an item these fields, ids replaced by rows.

    Clients are locked, contacts first, so that nobody deletes them while they are being linked.
    """
    fields = dict(sent)
    contacts = await _lock_contacts(session, fields)
    if "contact_id" in fields:
        fields["contact"] = contacts.get(fields.pop("contact_id"))
    if "further_contact_ids" in fields:
        fields["further_contacts"] = [contacts[each] for each in fields.pop("further_contact_ids")]
    if "product_rows" in fields:
        fields["product_rows"] = [ProductRow.of(**row) for row in fields["product_rows"]]
    if isinstance(item, Lead) and ADDRESSES & fields.keys():
        home = await installation(session)
        addresses = {name: fields.pop(name, None) for name in ADDRESSES}
        replace_points(item, **addresses, region=home.phone_region)
    assign(item, await linked(session, fields, company=Company, responsible=User))


async def _lock_contacts(session: AsyncSession, sent: Mapping[str, Any]) -> dict[int, Contact]:
    """Return the contacts sent by id, so that nobody deletes them before they are linked."""
    wanted = [("/further_contact_ids", each) for each in sent.get("further_contact_ids", [])]
    if sent.get("contact_id") is not None:
        wanted.append(("/contact_id", sent["contact_id"]))
    if not wanted:
        return {}
    rows = await session.scalars(
        select(Contact)
        .where(Contact.id.in_(in_order(each for _, each in wanted)), Contact.deleted_at.is_(None))
        .order_by(Contact.id)
        .with_for_update(read=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    found = {row.id: row for row in rows}
    missing = [
        Problem(pointer, f"There is no contact {each}.")
        for pointer, each in wanted
        if each not in found
    ]
    if missing:
        raise Invalid(*missing)
    return found


class _Told(NamedTuple):
    """A change as history tells it, beside the name of the field what people call it."""

    field: str
    title: str
    old: str | None
    new: str | None
    kind: HistoryKind = HistoryKind.CHANGED


async def _remember(
    session: AsyncSession, item: Item, name: str, old: Any, new: Any, cause: Cause
) -> list[_Told]:
    if name == "custom":
        changes = [
            _Told(f"custom.{each.name}", each.title, said(each.old), said(each.new))
            for each in await custom_changes(session, item.type, old, new)
        ]
    elif name == "responsible_id":
        people = await _called(session, old), await _called(session, new)
        kind = HistoryKind.RESPONSIBLE_CHANGED
        changes = [_Told("responsible", "Responsible", *people, kind)]
    else:
        field = name.removesuffix("_id").replace("_ids", "s")
        known = Catalogue.of(item.type).find(f"item.{field}")
        title = known.title if known else field.replace("_", " ").capitalize()
        changes = [_Told(field, title, said(old), said(new))]
    if name in LINKS:
        for line in _links(item, changes[0].field, LINKS[name], _ids(old), _ids(new)):
            sign(line, cause)
            session.add(line)
    else:
        for told in changes:
            _write(session, item, told, cause)
    return changes


def _ids(value: int | list[int] | None) -> list[int]:
    return value if isinstance(value, list) else in_order([value])


def _links(
    item: Item,
    field: str,
    kind: type[Contact | Company],
    old: Sequence[int],
    new: Sequence[int],
) -> Iterator[HistoryEntry]:
    """Yield a line for each client that was tied to an item, or taken from it, of whom it tells."""
    gone = [(HistoryKind.UNLINKED, each) for each in old if each not in new]
    come = [(HistoryKind.LINKED, each) for each in new if each not in old]
    further = " as a further one" if field == "further_contacts" else ""
    for done, client_id in gone + come:
        subject = kind.__name__.lower()
        line = about_item(item, done, f"{done.capitalize()} {subject} {client_id}{further}.")
        line.subject_type, line.subject_id, line.field = subject, client_id, field
        if done is HistoryKind.LINKED:
            line.new = str(client_id)
        else:
            line.old = str(client_id)
        yield line


def _let_triggers_know(
    session: AsyncSession, item: Item, changes: Sequence[_Told], cause: Cause
) -> None:
    if changes:
        fields_changed(session, item, {each.field: each.title for each in changes}, cause)
    for told in changes:
        if told.kind is HistoryKind.RESPONSIBLE_CHANGED:
            text = f"{told.new or 'Nobody'} is responsible for {item.called} now"
            occasion = Occasion(
                trigger="responsible_changed", item_ids=(item.id,), cause=cause, text=text
            )
            occurred(session, occasion)


async def _called(session: AsyncSession, user_id: int | None) -> str | None:
    user = None if user_id is None else await session.get(User, user_id)
    return None if user is None else user.name


def _write(session: AsyncSession, item: Item, told: _Told, cause: Cause) -> None:
    line = about_item(item, told.kind, change_in_words(told.title, told.old, told.new))
    line.field, line.old, line.new = told.field, told.old, told.new
    sign(line, cause)
    session.add(line)
