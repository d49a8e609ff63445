"""The records of quality: excursions with their incidents and dispositions, releases, deviations, zone alarms."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, false, func, true

from core.erp.kernel.records import Column, Entity, Files, Filter, Hidden, Section, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.signatures import Signing
from core.erp.kernel.tables import table
from core.erp.quality import queries, scopes, service
from core.erp.quality.model import BatchRelease, Deviation, Disposition, Excursion, Incident, ZoneAlarm
from core.erp.quality.shapes import (
    AlarmOut,
    AssessIn,
    BatchDispositionIn,
    ConclusionIn,
    DeviationOut,
    DispositionIn,
    DispositionOut,
    ExcursionOut,
    HoldOut,
    IncidentOut,
    ReleaseOut,
    RestrictionSpecIn,
)
from core.erp.quality.workflow import ALARM, DEVIATION, EXCURSION, NORMAL, OPEN, RETURNED, SUPERSEDED, UNACKNOWLEDGED

_excursion, _alarm = table(Excursion).c, table(ZoneAlarm).c


def new_restrictions(given: Sequence[RestrictionSpecIn]) -> list[service.NewRestriction]:
    """The conditions of a decision, as the service takes them."""
    return [service.NewRestriction(one.kind, one.value) for one in given]


def _dispose(
    excursion_id: int, *, decision: str, reason: str, restrictions: Sequence[RestrictionSpecIn]
) -> Signing[Disposition]:
    """QA's signed decision: reason, and the password again. Lifts the excursion's own hold and nothing else."""
    return service.disposition_signing(excursion_id, decision, reason, restrictions=new_restrictions(restrictions))


def _dispose_incident(
    incident_id: int,
    *,
    excursion_ids: Sequence[int],
    decision: str,
    reason: str,
    restrictions: Sequence[RestrictionSpecIn],
) -> Signing[list[Disposition]]:
    """One signed act on all that is undecided of an incident; each excursion × sublot is recorded by itself.

    `excursion_ids` are those that the signer has seen: refused (409) if the incident has others, or some are decided.
    """
    return service.incident_disposition_signing(
        incident_id, excursion_ids, decision, reason, restrictions=new_restrictions(restrictions)
    )


def _active(only: bool) -> ColumnElement[bool]:
    return _alarm.state != NORMAL if only else true()


def _shelved(wanted: bool) -> ColumnElement[bool]:
    now = func.coalesce(_alarm.shelved_until > func.now(), false())
    return now if wanted else ~now


def _undecided(only: bool) -> ColumnElement[bool]:
    return queries.HAS_UNDECIDED if only else true()


EXCURSIONS = Entity(
    name="excursion",
    path="excursions",
    table=Excursion,
    read="quality.read",
    scope=scopes.EXCURSIONS,
    cycle=EXCURSION,
    statement=queries.EXCURSIONS,
    answer=ExcursionOut,
    columns=(
        Column("state", filter="in"),
        Column("certainty", filter="in"),
        Column("sublot_id", filter="eq", link="sublot"),
        Column("lot_id", filter="eq", link="lot"),
        Column("zone_id", filter="eq", link="zone"),
        Column("incident_id", filter="eq", link="incident"),
        Column("broke_at", filter="since", asked=("since",)),
    ),
    hidden=Hidden(_excursion.state != SUPERSEDED, unless="state"),
    verbs=(
        Verb("assess", AssessIn, service.assess, many=True),
        Verb("dispose", DispositionIn, signing=_dispose, path="dispositions", answer=DispositionOut, status=201),
        Verb("close", None, service.close),
    ),
    sections=(
        Section("holds", queries.holds, list[HoldOut]),
        Section("dispositions", queries.dispositions, list[DispositionOut]),
    ),
)

INCIDENTS = Entity(
    name="incident",
    path="incidents",
    table=Incident,
    read="quality.read",
    scope=scopes.INCIDENTS,
    statement=queries.INCIDENTS,
    answer=IncidentOut,
    columns=(Column("kind", filter="in"), Column("zone_id", filter="eq", link="zone")),
    filters=(Filter("undecided", bool, _undecided),),
    verbs=(
        Verb("assess", AssessIn, service.assess_incident, permit="excursion.assess"),
        Verb(
            "dispose",
            BatchDispositionIn,
            signing=_dispose_incident,
            permit="excursion.disposition",
            path="dispositions",
            answer=list[DispositionOut],
            status=201,
        ),
    ),
)

DISPOSITIONS = Entity(
    name="disposition",
    path="dispositions",
    table=Disposition,
    read="quality.read",
    scope=scopes.DISPOSITIONS,
    answer=DispositionOut,
    columns=(Column("excursion_id", filter="eq", link="excursion"),),
)

RELEASES = Entity(
    name="batch_release",
    path="batch-releases",
    table=BatchRelease,
    read="quality.read",
    scope=scopes.RELEASES,
    answer=ReleaseOut,
    columns=(Column("sublot_id", filter="eq", link="sublot"),),
)

DEVIATIONS = Entity(
    name="deviation",
    path="deviations",
    table=Deviation,
    read="quality.read",
    scope=scopes.DEVIATIONS,
    cycle=DEVIATION,
    answer=DeviationOut,
    columns=(
        Column("state", filter="in"),
        Column("sublot_id", filter="eq", link="sublot"),
        Column("shipment_id", filter="eq", link="shipment"),
        Column("happened_at", filter="range"),
    ),
    files=Files("excursion.disposition", states=frozenset({OPEN})),
    verbs=(Verb("close", ConclusionIn, service.close_deviation),),
)

ALARMS = Entity(
    name="alarm",
    path="alarms",
    table=ZoneAlarm,
    read="quality.read",
    scope=scopes.ALARMS,
    cycle=ALARM,
    statement=queries.ALARMS,
    answer=AlarmOut,
    columns=(
        Column("state", filter="in"),
        Column("zone_id", filter="eq", link="zone"),
        Column("kind", filter="in"),
        Column("point_id", filter="eq", link="point"),
    ),
    filters=(Filter("active", bool, _active), Filter("shelved", bool, _shelved)),
    verbs=(
        Verb(
            "acknowledge",
            ReasonIn,
            service.acknowledge,
            permit="alarm.acknowledge",
            states=frozenset({UNACKNOWLEDGED, RETURNED}),
        ),
    ),
)

ENTITIES = (EXCURSIONS, INCIDENTS, DISPOSITIONS, RELEASES, DEVIATIONS, ALARMS)
