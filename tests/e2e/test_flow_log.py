"""What is secret stays out of what Prefect keeps of a run, whoever watches it; a server that is away ends no run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.prefect_server import flow_logs, flow_runs, prefect_environment

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long]
PROGRAM = """
import sys
from contextlib import nullcontext
import logging
import flows, flows.flow_state
from stemline.run.collected_batches import CollectedBatches
from stemline.run.observer import observed_by

class Terminal:
    opened = closed = lambda self, run: None

key, config, how = sys.argv[1:]
given = CollectedBatches.next_batch
def telling(batches):
    logging.getLogger("stemline.test").warning("the key is %s.", key)
    return given(batches)
CollectedBatches.next_batch = telling
if how == "away":
    def lost(*_): raise ConnectionError("no server")
    flows.flow_state.show_result = lost
with observed_by(Terminal()) if how == "terminal" else nullcontext():
    print("exit", flows.start("process_catalogue", with_engine=True, config=config).exit_code)
"""


@pytest.mark.parametrize("how", ["terminal", "worker", "away"])
def test_a_key_in_a_log_line_does_not_reach_prefect(project, prefect_api, how):
    project.prepare(1)
    key = project.provider.key
    environment, before = prefect_environment(project, prefect_api), flow_runs(prefect_api)

    command = [sys.executable, "-c", PROGRAM, key, str(project.config), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)

    assert done.stdout.splitlines()[-1:] == ["exit 0"], done.stderr
    (run,) = flow_runs(prefect_api, before)
    assert run["state_type"] == "COMPLETED"
    logs = flow_logs(prefect_api, run)
    assert "the key is ***." in [each["message"] for each in logs]
    assert key not in json.dumps([run, logs])
