"""Notices: what actions share that tell people something, whoever they tell it by default."""

from collections.abc import Sequence

from pydantic import Field

from activities.addressees import Addressee, Addressees
from activities.letters import post, said
from activities.registry import ActionContext, ActionParams, Result, as_title
from models.delivery import Delivery
from models.fields import FieldKind
from models.markdown import html_of_plain
from models.templates import Template
from models.user import User
from models.user_choice import UserChoice

RESULTS = (
    Result("recipients", "Recipients", FieldKind.TEXT),
    Result("count", "How many were notified", FieldKind.NUMBER),
)
"""What each of these actions leaves for the rules below."""


class Notice(ActionParams):
    """What people are told, and how; each action has its own recipients."""

    text: Template = Field(title="Text", min_length=1)
    by_email: bool = Field(
        default=False,
        title="By e-mail too",
        description="To those who have an address, with a link to the item.",
    )


async def notify_all(
    notice: Notice,
    recipients: tuple[UserChoice, ...],
    context: ActionContext,
    sender: User | None,
) -> str:
    """Notify everybody chosen once, each in their language; return the sentence for the history."""
    people = await context.users(recipients)
    told = [(person, context.render(notice.text, reader=person)) for person in people]
    for person, text in told:
        context.notify(person, text, sender=sender)
    names = ", ".join(person.name for person in people)
    context.leave(recipients=names, count=len(people))
    sentence = f"Notified {names}."
    if notice.by_email:
        sentence = f"{sentence} {await _by_email(told, context, sender)}"
    return sentence


async def _by_email(
    told: Sequence[tuple[User, str]], context: ActionContext, sender: User | None
) -> str:
    """Have what people were told sent to them as well; return the sentence for the history."""
    people: list[Addressee] = []
    notes: list[str] = []
    sent = []
    for person, text in told:
        if not person.email:
            notes.append(f"{person.name} has no e-mail address.")
            continue
        to = Addressee(person.name, person.email, user=person)
        people.append(to)
        sent.append(await _copy(text.strip(), to, context, sender))
    return said("E-mail", Addressees(people, notes), sent)


async def _copy(
    text: str, to: Addressee, context: ActionContext, sender: User | None
) -> Delivery | None:
    whole = f"{text}\n\n{context.values['item.url']}"
    first_line, *_ = text.splitlines() or [""]
    return await post(
        context,
        sender,
        to,
        subject=as_title(f"{context.item.title}: {first_line}"),
        text=whole,
        html=html_of_plain(whole),
    )
