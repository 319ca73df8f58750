"""The same catalogue through threads, Dask and Ray: the same tables and objects, each track paid once."""

from __future__ import annotations

import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from support.command_line import clean_environment
from support.health import wait_until_listening

TRACKS = 6
OF_A_RUN = {"run_id", "collected_at", "collected_on", "job_id", "attempt_token"}
"""Columns in which two runs may differ."""
WORKERS = ("spawn_main", "ray::collect_in_worker")
"""How the command lines of worker processes can be told."""
RUNNERS = ["dask", pytest.param("ray", marks=pytest.mark.long)]
END_SECONDS = 20
PACKAGES = sysconfig.get_path("purelib")
"""With these on its path, and without what `site` adds, a process has Dask and no stemline."""
HEAD_SECONDS = 180
RUN_SECONDS = 300
"""A machine that has much else to do takes minutes to start the processes of a cluster."""
WITHOUT_TOKENS = {"RAY_AUTH_MODE": "disabled"}
"""Newer clusters ask for the token that the home of whoever started them holds."""


def table(project, name: str) -> pd.DataFrame:
    found = pd.read_parquet(project.dataset / name)
    keys = [key for key in ("track_id", "stem") if key in found]
    return found.drop(columns=OF_A_RUN & set(found)).sort_values(keys, ignore_index=True)


def everything(project) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    return {name: table(project, name) for name in ("tracks", "stems", "activity")}, project.files("audio")


@pytest.fixture
def by_threads(project, second):
    """What threads make of the catalogue; the project is as new afterwards, with another key."""
    project.prepare(TRACKS)
    done = project.run()
    assert done.code == 0, done.err
    made = everything(project)
    project.dataset_folder, project.provider = project.folder / "other", second
    project.ledger.unlink()
    return made


def use(project, runner: str, **execution: object) -> None:
    project.prepare(TRACKS, execution={"runner": runner, **execution})


def assert_same(project, by_threads) -> None:
    project.assert_published_once(TRACKS)
    (tables, objects), (wanted, wanted_objects) = everything(project), by_threads
    assert objects == wanted_objects
    for name, rows in wanted.items():
        pd.testing.assert_frame_equal(tables[name], rows)


@pytest.mark.parametrize("runner", RUNNERS)
def test_on_processes_of_this_machine_the_dataset_is_that_of_threads(project, by_threads, runner):
    use(project, runner)
    running = project.start("run", project.config, "--json")
    done = running.wait(RUN_SECONDS)
    assert done.code == 0, done.err
    assert_same(project, by_threads)


def workers_of(process: int) -> list[psutil.Process]:
    """Give the processes that collect for a command."""
    children = psutil.Process(process).children(recursive=True)
    return [each for each in children if any(word in " ".join(each.cmdline()) for word in WORKERS)]


@pytest.mark.long
@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_worker_that_is_killed_costs_a_repetition(project, by_threads, break_with, runner):
    break_with(
        {"fault": "timeout_before_accept", "endpoint": "GET /storage/outputs/*", "nth": [1, 3], "seconds": 2}
    )
    use(project, runner)
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("record_ready") and workers_of(running.pid))
    workers_of(running.pid)[0].kill()
    done = running.wait(RUN_SECONDS)
    assert done.code == 0, done.err
    assert_same(project, by_threads)


@contextmanager
def scheduler_at(folder: Path, port: int, *, has_stemline: bool = True) -> Iterator[subprocess.Popen]:
    """A Dask scheduler with two workers, as somebody runs them who has a cluster; the workers have stemline."""
    environment = clean_environment(folder)
    with ExitStack() as stack:
        for words in (
            ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"],
            [
                "worker",
                f"tcp://127.0.0.1:{port}",
                "--nworkers",
                2,
                "--nthreads",
                1,
                "--no-dashboard",
                "--death-timeout",
                60,
            ],
        ):
            log = stack.enter_context((folder / f"{words[0]}.log").open("ab"))
            is_bare = words[0] == "scheduler" and not has_stemline
            process = subprocess.Popen(
                [sys.executable, *(["-S"] if is_bare else []), "-m", "dask", *map(str, words)],
                stdout=log,
                stderr=log,
                env={**environment, **({"PYTHONPATH": PACKAGES} if is_bare else {})},
                cwd=folder,
            )
            stack.callback(end, process)
            if words[0] == "scheduler":  # a run that begins before it listens is refused, as it should be
                wait_until_listening(port, process, folder / "scheduler.log", HEAD_SECONDS)
        yield process


@contextmanager
def ray_head(folder: Path, port: int) -> Iterator[subprocess.Popen]:
    """Run a Ray cluster of two workers whose clients call at a port; its sockets need a short path."""
    environment = {
        **clean_environment(folder),
        **WITHOUT_TOKENS,
        "RAY_USAGE_STATS_ENABLED": "0",
        "GRPC_ENABLE_FORK_SUPPORT": "0",  # as docs/scaling.md has it
    }
    ray = [
        str(Path(sys.executable).with_name("ray")),
        "start",
        "--head",
        "--block",
        "--port=0",
        "--num-cpus=2",
    ]
    ports = ["--min-worker-port=0", "--max-worker-port=0", f"--ray-client-server-port={port}"]
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as short:
        command = [*ray, *ports, "--include-dashboard=false", f"--temp-dir={short}"]
        with (folder / "ray.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            wait_until_listening(port, process, folder / "ray.log", HEAD_SECONDS)
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.mark.long
def test_a_scheduler_may_be_started_anew_under_a_run(project, by_threads, tmp_path, free_port):
    with scheduler_at(tmp_path, free_port):
        use(project, "dask", address=f"tcp://127.0.0.1:{free_port}")
        running = project.start("run", project.config, "--json")
        assert running.until(lambda: project.has_happened("record_collected"))
    with scheduler_at(tmp_path, free_port):
        done = running.wait(RUN_SECONDS)
    assert done.code == 0, done.err
    assert_same(project, by_threads)


@pytest.mark.long
def test_a_scheduler_needs_no_stemline(project, by_threads, tmp_path, free_port):
    with scheduler_at(tmp_path, free_port, has_stemline=False):
        use(project, "dask", address=f"tcp://127.0.0.1:{free_port}")
        done = project.run()
    assert done.code == 0, done.err
    assert_same(project, by_threads)


@pytest.mark.long
def test_a_ray_cluster_that_ends_under_its_client_ends_the_run_in_a_sentence(project, tmp_path, free_port):
    with ray_head(tmp_path, free_port) as head:
        use(project, "ray", address=f"ray://127.0.0.1:{free_port}")
        running = project.start("run", project.config, "--json", **WITHOUT_TOKENS)
        assert running.until(lambda: project.has_happened("record_collected"), RUN_SECONDS), running.notes()
        for each in [*psutil.Process(head.pid).children(recursive=True), head]:
            each.kill()
        done = running.wait(RUN_SECONDS)
    assert done.code == 2, done.err
    assert "The Ray cluster is gone" in done.tree["error"]["message"]
    assert "Traceback" not in done.err
    project.write_config()
    assert project.run().code == 0
    project.assert_published_once(TRACKS)


@pytest.mark.long
def test_a_ray_cluster_that_runs_already_is_reached_as_its_client(project, by_threads, tmp_path, free_port):
    with ray_head(tmp_path, free_port):
        use(project, "ray", address=f"ray://127.0.0.1:{free_port}")
        done = project.start("run", project.config, "--json", **WITHOUT_TOKENS).wait(RUN_SECONDS)
    assert done.code == 0, done.err
    assert_same(project, by_threads)


@pytest.mark.long
def test_a_client_whose_server_does_not_come_up_asks_for_another(project, tmp_path, free_port):
    """A head that has much to do loses the first one, as here where it is killed."""
    with ray_head(tmp_path, free_port) as head:
        use(project, "ray", address=f"ray://127.0.0.1:{free_port}")
        running = project.start("run", project.config, "--json", **WITHOUT_TOKENS)
        assert running.until(lambda: any(each.kill() is None for each in client_servers(head)), RUN_SECONDS)
        done = running.wait(RUN_SECONDS)
    assert done.code == 0, done.err
    project.assert_published_once(TRACKS)


def client_servers(head: subprocess.Popen) -> Iterator[psutil.Process]:
    """Give the processes of a head that serve one client each."""
    for each in psutil.Process(head.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "--mode=specific-server" in " ".join(each.cmdline()):
                yield each


def test_a_cluster_that_is_not_there_is_named_before_anything_is_spent(project, free_port):
    use(project, "dask", address=f"tcp://127.0.0.1:{free_port}")
    done = project.run()
    assert done.code == 2, done.err
    assert f"tcp://127.0.0.1:{free_port}" in done.tree["error"]["message"]
    assert "execution.address" in done.tree["error"]["fix"]
    assert "Traceback" not in done.err
    assert project.provider.jobs() == []
