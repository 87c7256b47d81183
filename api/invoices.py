"""Invoices: what a client owes, until when, and whether it is paid."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Query, status
from pydantic import Field

from api.dependencies import CurrentUser, ReadSession, Session
from api.item_resource import (
    CUSTOM_QUERY,
    CustomFilter,
    ItemFields,
    ItemFilter,
    Place,
    SortedItems,
    WholeItemRead,
    listed,
    locked,
    locked_if_matching,
    present,
)
from api.paging import page_of
from api.routing import resource
from api.schemas import Day, Moment, Name, Page, Write
from models.invoice import pay, take_back_payment
from models.item import Invoice
from models.item_edit import add_item, after_triggers, edit_item
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = resource("invoices", "/invoices")

PAY_UNTIL = "The last day on which it is to be paid."


class InvoiceRead(WholeItemRead):
    close_date: date | None = Field(description=PAY_UNTIL)
    paid_at: datetime | None = Field(description="When it was paid; null while it is not.")


class InvoiceFields(ItemFields):
    close_date: Day | None = Field(default=None, description=PAY_UNTIL)


class InvoiceCreate(Place, InvoiceFields):
    """An invoice begins in the first stage of the first pipeline for invoices, if not told else."""


class InvoiceUpdate(InvoiceFields):
    """What is left out stays as it is; stage and pipeline are changed by moving."""

    title: Name = ""


class InvoiceFilter(ItemFilter):
    """Which invoices to list."""

    is_paid: bool | None = Field(default=None, description="Only those paid, or only others.")
    paid_from: Moment | None = None
    paid_to: Moment | None = None


class PaymentWrite(Write):
    paid_at: Moment | None = Field(
        default=None, description="When it was paid, not in the future; now, if left out."
    )


PresentInvoice = Annotated[Invoice, present(Invoice)]
LockedInvoice = Annotated[Invoice, locked(Invoice)]
InvoiceToPay = Annotated[Invoice, locked_if_matching(Invoice)]
WantedInvoices = Annotated[InvoiceFilter, Query()]


@router.get("", openapi_extra=CUSTOM_QUERY)
async def list_invoices(
    session: ReadSession,
    user: CurrentUser,
    where: WantedInvoices,
    asked: CustomFilter,
    paging: SortedItems,
) -> Page[InvoiceRead]:
    """Return the invoices within your reach, oldest first, if not said otherwise."""
    wanted = await listed(session, user, Invoice, where, asked)
    return await page_of(session, wanted, paging, InvoiceRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_invoice(session: Session, user: CurrentUser, new: InvoiceCreate) -> InvoiceRead:
    """Create an invoice; the rules of its stage start.

    Without a place it begins in the first stage of the first pipeline for invoices. Whoever asks is
    its creator, and responsible for it if nobody else is named.
    """
    invoice = await add_item(session, Invoice, new.fields(), user, new.beginning())
    return InvoiceRead.model_validate(invoice)


@router.get("/{invoice_id}")
async def read_invoice(invoice: PresentInvoice) -> InvoiceRead:
    """Return an invoice.

    Its `version` is the `ETag` that a change asks for.
    """
    return InvoiceRead.model_validate(invoice)


@router.patch("/{invoice_id}")
async def update_invoice(
    session: Session, user: CurrentUser, invoice: LockedInvoice, sent: InvoiceUpdate
) -> InvoiceRead:
    """Change fields of an invoice; its history keeps what they were.

    Runs that wait for a date of it follow the date. For another stage, move it; triggers that wait
    for the change do so by themselves.
    """
    await edit_item(session, invoice, sent.changes(), Cause.person(user))
    return InvoiceRead.model_validate(await after_triggers(session, invoice))


@router.post("/{invoice_id}/pay", name="pay_invoice")
async def pay_it(
    session: Session, user: CurrentUser, invoice: InvoiceToPay, said: PaymentWrite
) -> InvoiceRead:
    """Say that an invoice was paid: it moves to the first won stage, whose rules start.

    It stays where it is if that is a won stage already, or its pipeline has none. Moving an invoice
    to a won stage pays it too. 409 if it is paid already: a payment stays, wherever the invoice is
    moved afterwards, until it is taken back. An invoice without an amount can be paid as well.
    """
    await pay(session, invoice, Cause.person(user), said.paid_at)
    return InvoiceRead.model_validate(await after_triggers(session, invoice))


@router.post("/{invoice_id}/unpay", name="unpay_invoice")
async def unpay_it(session: Session, user: CurrentUser, invoice: InvoiceToPay) -> InvoiceRead:
    """Take a payment back that was a mistake; the invoice stays where it is.

    409 while it stands in a won stage, where all are paid: move it first.
    """
    await take_back_payment(session, invoice, Cause.person(user))
    return InvoiceRead.model_validate(await after_triggers(session, invoice))


@router.delete("/{invoice_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_invoice(session: Session, user: CurrentUser, invoice: LockedInvoice) -> None:
    """Put an invoice into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, invoice, Cause.person(user))
