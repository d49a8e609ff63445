"""What an OPC UA source is configured with: server, channel, identity, nodes. Every error names its field."""

import math
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from edge.collectors.port import PointAddress, SourceConfig

Policy = Literal["None", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
Mode = Literal["None", "Sign", "SignAndEncrypt"]
Seconds = Annotated[timedelta, Field(gt=timedelta(0))]

_NODE_ID = re.compile(
    r"""
    (?: ns=(?P<index>\d+); | nsu=[^;]+; )?
    (?: i=(?P<number>\d+) | s=.+ | g=[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}
      | b=(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==) )
    """,
    re.DOTALL | re.VERBOSE,
)
_INDEX_MAX, _NUMBER_MAX = 0xFFFF, 0xFFFFFFFF
"""Of a namespace's index and a numeric identifier (OPC 10000-6 §5.2.2.9); larger ones cannot be sent."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Deadband(_Strict):
    """Changes the server need not report. Absolute: in the node's unit; percent: of its EURange."""

    type: Literal["absolute", "percent"] = "absolute"
    value: float = Field(gt=0, allow_inf_nan=False)


class OpcUaNode(_Strict):
    """One node and the point it speaks for.

    `node` is `nsu=http://maker/ns;s=Name` or `ns=2;s=Name`. A server may number its namespaces anew when it is started:
    the URI behind an index is remembered, and a node is refused when another is there.
    """

    node: str
    point: PointAddress
    unit: str = ""
    index: int | None = Field(default=None, ge=0)
    """The element to take where the node's value is an array."""
    of: int | None = Field(default=None, ge=1)
    """How many elements the array has. By default as many as it first had; of another number of elements none is taken,
    since nobody knows which is which."""
    sampling: timedelta = Field(default=timedelta(seconds=1), ge=timedelta(0), le=timedelta(hours=12))
    """How often the server looks at the value; 0 is as fast as it can."""
    queue: int | None = Field(default=None, ge=1)
    """Values the server keeps between two publishings; by default four times what sampling can produce."""
    deadband: Deadband | None = None
    report: Literal["value", "timestamp"] = "value"
    """Report when status or value changes, or also when only the source's time stamp does."""

    @property
    def namespace(self) -> int | None:
        """The index by which it names its namespace; None where it names it by URI, or is of the standard's own."""
        found = _NODE_ID.fullmatch(self.node)
        return int(found["index"]) or None if found and found["index"] else None

    @field_validator("node")
    @classmethod
    def _node_id(cls, text: str) -> str:
        found = _NODE_ID.fullmatch(text)
        if not found or int(found["index"] or 0) > _INDEX_MAX or int(found["number"] or 0) > _NUMBER_MAX:
            raise ValueError(f"{text!r} is not a node id such as 'ns=2;s=Chamber.Temperature' or 'nsu=http://x;i=7'")
        return text


class Security(_Strict):
    """The channel, exactly: a server that does not offer this policy and mode is refused, never met half-way.

    `trust` is a directory of certificates (.der, .crt, .pem): the server's own, or the authority's that signed it; in
    the second case the certificate must name the host of the endpoint.
    """

    policy: Policy = "None"
    mode: Mode = "None"
    certificate: Path | None = None
    key: Path | None = None
    key_password: SecretStr | None = None
    trust: Path | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.policy == "None") != (self.mode == "None"):
            raise ValueError("policy and mode are both None or neither is")
        if self.mode != "None" and not (self.certificate and self.key and self.trust):
            raise ValueError(f"mode {self.mode} needs certificate, key and trust")
        return self


class OpcUaServer(_Strict):
    """A server and the way to it: all that browsing needs."""

    endpoint: str
    security: Security = Security()
    user: str | None = None
    password: SecretStr | None = None
    allow_clear_password: bool = False
    """Allows a password to travel readable by others, or to a server whose certificate nobody checked."""
    timeout: Seconds = timedelta(seconds=4)

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, text: str) -> str:
        parts = urlsplit(text)
        if parts.username is not None or parts.password is not None:
            raise ValueError("put user and password into their own fields, not into the endpoint")
        if parts.scheme != "opc.tcp" or not parts.hostname:
            raise ValueError(f"{text!r} is not an endpoint such as opc.tcp://host:4840/path")
        return text if parts.port else text.replace(parts.netloc, f"{parts.netloc}:4840", 1)

    @model_validator(mode="after")
    def _identity(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        return self

    @property
    def host(self) -> str:
        """Host of the endpoint."""
        return urlsplit(self.endpoint).hostname or ""


class OpcUaSource(OpcUaServer, SourceConfig):
    """One server and the nodes read from it."""

    protocol: Literal["opcua"]
    publishing: Seconds = timedelta(seconds=0.5)
    """Publishing interval."""
    history: bool = True
    """After a break, read what was missed from the server's history where the node has one."""
    history_limit: Seconds = timedelta(days=7)
    """How far back history is read at most; what lies before is a gap."""
    per_call: int = Field(default=100, ge=1, le=10_000)
    """Nodes in one request, for servers with operation limits."""
    nodes: tuple[OpcUaNode, ...] = Field(min_length=1)
    _remembered: dict[str, object] = PrivateAttr(default_factory=dict)

    @property
    def remembered(self) -> dict[str, object]:
        """What this process knows of the server, for the collector alone; it outlives a collector made anew."""
        return self._remembered

    @model_validator(mode="after")
    def _one_owner(self) -> Self:
        times = Counter(node.point for node in self.nodes)
        twice = sorted(point for point, count in times.items() if count > 1)
        if twice:
            raise ValueError(f"point configured twice: {', '.join(twice)}")
        return self

    def queue_of(self, node: OpcUaNode) -> int:
        """The queue to ask for: never 0, which a server takes as 1."""
        if node.queue is not None:
            return node.queue
        if not node.sampling:
            return 1000
        return max(10, 4 * math.ceil(self.publishing / node.sampling))
