"""The exceptions list: phones, addresses and mail domains that the CRM ignores."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from unicodedata import normalize

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ForeignKey, Index, Select, UniqueConstraint, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    EnumText,
    Record,
    Versioned,
    containing,
    having,
    insert_for,
)
from models.client import SomeClient
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, ContactPointKind, email, phone
from models.errors import Conflict, Invalid, NotFound, Problem
from models.installation import installation
from models.item import Item, lock_item
from models.provenance import MadeByRun
from models.recycle_bin import restore_client, restore_item
from models.rule_run import RuleRun
from models.stage_entry import Cause
from models.user import User


class ExclusionKind(StrEnum):
    PHONE = "phone"
    EMAIL = "email"
    DOMAIN = "domain"


class Exclusion(Record, Versioned, Base, kw_only=True):
    """`value` is what incoming calls and mails are compared with: E.164, or case-folded."""

    __tablename__ = "exclusions"
    __table_args__ = (
        UniqueConstraint("kind", "value"),
        Index(None, "made_by_run_id"),
        Index(None, "value", "id"),
        Record.options,
    )

    kind: Mapped[ExclusionKind] = mapped_column(EnumText(ExclusionKind))
    value: Mapped[str]
    comment: Mapped[str | None] = mapped_column(default=None)
    creator_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), default=None)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)


def read_value(kind: ExclusionKind, raw: str, *, region: str) -> str:
    """Return the form in which a value is compared; raises `Invalid` with the reason."""
    match kind:
        case ExclusionKind.PHONE:
            return phone(raw, region=region, field="/value").value or raw
        case ExclusionKind.EMAIL:
            return _folded(email(raw, field="/value").value or raw)
        case ExclusionKind.DOMAIN:
            domain = raw.strip().removeprefix("@")
            try:
                address = validate_email(f"anybody@{domain}", check_deliverability=False)
            except EmailNotValidError as error:
                raise Invalid(Problem("/value", f"«{raw}» is not a mail domain.")) from error
            return address.ascii_domain.casefold()


async def add_exclusion(
    session: AsyncSession, kind: ExclusionKind, raw: str, *, comment: str | None, by: User
) -> Exclusion:
    """Let a person put a value on the list; one that is on it already is a `Conflict`."""
    home = await installation(session)
    value = read_value(kind, raw, region=home.phone_region)
    known = await session.scalar(
        select(Exclusion.id).where(Exclusion.kind == kind, Exclusion.value == value)
    )
    if known is not None:
        raise Conflict(f"«{value}» is on the list already, exclusion {known}.", field="/value")
    exclusion = Exclusion(kind=kind, value=value, comment=comment, creator_id=by.id)
    session.add(exclusion)
    await session.flush()
    return exclusion


async def excluded_among(session: AsyncSession, values: Iterable[str]) -> set[str]:
    """Return which of these phones (E.164) and addresses are on the list, or their domain is."""
    compared = {value: _folded(value) for value in values}
    wanted = set(compared.values())
    domains = {value: _domain(value) for value in wanted if "@" in value}
    listed = await session.execute(
        select(Exclusion.kind, Exclusion.value).where(
            or_(
                Exclusion.kind.in_([ExclusionKind.PHONE, ExclusionKind.EMAIL])
                & Exclusion.value.in_(wanted),
                (Exclusion.kind == ExclusionKind.DOMAIN)
                & Exclusion.value.in_(set(domains.values())),
            )
        )
    )
    known = {(kind is ExclusionKind.DOMAIN, value) for kind, value in listed}
    return {
        value
        for value, folded in compared.items()
        if (False, folded) in known or (True, domains.get(folded)) in known
    }


def _domain(address: str) -> str:
    """Return the domain of an address as it is compared: in ASCII, folded."""
    return validate_email(address, check_deliverability=False).ascii_domain.casefold()


def exclusions_where(*, q: str | None = None, **values: object) -> Select[Exclusion]:
    """Return the list, or what has these values, None meaning any, and holds `q` somewhere."""
    return having(select(Exclusion), **values).where(*containing(Exclusion.value, q))


async def exclude(
    session: AsyncSession, points: Iterable[ContactPoint], *, comment: str
) -> list[Exclusion]:
    """Put these phones and addresses on the list; return those that were not on it.

    Whoever is about to list the same ones is waited for.
    """
    wanted = {(ExclusionKind(point.kind), _compared(point)) for point in points if point.value}
    if not wanted:
        return []
    rows = [{"kind": kind, "value": value, "comment": comment} for kind, value in sorted(wanted)]
    new = await session.scalars(
        insert_for(session)(Exclusion)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["kind", "value"])
        .returning(Exclusion)
    )
    return list(new)


def _compared(point: ContactPoint) -> str:
    value = point.value or ""
    return _folded(value) if point.kind is ContactPointKind.EMAIL else value


def _folded(address: str) -> str:
    # Folding can take a letter apart from its accent, which reading would put together again.
    return normalize("NFC", address.casefold())


async def undo_exclusion(session: AsyncSession, run_id: int, by: User) -> Item:
    """Take back what a run of *Add to exceptions* did: item, clients and list, firing nothing.

    What somebody has restored or taken off the list meanwhile stays as it is.
    """
    item_id = await session.scalar(select(RuleRun.item_id).where(RuleRun.id == run_id))
    item = None if item_id is None else await lock_item(session, item_id)
    contacts = await _deleted_by(session, Contact, run_id)
    companies = await _deleted_by(session, Company, run_id)
    unlisted = await session.scalars(
        delete(Exclusion).where(Exclusion.made_by_run_id == run_id).returning(Exclusion.id)
    )
    gone = item is not None and item.deleted_by_run_id == run_id
    if item is None or not (gone or contacts or companies or unlisted.all()):
        raise NotFound(
            f"Run {run_id} has put nothing on the exceptions list, or it was undone.",
            field="/run_id",
        )
    cause = Cause.restore(by)
    for contact in contacts:
        restore_client(session, contact, cause)
    for company in companies:
        restore_client(session, company, cause)
    if gone:
        await restore_item(session, item, cause)
    return item


async def _deleted_by(
    session: AsyncSession, kind: type[SomeClient], run_id: int
) -> Sequence[SomeClient]:
    found = await session.scalars(
        select(kind).where(kind.deleted_by_run_id == run_id).order_by(kind.id).with_for_update()
    )
    return found.all()
