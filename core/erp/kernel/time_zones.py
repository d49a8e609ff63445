"""Time zones by name, as people, forms and files give them."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.erp.kernel.errors import Invalid


def zone_named(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises Invalid for what no clock goes by."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid("kernel.no_time_zone", timezone=name) from error
