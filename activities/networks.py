"""Networks: which addresses webhooks may call, and connections that go to none but those.

A name is looked up once, every address behind it is judged, and the connection goes to one that was
judged: who answers for the name cannot give another address a moment later.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from httpcore2 import (
    SOCKET_OPTION,
    AnyIOBackend,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
)

from activities.channel import Refused
from models.settings import variable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses behind a name; raises OSError where there are none."""

SITE_LOCAL = IPv6Network("fec0::/10")

MOST_TRIED = 4
"""Addresses of one name, of those that may be called."""


def networks_in(text: str) -> list[Network]:
    """Return the networks of a setting, parted by commas; what is none is a ValueError."""
    return [ip_network(each.strip()) for each in text.split(",") if each.strip()]


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the whole Internet, and so is any that it stands for."""
    return all(
        each.is_global
        and not each.is_multicast
        and not each.is_reserved
        and not each.is_unspecified
        and each not in SITE_LOCAL
        for each in _meant_by(address)
    )


def _meant_by(address: Address) -> Iterator[Address]:
    """Yield an address, or the ones within it that a packet to it may come to."""
    yield address
    if isinstance(address, IPv6Address) and address.sixtofour is not None:
        yield address.sixtofour


def _plain(text: str) -> Address:
    """Return an address as it goes over the wire: `::ffff:10.0.0.1` is 10.0.0.1."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


async def resolved(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses behind a name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class AllowedNetworks(AsyncNetworkBackend):
    """Connects to public addresses and to these networks; raises `Refused` for any other."""

    def __init__(self, allowed: Sequence[Network], resolve: Resolve = resolved) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._sockets = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's, and used as such
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._judged(host, port)
                return await self._connected(addresses, port, local_address, socket_options)
        except TimeoutError as error:
            raise ConnectTimeout(f"{host} did not answer within {timeout:.0f} seconds") from error

    async def _judged(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host; one that may not be called refuses all."""
        try:
            found = await self._resolve(host, port)
        except OSError as error:
            raise ConnectError(f"{host} is not known: {error.strerror or error}") from error
        except UnicodeError as error:  # Python asks nobody for a name that can be none.
            raise Refused(f"{host} can be no name of a host.") from error
        addresses = list(dict.fromkeys(_plain(each) for each in found))
        for address in addresses:
            allowed = any(address in network for network in self._allowed)
            if not (allowed or is_public(address)):
                called = host if host == str(address) else f"{host} stands for {address}, which"
                raise Refused(
                    f"{called} is no public address: webhooks go there only where "
                    f"{variable('webhooks_may_reach')} names it."
                )
        return addresses

    async def _connected(
        self,
        addresses: Sequence[Address],
        port: int,
        local_address: str | None,
        socket_options: Iterable[SOCKET_OPTION] | None,
    ) -> AsyncNetworkStream:
        failed = ConnectError("there is no address behind the name")
        for address in addresses[:MOST_TRIED]:
            try:
                return await self._sockets.connect_tcp(
                    str(address),
                    port,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except ConnectError as error:
                failed = error
        raise failed
