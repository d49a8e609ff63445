"""`lotwise dashboards source`: what Grafana signs in to the embedded PostgreSQL with, and what it may do there."""

import json

import psycopg
import pytest

from tests.processes import place


@pytest.mark.timeout(240)
def test_the_printed_login_reads_what_the_boards_show_and_nothing_else() -> None:
    with place() as here:
        command = here.start("dashboards", "source")
        assert command.process.wait(200) == 0, command.output
        said = command.output  # its servers stay for ten seconds more
        (source,) = json.loads(said[said.index("{") : said.rindex("}") + 1])["datasources"]
        assert source["uid"] == "lotwise-erp"
        host, port = source["url"].split(":")
        login = {"host": host, "port": int(port), "user": source["user"], "dbname": source["jsonData"]["database"]}
        with psycopg.connect(**login, password=source["secureJsonData"]["password"], autocommit=True) as conn:
            assert conn.execute("SELECT count(*) FROM v_zone_status").fetchone() == (0,)
            assert conn.execute("SELECT count(*) FROM board_zone_states('{}', now(), now())").fetchone() == (0,)
            for refused in ("SELECT * FROM app_user", "CREATE TABLE mine (id int)"):
                with pytest.raises(psycopg.Error):
                    conn.execute(refused)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**login, password="wrong")
