"""Incoming mails: a message is handed in as it arrived, and read before a transaction begins."""

import asyncio
from typing import Annotated, NamedTuple

from fastapi import Depends, Request, Response, status

from api.dependencies import Session, Token, before_the_transaction
from api.files import body_of, sent_file
from api.inbound import MAIL_TYPE, TAKEN, TO_HAND_IN, At, ReceivedRead, told
from api.routing import resource
from models.access import MANAGING
from models.intake import receive_mail
from models.mail_reading import IncomingMail, read_mail

router = resource("inbound", "/inbound")
"""It asks who is asking by itself: before a transaction begins, the mail is read."""

CONTENT = "/mail"
"""How the body is called where something is wrong with it."""

SENT = body_of(MAIL_TYPE, "The mail as it arrived, as the body: `curl --data-binary @mail.eml …`.")


class MailSent(NamedTuple):
    """A mail as it was sent, and what it says."""

    raw: bytes
    read: IncomingMail


async def _mail(request: Request, token: Token) -> MailSent:
    async with before_the_transaction(request, token, *MANAGING, to=TO_HAND_IN):
        """Nobody else is listened to."""
    raw = await sent_file(request, CONTENT, example="mail.eml")
    return MailSent(raw, await asyncio.to_thread(read_mail, raw))


MAIL = Depends(_mail)
"""Stands first among the `dependencies` of a route: what opens a transaction comes after it."""


@router.post(
    "/emails",
    name="receive_email",
    status_code=status.HTTP_201_CREATED,
    dependencies=[MAIL],
    openapi_extra=SENT,
    responses=TAKEN,
)
async def hand_in_email(
    session: Session, at: At, mail: Annotated[MailSent, MAIL], response: Response
) -> ReceivedRead:
    """Hand in a mail as it arrived, headers and all: MIME, as the body.

    Whoever wrote it is looked up, first on the exceptions list: of what stands there nothing is
    kept, unless it answers a mail about an item that is still there; one of several senders is
    enough. Such an answer is kept, and moves nothing. Any other answer is for the items of its
    thread; if they are all closed, also for what was made of them and what else is open of the
    sender's. Else a client gets a CRM activity for each open item; their waits end and triggers
    fire. Whoever is unknown becomes a lead, and the rules of its stage start; where none of them
    changes the responsible person, administrators are told. Bounces, automatic
    replies and mailing lists never do. The same Message-ID of the same sender again changes
    nothing. This is for managers and administrators.
    """
    return told(await receive_mail(session, mail.raw, mail.read, at), response)
