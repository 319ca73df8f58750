"""A job that is paid and that the provider no longer knows: said once, and asked for no more."""

from __future__ import annotations

from stemline.records import Code


def test_what_a_later_run_finds_forgotten_has_expired_and_is_not_asked_for_again(harness, vendor):
    run_id = harness.plan("a")
    with harness.running(run_id) as group:
        for _ in group.ready_tracks():
            break  # paid, and the process ends before it is collected
    vendor.jobs.clear()
    run_id = harness.plan("a")
    assert harness.work(run_id) == {"expired": 1}
    assert harness.ledger.queries.codes(run_id) == {Code.OUTPUTS_EXPIRED: 1}
    vendor.requests.clear()
    harness.work(harness.plan("a"))
    assert "GET jobs/job0" not in vendor.requests
