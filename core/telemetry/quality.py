"""How far a value can be trusted, and why.

Follows OPC UA's three severities (OPC 10000-4 §7.39). Uncertain counts against goods, never for them.
"""

from enum import IntEnum


class Quality(IntEnum):
    """Severity of a reading's quality; a larger number is worse."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason:
    """Reason codes that go with a quality that is not good. Sources may use others; these are ours."""

    NONE = ""
    CLOCK = "clock_out_of_tolerance"
    """The device's clock is further from the gateway's than its source allows (uncertain)."""
    NO_VALUE = "no_value"
    """The payload named the quantity and gave no value (bad)."""
    NOT_A_NUMBER = "not_a_number"
    """NaN or infinite (bad)."""
    SENTINEL = "sentinel"
    """The device's own error code in place of a value, such as 85.0 from a DS18B20 (bad)."""
    OUT_OF_SENSOR_RANGE = "out_of_sensor_range"
    """Outside what the sensor can measure (bad)."""
    DISCONNECTED = "disconnected"
    """The source said that the device is gone, such as a Sparkplug death (bad)."""
    COMMUNICATION = "communication_error"
    """The device did not answer, or answered with an exception (bad)."""
    CONFIGURATION = "configuration_error"
    """The device refuses the address or the node (bad)."""
    DEVICE = "device_reported"
    """The device itself marks the value (uncertain or bad)."""
    IDENTITY = "identity_changed"
    """What stands where the point's sensor stood is another one, or nobody can say which (bad, without value)."""
    WRONG_UNIT = "wrong_unit"
    """The value came in a unit that the point does not take and that cannot be converted (bad)."""
