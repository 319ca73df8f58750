"""A vendor that answers all else, and refuses each submit without a word of its own: said, and given up in the end."""

from __future__ import annotations

import logging

import pytest

from stemline.client import RetryPolicy
from stemline.errors import SubmitsRefused

HASTY = RetryPolicy(3, 0.01, 0.02, outage_seconds=2.0, first_probe_seconds=0.02, longest_probe_seconds=0.1)


@pytest.fixture(autouse=True)
def _no_long_backoff(monkeypatch):
    monkeypatch.setattr("stemline.client.pacing.FIRST_BACKOFF_SECONDS", 0.1)
    monkeypatch.setattr("stemline.client.pacing.LONGEST_PAUSE_SECONDS", 0.2)


@pytest.mark.parametrize(("behaviour", "words"), [("html", "status 400"), ("429", "asked us to wait")])
def test_a_vendor_that_takes_no_submit_is_said_and_given_up(harness, vendor, caplog, behaviour, words):
    vendor.make_job({"fileName": "old.mp3"})["createdAt"] = "2020-01-01T00:00:00Z"
    vendor.always = behaviour
    with caplog.at_level(logging.WARNING):
        counts = harness.work(harness.plan("a", "b", "c"), retry_policy=HASTY)
    assert counts == {"planned": 3}
    assert isinstance(harness.group.reason, SubmitsRefused)
    assert harness.group.reason.exit_code == 5
    assert words in harness.group.reason.message
    said = [record.message for record in caplog.records if "takes no submit since" in record.message]
    assert len(said) == 1
    assert words in said[0]
    vendor.always = "ok"
    assert harness.work(harness.plan("a", "b", "c")) == {"collected": 3}
    assert len(vendor.tracks()) == 4


def test_a_vendor_that_takes_a_submit_in_between_is_not_given_up(harness, vendor):
    vendor.submits = ["429", "429", "429", "429", "ok", "429", "429", "429"]
    assert harness.work(harness.plan("a", "b", "c"), retry_policy=HASTY) == {"collected": 3}
