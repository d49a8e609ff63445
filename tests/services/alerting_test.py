"""Told in time: an alarm becomes messages that a real mail server takes, until somebody takes it or it is over."""

from sqlalchemy import Engine

from core.erp.alerting.service import taking
from core.erp.kernel.permits import Role
from tests.services.alerting_world import Plant, mail_server
from tests.world import at


def test_an_alarm_is_told_by_mail_and_taken_and_over(engine: Engine) -> None:
    with mail_server() as post:
        plant = Plant(engine, at("03:00"), post.port)
        wes = plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
        room = plant.world.zone("room")
        plant.raise_alarm(room)
        plant.turn()
        assert post.to("wes@example.com") == ["ALARM: s1/a/room is too warm: 12 °C, above its band"]
        letter = post.letters[0].get_content()
        assert "https://lotwise.example.com/told/" in letter
        assert "Site 1: since 2026-03-02 03:00:00Z" in letter
        plant.world.do(lambda u: taking.take(u, 1, reason="door closed"), actor=wes, now=plant.now)
        plant.after(minutes=20)
        assert len(post.letters) == 1  # nobody else is called
        plant.end_alarm(room)
        plant.after(minutes=6)
        assert post.subjects[1:] == ["Over: s1/a/room is too warm: 12 °C, above its band (ALARM)"]
        plant.after(minutes=60)
        assert len(post.letters) == 2
        assert plant.rows("SELECT state, taken_by, comment FROM alert") == [("over", "wes", "door closed")]
