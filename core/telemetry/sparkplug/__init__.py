"""Words of Sparkplug B 3.0 that a gateway and a device share: its payload on the wire, its data types, its names.

The messages are generated from `sparkplug_b.proto` (`make sparkplug`).
"""

from enum import IntEnum

from core.telemetry.sparkplug.sparkplug_b_pb2 import (
    DataSet,
    Metric,
    Payload,
    PropertySet,
    PropertySetList,
    PropertyValue,
    Template,
)

__all__ = [
    "BD_SEQ",
    "NAMESPACE",
    "SEQUENCE",
    "DataSet",
    "DataType",
    "Metric",
    "Payload",
    "PropertySet",
    "PropertySetList",
    "PropertyValue",
    "Template",
]

NAMESPACE = "spBv1.0"
"""First level of every topic."""
SEQUENCE = 256
"""A node's messages are numbered 0 to 255 and then from 0 again."""
BD_SEQ = "bdSeq"
"""The metric that joins a node's birth to the death that ends it."""


class DataType(IntEnum):
    """Data types by their number in the specification."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    TEMPLATE = 19
    INT8_ARRAY = 22
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
