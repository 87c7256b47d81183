"""The exceptions list: phones, addresses and mail domains that the CRM ignores."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from unicodedata import normalize

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    UniqueConstraint,
    delete,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models.access import MANAGING, must_be
from models.base import (
    Base,
    EnumText,
    Record,
    Versioned,
    containing,
    having,
    insert_for,
)
from models.contact_point import ContactPoint, ContactPointKind, email, phone
from models.errors import Conflict, Invalid, NotFound, Problem
from models.installation import installation
from models.phone_number import is_phone_uri
from models.provenance import MadeByRun
from models.user import User

DOMAIN = re.compile(r"[\w*.-]+\.[^\W\d_]{2}[\w-]*\.?")
"""What looks like a domain, and like no number: it ends with letters."""

LONGEST_VALUE = 320
"""Characters of an address, as it is written."""

AT_ONCE = 500
"""Values in one statement."""


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


class ExclusionClaim(Record, Base, kw_only=True):
    """A run that would have listed a value, had another not done so before.

    It keeps the value on the list when that other is undone.
    """

    __tablename__ = "exclusion_claims"
    __table_args__ = (
        Index(None, "exclusion_id", "run_id", unique=True),
        Index(None, "run_id"),
        Record.options,
    )

    exclusion_id: Mapped[int] = mapped_column(ForeignKey(Exclusion.id))
    run_id: Mapped[int] = mapped_column(ForeignKey("rule_runs.id"))
    comment: Mapped[str]


Value = tuple[ExclusionKind, str]


class Listed(NamedTuple):
    """What is to be on the list: a value as it is compared."""

    kind: ExclusionKind
    value: str
    comment: str | None = None


def read_value(kind: ExclusionKind, raw: str, *, region: str) -> str:
    """Return the form in which a value is compared; raises `Invalid` with the reason."""
    match kind:
        case ExclusionKind.PHONE:
            return phone(raw, region=region, field="/value").value or raw
        case ExclusionKind.EMAIL:
            return _folded(email(raw, field="/value").value or raw)
        case ExclusionKind.DOMAIN:
            domain = raw.strip().removeprefix("*").removeprefix("@").removesuffix(".")
            try:
                return _ascii(domain)
            except EmailNotValidError as error:
                reason = f"«{raw}» is not a mail domain such as firm.com."
                if domain.startswith("."):
                    reason += " Those below a domain are listed by themselves."
                raise Invalid(Problem("/value", reason)) from error


def kind_of(raw: str) -> ExclusionKind:
    """Return what a value that does not say it looks like."""
    value = raw.strip()
    if is_phone_uri(value):
        return ExclusionKind.PHONE
    if value.lstrip("*").startswith("@") or DOMAIN.fullmatch(value):
        return ExclusionKind.DOMAIN
    return ExclusionKind.EMAIL if "@" in value else ExclusionKind.PHONE


async def add_exclusion(
    session: AsyncSession, kind: ExclusionKind, raw: str, *, comment: str | None, by: User
) -> Exclusion:
    """Let a person put a value on the list; one that is on it already is a `Conflict`.

    A domain silences everybody there, so that agents list single phones and addresses only.
    """
    if kind is ExclusionKind.DOMAIN:
        must_be(by, MANAGING, "put whole mail domains on the list", field="/kind")
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
    return set(await exclusions_of(session, values))


async def exclusions_of(session: AsyncSession, values: Iterable[str]) -> dict[str, Exclusion]:
    """Return by which entry each of these phones (E.164) and addresses is excluded, if by one.

    Its own entry comes before that of its domain. The domains below one that is listed are not.
    """
    compared = {value: (_folded(value), _domain(value)) for value in values}
    listed = await session.scalars(
        select(Exclusion).where(
            or_(
                Exclusion.kind.in_([ExclusionKind.PHONE, ExclusionKind.EMAIL])
                & Exclusion.value.in_({folded for folded, _ in compared.values()}),
                (Exclusion.kind == ExclusionKind.DOMAIN)
                & Exclusion.value.in_({domain for _, domain in compared.values() if domain}),
            )
        )
    )
    known = {(each.kind is ExclusionKind.DOMAIN, each.value): each for each in listed}
    found = {
        value: known.get((False, folded)) or known.get((True, domain))
        for value, (folded, domain) in compared.items()
    }
    return {value: each for value, each in found.items() if each is not None}


@dataclass(frozen=True)
class LookedUp:
    """A phone or an address as it is compared, and by which entry it is excluded, if by one."""

    value: str
    exclusion: Exclusion | None

    @property
    def excluded(self) -> bool:
        return self.exclusion is not None


async def look_up(
    session: AsyncSession, *, number: str | None, address: str | None
) -> dict[str, LookedUp]:
    """Return whether a phone and an address are excluded, however they are written.

    Raises `Invalid` for what cannot be read.
    """
    home = await installation(session)
    values = {}
    if number is not None:
        values["phone"] = compared(phone(number, region=home.phone_region, field="/phone"))
    if address is not None:
        values["email"] = compared(email(address, field="/email"))
    found = await exclusions_of(session, values.values())
    return {name: LookedUp(value, found.get(value)) for name, value in values.items()}


async def find_listed(session: AsyncSession, kind: ExclusionKind, raw: str) -> Exclusion:
    """Return the locked entry of a value, however it is written, or raise `NotFound`."""
    home = await installation(session)
    value = read_value(kind, raw, region=home.phone_region)
    found: Exclusion | None = await session.scalar(
        select(Exclusion)
        .where(Exclusion.kind == kind, Exclusion.value == value)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound(f"The {kind} «{value}» is not on the exceptions list.", field="/value")
    return found


async def take_off(session: AsyncSession, exclusion: Exclusion) -> None:
    """Take a locked entry off the list, whoever has put it there, and whatever runs want it."""
    claims = delete(ExclusionClaim).where(ExclusionClaim.exclusion_id == exclusion.id)
    await session.execute(claims)
    await session.delete(exclusion)


def _domain(value: str) -> str:
    """Return the domain of an address as it is compared: in ASCII; nothing for a phone."""
    _, at, host = value.rpartition("@")
    if not at:
        return ""
    try:
        return _ascii(host)
    except EmailNotValidError:
        return host.casefold()


def _ascii(domain: str) -> str:
    address = validate_email(f"anybody@{domain}", check_deliverability=False)
    return address.ascii_domain.casefold()


def exclusions_where(*, q: str | None = None, **values: object) -> Select[Exclusion]:
    """Return the list, or what has these values, None meaning any, and holds `q` somewhere."""
    return having(select(Exclusion), **values).where(*containing(Exclusion.value, q))


async def add_exclusions(
    session: AsyncSession, listed: Sequence[Listed], by: User, *, dry: bool
) -> tuple[int, int]:
    """Let a person put many values on the list; return how many are new, and were there.

    Of values that are there twice the first counts. `dry` changes nothing.
    """
    wanted = {(each.kind, each.value): each for each in reversed(listed)}
    new = 0
    values = sorted(wanted)
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        if dry:
            new += len(part) - len(await listed_among(session, part))
        else:
            new += len(await put_on(session, [wanted[each] for each in part], by))
    return new, len(listed) - new


async def listed_among(session: AsyncSession, values: Sequence[Value]) -> dict[Value, Exclusion]:
    """Return the entries of these values that are on the list."""
    found = await session.scalars(select(Exclusion).where(is_among(values)))
    return {(each.kind, each.value): each for each in found}


def is_among(values: Sequence[Value]) -> ColumnElement[bool]:
    return tuple_(Exclusion.kind, Exclusion.value).in_(values)


async def put_on(
    session: AsyncSession, listed: Sequence[Listed], by: User | None = None
) -> Sequence[Exclusion]:
    """Put values on the list, in order; return the entries of those that were not there."""
    rows = [{**each._asdict(), "creator_id": by and by.id} for each in listed]
    new = await session.scalars(
        insert_for(session)(Exclusion)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["kind", "value"])
        .returning(Exclusion)
    )
    return new.all()


def compared(point: ContactPoint) -> str:
    value = point.value or ""
    return _folded(value) if point.kind is ContactPointKind.EMAIL else value


def _folded(value: str) -> str:
    """Return a phone, or an address in which capitals do not count, as it is compared.

    Of the domain they never did; letters that fold alike, as ß and ss, are two there.
    """
    local, at, host = value.rpartition("@")
    # Folding can take a letter apart from its accent, which reading would put together again.
    return normalize("NFC", local.casefold()) + at + host
