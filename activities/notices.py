"""Notices: what actions share that tell people something, whoever they tell it by default."""

from activities.registry import ActionContext, Result, UserChoice
from models.fields import FieldKind
from models.user import User

RESULTS = (
    Result("recipients", "Recipients", FieldKind.TEXT),
    Result("count", "How many were notified", FieldKind.NUMBER),
)
"""What each of these actions leaves for the rules below."""


async def notify_all(
    text: str, recipients: tuple[UserChoice, ...], context: ActionContext, sender: User | None
) -> str:
    """Notify everybody chosen once, each in their language; return the sentence for the history."""
    people = await context.users(recipients)
    for person in people:
        context.notify(person, context.render(text, reader=person), sender=sender)
    names = ", ".join(person.name for person in people)
    context.leave(recipients=names, count=len(people))
    return f"Notified {names}."
