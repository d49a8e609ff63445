"""Conditions on use as the older pages' form says them."""

from core.erp.kernel.errors import Invalid
from core.erp.quality import service as quality

RESTRICTIONS = {
    "purpose": "only for these purposes (comma separated)",
    "market": "only for these markets (comma separated)",
    "customer": "only for these customers (comma separated)",
    "use_by": "use by this day (2027-07-31)",
    "remaining_life": "days of shelf life that must be left",
}


def restriction(kind: str | None, value: str) -> quality.NewRestriction:
    """The restriction that a form says. Raises Invalid."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    if kind is None or not names:
        raise Invalid("web.restriction_unsaid")
    if kind == "use_by":
        return quality.NewRestriction(kind, {"date": names[0]})
    if kind == "remaining_life":
        if not names[0].isascii() or not names[0].isdigit():
            raise Invalid("web.no_days", given=names[0])
        return quality.NewRestriction(kind, {"days": int(names[0])})
    return quality.NewRestriction(kind, {"only": names})
