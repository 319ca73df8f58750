"""How faults are set, read from a file, counted and removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from local_service import Client, VendorClients, storage

from stemline.errors import UsageError
from stemline_local.faults import ActiveFaults, read_faults


def test_faults_are_counted_and_lifted(clients: VendorClients) -> None:
    url = f"{clients.url}/_faults"
    clients.break_with({"fault": "server_error", "endpoint": "GET */balance", "nth": [2]})
    answers = [clients.jobs.get(path).status_code for path in ("balance", "jobs", "balance", "balance")]

    assert answers == [200, 200, 500, 200]
    assert clients.jobs.get(url).json() == {"faults": [{"fault": "server_error", "seen": 3, "struck": 1}]}
    assert clients.jobs.delete(url).json() == {"faults": []}


def test_faults_need_a_key_and_nobody_in_between(clients: VendorClients) -> None:
    url = f"{clients.url}/_faults"

    assert storage.get(url).status_code == 401
    assert storage.post(url, json=[], headers={"Authorization": "Bearer nobody"}).status_code == 401
    assert clients.jobs.post(url, json=[], headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 403
    assert clients.jobs.post(url, content=b"{").status_code == 400
    assert "There is no fault" in clients.jobs.post(url, json=[{"fault": "x"}]).json()["error"]


def test_chance_is_the_same_for_the_same_seed() -> None:
    def struck(seed: int) -> list[bool]:
        faults = ActiveFaults()
        faults.set(read_faults([{"fault": "job_stuck", "probability": 0.3, "seed": seed}]))
        return [faults.strikes("job_stuck") is not None for _ in range(400)]

    assert struck(1) == struck(1) != struck(2)
    assert 80 < sum(struck(1)) < 160


def test_faults_are_read_from_a_file_at_the_start(start: Callable[..., Client], tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("- fault: server_error\n  endpoint: [GET */balance]\n")
    client = start(faults=path)

    assert [client.get(path).status_code for path in ("balance", "jobs")] == [500, 200]


@pytest.mark.parametrize(
    "tree",
    [
        None,
        {},
        [1],
        [{}],
        [{"fault": "nothing"}],
        [{"fault": "server_error", "nth": "2"}],
        [{"fault": "server_error", "nth": [1.5]}],
        [{"fault": "server_error", "probability": "often"}],
        [{"fault": "server_error", "times": True}],
        [{"fault": "server_error", "every": 2}],
        [{"fault": "server_error", "endpoint": [5]}],
        [{"fault": "too_many_requests", "retry_after": "later"}],
        [{"fault": "job_stuck", "endpoint": "POST *"}],
    ],
)
def test_what_is_no_fault_is_refused(tree: object) -> None:
    with pytest.raises(UsageError):
        read_faults(tree)


def test_a_file_of_faults_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text("- {")
    for name in ("faults.yaml", "none.yaml"):
        with pytest.raises(UsageError):
            ActiveFaults.from_file(tmp_path / name)
    assert ActiveFaults.from_file(None).as_tree() == []
