"""Whatever is done to a dataset, it is sound at any moment, and what is forgotten stays forgotten."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from life_machine import LifeMachine
from support.random_examples import examples

LIVES = settings(
    stateful_step_count=12,
    phases=(Phase.generate,),  # a life is short, and to look for a shorter one takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.mark.random
@pytest.mark.parametrize("lives", [2, pytest.param(40, marks=pytest.mark.long)])
def test_what_verify_finds_is_nothing(tmp_path, lives):
    numbers = count()

    def born():
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return LifeMachine(folder)

    run_state_machine_as_test(born, settings=settings(LIVES, max_examples=examples(lives)))
