"""A night on a made catalogue: a deployment whose schedule begins in a moment, and its first run until the end."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from orchestration.bringing_up import address, enter
from orchestration.folder import ServerFolder
from orchestration.process import find_process
from orchestration.server import POOL
from orchestration.steps import Echo
from stemline.demo import make_demo
from stemline.errors import StemlineError, UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

FLOW, NAME = "process_catalogue", "demo"
SONGS = 3
AHEAD_SECONDS = (10, 30, 90)
"""Before the schedule begins, at the first try and at the next: the server looks for new deployments every few seconds,
and plans nothing for a time that is over."""
DAY = timedelta(days=1)
WAIT_SECONDS = 600
POLL_SECONDS = 0.5


def run_demo_night(folder: ServerFolder, catalogue: Path, echo: Echo) -> None:
    """Deploy the made catalogue with a daily schedule and show its first run; raises StemlineError if it fails."""
    known = folder.read()
    if any(find_process(known.processes.get(role)) is None for role in ("server", "worker")):
        raise UsageError("The server or its worker does not run.", fix="make up")
    enter(folder, known.port)
    from prefect.client.orchestration import get_client

    config = make_demo(catalogue, None, SONGS)
    with get_client(sync_client=True) as client:
        run = _follow(client, _plan_run(client, str(config), echo), echo)
    echo(f"{address(known)}/runs/flow-run/{run.id}")
    if run.state is None or not run.state.is_completed():
        raise StemlineError(
            f"The run ended as {run.state_name}.",
            fix=f"Its log is on that page, and in {folder.log('worker')}.",
        )


def _plan_run(client: SyncPrefectClient, config: str, echo: Echo) -> FlowRun:
    """Give the run that the server has planned by the deployment's schedule, for its first time."""
    for ahead in AHEAD_SECONDS:
        begins = datetime.now(UTC) + timedelta(seconds=ahead)
        deployment = _deploy(client, config, begins)
        while datetime.now(UTC) < begins:
            if run := _planned_run(client, deployment, begins):
                echo(
                    f"{FLOW}/{NAME} is deployed for every day at {begins:%H:%M:%S} UTC, the first time today."
                )
                return run
            time.sleep(POLL_SECONDS)
    raise StemlineError(
        "The server does not plan the runs of a new schedule.", fix="Its log says why: server.log."
    )


def _deploy(client: SyncPrefectClient, config: str, begins: datetime) -> UUID:
    """Deploy the flow once more, as it is deployed already, for this configuration and these times."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule

    usual = client.read_deployment_by_name(f"{FLOW}/{FLOW}")
    schedule = DeploymentScheduleCreate(
        schedule=IntervalSchedule(interval=DAY, anchor_date=begins), active=True
    )
    return client.create_deployment(
        flow_id=usual.flow_id,
        name=NAME,
        description="A made catalogue, processed by the local service: no key, no network.",
        entrypoint=usual.entrypoint,
        path=usual.path,
        pull_steps=usual.pull_steps,
        parameter_openapi_schema=usual.parameter_openapi_schema,
        enforce_parameter_schema=usual.enforce_parameter_schema,
        parameters={**usual.parameters, "config": config},
        tags=usual.tags,
        schedules=[schedule],
        work_pool_name=POOL,
    )


def _planned_run(client: SyncPrefectClient, deployment: UUID, begins: datetime) -> FlowRun | None:
    """Give the deployment's run for a time, to the second."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    chosen = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    for run in client.read_flow_runs(deployment_filter=chosen):
        planned = run.expected_start_time
        if planned is not None and abs(planned.timestamp() - begins.timestamp()) < 1:
            return run
    return None


def _follow(client: SyncPrefectClient, run: FlowRun, echo: Echo) -> FlowRun:
    """Give a run when it has ended; say each state that it comes to."""
    told, deadline = "", time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        run = client.read_flow_run(run.id)
        if run.state is not None and run.state_name != told:
            told = run.state_name or ""
            echo(f"  {datetime.now(UTC):%H:%M:%S}  {told:<10} {run.state.message or ''}".rstrip())
            if run.state.is_final():
                return run
        time.sleep(POLL_SECONDS)
    raise StemlineError(f"The run is not over after {WAIT_SECONDS} s.", fix="Look at it in the UI.")
