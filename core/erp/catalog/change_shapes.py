"""Wire shapes of changes to the catalog: only what is named is changed."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, FiniteFloat, model_validator

from core.erp.catalog.shapes import Code, Gtin, PointRole, Span
from core.erp.kernel.errors import UnfitValue
from core.erp.kernel.shapes import Body, Moment, Text
from core.erp.kernel.strict import Celsius


class Change(Body):
    """Fields to change; what is left out stays as it is."""

    may_be_null: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if not self.model_fields_set - {"version"}:
            raise UnfitValue("value.nothing_to_change")
        for name in sorted(self.model_fields_set - self.may_be_null):
            if getattr(self, name) is None:
                raise UnfitValue("value.not_null", field=name)
        return self


class SiteChange(Change):
    """What changes of a site. Its time zone stays: it has decided when goods expired there."""

    name: Text


class ZoneChange(Change):
    """What is other about a zone; null takes an end of the band, or the worst temperature, away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"band_low": 2, "band_high": 8, "band_delay": "PT5M"}]})
    may_be_null: ClassVar[frozenset[str]] = frozenset({"band_low", "band_high", "worst_temperature"})
    name: Text | None = None
    kind: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    accepts_held: bool | None = None
    worst_temperature: Celsius | None = None
    band_low: Celsius | None = None
    band_high: Celsius | None = None
    band_delay: Span | None = None
    band_hysteresis: Annotated[FiniteFloat | None, Field(ge=0)] = None
    allowed_gap: Annotated[Span | None, Field(gt=timedelta(0))] = None


class PointChange(Change):
    """What is other about a point; null takes a bound of the plausible values away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "spare"}]})
    may_be_null: ClassVar[frozenset[str]] = frozenset({"plausible_low", "plausible_high"})
    role: PointRole | None = None
    unit: Annotated[str | None, Field(max_length=32)] = None
    plausible_low: FiniteFloat | None = None
    plausible_high: FiniteFloat | None = None


class SensorChange(Change):
    """What is other about an instrument; its serial number stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "Pt100"}]})
    model: Annotated[str | None, Field(max_length=200)] = None


class ItemChange(Change):
    """What is other about an item; null takes its GTIN or shelf life away. Its unit stays: amounts are in it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Vaccine, 10 doses"}]})
    may_be_null: ClassVar[frozenset[str]] = frozenset({"gtin", "shelf_life"})
    name: Text | None = None
    kind: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    gtin: Gtin | None = None
    shelf_life: Span | None = None


class LimitChange(Change):
    """A limit by its key, and what is other about it; a key that is new needs op, threshold and kind."""

    may_be_null: ClassVar[frozenset[str]] = frozenset({"allowance"})
    key: Code
    quantity: Annotated[str | None, Field(max_length=64)] = None
    unit: Annotated[str | None, Field(max_length=32)] = None
    op: Literal[">", ">=", "<", "<="] | None = None
    threshold: FiniteFloat | None = None
    kind: Literal["instant", "consecutive", "cumulative"] | None = None
    delay: Span | None = None
    hysteresis: Annotated[FiniteFloat | None, Field(ge=0)] = None
    allowance: Annotated[str | None, Field(max_length=64)] = None


class ProfileChange(Change):
    """Another name, and an edit of the newest version, which makes the next one: no version ever changes.

    With `from_at` the profile's items are judged by the newest version from then on; without, assign it when you want.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "limits": [{"key": "high", "threshold": 7.5}],
                    "from_at": "2026-03-02T00:00:00Z",
                }
            ]
        }
    )
    may_be_null: ClassVar[frozenset[str]] = frozenset({"mkt_limit", "mkt_window", "from_at"})
    name: Text | None = None
    limits: Annotated[list[LimitChange], Field(max_length=50)] = Field(default_factory=list)
    remove: Annotated[list[Code], Field(max_length=50)] = Field(default_factory=list)
    from_at: Moment | None = Field(default=None, description="items of the profile are judged by it from then on")
    allowed_gap: Span | None = None
    shortest_event: Span | None = None
    probe_kind: Literal["air", "buffered", "product"] | None = None
    mkt_limit: Celsius | None = None
    mkt_window: Span | None = None
    activation_energy: Annotated[FiniteFloat | None, Field(gt=0)] = None
