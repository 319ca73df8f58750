"""The service as a process of its own: started, killed in every way, started again."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from local_service import WAIT_SECONDS, Client, tone

from stemline.errors import UsageError
from stemline_local import ApiKey, ServiceOptions
from stemline_local.jobs.database import ServiceDatabase
from stemline_local.process import RunningService, running_service
from stemline_local.secret_files import own_keys


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def watched(pids: list[int]) -> Iterator[None]:
    """Wait, at the end, until processes have ended."""
    ends = [os.pidfd_open(pid) for pid in pids]
    yield
    for end in ends:
        assert select.select([end], [], [], WAIT_SECONDS)[0], "a process outlived its server"
        os.close(end)


def engine_of(service: RunningService) -> int:
    (engine,) = children(service.pid)
    return engine


def submitted(client: Client) -> str:
    """Submit work for some seconds, and give its id once a part of it is done."""
    job_id = client.created(tone(60, 8_000), outputType="VOCALS", fileName="long.wav")
    client.wait(job_id, "PROCESSING", at_least=1)
    return job_id


@pytest.mark.long
def test_a_service_killed_in_the_middle_of_a_job_finishes_it_after_a_restart(options: ServiceOptions) -> None:
    with running_service(options) as service, Client(service.url) as client:
        running, waiting = submitted(client), client.created(tone(1.2), outputType="VOCALS")
        with watched([engine_of(service)]):
            os.kill(service.pid, signal.SIGKILL)

    with running_service(options) as service, Client(service.url) as client:
        assert client.balance() == 1_000 - 60 - 2
        assert [client.wait(job_id)["status"] for job_id in (running, waiting)] == ["COMPLETED", "COMPLETED"]
        assert client.balance() == 1_000 - 60 - 2
        assert client.job(running)["creditsCharged"] == 60


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One process for the tests that only harm its worker."""
    keys = tuple(ApiKey(f"sk_live_{number}", 1_000) for number in range(2))
    folder = tmp_path_factory.mktemp("process")
    with running_service(
        ServiceOptions(folder, keys=keys, requests_per_minute=100_000, workers=1)
    ) as service:
        yield service


@pytest.mark.long
def test_the_service_answers_while_it_separates_and_a_killed_engine_costs_its_job_a_retry(
    service: RunningService,
) -> None:
    with Client(service.url, service.keys[0]) as client:
        job_id = submitted(client)
        killed = engine_of(service)
        answers = [client.balance() for _ in range(10)]
        assert client.job(job_id)["status"] == "PROCESSING"
        os.kill(killed, signal.SIGKILL)

        assert client.wait(job_id)["status"] == "COMPLETED"
        assert engine_of(service) != killed
        assert {*answers, client.balance()} == {940}


@pytest.mark.long
def test_a_job_that_kills_its_engine_again_fails_and_is_refunded(service: RunningService) -> None:
    with Client(service.url, service.keys[1]) as client:
        job_id = submitted(client)
        with watched([first := engine_of(service)]):
            os.kill(first, signal.SIGKILL)
        while (second := children(service.pid)) in ([], [first]):
            client.balance()
        os.kill(*second, signal.SIGKILL)
        job = client.wait(job_id)

        assert (job["status"], job["creditsCharged"]) == ("FAILED", 0)
        assert client.balance() == 1_000


PARENT = """
import sys
from stemline_local import ServiceOptions
from stemline_local.process import running_service
with running_service(ServiceOptions.from_json(sys.argv[1])) as service:
    print(service.pid, service.url, flush=True)
    sys.stdin.read()
"""


def test_server_and_engine_die_with_their_parent(options: ServiceOptions) -> None:
    command = [sys.executable, "-c", PARENT, options.to_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        pid, url = parent.stdout.readline().decode().split()
        with Client(url) as client:
            submitted(client)
        with watched([int(pid), *children(int(pid))]):
            parent.kill()


def test_a_keyless_service_says_its_own_key_in_one_line_and_sigterm_is_a_clean_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stemline_local"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(ServiceOptions(tmp_path, exit_with_parent=True).to_json().encode() + b"\n")
        process.stdin.flush()
        address = json.loads(process.stdout.readline())
        with Client(address["url"], address["keys"][0]) as client:
            assert client.balance() > 10**8
        process.terminate()

        assert process.wait(WAIT_SECONDS) == 0
        assert process.stdout.read() == b""
    assert address["api"] == {
        "stemsplit": f"{address['url']}/api/v1",
        "aistemsplitter": f"{address['url']}/v1",
    }
    assert [key.key for key in own_keys(tmp_path)] == address["keys"]
    assert list(address["webhook_secrets"]) == address["keys"]


def test_a_service_that_cannot_start_says_why_and_not_why_one_before_it_could_not(
    options: ServiceOptions,
) -> None:
    options.folder.mkdir()
    with closing(ServiceDatabase(options.folder / "service.db")):
        for _ in range(2):
            with pytest.raises(UsageError) as refused, running_service(options):
                pass
            assert refused.value.message.count("in use by another service") == 1
