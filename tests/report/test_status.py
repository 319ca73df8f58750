"""`stemline status` says whether the vendor's balance agreed with the last run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stemline.settings import build_settings
from stemline.status import read_status

CREDITS = {"reserved": 0, "charged": 180, "balance": 5_000}


@pytest.fixture
def status_of(night, tmp_path):
    """Finish the run with these credits and give its status."""
    tree = {
        "name": "nightly",
        "catalogue": {"manifest": "m.csv"},
        "provider": {"kind": "stemsplit"},
        "dataset": {"url": str(tmp_path / "dataset")},
        "ledger": {"url": f"sqlite:///{tmp_path}/ledger.db"},
    }
    settings = build_settings(tree, tmp_path / "nightly.yaml", (), {})

    def read(**credits_: object):
        night.publish(night.plan())
        night.finish(0, credits=CREDITS | credits_)
        return read_status(settings)

    return read


def printed(status) -> str:
    console = Console(file=io.StringIO(), width=200)
    status.show(console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("drift", "sentence"), [(0, "The vendor's balance agrees."), (30, "The vendor took 30 credits more")]
)
def test_the_drift_of_the_last_run_is_shown(status_of, drift, sentence):
    status = status_of(drift=drift)

    assert status.as_tree()["drift"] == drift
    assert sentence in printed(status)


@pytest.mark.parametrize("credits_", [{}, {"drift": None}])
def test_nothing_is_said_of_a_drift_that_is_not_known(status_of, credits_):
    status = status_of(**credits_)

    assert status.as_tree()["drift"] is None
    assert "vendor" not in printed(status)
