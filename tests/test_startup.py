"""What a command does not import: seconds that it would make everybody wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.command_line import clean_environment
from support.workbench import make_songs

from flows.observed_flow import is_server_configured

HEAVY = {"scipy", "pandas", "pyarrow", "duckdb", "prefect", "botocore", "av"}
NOT_FOR_HELP = HEAVY | {"numpy", "sqlalchemy", "httpx", "pydantic", "stemline.settings"}
NOT_FOR_STATUS = HEAVY | {"numpy", "httpx", "obstore", "fsspec"}
NOT_FOR_AN_IDLE_RUN = {"prefect", "pandas", "scipy", "av", "botocore", "obstore", "httpx", "stemline_local.process"}
"""The last of them starts the local service."""
PROGRAM = """
import sys
from stemline.cli import main
sys.argv = ["stemline", *sys.argv[1:]]
try:
    main()
finally:
    print("imported", *sys.modules, file=sys.stderr)
"""


def imported_by(folder, *argv):
    """Run a command in a fresh interpreter and give what it has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, argv)],
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    """A folder, and the configuration of a catalogue in it of which everything is published."""
    folder = tmp_path_factory.mktemp("processed")
    make_songs(folder / "music", 1)
    imported_by(folder, "demo", "--from", "music")
    return folder, next((folder / "demo").glob("*.yaml"))


def test_help_needs_the_command_line_alone(tmp_path):
    assert NOT_FOR_HELP.isdisjoint(imported_by(tmp_path, "--help"))


def test_status_needs_the_ledger_alone(processed):
    assert NOT_FOR_STATUS.isdisjoint(imported_by(processed[0], "status", processed[1]))


def test_a_run_with_nothing_to_do_starts_no_service_and_needs_neither_prefect_nor_a_decoder(processed):
    assert NOT_FOR_AN_IDLE_RUN.isdisjoint(imported_by(processed[0], "run", processed[1]))


@pytest.fixture
def unconfigured(tmp_path, monkeypatch):
    """A process that knows nothing of Prefect, in a folder that has nothing of it."""
    kept = clean_environment(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", kept["HOME"])
    monkeypatch.setenv("PREFECT_HOME", kept["PREFECT_HOME"])
