"""The few OPC UA services the collector uses, in its own terms; the library's errors told apart by who can act."""

import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from asyncua import Client, ua
from cryptography.exceptions import InvalidSignature

from edge.collectors.opcua_config import OpcUaNode, OpcUaSource
from edge.collectors.opcua_values import moment
from edge.collectors.port import SourceLost, SourceMisconfigured

T = TypeVar("T")
OnPublish = Callable[[ua.PublishResult], Coroutine[Any, Any, None]]

KEEPALIVE = timedelta(seconds=1)
"""How often a subscription without news is to say that it lives; the watermark moves at least this often."""
_LIFETIME = timedelta(seconds=60)
_NOTIFICATIONS_PER_PUBLISH = 5000
_HISTORY_SLICE = timedelta(hours=6)
_HISTORY_READ = 1 << int(ua.AccessLevel.HistoryRead)
_SERVER_TIME = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
_STARTED = ua.NodeId(ua.ObjectIds.Server_ServerStatus_StartTime)
_LIMITS = tuple(
    ua.NodeId(getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}"))
    for name in ("MaxNodesPerRead", "MaxMonitoredItemsPerCall")
)

_OPERATORS = {
    code: hint
    for codes, hint in (
        (("BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid"), "check user and password"),
        (
            (
                "BadSecurityChecksFailed",
                "BadCertificateInvalid",
                "BadCertificateUntrusted",
                "BadCertificateUriInvalid",
                "BadCertificateUseNotAllowed",
                "BadCertificateTimeInvalid",
                "BadCertificateHostNameInvalid",
                "BadCertificateIssuerUseNotAllowed",
                "BadCertificateChainIncomplete",
                "BadCertificateRevoked",
            ),
            "the server does not accept our certificate: put it into the server's trust list",
        ),
        (("BadSecurityPolicyRejected", "BadSecurityModeRejected"), "the server refuses this policy or mode"),
        (("BadTooManyOperations",), "the server takes fewer nodes in one request: lower per_call"),
    )
    for code in codes
}
"""Refusals that only an operator can mend, and what to do."""


@contextmanager
def reaching(endpoint: str) -> Iterator[None]:
    """Turns the library's errors into SourceMisconfigured where the operator can act, else SourceLost."""
    try:
        yield
    except ua.UaStatusCodeError as error:
        name = ua.StatusCode(error.code).name
        if name in _OPERATORS:
            raise SourceMisconfigured(f"{endpoint}: {name}: {_OPERATORS[name]}") from error
        raise SourceLost(f"{endpoint}: {name}") from error
    except InvalidSignature as error:
        raise SourceMisconfigured(f"{endpoint}: the server does not hold the key to its certificate") from error
    except (OSError, TimeoutError, ua.UaError) as error:
        raise SourceLost(f"{endpoint}: {type(error).__name__} {error}".rstrip()) from error


def in_groups(sequence: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Slices of at most `size`."""
    for start in range(0, len(sequence), size):
        yield sequence[start : start + size]


def node_id(text: str, namespaces: Sequence[str]) -> ua.NodeId:
    """The node id on this server. Raises LookupError if the server lacks the namespace."""
    if text.startswith("nsu="):
        uri, _, rest = text.removeprefix("nsu=").partition(";")
        if uri not in namespaces:
            raise LookupError(f"the server has no namespace {uri}")
        text = f"ns={namespaces.index(uri)};{rest}"
    return ua.NodeId.from_string(text)


async def operation_limit(client: Client, asked: int) -> int:
    """Nodes one request may name: as asked, or fewer where the server says so. One is left for the server's clock."""
    values = await client.uaclient.session.read_attributes(list(_LIMITS), ua.AttributeIds.Value)
    limits = [value.Value.Value for value in values if value.Value is not None]
    return max(1, min([asked, *(limit - 1 for limit in limits if isinstance(limit, int) and limit > 0)]))


async def started_at(client: Client) -> datetime | None:
    """When the server was started, by its own clock; None if it does not tell."""
    (value,) = await client.uaclient.session.read_attributes([_STARTED], ua.AttributeIds.Value)
    stamp = value.Value.Value if value.Value is not None else None
    return moment(stamp) if isinstance(stamp, datetime) else None


async def create_subscription(
    client: Client, config: OpcUaSource, on_publish: OnPublish
) -> ua.CreateSubscriptionResult:
    """A subscription whose every publish response is awaited in `on_publish` before it is acknowledged.

    This is the session's own service, below the library's Subscription class, which hands notifications to tasks or
    to a queue that drops the oldest, and acknowledges before anybody has kept them (facts §5).
    """
    params = ua.CreateSubscriptionParameters()
    params.RequestedPublishingInterval = config.publishing.total_seconds() * 1000
    params.RequestedMaxKeepAliveCount = max(1, round(KEEPALIVE / config.publishing))
    params.RequestedLifetimeCount = max(3 * params.RequestedMaxKeepAliveCount, math.ceil(_LIFETIME / config.publishing))
    params.MaxNotificationsPerPublish = _NOTIFICATIONS_PER_PUBLISH
    params.PublishingEnabled = True
    params.Priority = 0
    return await client.uaclient.session.create_subscription(params, callback=on_publish)


def item_request(node: OpcUaNode, node_id: ua.NodeId, handle: int, queue: int) -> ua.MonitoredItemCreateRequest:
    """A monitored item with its queue said outright: 0 would mean none (facts §5)."""
    params = ua.MonitoringParameters()
    params.ClientHandle = handle
    params.SamplingInterval = node.sampling.total_seconds() * 1000
    params.QueueSize = queue
    params.DiscardOldest = True
    if node.deadband is not None or node.report == "timestamp":
        params.Filter = ua.DataChangeFilter()
        stamped = node.report == "timestamp"
        params.Filter.Trigger = (
            ua.DataChangeTrigger.StatusValueTimestamp if stamped else ua.DataChangeTrigger.StatusValue
        )
        if node.deadband is not None:
            absolute = node.deadband.type == "absolute"
            params.Filter.DeadbandType = ua.DeadbandType.Absolute if absolute else ua.DeadbandType.Percent
            params.Filter.DeadbandValue = node.deadband.value
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor = ua.ReadValueId(NodeId=node_id, AttributeId=ua.AttributeIds.Value)
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters = params
    return request


async def create_items(
    client: Client, subscription: int, requests: Sequence[ua.MonitoredItemCreateRequest]
) -> list[ua.MonitoredItemCreateResult]:
    """One result for each request, in their order."""
    params = ua.CreateMonitoredItemsParameters()
    params.SubscriptionId = subscription
    params.TimestampsToReturn = ua.TimestampsToReturn.Both
    params.ItemsToCreate = list(requests)
    return list(await client.uaclient.session.create_monitored_items(params))


async def read_now(client: Client, ids: Sequence[ua.NodeId]) -> tuple[datetime | None, list[ua.DataValue]]:
    """The server's clock, if it tells it, and the nodes' values with both stamps, asked of the device (max age 0)."""
    params = ua.ReadParameters()
    params.MaxAge = 0
    params.TimestampsToReturn = ua.TimestampsToReturn.Both
    params.NodesToRead = [
        ua.ReadValueId(NodeId=each, AttributeId=ua.AttributeIds.Value) for each in (_SERVER_TIME, *ids)
    ]
    clock, *values = await client.uaclient.session.read(params)
    stamp = clock.Value.Value if clock.Value is not None else None
    return moment(stamp) if isinstance(stamp, datetime) else None, values


async def may_read_history(client: Client, ids: Sequence[ua.NodeId]) -> list[bool]:
    """Which nodes have a history that this user may read."""
    values = await client.uaclient.session.read_attributes(list(ids), ua.AttributeIds.UserAccessLevel)
    levels = [value.Value.Value if value.Value is not None else None for value in values]
    return [isinstance(level, int) and bool(level & _HISTORY_READ) for level in levels]


async def history(
    client: Client, node: ua.NodeId, start: datetime, stop: datetime
) -> AsyncIterator[list[ua.DataValue]]:
    """The node's raw history over [start, stop], page by page. Raises ua.UaError when the server will not."""
    reader = client.get_node(node)
    while start <= stop:
        details = ua.ReadRawModifiedDetails()
        details.IsReadModified = False
        details.StartTime = start
        details.EndTime = min(stop, start + _HISTORY_SLICE)
        details.NumValuesPerNode = 0
        details.ReturnBounds = False
        more: bytes | None = None
        while True:
            page = await reader.history_read(details, more)
            page.StatusCode.check()
            yield list(page.HistoryData.DataValues or ()) if page.HistoryData is not None else []
            if not page.ContinuationPoint or page.ContinuationPoint == more:
                break
            more = page.ContinuationPoint
        if details.EndTime >= stop:
            return
        start = details.EndTime
