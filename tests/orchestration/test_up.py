"""A server brought up by one command: idempotent, mended after a kill, and a schedule of it ends in a green run."""

from __future__ import annotations

import os
import signal

import httpx
import pytest
import yaml
from support.prefect_server import ask

from orchestration.folder import CLONE
from orchestration.process import find_process, marked_processes

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("orchestration"), pytest.mark.timeout(600)]
NAMES = {each["name"] for each in yaml.safe_load((CLONE / "prefect.yaml").read_text())["deployments"]}


def deployments(brought_up):
    """Give the deployments by name, without what a worker that asks for runs changes."""
    found = ask(brought_up.url, "deployments/filter")
    return {each["name"]: {**each, "status": None, "last_polled": None, "updated": None} for each in found}


def test_everything_is_there_and_nothing_of_it_elsewhere(brought_up):
    assert deployments(brought_up).keys() >= NAMES
    (worker,) = ask(brought_up.url, "work_pools/stemline/workers/filter")
    assert worker["status"] == "ONLINE"
    assert not (brought_up.home / ".prefect").exists()
    page = httpx.get(f"http://127.0.0.1:{brought_up.port}/", follow_redirects=True, timeout=20)
    assert "<html" in page.text.lower()


def test_up_again_changes_nothing_not_even_what_was_changed_in_the_ui(brought_up):
    before = brought_up.folder.read()
    chosen = deployments(brought_up)["process_catalogue"]["id"]
    httpx.patch(f"{brought_up.url}/deployments/{chosen}", json={"paused": True}).raise_for_status()
    made = deployments(brought_up)

    printed = brought_up.up()

    assert "Nothing had to be changed." in printed
    assert brought_up.folder.read() == before
    assert deployments(brought_up) == made
    assert made["process_catalogue"]["paused"]


@pytest.mark.parametrize("role", ["server", "worker"])
def test_up_brings_back_what_was_killed_and_leaves_the_other_alone(brought_up, role):
    before = brought_up.folder.read().processes
    os.kill(before[role].pid, signal.SIGKILL)

    printed = brought_up.up()

    assert f"+ {role}" in printed
    after = brought_up.folder.read().processes
    assert {name for name in after if after[name] != before[name]} == {role}
    assert find_process(after[role]) is not None
    assert deployments(brought_up).keys() >= NAMES


def test_a_scheduled_night_on_a_made_catalogue_is_green(brought_up, tmp_path):
    printed = brought_up.run("night", "--catalogue", str(tmp_path))

    runs = ask(brought_up.url, "flow_runs/filter", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})
    (run,) = runs
    assert run["state_name"] == "Completed"
    assert run["auto_scheduled"]
    assert "3 tracks: 3 published." in printed
    assert (tmp_path / "dataset" / "tracks").is_dir()


def test_what_the_environment_sets_is_kept_in_secret_blocks_and_renewed(brought_up, monkeypatch):
    for key, mark in (("sk_first_secret", "+"), ("sk_first_secret", " "), ("sk_second_secret", "+")):
        monkeypatch.setitem(brought_up.variables, "STEMSPLIT_API_KEY", key)
        printed = brought_up.up()

        assert f"{mark} secrets     stemsplit-api-key" in printed
        assert key not in printed
        (block,) = ask(brought_up.url, "block_documents/filter", include_secrets=True)
        assert (block["name"], block["data"]["value"]) == ("stemsplit-api-key", key)
    assert not [each for each in marked_processes(brought_up.folder) if "STEMSPLIT_API_KEY" in each.environ()]


def test_another_port_than_it_has_is_refused_with_the_way_out(brought_up):
    printed = brought_up.run("up", "--port", "1", code=2)

    assert f"runs with the port {brought_up.port}, not 1." in printed
    assert "make down KEEP=1" in printed
