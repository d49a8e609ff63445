"""The records of alerting: routes, rotas with their swaps, absences, ways; alerts and messages, which nobody edits."""

from sqlmodel import SQLModel

from core.erp.alerting import queries, scopes
from core.erp.alerting.model import (
    Absence,
    Alert,
    AlertMessage,
    AlertRoute,
    ContactWay,
    OnCallRota,
    OnCallSwap,
)
from core.erp.alerting.service import keeping, taking
from core.erp.alerting.shapes import (
    AbsenceIn,
    AlertOut,
    AlertStepOut,
    Channel,
    DeliveryOut,
    Event,
    Hours,
    MessageKind,
    MessageOut,
    PartOut,
    RotaChange,
    RotaIn,
    RotaOut,
    RouteChange,
    RouteIn,
    RouteOut,
    Severity,
    SwapIn,
    TakeIn,
    TellingOut,
    WayChange,
    WayIn,
    WayKind,
)
from core.erp.alerting.workflow import (
    ABSENCE,
    ACTIVE,
    ALERT,
    ALERT_MESSAGE,
    ALERT_ROUTE,
    CONTACT_WAY,
    ON_CALL_ROTA,
    ON_CALL_SWAP,
)
from core.erp.kernel.records import Change, Column, Create, Entity, Hidden, Section, Verb
from core.erp.kernel.tables import table

READ, MANAGE, KEEP = "alert.read", "alerting.manage", "contact_way.keep"
IN_USE = frozenset({ACTIVE})
STATE = Column("state", filter="in")
SITE = Column("site_id", filter="eq", link="site")
LIFE = (Verb("withdraw"), Verb("reinstate"))


def _active(model: type[SQLModel]) -> Hidden:
    return Hidden(table(model).c.state == ACTIVE, unless="state")


ALERTS = Entity(
    name="alert",
    path="alerts",
    table=Alert,
    read=READ,
    scope=scopes.ALERTS,
    cycle=ALERT,
    answer=AlertOut,
    label="title",
    columns=(
        STATE,
        Column("severity", filter="in", kind=Severity),
        Column("event", filter="in", kind=Event),
        SITE,
        Column("zone_id", filter="eq", link="zone"),
        Column("raised_at", filter="range", sort=True),
        Column("drill", filter="eq"),
    ),
    verbs=(Verb("take", TakeIn, taking.take),),
    sections=(
        Section("tellings", queries.tellings, list[TellingOut]),
        Section("alert_steps", queries.steps, list[AlertStepOut]),
        Section("parts", queries.parts, list[PartOut]),
    ),
)

MESSAGES = Entity(
    name="alert_message",
    path="alert-messages",
    table=AlertMessage,
    read=READ,
    scope=scopes.MESSAGES,
    cycle=ALERT_MESSAGE,
    answer=MessageOut,
    label="subject",
    columns=(
        STATE,
        Column("login", filter="eq"),
        Column("channel", filter="in", kind=Channel),
        Column("kind", filter="in", kind=MessageKind),
        SITE,
        Column("created_at", filter="range", sort=True),
        Column("drill", filter="eq"),
    ),
    sections=(Section("attempts", queries.attempts, list[DeliveryOut]),),
)

ROUTES = Entity(
    name="alert_route",
    path="alert-routes",
    table=AlertRoute,
    read=READ,
    scope=scopes.ROUTES,
    cycle=ALERT_ROUTE,
    answer=RouteOut,
    label="name",
    columns=(
        Column("name", sort=True, search=True),
        STATE,
        SITE,
        Column("zone_id", filter="eq", link="zone"),
        Column("item_id", filter="eq", link="item"),
        Column("hours", filter="in", kind=Hours),
    ),
    hidden=_active(AlertRoute),
    create=Create(MANAGE, RouteIn, undo="withdraw"),
    change=Change(MANAGE, RouteChange, states=IN_USE),
    guard=keeping.check_route,
    verbs=LIFE,
    order="name",
)

ROTAS = Entity(
    name="on_call_rota",
    path="on-call-rotas",
    table=OnCallRota,
    read=READ,
    scope=scopes.ROTAS,
    cycle=ON_CALL_ROTA,
    answer=RotaOut,
    label="name",
    columns=(Column("name", sort=True, search=True), STATE, SITE),
    hidden=_active(OnCallRota),
    create=Create(MANAGE, RotaIn, undo="withdraw"),
    change=Change(MANAGE, RotaChange, states=IN_USE),
    guard=keeping.check_rota,
    verbs=LIFE,
    sections=(Section("on_call", queries.on_call_now, str | None),),
    order="name",
)

SWAPS = Entity(
    name="on_call_swap",
    path="on-call-swaps",
    table=OnCallSwap,
    read=READ,
    scope=scopes.SWAPS,
    cycle=ON_CALL_SWAP,
    columns=(
        Column("rota_id", filter="eq", link="on_call_rota"),
        STATE,
        Column("login", filter="eq"),
        Column("from_at", filter="range", sort=True),
    ),
    hidden=_active(OnCallSwap),
    create=Create(MANAGE, SwapIn, undo="withdraw"),
    guard=keeping.check_swap,
    verbs=LIFE,
    order="-from_at",
)

ABSENCES = Entity(
    name="absence",
    path="absences",
    table=Absence,
    read=READ,
    scope=scopes.ABSENCES,
    cycle=ABSENCE,
    columns=(STATE, Column("login", filter="eq"), Column("from_at", filter="range", sort=True)),
    hidden=_active(Absence),
    create=Create(KEEP, AbsenceIn, undo="withdraw"),
    guard=keeping.check_absence,
    verbs=LIFE,
    order="-from_at",
)

WAYS = Entity(
    name="contact_way",
    path="contact-ways",
    table=ContactWay,
    read=READ,
    scope=scopes.WAYS,
    cycle=CONTACT_WAY,
    label="name",
    columns=(
        STATE,
        Column("name", search=True),
        Column("login", filter="eq"),
        SITE,
        Column("kind", filter="in", kind=WayKind),
    ),
    hidden=_active(ContactWay),
    create=Create(KEEP, WayIn, undo="withdraw"),
    change=Change(KEEP, WayChange, states=IN_USE),
    guard=keeping.check_way,
    verbs=LIFE,
)

ENTITIES = (ALERTS, MESSAGES, ROUTES, ROTAS, SWAPS, ABSENCES, WAYS)
