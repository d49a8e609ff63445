"""Every block of commands in README and docs is run as it stands, or says beside it why it cannot be run here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import PAGES, ROOT, Block, blocks

SHELL = {"sh", "bash"}
COMMANDS = [block for page in PAGES for block in blocks(page) if block.language in SHELL]


@pytest.mark.parametrize("block", [block for block in COMMANDS if block.excuse is None], ids=lambda block: block.name)
def test_a_block_of_commands_does_what_it_says(block: Block, tmp_path: Path) -> None:
    """In a folder that has what a clone has, with an empty home and data folder, on this Python's programs."""
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    clone.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in {".git", ".lotwise", "build"}:
            (clone / entry.name).symlink_to(entry)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOTWISE_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "LOTWISE_DATA_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{block.name}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_what_is_not_run_says_why() -> None:
    """And there is something that is run: an excuse for everything would be none."""
    assert all(len(block.excuse.split()) > 1 for block in COMMANDS if block.excuse is not None)
    assert any(block.excuse is None for block in COMMANDS)
