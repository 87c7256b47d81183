"""The channels through which deliveries leave, one file each."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from activities.channel import Channel
from activities.channels.document import DocumentChannel
from activities.channels.email import EmailChannel
from activities.channels.message import MessageChannel
from activities.channels.webhook import WebhookChannel
from models.delivery import DeliveryKind
from models.settings import Settings


@asynccontextmanager
async def open_channels(settings: Settings) -> AsyncIterator[Mapping[DeliveryKind, Channel]]:
    """Offer a channel for every kind of delivery within the block."""
    channels: dict[DeliveryKind, Channel] = {
        DeliveryKind.EMAIL: EmailChannel(settings),
        DeliveryKind.MESSAGE: MessageChannel(settings),
        DeliveryKind.DOCUMENT: DocumentChannel(settings),
        DeliveryKind.WEBHOOK: WebhookChannel(settings),
    }
    try:
        yield channels
    finally:
        for channel in channels.values():
            await channel.close()
