"""The records of CAPA, and of their actions."""

from core.erp.capa import actions, queries, service
from core.erp.capa.model import Capa, CapaAction
from core.erp.capa.scopes import ACTIONS, CAPAS
from core.erp.capa.shapes import (
    ActionChange,
    ActionIn,
    ActionOut,
    CapaChange,
    CapaIn,
    CauseIn,
    CauseMethod,
    CheckIn,
    CheckOut,
    Kind,
    PlanIn,
    PlanOut,
    ResultIn,
    Source,
)
from core.erp.capa.workflow import ACTION, CAPA, DONE, DRAFT, OPEN, PLANNED
from core.erp.kernel.records import Change, Column, Create, Entity, Files, Search, Section, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table

CAPA_RECORDS = Entity(
    name="capa",
    path="capas",
    table=Capa,
    read="capa.read",
    scope=CAPAS,
    cycle=CAPA,
    label="number",
    columns=(
        Column("number", filter="eq", sort=True, search=True),
        Column("site_id", filter="eq", link="site"),
        Column("state", filter="in"),
        Column("kind", filter="in", kind=Kind),
        Column("source", filter="in", kind=Source),
        Column("deviation_id", filter="eq", link="deviation"),
        Column("incident_id", filter="eq", link="incident"),
        Column("opened_at", filter="range", sort=True),
        Column("cause_method", kind=CauseMethod | None),
    ),
    search=(Search(table(Capa).c.title, within=True),),
    create=Create("capa.manage", CapaIn, act=service.open_capa, undo="withdraw"),
    change=Change("capa.manage", CapaChange, states=DRAFT),
    verbs=(
        Verb("analyse", CauseIn, service.analyse),
        Verb("plan", PlanIn, signing=service.plan_signing),
        Verb("revise", ReasonIn, service.revise),
        Verb("complete", act=service.complete),
        Verb("close", CheckIn, signing=service.close_signing),
        Verb("reopen", CheckIn, signing=service.reopen_signing),
        Verb("withdraw", ReasonIn, service.withdraw),
    ),
    files=Files("capa.manage", states=DRAFT | {PLANNED, DONE}),
    sections=(
        Section("actions", queries.actions, list[ActionOut]),
        Section("plans", queries.plans, list[PlanOut]),
        Section("checks", queries.checks, list[CheckOut]),
    ),
)

ACTION_RECORDS = Entity(
    name="capa_action",
    path="capa-actions",
    table=CapaAction,
    read="capa.read",
    scope=ACTIONS,
    cycle=ACTION,
    statement=queries.ACTIONS,
    answer=ActionOut,
    columns=(
        Column("capa_id", filter="eq", link="capa"),
        Column("owner", filter="eq"),
        Column("state", filter="in"),
        Column("due_on", filter="range", sort=True),
    ),
    create=Create("capa.manage", ActionIn, undo="drop"),
    change=Change("capa.manage", ActionChange, states=frozenset({OPEN})),
    guard=actions.check,
    verbs=(
        Verb("done", ResultIn, actions.do),
        Verb("verify", act=actions.verify),
        Verb("send_back", ReasonIn, actions.send_back),
        Verb("drop"),
    ),
    files=Files("capa.act", states=frozenset({OPEN, DONE})),
    order="due_on",
)

ENTITIES = (CAPA_RECORDS, ACTION_RECORDS)
