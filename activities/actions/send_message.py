"""Send a message: to the phone of the client, by SMS or a messenger."""

from collections.abc import Sequence

from pydantic import Field

from activities.addressees import (
    CLIENT,
    MOST_CHOICES,
    Addressee,
    RecipientChoice,
    addressees,
    problems_of,
)
from activities.letters import RESULTS, leave_whom, said
from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    RulePlace,
    as_text,
    rule_action,
)
from models.contact_point import ContactPointKind
from models.delivery import Delivery, DeliveryKind
from models.errors import Problem
from models.item_type import ItemType
from models.message import MessageContent, MessageService, subject_of
from models.templates import Template


class SendMessage(ActionParams):
    channel: MessageService = Field(
        default="sms",
        title="Channel",
        description="SMS, or a messenger by the name that the gateway has for it.",
    )
    text: Template = Field(title="Text", min_length=1)
    to: tuple[RecipientChoice, ...] = Field(
        default=CLIENT,
        min_length=1,
        max_length=MOST_CHOICES,
        title="To",
        description="The client, if not chosen. Everybody gets a message of their own.",
    )
    skip_excluded: bool = Field(default=False, title="Leave out numbers on the exceptions list")

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        """Return which of the numbers can be none."""
        return await problems_of(self.to, ContactPointKind.PHONE, place)


@rule_action(
    title="Send a message",
    group=ActionGroup.COMMUNICATION,
    items=ItemType,
    results=RESULTS,
)
async def send_message(params: SendMessage, context: ActionContext) -> str:
    """Send an SMS, or a message by a messenger, and note it as a CRM activity.

    It goes to the first phone number of each. Without any the rule fails.
    """
    found = await addressees(
        context, params.to, ContactPointKind.PHONE, skip_excluded=params.skip_excluded
    )
    text = as_text(context.render(params.text))
    sent = [await _send(params, context, text, each) for each in found.people]
    subject = subject_of(text)
    leave_whom(context, found, subject=subject)
    return said(f"Message «{subject}» by {params.channel}", found, sent)


async def _send(
    params: SendMessage, context: ActionContext, text: str, to: Addressee
) -> Delivery | None:
    responsible = context.item.responsible
    return await context.deliver(
        DeliveryKind.MESSAGE,
        to.address,
        subject_of(text),
        MessageContent(
            channel=params.channel,
            text=text,
            sender_id=None if responsible is None else responsible.id,
        ),
        contact_id=to.contact_id,
        company_id=to.company_id,
    )
