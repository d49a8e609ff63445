"""What `lotwise edge --check FILE` says of a gateway's configuration, without loading what runs a gateway."""

from pathlib import Path

from core.telemetry.connection import without_credentials
from core.telemetry.located import ConfigErrors
from edge.config import load


def check(path: Path) -> int:
    """Prints every error, or what the gateway would do. 0 if the file is right, else 1."""
    try:
        config = load(path)
    except ConfigErrors as errors:
        print(errors)
        return 1
    print(f"{path}: gateway {config.gateway} at {config.site}, {config.instance} instance")
    print(f"  spool in {config.data_dir}, at most {config.spool.max_bytes} bytes, policy {config.spool.policy}")
    streams = without_credentials(config.stream.urls)
    print(f"  stream {streams}; health on {config.health.host}:{config.health.port}")
    for source in config.sources:
        simulated = ", simulated" if source.simulated else ""
        print(f"  source {source.name}: {getattr(source, 'protocol', type(source).__name__)}{simulated}")
    return 0
