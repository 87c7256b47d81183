"""Invoices: paying them, and taking that back."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.errors import Conflict, Invalid, Problem
from models.item import Invoice
from models.item_move import enter_won_stage, stands_won
from models.payment import in_words, mark_paid, mark_unpaid
from models.stage_entry import Cause


async def pay(
    session: AsyncSession, invoice: Invoice, cause: Cause, at: datetime | None = None
) -> None:
    """Say that a locked invoice was paid, by default now, and move it to the first won stage.

    It stays where it is if that is a won stage, or its pipeline has none. What it is about need
    not be known: without an amount it can be paid too. Once only: then it is a `Conflict`.
    """
    if invoice.paid_at is not None:
        raise Conflict(f"Invoice {invoice.id} is paid already, since {in_words(invoice.paid_at)}.")
    if at is not None and at > clock.now():
        raise Invalid(Problem("/paid_at", "This moment is still to come."))
    await mark_paid(session, [invoice], cause, at)
    await enter_won_stage(session, invoice, cause)


async def take_back_payment(session: AsyncSession, invoice: Invoice, cause: Cause) -> None:
    """Say that a locked invoice is not paid after all; where it is won it cannot be."""
    if invoice.paid_at is None:
        raise Conflict(f"Invoice {invoice.id} is not paid.")
    if stage := await stands_won(session, invoice):
        raise Conflict(
            f"Invoice {invoice.id} stands in «{stage.name}», where all are paid: move it first."
        )
    await mark_unpaid(session, invoice, cause)
