"""The seed of the tests themselves: all workers of a session draw by the one that is printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import random_examples
from support.random_examples import choose, seed_of

ROOT = Path(__file__).resolve().parent.parent
TAKES_TURNS = "tests/faults/test_chaos.py"


def test_a_worker_takes_the_seed_that_was_drawn_for_all(monkeypatch):
    profiles = SimpleNamespace(load_profile=lambda _: None)  # the session keeps the one it has
    monkeypatch.setattr(random_examples, "settings", profiles)
    controller, worker = (SimpleNamespace(option=SimpleNamespace(seed="fresh")) for _ in range(2))
    choose(controller)
    worker.workerinput = {"seed": controller.option.seed}
    choose(worker)

    assert worker.option.seed == controller.option.seed
    assert controller.option.seed.isdecimal()


@pytest.mark.long
def test_workers_draw_the_same_tests_by_a_fresh_seed():
    options = ("-n", "3", "--seed", "fresh", "-m", "long", "-vv", "-p", "no:cacheprovider")
    words = [sys.executable, "-m", "pytest", *options, "--setup-plan", TAKES_TURNS]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

    assert re.search(r"random examples of --seed \d+\n", ended.stdout), ended.stdout + ended.stderr
    assert re.search(r"3 workers \[\d+ items\]", ended.stdout)
    assert "Different tests were collected" not in ended.stdout


def test_a_number_is_the_seed_itself(pytestconfig):
    assert str(seed_of(pytestconfig)) == (pytestconfig.option.seed or "11")
