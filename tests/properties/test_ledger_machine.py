"""Random schedules over the ledger and its budget, checked after every step against a plain model."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from ledger_machine import LedgerMachine
from remake_machine import RemakeMachine
from support.postgresql import new_schema
from support.random_examples import examples

SCHEDULES = settings(
    max_examples=examples(4),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.random
def test_the_invariants_hold_over_sqlite(tmp_path: Path) -> None:
    numbers = count()
    run_state_machine_as_test(
        lambda: LedgerMachine(f"sqlite:///{tmp_path}/{next(numbers)}.db"), settings=SCHEDULES
    )


@pytest.mark.random
@pytest.mark.long
def test_the_invariants_hold_over_postgresql(postgresql: str) -> None:
    few = settings(SCHEDULES, max_examples=examples(3))
    run_state_machine_as_test(lambda: LedgerMachine(new_schema(postgresql)), settings=few)


@pytest.mark.random
@pytest.mark.long
def test_they_hold_where_published_tracks_are_made_again(tmp_path: Path) -> None:
    numbers = count()
    RemakeMachine.happened.clear()
    run_state_machine_as_test(
        lambda: RemakeMachine(f"sqlite:///{tmp_path}/{next(numbers)}.db"), settings=SCHEDULES
    )
    assert RemakeMachine.happened["asked"]


@pytest.mark.random
@pytest.mark.long
def test_they_hold_where_tracks_are_made_again_over_postgresql(postgresql: str) -> None:
    few = settings(SCHEDULES, max_examples=examples(2))
    run_state_machine_as_test(lambda: RemakeMachine(new_schema(postgresql)), settings=few)
