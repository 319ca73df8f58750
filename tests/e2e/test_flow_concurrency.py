"""What runs at the same time: never two runs on one API key, and whatever has keys of its own side by side."""

from __future__ import annotations

import signal
import time

import pytest
from support.prefect_server import end_flow, flow_logs, flow_runs, prefect_environment, start_flow
from support.project import Project

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long]
WAIT_SECONDS = 50
WAITING = "Waiting for the API key"


def logged(url, flow_run):
    return [each["message"] for each in flow_logs(url, flow_run)]


def soon(what):
    """Wait for something that another process does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def holders(project):
    """Give what happened to leases of API keys, in order: taken, let go."""
    query = "SELECT verb FROM events WHERE verb IN ('acquire_lease', 'release_lease') AND detail NOT LIKE '%dataset:%'"
    return [verb for (verb,) in project.query(f"{query} ORDER BY event_id")]


def test_the_same_catalogue_twice_waits_and_never_are_two_runs_on_one_key(project, prefect_api):
    project.prepare(4, provider={"max_in_flight": 1}, execution={"batch_seconds": 60})
    environment, before = prefect_environment(project, prefect_api), flow_runs(prefect_api)
    again = {"config": str(project.config), "wait_minutes": 5}
    first = start_flow(environment, "process_catalogue", **again)
    assert soon(lambda: project.has_happened("record_submission"))
    first.send_signal(signal.SIGSTOP)  # it holds its key for as long as the lease lasts
    try:
        second_one = start_flow(environment, "process_catalogue", **again)
        waiting = soon(
            lambda: any(
                WAITING in line for run in flow_runs(prefect_api, before) for line in logged(prefect_api, run)
            )
        )
    finally:
        first.send_signal(signal.SIGCONT)
    said = [end_flow(first), end_flow(second_one)]

    assert waiting, said
    runs = flow_runs(prefect_api, before)
    assert [run["state_name"] for run in runs] == ["Completed", "Completed"], said
    assert holders(project) == ["acquire_lease", "release_lease"] * 2
    project.assert_published_once(4)


def test_without_patience_a_held_key_is_a_failure_that_names_its_holder(project, prefect_api):
    project.prepare(4, provider={"max_in_flight": 1}, execution={"batch_seconds": 60})
    environment = prefect_environment(project, prefect_api)
    first = project.start("run", project.config, "--json")
    assert first.until(lambda: project.has_happened("record_submission"))
    before = flow_runs(prefect_api)
    first.send(signal.SIGSTOP)  # SIGSTOP: it holds its key for as long as the lease lasts
    try:
        said = end_flow(start_flow(environment, "process_catalogue", config=str(project.config)))
    finally:
        first.send(signal.SIGCONT)

    (refused,) = flow_runs(prefect_api, before)
    assert refused["state_type"] == "FAILED"
    assert "works with this API key until" in refused["state"]["message"]
    assert "Traceback" not in "\n".join(logged(prefect_api, refused)), said
    assert first.wait().code == 0
    project.assert_published_once(4)


def test_two_catalogues_with_two_keys_run_side_by_side(project, second, prefect_api, tmp_path):
    other = Project(tmp_path / "other", project.launcher, second, project.songs)
    other.folder.mkdir()
    before = flow_runs(prefect_api)
    slow = {"provider": {"max_in_flight": 1}}
    both = []
    for each in (project, other):
        each.prepare(6, **slow)
        environment = prefect_environment(each, prefect_api)
        given = {"config": str(each.config), "wait_minutes": 5}
        both.append(start_flow(environment, "process_catalogue", **given))
    said = [end_flow(each) for each in both]

    runs = flow_runs(prefect_api, before)
    assert [run["state_name"] for run in runs] == ["Completed", "Completed"], said
    assert max(run["start_time"] for run in runs) < min(run["end_time"] for run in runs), "side by side"
    assert not [line for run in runs for line in logged(prefect_api, run) if WAITING in line]
    for each in (project, other):
        each.assert_published_once(6)


def test_one_dataset_with_two_keys_pays_each_track_once(project, second, prefect_api):
    project.prepare(6)
    environment, before = prefect_environment(project, prefect_api), flow_runs(prefect_api)
    environment["SECOND_KEY"] = second.key
    config = str(project.config)
    overrides = ["provider.api_key=${SECOND_KEY}"]
    both = [
        start_flow(environment, "process_catalogue", config=config, wait_minutes=5),
        start_flow(environment, "process_catalogue", config=config, wait_minutes=5, overrides=overrides),
    ]
    said = [end_flow(each) for each in both]

    runs = flow_runs(prefect_api, before)
    assert [run["state_name"] for run in runs] == ["Completed", "Completed"], said
    assert len(project.tracks()) == 6
    assert project.provider.charged + second.charged == project.tracks()["credits_charged"].sum()
    assert project.open_reservations() == 0
