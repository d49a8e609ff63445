"""The spool: where readings become safe, and where batches wait until the core has confirmed them."""

from edge.spool.headers import FoldedHeaders, SpoolHeader, SpoolHeaders, spool_headers
from edge.spool.records import (
    Depth,
    DropPolicy,
    SentMark,
    SpooledBatch,
    SpoolFailed,
    SpoolInUse,
    SpoolMismatch,
    SpoolOptions,
)
from edge.spool.schema import FILE
from edge.spool.spool import Spool, kind_of

__all__ = [
    "FILE",
    "Depth",
    "DropPolicy",
    "FoldedHeaders",
    "SentMark",
    "Spool",
    "SpoolFailed",
    "SpoolHeader",
    "SpoolHeaders",
    "SpoolInUse",
    "SpoolMismatch",
    "SpoolOptions",
    "SpooledBatch",
    "kind_of",
    "spool_headers",
]
