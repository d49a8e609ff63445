"""One connection: subscribe, keep what is reported, tend the silent."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from asyncua import ua

from core.telemetry.reading import Reading
from edge.collectors.opcua_backfill import Backfill
from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.opcua_items import Item, Missed, first_report, reading_of
from edge.collectors.opcua_keeping import Keeping, Report
from edge.collectors.opcua_monitor import Monitoring
from edge.collectors.opcua_recheck import Recheck
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_service import (
    KEEPALIVE,
    create_subscription,
    operation_limit,
    reaching,
    started_at,
)
from edge.collectors.opcua_values import ReportedValue, reported_value, severity
from edge.collectors.port import Keeper, SourceLost, SourceMisconfigured

log = logging.getLogger(__name__)

_TICK = 0.25
_REPUBLISH_AT_MOST = 50
_HELD_AT_MOST = 200_000
_SEQUENCE_END = 0xFFFFFFFF
_RETRY_REFUSED = 60.0


class Session:
    """One connection's life. `serve` ends only by an error or by being cancelled."""

    def __init__(
        self,
        config: OpcUaSource,
        client: StrictClient,
        items: Sequence[Item],
        keeper: Keeper,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._client = client
        self._items = items
        self._by_handle = {item.handle: item for item in items}
        self._numbered = [item for item in items if item.numbered]
        self._keeping = Keeping(config.name, keeper)
        self._backfill = Backfill(config, client, items, self._keeping, clock)
        self._recheck = Recheck(config, client, self._keeping, clock)
        self._clock = clock
        self._inbox: asyncio.Queue[tuple[ua.PublishResult, asyncio.Future[None]]] = asyncio.Queue(maxsize=1)
        self._lost = asyncio.Event()
        self._monitoring = Monitoring(config, client, self._keeping)
        self._timeout = 0.0
        self._sequence: int | None = None
        self._last_publish_at = 0.0
        self._busy = 0
        self._kept_upto: datetime | None = None
        self._subscribed = False

    def complete_upto(self) -> datetime | None:
        """Everything the server published by then has been kept; None while that cannot be said."""
        if not self._subscribed or self._kept_upto is None:
            return None
        if any(item.awaited or item.recheck or item.to_fill for item in self._items):
            return None
        return min(self._kept_upto, self._recheck.since or self._kept_upto)

    async def serve(self) -> None:
        """Raises SourceLost or SourceMisconfigured."""
        failed: Exception | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._consume())
                await self._subscribe()
                tasks.create_task(self._supervise())
                tasks.create_task(self._backfill.run())
        except* (SourceLost, SourceMisconfigured) as group:
            failed = group.exceptions[0]
        if failed is not None:
            raise failed

    # -- subscribing ---------------------------------------------------------------------------------------------

    async def _subscribe(self) -> None:
        loop = asyncio.get_running_loop()
        self._client.connection_lost_callback = self._on_lost
        with reaching(self._config.endpoint):
            self._monitoring.per_call = await operation_limit(self._client, self._config.per_call)
            self._backfill.server_started = await started_at(self._client)
            made = await create_subscription(self._client, self._config, self._on_publish)
        self._monitoring.subscription = made.SubscriptionId
        keepalive = made.RevisedPublishingInterval / 1000 * max(1, made.RevisedMaxKeepAliveCount)
        self._timeout = 3 * max(keepalive, KEEPALIVE.total_seconds()) + self._config.timeout.total_seconds()
        self._last_publish_at = loop.time()
        for item in self._items:
            item.attach()
            item.seen = loop.time()
        await self._monitoring.locate(self._items)
        await self._monitoring.monitor([item for item in self._items if not item.refused])
        if all(item.refused for item in self._items):
            # A server that had them is still loading its project; one that never had is configured wrongly.
            known = any(item.last_at is not None for item in self._items)
            kind = SourceLost if known and not self._monitoring.renumbered else SourceMisconfigured
            raise kind(f"{self._config.endpoint} refuses every node: {self._items[0].refused}")
        self._subscribed = True

    # -- receiving -----------------------------------------------------------------------------------------------

    async def _on_publish(self, result: ua.PublishResult) -> None:
        """Called by the library's publish loop, which acknowledges when this returns."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._inbox.put((result, done))
        await done

    async def _on_lost(self, _error: Exception) -> None:
        self._lost.set()

    async def _watch(self) -> None:
        await self._lost.wait()
        raise SourceLost(f"{self._config.endpoint}: connection lost")

    async def _consume(self) -> None:
        while True:
            result, done = await self._inbox.get()
            received = self._clock()
            self._busy += 1
            try:
                await self._take(result, received)
            except BaseException:
                # The library's loop must not acknowledge what was not kept.
                done.cancel()
                raise
            done.set_result(None)
            self._busy -= 1
            self._last_publish_at = asyncio.get_running_loop().time()
            self._kept_upto = received

    async def _take(self, result: ua.PublishResult, received: datetime) -> None:
        message = result.NotificationMessage
        has_data = bool(message.NotificationData)
        number = int(message.SequenceNumber)
        expected = None if self._sequence is None else self._sequence % _SEQUENCE_END + 1
        if expected is not None and number > expected:
            await self._recover(range(expected, number), received)
        if has_data:
            self._sequence = number
        elif self._sequence is None:
            # A keep-alive bears the number of the message to come.
            self._sequence = number - 1
        await self._take_message(message, received)

    async def _take_message(self, message: ua.NotificationMessage, received: datetime) -> None:
        for notification in message.NotificationData or ():
            if isinstance(notification, ua.StatusChangeNotification):
                name = severity(int(notification.Status.value))[1]
                raise SourceLost(f"{self._config.endpoint}: the server ended the subscription: {name}")
            if isinstance(notification, ua.DataChangeNotification):
                await self._take_changes(notification.MonitoredItems, received)

    async def _take_changes(self, changes: Sequence[ua.MonitoredItemNotification], received: datetime) -> None:
        reports: list[Report] = []
        for change in changes:
            item = self._by_handle.get(change.ClientHandle)
            if item is None or change.Value is None:
                continue
            word = reported_value(change.Value, item.node.index)
            if word.aside:
                await self._keeping.aside(item, change.Value, word.aside)
            reading, missed = self._report(item, word, received)
            if missed is not None:
                await self._backfill.schedule(item, missed)
            if reading is None:
                continue
            if item.to_fill:
                item.held.append((reading, word))
            else:
                reports.append((item, reading, word))
        await self._keeping.reports(reports)
        if self._backfill.held > _HELD_AT_MOST:
            # The server's queues hold the rest; if they overflow, they say so.
            await self._backfill.all_settled()

    def _report(self, item: Item, word: ReportedValue, received: datetime) -> tuple[Reading | None, Missed | None]:
        """The reading of a report, if it is one to keep, and what was missed before it."""
        if item.awaited:
            item.awaited = False
            return first_report(item, self._config, word, received)
        reading = reading_of(item, self._config, word, received, by=word.stamp)
        if not word.overflow or item.last_at is None or item.last_stamp is None:
            return reading, None
        upto = word.stamp or received
        return reading, Missed(item.last_stamp, upto, item.last_at, reading.at, "queue_overflow", expected=True)

    async def _recover(self, numbers: range, received: datetime) -> None:
        """Asks for messages that did not come; what the server no longer has is missed by every point."""
        lost = len(numbers) > _REPUBLISH_AT_MOST
        for number in [] if lost else numbers:
            try:
                with reaching(self._config.endpoint):
                    message = await self._client.uaclient.session.republish(self._monitoring.subscription, number)
            except SourceLost as error:
                log.debug("%s: message %d: %s", self._config.name, number, error)
                lost = True
                continue
            if message.SequenceNumber == number and message.NotificationData:
                await self._take_message(message, received)
            else:
                lost = True
        if not lost:
            return
        log.warning("%s: messages %d to %d are lost", self._config.name, numbers[0], numbers[-1])
        for item in self._items:
            if item.last_at is not None and item.last_stamp is not None:
                missed = Missed(item.last_stamp, received, item.last_at, received, "message_lost", expected=False)
                await self._backfill.schedule(item, missed)

    # -- tending -------------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        """Reads the silent again, retries the refused, notices a subscription that went dead."""
        loop = asyncio.get_running_loop()
        silence = self._config.longest_silence.total_seconds()
        grace = loop.time() + 2 * self._config.publishing.total_seconds() + self._config.timeout.total_seconds()
        retry = loop.time() + _RETRY_REFUSED
        while True:
            now = loop.time()
            if not self._busy and now - self._last_publish_at > self._timeout:
                raise SourceLost(f"{self._config.endpoint}: no publish response for {self._timeout:.0f} s")
            if now > grace:
                for item in self._items:
                    item.recheck = item.recheck or item.awaited
            if self._numbered:
                await self._monitoring.note_lengths(self._numbered)
            if now > retry:
                await self._monitoring.retry([item for item in self._items if item.refused])
                retry = now + _RETRY_REFUSED
            due = [item for item in self._items if item.recheck or (not item.awaited and now - item.seen >= silence)]
            await self._recheck.read(
                [item for item in due if not item.refused and not item.to_fill], self._monitoring.per_call
            )
            await self._recheck.refuse([item for item in due if item.refused])
            await asyncio.sleep(min(_TICK, silence / 4))
