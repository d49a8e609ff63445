"""Work that makes very many values and no cycles among them, without the collector of cycles."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Without the collector of cycles in this process: walking all the new values, again and again, takes up to half of
    the time. Whatever cycles there are wait until afterwards.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
