"""Sparkplug B payloads from their bytes, also compressed ones.

Eclipse Tahu's libraries (`PayloadUtil.compress`, `sparkplug-client`) may send a payload within a payload: the outer one
has the uuid `SPBV1.0_COMPRESSED`, the compressed inner one as body, and a metric `algorithm` (DEFLATE, which is zlib's
format, or GZIP), which the bytes tell by themselves.
"""

import zlib

from google.protobuf.message import DecodeError

from core.telemetry.sparkplug import Payload
from edge.collectors.decoders.base import BadPayload

COMPRESSED = "SPBV1.0_COMPRESSED"
EITHER_FORMAT = zlib.MAX_WBITS | 32
MAX_INFLATED = 4 * 1024 * 1024


def read_payload(data: bytes) -> Payload:
    """The payload, the inner one where it is compressed. Raises BadPayload."""
    outer = _parsed(data)
    if outer.uuid != COMPRESSED:
        return outer
    inner = _parsed(_inflated(outer.body))
    # both have the same number and time, where the inner one has them at all
    if outer.HasField("seq"):
        inner.seq = outer.seq
    if not inner.HasField("timestamp") and outer.HasField("timestamp"):
        inner.timestamp = outer.timestamp
    return inner


def _parsed(data: bytes) -> Payload:
    try:
        return Payload.FromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload(f"not a Sparkplug payload: {str(error)[:200]}") from error


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj(EITHER_FORMAT)
    try:
        inflated = inflater.decompress(body, MAX_INFLATED)
    except zlib.error as error:
        raise BadPayload(f"a compressed payload that cannot be inflated: {error}") from error
    if inflater.unconsumed_tail:
        raise BadPayload(f"a compressed payload of more than {MAX_INFLATED} bytes")
    if not inflater.eof:
        raise BadPayload("a compressed payload that is cut off")
    return inflated
