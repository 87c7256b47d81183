"""Limits: how many requests somebody may send in a while, so that one cannot stop all others.

Each process counts on its own: of several, each lets through so many.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from models.settings import Settings

OFF = "off"

NAMELESS = "unknown"
"""Clients without an address, as of a local socket."""


class TooManyRequests(Exception):
    """Somebody has sent more than a while allows."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many requests: try again in {wait} s.")
        self.wait = wait


@dataclass(frozen=True)
class Left:
    """What somebody may still send, as the headers of draft-ietf-httpapi-ratelimit-headers say."""

    policy: str
    allowed: int
    window: int
    remaining: int
    reset: int

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.allowed};w={self.window}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset}',
        }


class Limits:
    """Counts the requests of each user, and of each address that sends no valid token."""

    def __init__(self, settings: Settings) -> None:
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._policies = {
            policy: parse(limit)
            for policy, limit in (
                ("users", settings.rate_limit),
                ("strangers", settings.rate_limit_strangers),
            )
            if limit != OFF
        }

    async def count_user(self, request: Request, user_id: int) -> None:
        """Count a request of a user, or raise `TooManyRequests`."""
        await self._count(request, "users", str(user_id))

    async def count_stranger(self, request: Request) -> None:
        """Count a request that sent no valid token, or raise `TooManyRequests`."""
        address = NAMELESS if request.client is None else request.client.host
        await self._count(request, "strangers", address)

    async def count_link(self, request: Request, link: str) -> None:
        """Count a request that came by a link which opens something, or raise.

        As many as of a user: whoever was sent it may ask through a proxy that many use.
        """
        await self._count(request, "users", link)

    async def _count(self, request: Request, policy: str, who: str) -> None:
        limit = self._policies.get(policy)
        if limit is None:
            return
        within = await self._counter.hit(limit, policy, who)
        reset_at, remaining = await self._counter.get_window_stats(limit, policy, who)
        wait = max(1, math.ceil(reset_at - time.time()))
        left = Left(policy, limit.amount, limit.get_expiry(), max(0, remaining), wait)
        request.state.headers = left.headers
        if not within:
            raise TooManyRequests(wait)
