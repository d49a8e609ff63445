"""What the environment says (`LOTWISE_*`). An unset URL means the embedded server."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PLACEHOLDER = "change-me"
SHORTEST_SECRET = 32


class Settings(BaseSettings):
    """Settings of the core, its ways to other servers and the demo. Secrets have no default."""

    model_config = SettingsConfigDict(env_prefix="LOTWISE_", extra="ignore", use_attribute_docstrings=True)

    instance: Literal["test", "live"] = "live"
    """Simulators refuse a live instance, and a live instance refuses simulated readings."""
    data_dir: Path = Path(".lotwise")
    """Where embedded servers, keys and the audit trail's witness keep their files."""
    database_url: str | None = None
    """PostgreSQL; unset: the embedded server."""
    migrate_url: str | None = None
    """PostgreSQL for the role that owns the tables (lotwise_owner), for `lotwise migrate`; LOTWISE_DATABASE_URL is of
    another role, lotwise_app, which owns nothing. Unset: the application's own, where it owns them."""

    secret_key: SecretStr | None = None
    """Signs access tokens, at least 32 characters; made and kept beside the embedded database."""
    audit_key: SecretStr | None = None
    """Signs audit rows, at least 32 characters; several, with commas between: the first signs, all verify. Unset: the
    keys in audit.key of the data folder, made at first start. Processes with several data folders need the same one."""
    token_minutes: int = Field(default=15, ge=1, le=60)
    """How long an access token is good for."""
    session_idle_minutes: int = Field(default=30, ge=2, le=480)
    """How long a browser's session may be unused before it ends; a wall display's (role display) does not."""
    session_hours: int = Field(default=12, ge=1, le=24)
    """How long a browser's session lasts at most; a wall display's lasts 30 days."""

    nats_url: str | None = None
    """The stream: one URL, or several with commas between; unset: the embedded server."""
    nats_user: str | None = None
    """Signs in to the stream, together with the password."""
    nats_password: SecretStr | None = None
    """Goes with the user."""
    nats_token: SecretStr | None = None
    """Signs in to the stream instead of user and password."""
    nats_credentials: Path | None = None
    """A credentials file (JWT and seed) instead of user and password."""
    nats_ca: Path | None = None
    """The authority that signed the stream's certificate; the connection is TLS."""
    nats_certificate: Path | None = None
    """Our own certificate, where the stream asks for one."""
    nats_key: Path | None = None
    """The key of our own certificate."""
    nats_replicas: int = Field(default=1, ge=1, le=5)
    """On how many nodes of a NATS cluster the stream is made, where it has to be made: 3 in production."""

    influx_url: str | None = None
    """InfluxDB 2 (or 1.8 by its v2 API) as the series store behind; unset: PostgreSQL is the series store."""
    influx_token: SecretStr | None = None
    """What InfluxDB lets us write with; of a 1.8: user:password."""
    influx_org: str = "lotwise"
    """InfluxDB's organisation."""
    influx_bucket: str = "lotwise"
    """InfluxDB's bucket; of a 1.8: database/retention policy."""

    grafana_url: str | None = None
    """Grafana, for annotations of excursions and holds; unset: none are made."""
    grafana_public_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """Where people open Grafana: pages of zones and lots lead to its boards; unset: they do not."""
    grafana_token: SecretStr | None = None
    """A Grafana service account's token, with the role Editor."""

    reply_token: Annotated[SecretStr, Field(min_length=32)] | None = None
    """What an SMS gateway or chat robot that hands in answers to messages names itself by, at least 32 characters."""

    certificate: Path | None = None
    """The server's certificate with its chain (PEM), for TLS without a proxy; `key` belongs to it."""
    key: Path | None = None
    trusted_proxies: str = ""
    """Addresses and networks, comma separated, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    plant_networks: str = ""
    """Networks, comma separated (10.20.0.0/16), in which a plant engineer may have the pages ask a broker or server
    what it has; unset: on a test instance this machine, on a live one nowhere."""

    host: str = "127.0.0.1"
    """The address that the API and the pages listen on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """The port that the API and the pages listen on; 0: a free one."""
    workers: int = Field(default=1, ge=1, le=64)
    """How many processes serve the API and the pages, on one port: one for each core that there is to spare."""
    metrics_host: str = "127.0.0.1"
    """The address that figures for Prometheus are told at."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """The port at which the core tells Prometheus its figures (/metrics), without sign-in; unset: it does not."""
    ingest_metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """The port at which an ingest worker tells Prometheus its figures; unset: it does not."""
    log_level: str = "INFO"
    """What is logged: DEBUG, INFO, WARNING, ERROR."""

    @field_validator(
        "secret_key",
        "audit_key",
        "nats_password",
        "nats_token",
        "influx_token",
        "grafana_token",
        "reply_token",
    )
    @classmethod
    def _no_placeholder(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and PLACEHOLDER in value.get_secret_value():
            raise ValueError(f"is still the placeholder {PLACEHOLDER!r}: choose a secret of your own")
        return value

    @field_validator("database_url", "migrate_url")
    @classmethod
    def _psycopg(cls, value: str | None) -> str | None:
        """The URL with psycopg as its driver, whatever it was written with."""
        if value is None:
            return None
        if PLACEHOLDER in value:
            raise ValueError(f"its password is still the placeholder {PLACEHOLDER!r}")
        scheme, _, rest = value.partition("://")
        if scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
            raise ValueError(f"only PostgreSQL keeps the ERP, not {scheme}")
        return f"postgresql+psycopg://{rest}"

    @field_validator("trusted_proxies", "plant_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for network in filter(None, (part.strip() for part in value.split(","))):
            ip_network(network, strict=False)  # its ValueError names what is no network
        return value

    @property
    def proxies(self) -> tuple[str, ...]:
        """The trusted proxies, one by one."""
        return tuple(filter(None, (part.strip() for part in self.trusted_proxies.split(","))))

    @property
    def plant(self) -> tuple[str, ...]:
        """The networks that the pages may ask in, one by one."""
        given = tuple(filter(None, (part.strip() for part in self.plant_networks.split(","))))
        return given or (("127.0.0.0/8", "::1/128") if self.instance == "test" else ())

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if (self.nats_user is None) != (self.nats_password is None):
            raise ValueError("LOTWISE_NATS_USER and LOTWISE_NATS_PASSWORD go together")
        if (self.nats_certificate is None) != (self.nats_key is None):
            raise ValueError("LOTWISE_NATS_CERTIFICATE and LOTWISE_NATS_KEY go together")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("LOTWISE_CERTIFICATE and LOTWISE_KEY go together")
        if sum(given is not None for given in (self.nats_user, self.nats_token, self.nats_credentials)) > 1:
            raise ValueError("give the stream one of: user and password, token, credentials")
        for file in (
            self.nats_credentials,
            self.nats_ca,
            self.nats_certificate,
            self.nats_key,
            self.certificate,
            self.key,
        ):
            if file is not None and not file.is_file():
                raise ValueError(f"no such file: {file}")
        return self

    def store_behind(self) -> tuple[str | None, str, str, str]:
        """(URL, bucket, token, organisation) of the series store behind; no URL: PostgreSQL is the series store."""
        token = self.influx_token.get_secret_value() if self.influx_token else ""
        return self.influx_url, self.influx_bucket, token, self.influx_org

    def signing_key(self) -> str:
        """The key that tokens are signed with. Raises ValueError where it is missing or short: do not start."""
        if self.secret_key is None:
            raise ValueError("LOTWISE_SECRET_KEY is not set: tokens cannot be signed")
        key = self.secret_key.get_secret_value()
        if len(key) < SHORTEST_SECRET:
            raise ValueError(f"LOTWISE_SECRET_KEY needs at least {SHORTEST_SECRET} characters")
        return key
