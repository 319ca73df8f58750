"""What a command does not import: seconds that it would make everybody wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.command_line import clean_environment
from support.project import make_songs

HEAVY = {"scipy", "pandas", "pyarrow", "duckdb", "prefect", "botocore", "av"}
NOT_FOR_HELP = HEAVY | {"numpy", "sqlalchemy", "httpx", "pydantic", "stemline.settings"}
NOT_FOR_STATUS = HEAVY | {"numpy", "httpx", "obstore", "fsspec"}
NOT_FOR_AN_IDLE_RUN = {
    "prefect",
    "pandas",
    "scipy",
    "av",
    "botocore",
    "obstore",
    "httpx",
    "opentelemetry",
    "stemline_local.process",
}
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
    return set(run_python(PROGRAM, folder, *argv).splitlines()[-1].split())


def run_python(program, folder, *argv):
    """Run a program in a fresh interpreter and give what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, argv)],
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


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


def test_the_name_of_the_flow_is_a_prefect_flow(tmp_path):
    program = """
import inspect
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from flows.process_catalogue import process_catalogue as flow, run_steps
import flows.process_catalogue as file
assert isinstance(flow, Flow)
assert file.process_catalogue is flow
assert inspect.unwrap(flow.fn) is run_steps
assert flow._entrypoint == "flows.process_catalogue:process_catalogue"
assert load_flow_from_entrypoint("flows.process_catalogue.process_catalogue") is flow
assert load_flow_from_entrypoint(f"{file.__file__}:process_catalogue").name == "process_catalogue"
assert flow.to_deployment(name="nightly").entrypoint.endswith("flows/process_catalogue.py:process_catalogue")
"""
    run_python(program, tmp_path)


def test_prefect_is_asked_wherever_it_may_know_a_server(tmp_path):
    """A place that names a server for Prefect is one that is looked into before Prefect is imported."""
    url = "http://127.0.0.1:4200/api"
    files = {
        "prefect.toml": f'[api]\nurl = "{url}"\n',
        "pyproject.toml": f'[tool.prefect.api]\nurl = "{url}"\n',
        ".env": f"PREFECT_API_URL={url}\n",
        "profiles.toml": f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{url}"\n',
    }
    for place, (name, text) in enumerate(files.items()):
        (tmp_path / str(place)).mkdir()
        (tmp_path / str(place) / name).write_text(text)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "pyproject.toml").write_text('[project]\ndependencies = ["prefect"]\n')
    program = f"""
import os
from pathlib import Path
from flows.observed_flow import is_server_configured
os.chdir("none")
assert not is_server_configured()
import sys
assert "prefect" not in sys.modules
from flows.observed_flow import _may_be_configured
from prefect.settings.models.root import Settings
def check(is_named):
    assert (Settings().api.url is not None, _may_be_configured()) == (is_named, is_named), os.getcwd()
check(False)
for place in {list(map(str, range(len(files))))}:
    os.chdir(Path("..") / place)
    os.environ["PREFECT_HOME"] = os.getcwd()
    check(True)
os.chdir("../none")
os.environ["PREFECT_HOME"] = os.getcwd()
os.environ["PREFECT_API_URL"] = {url!r}
check(True)
del os.environ["PREFECT_API_URL"]
os.environ["PREFECT_PROFILES_PATH"] = "../3/profiles.toml"
check(True)
"""
    run_python(program, tmp_path)


def test_ctrl_c_while_modules_are_imported_prints_no_traceback():
    """An import hook stands for the signal, at the first module after the command's own."""
    script = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from stemline.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
