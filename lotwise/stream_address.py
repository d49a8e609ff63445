"""Where a gateway finds the stream."""

import contextlib
import json
import re

from core.settings import Settings

_DEFAULT_STREAM = "nats://127.0.0.1:4222"


def stream_of(settings: Settings) -> tuple[str, str | None]:
    """Where the stream is: by setting, else where the embedded one of this data folder is or will be."""
    if settings.nats_url is not None:
        return re.sub(r"//[^/@,]*@", "//", settings.nats_url), None
    ports = settings.data_dir / "ports.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return f"nats://127.0.0.1:{int(json.loads(ports.read_text())['nats'])}", None
    return _DEFAULT_STREAM, (
        f"{settings.data_dir} has no servers yet, so the stream's address is a guess: let `lotwise users add` start"
        " them once before, or set `stream` by hand"
    )
