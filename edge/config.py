"""The gateway's configuration: typed, and every error told at once with file and line, before anything starts."""

import contextlib
import gc
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializeAsAny,
    model_validator,
)

from core.telemetry.address import BadAddress, check_point
from core.telemetry.located import ConfigErrors, Located, NodePath
from core.telemetry.stream import StreamSettings
from edge.collectors.port import Segment, SourceConfig
from edge.config_checks import did_you_mean, validated
from edge.sources import PROTOCOLS, SourceKind
from edge.spool import DropPolicy, SpoolOptions


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _nats_url(text: str) -> str:
    wrong = "is not a URL like nats://host:4222"
    if not re.match(r"(nats|tls|ws|wss)://[^/\s]+", text):
        raise ValueError(wrong)
    try:
        _ = urlsplit(text).port
    except ValueError as error:
        raise ValueError(f"{wrong}: {error}") from error
    return text


def _folder(path: Path) -> Path:
    if path == Path():
        raise ValueError("is not a path of a folder")
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is not a folder")
    return path


Url = Annotated[str, AfterValidator(_nats_url)]


class TlsConfig(_Strict):
    """TLS towards the stream: whom to trust, and who we are. Paths of PEM files."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        for path in (self.ca, self.cert, self.key):
            if path is not None and not path.is_file():
                raise ValueError(f"{path}: no such file")
        return self


class StreamConfig(_Strict):
    """The NATS servers, who we are to them, and what the stream is created with if it is not there."""

    urls: tuple[Url, ...] = Field(min_length=1)
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    credentials: Path | None = None
    tls: TlsConfig | None = None
    domain: str | None = None
    """JetStream domain, where the gateway connects to a leaf node and the stream is in the hub."""
    replicas: int = Field(default=1, ge=1, le=5)
    max_age: timedelta = Field(default=timedelta(hours=24), gt=timedelta(minutes=2))
    max_bytes: int | None = Field(default=None, ge=1024 * 1024)

    @model_validator(mode="before")
    @classmethod
    def _urls_in_a_text(cls, data: Any) -> Any:
        """One URL, or several with commas between, as the core's LOTWISE_NATS_URL has them."""
        if isinstance(data, dict) and isinstance(data.get("urls"), str):
            return data | {"urls": [url.strip() for url in data["urls"].split(",")]}
        return data

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        if sum(given is not None for given in (self.user, self.token, self.credentials)) > 1:
            raise ValueError("give one of: user and password, token, credentials")
        if self.credentials is not None and not self.credentials.is_file():
            raise ValueError(f"credentials: no such file {self.credentials}")
        return self

    @property
    def settings(self) -> StreamSettings:
        """What a missing stream is created with."""
        return StreamSettings(self.replicas, self.max_age, self.max_bytes)


class SpoolConfig(_Strict):
    """Bounds of the spool. `policy`: refuse new readings when full, or drop the oldest and leave a tombstone."""

    max_bytes: int = Field(default=4 * 1024**3, ge=1024 * 1024)
    policy: DropPolicy = DropPolicy.REFUSE
    keep_confirmed: timedelta = Field(default=timedelta(hours=48), ge=timedelta(0))

    @property
    def options(self) -> SpoolOptions:
        """The spool's own words for this."""
        return SpoolOptions(max_bytes=self.max_bytes, policy=self.policy, keep_confirmed=self.keep_confirmed)


class ForwarderConfig(_Strict):
    """How batches are sent: how many may be in flight, and how often the core is asked what it has."""

    window: int = Field(default=256, ge=1, le=4096)
    confirm_every: timedelta = Field(default=timedelta(seconds=1), ge=timedelta(milliseconds=50))
    watermark_every: timedelta = Field(default=timedelta(seconds=2), ge=timedelta(milliseconds=100))


class HealthConfig(_Strict):
    """Where /healthz and /metrics are served. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=9180, ge=0, le=65535)


class ClockConfig(_Strict):
    """How far the gateway's clock may be from the stream server's before health says so."""

    max_offset: timedelta = Field(default=timedelta(seconds=2), gt=timedelta(0))


class GatewayConfig(_Strict):
    """One gateway process: its name, its site, where it keeps its spool, where it sends, what it reads."""

    gateway: Segment
    site: Segment
    instance: Literal["test", "live"]
    """A live instance refuses simulated sources."""
    data_dir: Annotated[Path, AfterValidator(_folder)]
    redundancy_group: Segment | None = None
    """Gateways of one group are in hot standby for each other: all read the same sources, under the same names. Of
    each source it is enough that one of them speaks; that another is silent is told, and is no zone's alarm.
    """
    stream: StreamConfig
    spool: SpoolConfig = SpoolConfig()
    forwarder: ForwarderConfig = ForwarderConfig()
    health: HealthConfig = HealthConfig()
    clock: ClockConfig = ClockConfig()
    sources: tuple[SerializeAsAny[SourceConfig], ...] = ()


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """Does not look for garbage meanwhile: with the nodes of thousands of points, that would take more than half of the
    time, and find nothing.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def load(
    path: Path, environment: Mapping[str, str] | None = None, protocols: Mapping[str, SourceKind] = PROTOCOLS
) -> GatewayConfig:
    """The configuration of a file. Relative paths are as written; a stream without `urls` is LOTWISE_NATS_URL.

    Raises ConfigErrors with everything that is wrong.
    """
    with _without_collecting():
        return _loaded(Located(path, environment), environment, protocols)


def _loaded(
    document: Located, environment: Mapping[str, str] | None, protocols: Mapping[str, SourceKind]
) -> GatewayConfig:
    if not isinstance(document.data, dict):
        document.error((), "the file must be a mapping with gateway, site, instance, data_dir, stream and sources")
        raise ConfigErrors(document.errors)
    head = {key: value for key, value in document.data.items() if key != "sources"}
    here = (os.environ if environment is None else environment).get("LOTWISE_NATS_URL")
    if here and isinstance(head.get("stream", {}), dict):
        # what `lotwise up` tells its gateway, where the file names no server
        head["stream"] = {"urls": here.split(",")} | head.get("stream", {})
    gateway = validated(GatewayConfig, document, (), head)
    name = "" if gateway is None else gateway.gateway
    sources = {i: source.of(name) for i, source in _sources(document, protocols).items()}
    _check_names(document)
    _check_sessions(document, sources)
    _check_points(document)
    if head.get("instance") == "live":
        _refuse_simulated(document, sources)
    if document.errors or gateway is None:
        raise ConfigErrors(document.errors)
    return gateway.model_copy(update={"sources": tuple(sources.values())})


def _listed(document: Located) -> list[Any]:
    sources = document.data.get("sources")
    return sources if isinstance(sources, list) else []


def _sources(document: Located, protocols: Mapping[str, SourceKind]) -> dict[int, SourceConfig]:
    """Every source that is right, by its place; what is wrong is noted."""
    found = {i: _source(document, i, protocols) for i in range(_count(document))}
    return {i: source for i, source in found.items() if source is not None}


def _count(document: Located) -> int:
    if "sources" not in document.data:
        document.error(("sources",), "is required")
    elif not isinstance(document.data["sources"], list):
        document.error(("sources",), "must be a list")
    elif not document.data["sources"]:
        document.error(("sources",), "must name at least one source")
    return len(_listed(document))


def _source(document: Located, index: int, protocols: Mapping[str, SourceKind]) -> SourceConfig | None:
    where: NodePath = ("sources", index)
    data = document.value(where)
    if not isinstance(data, dict):
        document.error(where, "a source must be a mapping with name, protocol and so on")
        return None
    protocol = data.get("protocol")
    known = ", ".join(sorted(protocols))
    if protocol is None:
        document.error((*where, "protocol"), f"is required: one of {known}")
        return None
    if not isinstance(protocol, str) or protocol not in protocols:
        document.error(
            (*where, "protocol"), f"{protocol!r} is not one of {known}{did_you_mean(str(protocol), protocols)}"
        )
        return None
    return validated(protocols[protocol].config, document, where, data)


def _check_names(document: Located) -> None:
    seen: dict[str, int] = {}
    for i, source in enumerate(_listed(document)):
        name = source.get("name") if isinstance(source, dict) else None
        if isinstance(name, str):
            where: NodePath = ("sources", i, "name")
            if name in seen:
                document.error(where, f"{name!r} is the name of another source, on line {seen[name]}")
            seen.setdefault(name, document.lines[where])


def _check_sessions(document: Located, sources: Mapping[int, SourceConfig]) -> None:
    """Two sources with one session would throw each other out for ever."""
    seen: dict[str, int] = {}
    for i, source in sources.items():
        if source.alone is None:
            continue
        where: NodePath = ("sources", i)
        if source.alone in seen:
            document.error(where, f"{source.alone} is also that of the source on line {seen[source.alone]}")
        seen.setdefault(source.alone, document.lines[where])


def _refuse_simulated(document: Located, sources: Mapping[int, SourceConfig]) -> None:
    for i, source in enumerate(_listed(document)):
        if sources[i].simulated if i in sources else isinstance(source, dict) and source.get("simulated") is True:
            document.error(("sources", i, "simulated"), "a live instance refuses simulated sources")


def _check_points(document: Located) -> None:
    """A point has one source, and lies at the gateway's site."""
    owners: dict[str, tuple[int, int]] = {}
    site = document.data.get("site")
    for i, source in enumerate(_listed(document)):
        for where, point in _points(source, ("sources", i)):
            first, slash, _ = point.partition("/")
            if isinstance(site, str) and slash and "{" not in first and first != site:
                document.error(where, f"{point} is not at this gateway's site, {site!r}")
            try:
                check_point(point)
            except BadAddress:
                continue
            owner, line = owners.setdefault(point, (i, document.lines[where]))
            if owner != i:
                document.error(where, f"{point} is also read by another source, on line {line}")


def _points(data: Any, where: NodePath) -> Iterator[tuple[NodePath, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "point" and isinstance(value, str):
                yield (*where, key), value
            else:
                yield from _points(value, (*where, key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            yield from _points(value, (*where, i))
