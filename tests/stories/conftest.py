"""What stories share: a world of their own, unless they make another."""

import pytest
from sqlalchemy import Engine

from tests.world import World, judging


@pytest.fixture
def world(engine: Engine) -> World:
    """Custody, the judge and quality, and nobody else."""
    return judging(engine)
