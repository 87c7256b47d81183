"""Call webhook: tell another program, with a signature, that it is time for something."""

import json
import re
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import httpx2
from pydantic import AfterValidator, ConfigDict, Field

from activities.json_texts import JsonTexts, filled
from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    rule_action,
)
from models import clock
from models.delivery import DeliveryKind
from models.errors import ActionFailed
from models.fields import FieldKind
from models.item_type import ItemType
from models.templates import Template
from models.webhook import WebhookContent, bytes_of

LONGEST_URL = 2000
LONGEST_SECRET = 500
LONGEST_BODY = 200_000
"""Characters."""

URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
"""Scheme, host, and what comes behind it; a fragment is for browsers only."""

HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|\w[\w.-]*)(?::([0-9]{1,5}))?")
LAST_PORT = 65_535


def _checked_url(url: str) -> str:
    """Return a URL whose host is fixed; raises ValueError with what is wrong with it."""
    if not url.isprintable():
        raise ValueError("it holds a character that cannot be printed")
    found = URL.fullmatch(url)
    if found is None:
        raise ValueError("a webhook begins with https:// or http://, and has no # in it")
    host = found[2]
    if "{" in host:
        raise ValueError("the host is fixed: fields may stand behind it only")
    if "@" in host:
        raise ValueError("a name and password do not belong here: everybody sees the URL")
    known = HOST.fullmatch(host)
    if known is None or not 0 < int(known[1] or LAST_PORT) <= LAST_PORT:
        raise ValueError("there is no such host, or its port is none")
    try:
        httpx2.URL(f"https://{host}/").raw_host.decode().encode("idna")
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise ValueError(f"this host is none: {error}") from error
    return url


def _checked_secret(secret: str) -> str:
    bytes_of(secret)
    return secret


class CallWebhook(ActionParams):
    model_config = ConfigDict(hide_input_in_errors=True)

    secrets: ClassVar[frozenset[str]] = frozenset({"secret"})

    url: Annotated[Template, AfterValidator(_checked_url)] = Field(
        title="URL",
        max_length=LONGEST_URL,
        description="What is called. Its host is fixed; fields behind it are percent-encoded. "
        "Whoever reads the rule sees it.",
        examples=["https://hooks.example/deals/{{ deal.id }}"],
    )
    secret: Annotated[str, AfterValidator(_checked_secret)] | None = Field(
        default=None,
        title="Secret",
        min_length=1,
        max_length=LONGEST_SECRET,
        repr=False,
        description="What the signature is made with, after the convention of Standard Webhooks; "
        "of one that begins with whsec_, the rest is Base64. It is never shown again.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    body: JsonTexts | None = Field(
        default=None,
        title="Body",
        description="JSON whose texts may hold fields. If left out, it tells of the item, where "
        "it stands, the rule and the run.",
        examples=[{"deal": "{{ deal.id }}", "amount": "{{ deal.amount }}"}],
    )


@rule_action(
    title="Outgoing webhook",
    group=ActionGroup.COMMUNICATION,
    items=ItemType,
    results=[
        Result("status", "HTTP status", FieldKind.NUMBER),
        Result("answer", "Answer", FieldKind.TEXT),
    ],
)
async def call_webhook(params: CallWebhook, context: ActionContext) -> str:
    """Post JSON to a URL, with an id that stays the same when it is sent again.

    With a secret it is signed. Redirects are not followed, and addresses that are not public are
    reached only where the installation allows them.
    """
    url = _filled_url(params.url, context)
    place = url.partition("?")[0]
    body = _told(context) if params.body is None else filled(params.body, context.exact)
    content = WebhookContent(url=url, body=_as_text(body))
    subject = f"POST {place}"
    if await context.deliver(DeliveryKind.WEBHOOK, url, subject, content) is None:
        return f"Webhook to {place} was sent by an earlier try."
    return f"Webhook to {place}."


def _filled_url(template: str, context: ActionContext) -> str:
    """Return the URL with its fields, none of which can lead out of where it stands."""
    url = context.exact(template, escape=_encoded)
    if len(url) > LONGEST_URL:
        raise ActionFailed(f"The URL gets longer than {LONGEST_URL} characters.")
    try:
        known = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ActionFailed(
            f"The URL is none, now that its fields are filled in: {error}"
        ) from error
    return str(known)


def _encoded(value: str) -> str:
    """Return a value percent-encoded, also dots that would lead elsewhere."""
    return quote(value, safe="") if value.strip(".") else value.replace(".", "%2E")


def _as_text(body: object) -> str:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    if len(text) > LONGEST_BODY:
        raise ActionFailed(f"The body gets longer than {LONGEST_BODY} characters.")
    return text


def _told(context: ActionContext) -> dict[str, Any]:
    """Return what a receiver wants to know that nobody has asked."""
    item, run = context.item, context.run
    return {
        "type": "rule.run",
        "timestamp": clock.now().isoformat(),
        "data": {
            "item": {
                "id": item.id,
                "type": item.type,
                "title": item.title,
                "url": context.url_of(item),
            },
            "pipeline": {"id": item.pipeline_id, "name": item.pipeline.name},
            "stage": {"id": item.stage_id, "name": item.stage.name},
            "stage_entry": {
                "id": run.stage_entry_id,
                "entered_at": run.stage_entry.entered_at.isoformat(),
            },
            "rule": {"id": run.rule_id, "title": run.version.title},
            "run": {"id": run.id},
        },
    }
