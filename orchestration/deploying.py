"""What the flows need, on a server that is there already: the one that Prefect's settings name."""

from __future__ import annotations

import os

from orchestration import objects
from orchestration.server import POOL
from orchestration.steps import Echo, Steps, take_automations, take_secrets
from stemline.errors import StemlineError, UsageError


def deploy_all(echo: Echo) -> None:
    """Have the pool, secrets, deployments and automations there, whatever was changed in the UI; a worker is yours.

    Raises:
        UsageError: Prefect knows no server.
        StemlineError: the server does not answer.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise UsageError(
            "Prefect knows no server.", fix="Set PREFECT_API_URL, or have one on this machine: make up."
        )
    with get_client(sync_client=True) as client:
        if (trouble := client.api_healthcheck()) is not None:
            raise StemlineError(
                f"The server at {PREFECT_API_URL.value()} does not answer: {trouble}",
                fix="Check PREFECT_API_URL, and that it runs.",
            )
    steps = Steps(echo)
    steps.take("work pool", objects.ensure_pool, POOL)
    take_secrets(steps, os.environ)
    steps.take("deployments", lambda: objects.ensure_deployments("", os.environ)[1], objects.deployed_names())
    take_automations(steps)
