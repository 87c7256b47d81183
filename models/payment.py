"""Payment: since when an invoice is paid, in history and for the runs that wait for it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.history import HistoryEntry, HistoryKind, about_item
from models.item import Invoice
from models.occasion import Occasion, fields_changed, occurred
from models.retiming import retime
from models.stage_entry import Cause, sign

PAID_AT = "paid_at"
"""What history calls the field."""


async def mark_paid(
    session: AsyncSession, invoices: Sequence[Invoice], cause: Cause, at: datetime | None = None
) -> None:
    """Let locked invoices be paid since then, by default now; those that are paid stay so.

    Whatever pays an invoice comes through here. Of one that is new there is no more to tell; of
    others triggers of what they are for hear too.
    """
    unpaid = [each for each in invoices if each.paid_at is None]
    for invoice in unpaid:
        invoice.paid_at = at or clock.now()
    known = [each for each in unpaid if inspect(each).persistent]
    await _tell(session, known, None, cause)
    for invoice in known:
        if invoice.source_item_id is not None:
            occurred(
                session,
                Occasion(
                    trigger="invoice_paid",
                    item_ids=(invoice.source_item_id,),
                    cause=cause,
                    text=f"{invoice.called.capitalize()} «{invoice.title}» is paid",
                ),
            )


async def mark_unpaid(session: AsyncSession, invoice: Invoice, cause: Cause) -> None:
    """Let a locked invoice that is paid be so no longer."""
    before, invoice.paid_at = invoice.paid_at, None
    await _tell(session, [invoice], before, cause)


async def _tell(
    session: AsyncSession, invoices: Sequence[Invoice], before: datetime | None, cause: Cause
) -> None:
    """Tell it in history, and to runs that wait for the day of the payment."""
    if not invoices:
        return
    session.add_all(_line(invoice, before, cause) for invoice in invoices)
    await session.flush()
    for invoice in invoices:
        await retime(session, invoice, [PAID_AT], cause)
        fields_changed(session, invoice, {PAID_AT: "Paid at"}, cause)


def _line(invoice: Invoice, before: datetime | None, cause: Cause) -> HistoryEntry:
    paid_at = invoice.paid_at
    text = f"Paid: {in_words(paid_at)}." if paid_at else "Not paid after all."
    line = about_item(invoice, HistoryKind.CHANGED, text)
    line.field = PAID_AT
    line.old, line.new = (str(each) if each else None for each in (before, paid_at))
    sign(line, cause)
    return line


def in_words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
