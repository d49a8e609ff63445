"""The door every simulator passes: only an instance marked `test` may be fed simulated readings."""

import json
import os
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

EXIT_REFUSED = 2
"""Exit code of a command that was refused here."""
TEST = "test"


class LiveInstance(Exception):
    """The instance is not marked `test`; simulators and fault tools refuse it."""


class InstanceSettings(Protocol):
    """What is known of the instance that would receive the readings."""

    @property
    def instance(self) -> str | None:
        """`test` or `live`; None where nobody said."""

    @property
    def api_url(self) -> str | None:
        """Base URL of the core's API (without /api/v1), to be asked itself; None where there is none."""


class FromEnvironment:
    """LOTWISE_INSTANCE and LOTWISE_API_URL as they are now."""

    @property
    def instance(self) -> str | None:
        """LOTWISE_INSTANCE."""
        return os.environ.get("LOTWISE_INSTANCE")

    @property
    def api_url(self) -> str | None:
        """LOTWISE_API_URL."""
        return os.environ.get("LOTWISE_API_URL") or None


def refuse_unmarked(instance: str | None) -> None:
    """Raises LiveInstance unless the mark is exactly `test`."""
    if instance != TEST:
        state = f"is {instance!r}" if instance else "is not set"
        raise LiveInstance(
            f"simulators feed only an instance marked 'test', and LOTWISE_INSTANCE {state}. "
            "If this really is a test instance, set LOTWISE_INSTANCE=test."
        )


def require_test_instance(settings: InstanceSettings | None = None) -> None:
    """Returns if the instance is marked `test`, here and, where an API is named, by the core itself.

    Without settings the environment speaks. A core that cannot be asked is refused as well. Raises LiveInstance.
    """
    known = FromEnvironment() if settings is None else settings
    refuse_unmarked(known.instance)
    if known.api_url:
        _ask(known.api_url)


def _ask(base: str) -> None:
    url = f"{base.rstrip('/')}/api/v1/instance"
    if urlsplit(url).scheme not in {"http", "https"}:
        raise LiveInstance(f"{base!r} is not the http(s) address of a core, so it cannot be asked what it is")
    try:
        with urlopen(url, timeout=5) as reply:  # noqa: S310 - the scheme is checked above
            answer = json.load(reply)
    except HTTPError as error:
        error.close()
        raise LiveInstance(f"{url} answered {error.code}: an instance that cannot be asked is refused") from error
    except (URLError, TimeoutError, ValueError, ConnectionError) as error:
        raise LiveInstance(
            f"{url} did not say what it is ({error}); an instance that cannot be asked is refused"
        ) from error
    instance = answer.get("instance") if isinstance(answer, dict) else None
    if instance != TEST:
        raise LiveInstance(f"{url} says it is {instance!r}: simulators feed only an instance marked 'test'")
