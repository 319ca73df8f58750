"""Several machines on one catalogue: PostgreSQL for the ledger, a key for each, one budget and one dataset."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import replace

import pytest
from support.postgresql import new_schema

TRACKS = 12


@pytest.fixture
def machines(project, more_keys, postgresql):
    """Machines, so many as are asked for, each with a folder and a key of its own."""

    def begin(count: int, **sections: dict) -> list:
        shared, database = project.folder / "shared", new_schema(postgresql)
        found = []
        for number in range(count):
            folder = project.folder / f"machine-{number}"
            folder.mkdir()
            provider = replace(project.provider, key=more_keys())
            machine = replace(
                project, folder=folder, provider=provider, dataset_folder=shared, database=database
            )
            slow = {"provider": {"max_in_flight": 2}, "execution": {"batch_seconds": 0.1}}
            found.append(machine.prepare(TRACKS, **slow, **sections))
        return found

    return begin


def start_all(machines) -> list:
    return [each.start("run", each.config, "--json") for each in machines]


def jobs_by_track(machines) -> Counter[str]:
    return sum((each.jobs_by_track() for each in machines), Counter())


def assert_whole(machines) -> None:
    first = machines[0]
    wanted = sorted(row["track_id"] for row in first.good_rows(TRACKS))
    assert sorted(first.tracks()["track_id"]) == wanted
    assert jobs_by_track(machines) == dict.fromkeys(wanted, 1)
    assert first.charges() == sum(each.provider.charged for each in machines)
    assert first.open_reservations() == 0


@pytest.mark.long
@pytest.mark.parametrize("count", [2, 4])
def test_they_share_the_tracks_and_no_batch_is_lost(machines, count):
    all_of_them = machines(count)
    done = [running.wait() for running in start_all(all_of_them)]
    assert [each.code for each in done] == [0] * count, [each.err for each in done]
    assert_whole(all_of_them)
    assert all(each.provider.jobs() for each in all_of_them)
    assert [each.tree["tracks"] for each in done] == [{"published": TRACKS}] * count


@pytest.mark.long
def test_any_of_them_may_be_killed(machines):
    all_of_them = machines(4)
    running = start_all(all_of_them)
    for number, verb in ((0, "record_submission"), (1, "record_collected"), (2, "open_batch")):
        if running[number].until(lambda verb=verb: all_of_them[0].has_happened(verb)):
            assert running[number].kill().code == -signal.SIGKILL
    assert running[3].wait().code in {0, 3}
    again = [each.wait() for each in start_all(all_of_them)]
    assert [each.code for each in again] == [0] * 4, [each.err for each in again]
    assert_whole(all_of_them)


@pytest.mark.long
def test_their_budget_is_one(machines):
    all_of_them = machines(3, budget={"day": 10})
    done = [running.wait() for running in start_all(all_of_them)]
    assert {each.code for each in done} <= {4}, [each.err for each in done]
    assert 8 <= sum(each.provider.charged for each in all_of_them) <= 10
    assert all_of_them[0].open_reservations() == 0
