"""Phones and e-mail addresses, kept as people wrote them and as machines compare them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, EnumText, Record
from models.errors import Invalid, Problem
from models.phone_number import NoNumber, read_number


class ContactPointKind(StrEnum):
    PHONE = "phone"
    EMAIL = "email"


def _compared(context: Any) -> str | None:
    value: str | None = context.get_current_parameters()["value"]
    return None if value is None else as_compared(value)


def as_compared(value: str) -> str:
    """Return a number or address that was read as it is compared: its capitals do not count."""
    return value.lower()


class ContactPoint(Record, Base, kw_only=True):
    """One way to reach a contact, a company, or a lead that is neither yet.

    `value` is E.164 or the normalised address, or None where it cannot be read as one; then only
    `raw` says what was written. `compared` is the value without capitals. No value ever changes.
    """

    __tablename__ = "contact_points"
    __table_args__ = (
        CheckConstraint(
            "(CASE WHEN contact_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN company_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN item_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_owner",
        ),
        Index(None, "contact_id"),
        Index(None, "company_id"),
        Index(None, "item_id"),
        Index(None, "kind", "compared"),
        Record.options,
    )

    kind: Mapped[ContactPointKind] = mapped_column(EnumText(ContactPointKind))
    raw: Mapped[str]
    value: Mapped[str | None]
    compared: Mapped[str | None] = mapped_column(init=False, insert_default=_compared)
    extension: Mapped[str | None] = mapped_column(default=None)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"), init=False)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("companies.id"), init=False)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"), init=False)

    def again(self) -> "ContactPoint":
        """Return the same address, for somebody else."""
        return ContactPoint(
            kind=self.kind, raw=self.raw, value=self.value, extension=self.extension
        )


def phone(raw: str, *, region: str, field: str = "") -> ContactPoint:
    """Read a phone number; `region` (ISO 3166) is the country of numbers without a prefix.

    Raises `Invalid` where it holds no digits that could be a number. Its value, read again, stays
    what it is.
    """
    try:
        value, extension = read_number(raw, region)
    except NoNumber as error:
        raise Invalid(Problem(field, f"«{raw}» is not a phone number.")) from error
    return ContactPoint(kind=ContactPointKind.PHONE, raw=raw, value=value, extension=extension)


def email(raw: str, *, field: str = "") -> ContactPoint:
    """Read an e-mail address; raises `Invalid` with the reason."""
    try:
        address = validate_email(raw.strip(), check_deliverability=False)
    except EmailNotValidError as error:
        raise Invalid(Problem(field, f"«{raw}» is not an e-mail address: {error}")) from error
    return ContactPoint(kind=ContactPointKind.EMAIL, raw=raw, value=address.normalized)


def phone_or_text(raw: str, *, region: str) -> ContactPoint:
    """Read a phone number; what is none is kept as it was written."""
    try:
        return phone(raw, region=region)
    except Invalid:
        return ContactPoint(kind=ContactPointKind.PHONE, raw=raw, value=None)


def email_or_text(raw: str) -> ContactPoint:
    """Read an e-mail address; what is none is kept as it was written."""
    try:
        return email(raw)
    except Invalid:
        return ContactPoint(kind=ContactPointKind.EMAIL, raw=raw, value=None)


def first_compared(points: Sequence[ContactPoint]) -> str | None:
    """Return the first that could be read, as it is compared."""
    return next((as_compared(each.value) for each in points if each.value), None)


def same_points(
    *, number: str | None, address: str | None, region: str
) -> list[ColumnElement[bool]]:
    """Return conditions on contact points: to be this phone, this address, if they are given.

    Capitals of an address do not count. Raises `Invalid` for what cannot be read as either.
    """
    wanted = []
    if number is not None:
        known = phone(number, region=region, field="/phone")
        wanted.append(sharing([known]))
    if address is not None:
        wanted.append(sharing([email(address, field="/email")]))
    return wanted


def sharing(points: Sequence[ContactPoint]) -> ColumnElement[bool]:
    """Return the condition on contact points to be the same phone or address as one of these.

    Capitals of an address do not count.
    """
    return or_(*(_is_among(kind, points) for kind in ContactPointKind))


def _is_among(kind: ContactPointKind, points: Sequence[ContactPoint]) -> ColumnElement[bool]:
    values = [as_compared(each.value) for each in points if each.kind is kind and each.value]
    return and_(ContactPoint.kind == kind, ContactPoint.compared.in_(values))


def points(
    *, phones: list[str], emails: list[str], region: str, field: str = ""
) -> list[ContactPoint]:
    """Read all phones and addresses of somebody, in order."""
    return [
        *(phone(raw, region=region, field=f"{field}/phones/{i}") for i, raw in enumerate(phones)),
        *(email(raw, field=f"{field}/emails/{i}") for i, raw in enumerate(emails)),
    ]


class Reachable:
    """What a contact, a company and a lead share: their phones and addresses, as written."""

    if TYPE_CHECKING:
        contact_points: Mapped[list[ContactPoint]]

    @property
    def phones(self) -> list[str]:
        return self._raw(ContactPointKind.PHONE)

    @property
    def emails(self) -> list[str]:
        return self._raw(ContactPointKind.EMAIL)

    def _raw(self, kind: ContactPointKind) -> list[str]:
        return [point.raw for point in self.contact_points if point.kind is kind]


def replace_points(
    who: Reachable, *, phones: list[str] | None, emails: list[str] | None, region: str
) -> None:
    """Let these be the phones, the addresses or both of somebody; None keeps those there are.

    What is there already is not read again: perhaps it never could be.
    """
    known = {(point.kind, point.raw): point for point in who.contact_points}

    def read(kind: ContactPointKind, raw: str, field: str) -> ContactPoint:
        if old := known.get((kind, raw)):
            return ContactPoint(kind=kind, raw=raw, value=old.value, extension=old.extension)
        if kind is ContactPointKind.PHONE:
            return phone(raw, region=region, field=field)
        return email(raw, field=field)

    sent = {ContactPointKind.PHONE: phones, ContactPointKind.EMAIL: emails}
    who.contact_points = [
        *(point for point in who.contact_points if sent[point.kind] is None),
        *(
            read(kind, raw, f"/{kind}s/{place}")
            for kind, values in sent.items()
            for place, raw in enumerate(values or [])
        ),
    ]
