"""Where the outbox tells others: Grafana and webhooks (`LOTWISE_*`). What is unset is not told."""

from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.settings import PLACEHOLDER

SHORTEST_WEBHOOK_SECRET = 32


def _check_secret(value: SecretStr, shortest: int = 1) -> SecretStr:
    text = value.get_secret_value()
    if PLACEHOLDER in text:
        raise ValueError(f"is still the placeholder {PLACEHOLDER!r}: choose a secret of your own")
    if len(text) < shortest:
        raise ValueError(f"needs at least {shortest} characters")
    return value


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise ValueError("must be an http or https URL without user and password")
    return url


Url = Annotated[str, AfterValidator(_http)]


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class OutboundSettings(BaseSettings):
    """Grafana's address and token; one webhook's address, secret and topics; the channels of messages to people."""

    model_config = SettingsConfigDict(
        env_prefix="LOTWISE_", extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    grafana_url: Url | None = None
    """Grafana, for annotations of excursions and holds; unset: none are made."""
    grafana_token: Annotated[SecretStr, AfterValidator(_check_secret)] | None = None
    """A Grafana service account's token, with the role Editor."""
    webhook_url: Url | None = None
    """Where events are posted to, signed; unset: nowhere."""
    webhook_secret: (
        Annotated[SecretStr, AfterValidator(partial(_check_secret, shortest=SHORTEST_WEBHOOK_SECRET))] | None
    ) = None
    """Signs webhooks (HMAC-SHA-256), at least 32 characters."""
    webhook_topics: str = "hold.%"
    """Which events: an SQL LIKE pattern over their topics."""

    public_url: Url | None = None
    """The address that people open the pages at, for the links in messages; unset: messages have only the path."""
    smtp_url: Secret | None = None
    """The mail server: smtps://user:password@host:465 (TLS), smtp://… (STARTTLS), smtp+plain://… (none)."""
    smtp_from: str = "lotwise@localhost"
    """Whom mails are from."""
    smtp_timeout: float = Field(default=8.0, gt=0, le=8)
    """Seconds to wait for each answer of the mail server."""
    sms_url: Secret | None = None
    """The SMS gateway, as an apprise URL in which {to} stands for the number."""
    voice_url: Secret | None = None
    """The gateway that calls and reads aloud, as an apprise URL in which {to} stands for the number."""
    chat_urls: dict[str, Secret] = {}
    """Chat robots (WeCom, DingTalk, Feishu, Teams, Slack, …) by name, as JSON: {"plant": "feishu://token"}."""
    siren_url: Secret | None = None
    """The MQTT broker of sirens and lamps: mqtts://user:password@host; their topic is the way's address."""

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value is not None else None
        if parts is not None and (parts.scheme not in {"smtps", "smtp", "smtp+plain"} or not parts.hostname):
            raise ValueError("must be smtps://, smtp:// (STARTTLS) or smtp+plain:// with a host")
        return value

    @model_validator(mode="after")
    def _together(self) -> "OutboundSettings":
        if self.grafana_url and self.grafana_token is None:
            raise ValueError("LOTWISE_GRAFANA_URL is set but LOTWISE_GRAFANA_TOKEN is not")
        if self.webhook_url and self.webhook_secret is None:
            raise ValueError("LOTWISE_WEBHOOK_URL is set but LOTWISE_WEBHOOK_SECRET is not: webhooks are always signed")
        return self
