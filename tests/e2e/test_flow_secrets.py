"""What is secret stays out of all that Prefect keeps, and of ledger, report and crash output, however it leaks."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support.prefect_server import flow_logs, flow_runs, prefect_environment

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long]
OPTION = "option-secret-9f3"
PASSWORD = "ledger-pass-9f3"
UNREACHABLE = f"postgresql+psycopg://stem:{PASSWORD}@127.0.0.1:1/stem?connect_timeout=2"
PROGRAM = """
import logging, sys, threading
from contextlib import nullcontext
import flows, flows.flow_state
from stemline.errors import KeyRefused
from stemline.run.collected_batches import CollectedBatches
from stemline.run.observer import observed_by

class Terminal:
    opened = closed = lambda self, run: None

key, option, config, how = sys.argv[1:]
logger = logging.getLogger("stemline.test")
given = CollectedBatches.next_batch

def tell():
    logger.warning("the key is %s, the secret %s.", key, option)
    try:
        raise RuntimeError(f"with {key} inside")
    except RuntimeError:
        logger.exception("it broke at %s", option)

def leaking(batches):
    if how == "stops":
        raise KeyRefused(f"The key {key} is refused.", fix=f"Replace {key}.")
    if how == "crashes":
        try:
            raise ValueError(f"caused by {key}")
        except ValueError as error:
            raise KeyError(f"{key} and {option}") from error
    tell()
    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()
    return given(batches)

CollectedBatches.next_batch = leaking
if how == "away":
    def lost(*_):
        raise ConnectionError("no server")
    flows.flow_state.show_ended = lost
overrides = [f"provider.api_key={key}"] if how == "overrides" else None
with observed_by(Terminal()) if how == "terminal" else nullcontext():
    result = flows.start("process_catalogue", with_engine=True, config=config, overrides=overrides)
    print("exit", result.exit_code)
"""
ENDS = {
    "logs": ("COMPLETED", "2 tracks"),
    "terminal": ("COMPLETED", "2 tracks"),
    "away": ("COMPLETED", "2 tracks"),
    "stops": ("FAILED", r"The key \*\*\* is refused. Replace \*\*\*."),
    "crashes": ("FAILED", r"KeyError: '\*\*\* and \*\*\*'"),
    "unreachable": ("FAILED", "127.0.0.1:1"),
    "overrides": (None, ""),
}
"""By how a secret tries to get out: the flow run's state, and its message; no flow run at all for overrides."""


@pytest.fixture
def leak(project, prefect_api, request):
    """What a flow run that tries to give its secrets away left behind: its own words, and the flow run."""
    how = request.param
    sections = {"catalogue": {"storage_options": {"secret": OPTION}}}
    if how == "unreachable":
        sections["ledger"] = {"url": UNREACHABLE}
    project.prepare(2, **sections)
    environment, before = prefect_environment(project, prefect_api), flow_runs(prefect_api)
    command = [sys.executable, "-c", PROGRAM, project.provider.key, OPTION, str(project.config), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    return how, done, flow_runs(prefect_api, before)


@pytest.mark.parametrize("leak", ENDS, indirect=True)
def test_no_secret_reaches_prefect_the_ledger_the_report_or_the_crash_output(
    project, prefect_api, prefect_folder, leak
):
    how, done, runs = leak
    type_, message = ENDS[how]
    if type_ is None:
        assert runs == []
        assert "An override sets provider.api_key in the clear" in done.stderr
    else:
        (run,) = runs
        assert run["state_type"] == type_, done.stderr
        assert re.search(message, run["state"]["message"]), run["state"]["message"]
        lines = [each["message"] for each in flow_logs(prefect_api, run)]
        told = "the key is ***, the secret ***."
        assert (lines.count(told) >= 2) is (type_ == "COMPLETED"), lines
        if type_ == "COMPLETED":
            assert any("RuntimeError: with *** inside" in line for line in lines), "a traceback is told"

    secret = re.compile(rf"{project.provider.key}(?!\d)|{OPTION}|{PASSWORD}")
    kept = [path for folder in (prefect_folder, project.dataset) for path in folder.rglob("*")]
    kept += project.folder.glob("night.db*")
    texts = {path: path.read_bytes().decode(errors="replace") for path in kept if path.is_file()}
    texts |= {"stdout": done.stdout, "stderr": done.stderr}
    assert any(str(path).endswith("prefect.db") for path in texts)
    assert not {where: secret.search(text) for where, text in texts.items() if secret.search(text)}
