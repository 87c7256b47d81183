"""Send an e-mail: to the client of the item, in the name of whoever is responsible."""

import asyncio
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
from activities.documents import documents_meant, template_problem
from activities.letters import RESULTS, leave_whom, post, said
from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    RulePlace,
    as_title,
    rule_action,
)
from models.contact_point import ContactPointKind
from models.delivery import Delivery
from models.errors import ActionFailed, Problem
from models.inputs import MOST_IN_A_LIST, RowId
from models.item_type import ItemType
from models.markdown import as_mere_text, html_of
from models.templates import Template
from models.tracking import links_in
from models.user import User
from models.user_choice import UserChoice


class SendEmail(ActionParams):
    subject: Template = Field(title="Subject", min_length=1)
    text: Template = Field(
        title="Text",
        min_length=1,
        description="Written in Markdown: headings, lists, tables, links.",
    )
    to: tuple[RecipientChoice, ...] = Field(
        default=CLIENT,
        min_length=1,
        max_length=MOST_CHOICES,
        title="To",
        description="The client, if not chosen. Everybody gets a mail of their own.",
    )
    sender: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Sender",
        description="Whose name it bears and who gets the answers: the item's responsible "
        "person, if not chosen.",
    )
    attachments: tuple[RowId, ...] = Field(
        default=(),
        max_length=MOST_IN_A_LIST,
        title="Attachments",
        description="Templates: of each, the newest document of the item is attached, as PDF if "
        "it is one. One that a rule above is still making is waited for.",
    )
    track: bool = Field(
        default=False,
        title="Track opening and links",
        description="Note when it is opened, and which links in it are followed.",
    )
    skip_excluded: bool = Field(default=False, title="Leave out addresses on the exceptions list")

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        """Return which of the addresses can be none, and which templates there are not."""
        found = list(await problems_of(self.to, ContactPointKind.EMAIL, place))
        for number, template_id in enumerate(self.attachments):
            found += await template_problem(place, template_id, f"/attachments/{number}")
        return found


@rule_action(
    title="Send an e-mail",
    group=ActionGroup.COMMUNICATION,
    items=ItemType,
    results=RESULTS,
)
async def send_email(params: SendEmail, context: ActionContext) -> str:
    """Send a mail to the client, and note it as a CRM activity.

    What fields bring into the text is never taken for markup. Without an address the rule fails.
    """
    sender = await context.in_charge(params.sender)
    found = await addressees(
        context, params.to, ContactPointKind.EMAIL, skip_excluded=params.skip_excluded
    )
    attached = await documents_meant(context, params.attachments)
    sent = [await _send(params, context, sender, each, attached) for each in found.people]
    title = as_title(context.render(params.subject))
    leave_whom(context, found, subject=title)
    return said(f"E-mail «{title}»", found, sent)


async def _send(
    params: SendEmail,
    context: ActionContext,
    sender: User | None,
    to: Addressee,
    attached: Sequence[int],
) -> Delivery | None:
    markdown = context.render(params.text, to.user, escape=as_mere_text)
    if not markdown.strip():
        raise ActionFailed("The text is empty, now that its fields are filled in.")
    html = await asyncio.to_thread(html_of, markdown)
    return await post(
        context,
        sender,
        to,
        subject=as_title(context.render(params.subject, to.user)),
        text=context.render(params.text, to.user).strip(),
        html=html,
        attachments=list(attached),
        links=links_in(html) if params.track else None,
    )
