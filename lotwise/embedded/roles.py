"""The roles of the embedded PostgreSQL: an owner who migrates, the application, which owns nothing, Grafana's login.

Their passwords are made at first start and kept beside the data, readable by their owner only.
"""

import os
import secrets
from pathlib import Path

import psycopg
from psycopg import sql

from core.erp.kernel.rights import APP, OWNER

READER = "lotwise_reader"
"""Whose views Grafana reads."""
GRAFANA = "lotwise_grafana"
"""Grafana's login: it reads what READER may, and nothing else."""


def password_file(folder: Path, role: str) -> Path:
    """Where a role's password is kept."""
    return folder / f"{role}.password"


def password_of(folder: Path, role: str) -> str:
    """The role's password; made at first."""
    path = password_file(folder, role)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(24))
        fresh.replace(path)
    return path.read_text().strip()


def create_roles(conn: psycopg.Connection, folder: Path) -> None:
    """Makes the roles that are missing, with the passwords of the folder. `conn` is the superuser's."""
    there = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'lotwise%'")}
    for role in (OWNER, APP):
        verb = sql.SQL("ALTER" if role in there else "CREATE")
        conn.execute(
            sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}").format(
                verb, sql.Identifier(role), sql.Literal(password_of(folder, role))
            )
        )
    if READER not in there:
        conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(READER)))
    grafana = sql.Identifier(GRAFANA)
    if GRAFANA not in there:
        conn.execute(sql.SQL("CREATE ROLE {} IN ROLE {}").format(grafana, sql.Identifier(READER)))
    conn.execute(
        sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}").format(
            grafana, sql.Literal(password_of(folder, GRAFANA))
        )
    )
    for setting, value in (("default_transaction_read_only", "on"), ("statement_timeout", "15s")):
        conn.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(grafana, sql.Identifier(setting), sql.Literal(value)))
