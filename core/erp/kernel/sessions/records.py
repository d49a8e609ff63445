"""The records of sessions: who is signed in with a browser, and how an administrator ends it."""

from sqlalchemy import ColumnElement

from core.erp.kernel.model import User
from core.erp.kernel.permits import MANAGES_USERS
from core.erp.kernel.records import Column, Entity, Filter, Hidden, Verb
from core.erp.kernel.sessions import service
from core.erp.kernel.sessions.model import BrowserSession
from core.erp.kernel.sessions.scopes import SESSIONS
from core.erp.kernel.sessions.shapes import SessionOut, Why
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import select_for, table

_s, _user = table(BrowserSession).c, table(User).c


def _ended(wanted: bool) -> ColumnElement[bool]:
    return _s.ended_at.is_not(None) if wanted else _s.ended_at.is_(None)


SESSION_RECORDS = Entity(
    name="session",
    path="sessions",
    table=BrowserSession,
    read="user.read",
    scope=SESSIONS,
    statement=select_for(SessionOut, BrowserSession, _user.login.label("login")).join_from(
        table(BrowserSession), table(User), _user.id == _s.user_id
    ),
    answer=SessionOut,
    columns=(
        Column("user_id", filter="eq", link="user"),
        Column("began_at", filter="range", sort=True),
        Column("ended_why", filter="in", kind=Why),
    ),
    filters=(Filter("ended", bool, _ended),),
    hidden=Hidden(_ended(wanted=False), unless="ended"),
    order="-began_at",
    verbs=(Verb("end", ReasonIn, service.end_for, permit=MANAGES_USERS),),
)

ENTITIES = (SESSION_RECORDS,)
