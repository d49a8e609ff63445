"""Answers to messages: by mail and through a gateway, from whom they may be, and what takes nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.alerting.model import AlertRoute
from core.erp.alerting.service.replying import Reply, take_mail, take_reply
from core.erp.kernel.errors import Invalid, LotwiseError, Refused
from core.erp.kernel.permits import Role
from core.settings import Settings
from tests.keys import AUDIT_KEY
from tests.services.alerting_world import Plant, Post, mail_server
from tests.serving import serving
from tests.world import at

TOKEN = "t" * 40


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


@pytest.fixture
def plant(engine: Engine, post: Post) -> Plant:
    made = Plant(engine, at("03:00"), post.port)
    made.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"), ("sms", "+86 138 0013 8000"))
    made.raise_alarm(made.world.zone("room"))
    made.turn()
    return made


def answer(letter: EmailMessage, text: str, sender: str = "Wes <WES@example.com>", **more: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["In-Reply-To"] = sender, letter["Message-ID"]
    for name, value in more.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


def states(plant: Plant) -> list[tuple[object, ...]]:
    return plant.rows("SELECT state, taken_by, comment FROM alert ORDER BY id")


def test_whoever_answers_a_mail_takes_it_with_their_own_words(engine: Engine, plant: Plant, post: Post) -> None:
    letter = mailed(plant, post)
    text = "Door was open, closed it.\n\nOn Monday Lotwise wrote:\n> ALARM: the room is too warm\n"
    assert len(take_mail(engine, plant.events, answer(letter, text), plant.now)) == 1
    assert states(plant) == [("taken", "wes", "Door was open, closed it.")]
    assert plant.rows("SELECT count(*) FROM alert_message WHERE seen_at IS NOT NULL") == [(1,)]
    with pytest.raises(Refused):  # once more
        take_mail(engine, plant.events, answer(letter, text), plant.now)


def mailed(plant: Plant, post: Post) -> EmailMessage:
    """The mail of the alarm: it goes by the loudest way first, and by mail where that fails."""
    plant.after(minutes=1)
    plant.after(minutes=2)
    return post.letters[0]


@pytest.mark.parametrize(
    ("sender", "text", "more"),
    [
        ("eve@example.com", "I do it", {}),
        ("wes@example.com", "", {}),
        ("wes@example.com", "> ALARM: the room", {}),
        ("wes@example.com", "ALARM: s1/a/room is too warm: 12 °C, above its band", {}),
    ],
    ids=["another's address", "nothing", "only quoted", "an echo"],
)
def test_what_takes_nothing(
    engine: Engine, plant: Plant, post: Post, sender: str, text: str, more: dict[str, str]
) -> None:
    letter = mailed(plant, post)
    with pytest.raises(LotwiseError):
        take_mail(engine, plant.events, answer(letter, text, sender, **more), plant.now)
    assert states(plant) == [("standing", None, None)]


def test_a_forged_mail_that_does_not_know_the_message_takes_nothing(engine: Engine, plant: Plant, post: Post) -> None:
    letter = mailed(plant, post)
    known = str(letter["Message-ID"])
    del letter["Message-ID"]
    letter["Message-ID"] = known.replace(known.partition("@")[0][-16:], "0" * 16)
    with pytest.raises(Refused):
        take_mail(engine, plant.events, answer(letter, "never mind"), plant.now)
    assert states(plant) == [("standing", None, None)]


@pytest.mark.parametrize("header", [("Auto_Submitted", "auto-replied"), ("Precedence", "bulk"), ("Return_Path", "<>")])
def test_robots_answers_go_nowhere(engine: Engine, plant: Plant, post: Post, header: tuple[str, str]) -> None:
    letter, before = mailed(plant, post), len(post.letters)
    name, value = header
    assert take_mail(engine, plant.events, answer(letter, "I am away", **{name: value}), plant.now) == []
    plant.turn()
    assert states(plant) == [("standing", None, None)]
    assert len(post.letters) == before


def test_an_sms_names_its_message_or_means_the_newest(engine: Engine, plant: Plant) -> None:
    plant.raise_alarm(plant.world.zone("other"))
    plant.turn()
    first = plant.rows("SELECT min(id) FROM alert_message")[0][0]
    take_reply(engine, plant.events, Reply("0086138 0013-8000", f"#{first} door closed"), plant.now)
    assert [row[0] for row in states(plant)] == ["taken", "standing"]
    take_reply(engine, plant.events, Reply("+8613800138000", "压缩机已重启"), plant.now)
    assert states(plant)[1] == ("taken", "wes", "压缩机已重启")
    with pytest.raises(Refused):
        take_reply(engine, plant.events, Reply("+8613800138000", "anything else?"), plant.now)


def test_nobody_answers_for_another_nor_who_may_not_take(engine: Engine, plant: Plant) -> None:
    plant.person("ada", Role.AUDITOR, ("sms", "+86 139 0000 0000"))
    theirs = plant.rows("SELECT min(id) FROM alert_message")[0][0]
    for reply in (Reply("+8613900000000", f"#{theirs} done"), Reply("+8613900000000", "done"), Reply("+1", "done")):
        with pytest.raises(Refused):
            take_reply(engine, plant.events, reply, plant.now)
    with pytest.raises(Invalid):
        take_reply(engine, plant.events, Reply("+8613800138000", f"#{theirs}"), plant.now)
    assert states(plant) == [("standing", None, None)]


def test_a_gateway_hands_answers_in_with_its_token(engine: Engine, plant: Plant, tmp_path: Path) -> None:
    settings = Settings(secret_key=SecretStr("s" * 40), data_dir=tmp_path, reply_token=SecretStr(TOKEN))
    with serving(create_app(settings, engine, run_background=False)) as client:
        said = {"From": "+8613800138000", "Body": "door closed"}
        at_door = "/api/v1/alert-replies"
        assert client.post(at_door, data=said).status_code == 401
        wrong = {"Authorization": f"Bearer {'x' * 40}"}
        assert client.post(at_door, json=said, headers=wrong).status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post(at_door, json={"text": "x"}, headers=right).status_code == 422
        assert client.post(at_door, data=said, headers=right).json() == {"alert_ids": [1]}
        assert client.post(at_door, json=said, headers=right).status_code == 409
    assert states(plant) == [("taken", "wes", "door closed")]


def lotwise(engine: Engine, tmp_path: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command, as a person or a mail server runs it."""
    env = {
        **os.environ,
        "LOTWISE_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "LOTWISE_AUDIT_KEY": AUDIT_KEY,
        "LOTWISE_DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "-c", "from lotwise.cli import main; main()", "alert", *words]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=120, env=env)


def test_the_commands_as_processes(engine: Engine, plant: Plant, post: Post, tmp_path: Path) -> None:
    nothing = lotwise(engine, tmp_path, "drill")
    assert (nothing.returncode, b"there is no route" in nothing.stdout) == (1, True)
    letter = mailed(plant, post)
    wrong = lotwise(engine, tmp_path, "reply", given=answer(letter, "me", "eve@example.com").as_bytes())
    assert (wrong.returncode, states(plant)) == (os.EX_DATAERR, [("standing", None, None)])
    done = lotwise(engine, tmp_path, "reply", given=answer(letter, "door closed").as_bytes())
    assert (done.returncode, done.stdout) == (0, b"1 alerts are taken\n")
    steps = [{"after_minutes": 0, "login": "wes"}]
    plant.world.do(lambda u: u.session.add(AlertRoute(name="nights", steps=steps)), now=plant.now)
    assert lotwise(engine, tmp_path, "drill").returncode == 0
    shown = lotwise(engine, tmp_path, "answers").stdout.decode()
    assert "Drill of route nights" in shown
    assert "nobody" in shown
