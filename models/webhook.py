"""Webhooks: what is posted where, signed so that its receiver knows who it comes from.

After the convention of Standard Webhooks: HMAC-SHA256 over id, moment and body, in Base64.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.delivery import Delivery
from models.rule import RuleVersion
from models.rule_run import RuleRun

PREFIX = "whsec_"
"""Begins a secret that is Base64 of its bytes; any other is the bytes of its text."""

AGENT = "Cuebook"


class WebhookContent(BaseModel):
    """What is posted, and where; `body` is JSON as it is sent, byte for byte in UTF-8."""

    url: str
    body: str


def bytes_of(secret: str) -> bytes:
    """Return the key that a secret stands for; what begins as Base64 but is none, a ValueError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"after {PREFIX} a secret is Base64, and this is not") from error
    if not key:
        raise ValueError(f"after {PREFIX} there is nothing")
    return key


def signed(secret: str, key: UUID, moment: datetime, body: str) -> str:
    """Return the signature of a body that is sent under this id at this moment."""
    said = f"{key}.{_seconds(moment)}.{body}".encode()
    return "v1," + b64encode(hmac.digest(bytes_of(secret), said, sha256)).decode()


def headers_of(
    content: WebhookContent, key: UUID, moment: datetime | None, secret: str | None
) -> Mapping[str, str]:
    """Return the headers of ours: id, moment of sending and, with a secret, a signature over all.

    Without a moment it has not been sent yet.
    """
    headers = {"content-type": "application/json", "user-agent": AGENT, "webhook-id": str(key)}
    if moment is not None:
        headers["webhook-timestamp"] = _seconds(moment)
        if secret:
            headers["webhook-signature"] = signed(secret, key, moment, content.body)
    return headers


def _seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def secret_in(params: Mapping[str, Any]) -> str | None:
    """Return the secret among the settings of a rule that calls a webhook."""
    secret: str | None = params.get("secret")
    return secret


async def headers_sent(session: AsyncSession, delivery: Delivery) -> Mapping[str, str]:
    """Return the headers of ours with which a webhook was last sent, if it was."""
    params = await session.scalar(
        select(RuleVersion.params)
        .join(RuleRun, RuleRun.version_id == RuleVersion.id)
        .where(RuleRun.id == delivery.run_id)
    )
    content = WebhookContent.model_validate(delivery.content)
    return headers_of(content, delivery.key, delivery.sending_at, secret_in(params or {}))
