"""Writes the first revision anew on an embedded PostgreSQL: `.venv/bin/python -m tests.services.migrations_write`."""

import tempfile
from pathlib import Path

import psycopg

from core.erp.migrations.generate import FIRST, first_revision
from lotwise.embedded.postgres import EmbeddedPostgres


def main() -> None:
    """Makes an empty database, asks Alembic for the difference, writes the file."""
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedPostgres(Path(directory), durable=False)
        server.start()
        try:
            with psycopg.connect(server.conninfo(), autocommit=True) as conn:
                conn.execute("CREATE DATABASE first_revision")
            FIRST.write_text(first_revision(server.url("first_revision")), encoding="utf-8")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
