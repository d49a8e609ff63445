"""Connections of nats-py, made and ended for certain: both ends of the stream use them so. No driver is imported here.

nats-py (2.16) waits for ever for the other end of a TLS connection that was refused, and with it its reconnecting; it
forgets a connection that broke off while it was being made; and a client that is closed, cancelled or refused while it
connects may go on connecting behind one's back. What it leaves open is noticed only when its loop is gone.
"""

# ruff: noqa: SLF001 - the library tells nobody of the connection under a client

import asyncio
import re
from collections.abc import Iterable
from typing import Any

CLOSE_TIMEOUT = 2.0
"""Seconds that a connection has for closing in order."""


def without_credentials(urls: Iterable[str]) -> str:
    """Addresses as they may be told and logged: without who signs in there, and with what."""
    return ", ".join(re.sub(r"//[^/]*@", "//", url) for url in urls)


def closing_within(transport: type[Any], seconds: float = CLOSE_TIMEOUT) -> type[Any]:
    """A client library's transport whose `wait_closed` gives up after so many seconds and cuts the connection, which
    cuts the one before when another is made, and makes none once it is `over`.
    """

    class Closing(transport):  # type: ignore[misc] # of which kind is known at run time only: TCP or WebSocket
        over = False

        async def connect(self, *where: Any, **options: Any) -> None:
            abort(self)
            if not self.over:
                await super().connect(*where, **options)
            if self.over:
                abort(self)
                raise asyncio.CancelledError  # the one thing after which the library does not try again

        async def wait_closed(self) -> None:
            try:
                async with asyncio.timeout(seconds):
                    await super().wait_closed()
            except TimeoutError:
                abort(self)

    return Closing


def abort(transport: Any) -> None:
    """Ends a transport's connection at once: the one it has, and the bare one below if that is TLS."""
    for writer in (transport._io_writer, transport._bare_io_writer):
        if writer is not None:
            writer.transport.abort()


async def connect_within(client: Any, within: float | None, **options: Any) -> None:
    """Connects a client that is new. Where that fails, takes longer or is cancelled, nothing is left open.

    Raises TimeoutError, and what the library raises.
    """
    connecting = asyncio.create_task(client.connect(**options))
    try:
        async with asyncio.timeout(within):
            # not awaited directly: the library swallows a cancellation that comes while it connects
            await asyncio.wait([connecting])
        connecting.result()
    except BaseException:
        _finish(client)
        connecting.cancel()
        await asyncio.wait([connecting])
        await disconnect_within(client)
        raise


async def disconnect_within(client: Any, seconds: float = CLOSE_TIMEOUT) -> None:
    """Closes a client, whatever it is doing and whatever comes of that: in order within so many seconds, or at once.

    Afterwards it has no connection and makes none.
    """
    closing = asyncio.create_task(client.close())
    try:
        await asyncio.wait([closing], timeout=seconds)
    finally:
        _finish(client)
        closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)  # of what it says, nothing concerns anybody any more


async def end_subscription(client: Any, subscription: Any, seconds: float = CLOSE_TIMEOUT / 2) -> None:
    """Ends a subscription after what is on its way to it: the server is told, and its answer comes behind the last
    message. Where there is no connection, or no answer in time, it is forgotten at once; the library would keep it, and
    subscribe it again when it reconnects. Raises TimeoutError, and what the library raises.
    """
    try:
        if client.is_connected:
            async with asyncio.timeout(seconds):
                await subscription.drain()
    finally:
        subscription._stop_processing()
        client._remove_sub(subscription._id)


def _finish(client: Any) -> None:
    if client._transport is not None:
        client._transport.over = True
        abort(client._transport)
