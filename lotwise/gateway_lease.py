"""A gateway on the embedded servers of a data folder: it keeps their stream up, and `lotwise status` lists it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.settings import Settings
from lotwise.embedded.lease import Lease
from lotwise.embedded.process import ServerFailed
from lotwise.embedded.supervisor import NATS
from lotwise.serving import shown

log = logging.getLogger("lotwise.servers")


@contextmanager
def listed(settings: Settings) -> Iterator[Callable[[str, str, int], None]]:
    """Gives what a gateway calls with its name, host and port once it has started; the lease ends with the block.

    It is taken beside the gateway, which reads and keeps whether the servers can be had or not.
    """
    leases: list[Lease] = []

    def take(lease: Lease) -> None:
        try:
            lease.take()
        except ServerFailed as error:
            log.error("the embedded servers cannot be had: %s", error)  # noqa: TRY400 - for the operator
        else:
            leases.append(lease)

    def started(name: str, host: str, port: int) -> None:
        needs = (NATS,) if settings.nats_url is None else ()
        lease = Lease(settings.data_dir, f"edge {name}", needs, shown(host, port))
        threading.Thread(target=take, args=(lease,), name="gateway lease", daemon=True).start()

    try:
        yield started
    finally:
        for lease in leases:
            lease.end()
