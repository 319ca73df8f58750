"""What is left when a server was taken down."""

from __future__ import annotations

import json
import signal
import time

import psycopg
import pytest
from support.prefect_server import ask

from orchestration.process import marked_processes
from orchestration.server import is_free

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("orchestration"), pytest.mark.timeout(600)]
WAIT_SECONDS = 60


def assert_nothing_is_left(orchestration):
    assert marked_processes(orchestration.folder) == []
    assert is_free(orchestration.port)
    assert list(orchestration.home.iterdir()) == []


def test_an_up_that_was_killed_is_finished_by_the_next_and_down_leaves_nothing(orchestration):
    first = orchestration.start("up", "--port", str(orchestration.port))
    deadline = time.monotonic() + WAIT_SECONDS
    while "server" not in orchestration.folder.read().processes and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=WAIT_SECONDS)
    server = orchestration.process("server")

    orchestration.up()

    assert orchestration.process("server") == server
    assert orchestration.run("down").startswith("2 processes ended.")
    assert_nothing_is_left(orchestration)
    assert "Nothing runs" in orchestration.run("down")


def test_processes_are_ended_whose_record_is_lost(orchestration):
    orchestration.up()
    (orchestration.folder.path / "server.json").unlink()

    orchestration.run("down")

    assert_nothing_is_left(orchestration)


def test_the_history_stays_where_it_is_asked_for(orchestration):
    orchestration.up()
    chosen = ask(orchestration.url, "deployments/filter")[0]["id"]
    run = ask(orchestration.url, f"deployments/{chosen}/create_flow_run", state={"type": "CANCELLED"})
    orchestration.run("down", "--keep")
    assert marked_processes(orchestration.folder) == []

    orchestration.up()

    assert run["id"] in {each["id"] for each in ask(orchestration.url, "flow_runs/filter")}


def test_the_history_can_be_in_postgresql_and_is_left_there(orchestration, postgresql):
    with psycopg.connect(host=postgresql, user="stemline", dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE prefect_up")
    url = f"postgresql+asyncpg://stemline:hidden@/prefect_up?host={postgresql}"
    orchestration.variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = url

    printed = orchestration.up()

    assert "postgresql+asyncpg://stemline:***@" in printed
    assert not list(orchestration.folder.path.rglob("*.db"))
    assert "hidden" not in printed + json.dumps(
        [path.read_text(errors="replace") for path in orchestration.folder.path.glob("*.*")]
    )
    orchestration.run("down")
    assert_nothing_is_left(orchestration)
    with psycopg.connect(host=postgresql, user="stemline", dbname="prefect_up") as connection:
        (count,) = connection.execute("SELECT count(*) FROM deployment").fetchone()
    assert count
