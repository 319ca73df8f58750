"""Two dozen schedules of `make chaos`, always the same ones."""

from __future__ import annotations

import pytest
from schedule import draw_schedule
from storm import Ground
from support.postgresql import new_schema

SEEDS = [f"suite-{number}" for number in range(24)]


@pytest.fixture
def ground(vendor, launcher, songs) -> Ground:
    return Ground(launcher, songs, vendor)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_paid_twice_or_lost(tmp_path, request, ground, seed):
    is_shared = SEEDS.index(seed) % 4 == 0
    database = new_schema(request.getfixturevalue("postgresql")) if is_shared else None
    storm = ground.prepare(draw_schedule(seed), tmp_path, database)
    storm.rage()
    assert storm.verdict.is_clean, str(storm.verdict)


def test_a_seed_gives_the_same_schedule_each_time():
    assert draw_schedule("1-17") == draw_schedule("1-17") != draw_schedule("1-18")
