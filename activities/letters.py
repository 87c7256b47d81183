"""Letters: what actions share that write to people, whatever way it goes."""

from collections.abc import Sequence
from typing import Any

from activities.addressees import Addressee, Addressees
from activities.registry import ActionContext, Result
from models.delivery import Delivery, DeliveryKind
from models.fields import FieldKind
from models.mail import EmailContent, thread_of
from models.user import User

RESULTS = (
    Result("recipients", "Recipients", FieldKind.TEXT),
    Result("count", "How many it was sent to", FieldKind.NUMBER),
    Result("subject", "Subject", FieldKind.TEXT),
)
"""What each of these actions leaves for the rules below."""


async def post(
    context: ActionContext,
    sender: User | None,
    to: Addressee,
    *,
    subject: str,
    **content: Any,
) -> Delivery | None:
    """Have a mail sent in somebody's name, in the thread of the item.

    `content` are the other fields of `EmailContent`: what it says. None where an earlier try of
    this run has reached the recipient already.
    """
    if sender is not None:
        content |= {"sender_name": sender.name, "sender_id": sender.id, "reply_to": sender.email}
    return await context.deliver(
        DeliveryKind.EMAIL,
        to.address,
        subject,
        EmailContent(
            sent_from=context.mail_from,
            to_name=to.name,
            references=await thread_of(context.session, context.item.id, to.address),
            **content,
        ),
        contact_id=to.contact_id,
        company_id=to.company_id,
        user_id=None if to.user is None else to.user.id,
    )


def leave_whom(context: ActionContext, found: Addressees, *, subject: str) -> None:
    """Leave whom it goes to."""
    addresses = [each.address for each in found.people]
    context.leave(recipients=", ".join(addresses), count=len(addresses), subject=subject)


def said(what: str, found: Addressees, sent: Sequence[Delivery | None]) -> str:
    """Return what goes to whom, in sentences; None is for those whom an earlier try reached."""
    pairs = list(zip(found.people, sent, strict=True))
    new = ", ".join(each.address for each, delivery in pairs if delivery is not None)
    old = [f"{each.address} has it already." for each, delivery in pairs if delivery is None]
    first = f"{what} to {new}." if new else f"{what} goes to nobody."
    return " ".join([first, *old, *found.notes])
