"""Whether a container of ours is well: `health.py http URL`, `health.py tcp PORT`, `health.py ingest`. Exit 0 or 1."""

# ruff: noqa: INP001 - a script copied into the images, in no package

import os
import socket
import sys
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

TIMEOUT = 4


def http(url: str) -> bool:
    """Whether the address answers with 2xx."""
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 - the address is in the compose file
            return 200 <= answer.status < 300  # noqa: PLR2004 - HTTP's successes
    except (URLError, HTTPException, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return False


def tcp(port: str) -> bool:
    """Whether something listens on the port."""
    try:
        with socket.create_connection(("127.0.0.1", int(port)), TIMEOUT):
            return True
    except OSError as error:
        print(f"port {port}: {error}", file=sys.stderr)
        return False


def ingest() -> bool:
    """Whether this container's worker has renewed its place in the database."""
    import psycopg

    query = "SELECT EXISTS (SELECT FROM ingest_worker WHERE starts_with(name, %s) AND until > now())"
    url = os.environ["LOTWISE_DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
    try:
        with psycopg.connect(url, connect_timeout=TIMEOUT) as conn:
            found = conn.execute(query, (socket.gethostname(),)).fetchone()
    except psycopg.Error as error:
        print(f"database: {error}", file=sys.stderr)
        return False
    return found is not None and bool(found[0])


CHECKS = {"http": http, "tcp": tcp, "ingest": ingest}

if __name__ == "__main__":
    sys.exit(0 if CHECKS[sys.argv[1]](*sys.argv[2:]) else 1)
