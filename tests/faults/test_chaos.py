"""Schedules of `make chaos`: the same few each time, more of them in `make test-long`, and there fresh ones, too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from schedule import draw_schedule
from schedule_run import ScheduleRunner
from support.dask_workers import dask_workers
from support.large_catalogue import LARGE
from support.postgresql import new_schema

pytestmark = pytest.mark.by_turns

ALWAYS = 1
SEEDS = [f"suite-{number}" for number in range(12)]
ON_DASK = 2
AS_LARGE = 4
FRESH = 12
"""How many of another seed are carried out in `make test-long`."""


@pytest.fixture
def runner(vendor, launcher, songs) -> ScheduleRunner:
    return ScheduleRunner(launcher, songs, vendor)


@pytest.fixture
def carry_out(tmp_path, request, runner):
    """Carry a schedule out, every fourth with its ledger in PostgreSQL."""

    def begin(seed: str, number: int) -> None:
        database = new_schema(request.getfixturevalue("postgresql")) if number % 4 == 0 else None
        schedule_run = runner.prepare(draw_schedule(seed), tmp_path, database)
        schedule_run.carry_out()
        assert schedule_run.findings.is_clean, f"schedule {seed}: {schedule_run.findings}"

    return begin


@pytest.mark.parametrize(
    "seed", [*SEEDS[:ALWAYS], *(pytest.param(seed, marks=pytest.mark.long) for seed in SEEDS[ALWAYS:])]
)
def test_nothing_is_paid_twice_or_lost(carry_out, seed):
    carry_out(seed, SEEDS.index(seed))


@pytest.mark.long
@pytest.mark.parametrize("number", range(FRESH))
def test_nor_is_it_with_a_fresh_seed(carry_out, seed, number):
    carry_out(f"{seed}-{number}", number)


@pytest.mark.long
@pytest.mark.parametrize("number", range(ON_DASK))
def test_nor_is_it_where_workers_of_dask_collect_and_die(tmp_path, runner, number):
    with dask_workers(killed_every=3.0, seed=number) as address:
        runner = replace(runner, execution={"runner": "dask", "address": address})
        schedule_run = runner.prepare(draw_schedule(f"dask-{number}"), tmp_path)
        schedule_run.carry_out()
    assert schedule_run.findings.is_clean, schedule_run.findings


@pytest.mark.long
@pytest.mark.parametrize("number", range(AS_LARGE))
def test_nor_is_it_where_what_is_next_in_line_is_sent_before_all_is_read(tmp_path, runner, seed, number):
    runner = replace(runner, environment={LARGE: "yes"})
    schedule_run = runner.prepare(draw_schedule(f"large-{seed}-{number}"), tmp_path)
    schedule_run.carry_out()
    assert schedule_run.findings.is_clean, schedule_run.findings


def test_a_seed_gives_the_same_schedule_each_time():
    assert draw_schedule("1-17") == draw_schedule("1-17") != draw_schedule("1-18")
