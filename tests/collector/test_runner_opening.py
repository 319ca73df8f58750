"""A runner whose engine is not installed is refused with how to get it."""

from __future__ import annotations

import pytest

from stemline.collector.runners import opening
from stemline.collector.runners.cluster_words import require_same_stemline, unreachable
from stemline.collector.runners.opening import check_runner
from stemline.errors import ClusterAway, UsageError


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_without_its_engine_a_runner_is_refused_with_how_to_get_it(monkeypatch, name):
    monkeypatch.setattr(opening, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=f"execution.runner {name} needs") as refused:
        check_runner(name)
    assert refused.value.fix == f"pip install 'stemline[{name}]'."


def test_threads_need_nothing():
    check_runner("threads")


def test_a_cluster_that_cannot_carry_out_a_task_is_refused_in_a_sentence():
    """Such as one of another Python, whatever its engine raises then."""

    def ask():
        raise RuntimeError("The task cannot be read")

    with pytest.raises(ClusterAway, match="cannot carry out a task: The task cannot be read"):
        require_same_stemline("Dask", None, ask, silent=(TimeoutError,), absent=(ImportError,), waking="")


def test_what_another_machine_raised_is_told_without_its_traceback():
    error = ConnectionAbortedError(
        "Initialization failure from server:\nTraceback (most recent call last):\n"
        '  File "proxier.py", line 772, in Datapath\n    raise RuntimeError(\n'
        "RuntimeError: Starting Ray client server failed.\n.\n"
    )
    sentence = str(unreachable("Ray cluster answers at ray://a:1", error))
    assert sentence.startswith(
        "No Ray cluster answers at ray://a:1: Starting Ray client server failed. Check"
    )


def test_an_error_without_words_is_told_by_its_name():
    assert "answers: TimeoutError. Check" in str(unreachable("Dask cluster answers", TimeoutError()))
