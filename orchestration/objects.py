"""What the server must hold for the flows: a work pool, secrets, deployments and automations."""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import yaml
from pydantic import SecretStr

from orchestration.folder import CLONE
from orchestration.server import POOL
from stemline.errors import StemlineError

DEPLOYMENTS = CLONE / "prefect.yaml"
VARIABLE = re.compile(r"\$\{(\w+)")
DEPLOY_SECONDS = 180


def ensure_pool() -> bool:
    """Have the work pool of prefect.yaml, whose flow runs are processes; give whether it had to be made."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
            return True
    return False


def ensure_secrets(around: Mapping[str, str]) -> tuple[bool, list[str]]:
    """Have a secret block for each variable of the deployed configurations that the environment sets.

    Gives whether any had to be made or changed, and the variables that neither the environment nor a block has.
    """
    from prefect.blocks.system import Secret

    is_changed, missing = False, []
    for variable in configured_variables():
        name, given = block_name(variable), around.get(variable)
        stored = _stored_secret(name)
        if given and given != stored:
            Secret(value=SecretStr(given)).save(name, overwrite=True)
            is_changed = True
        elif stored is None and not given:
            missing.append(variable)
    return is_changed, missing


def configured_variables() -> list[str]:
    """Give the environment variables that the configurations of prefect.yaml's deployments name."""
    configs = {each["parameters"]["config"] for each in _deployments()}
    texts = [(CLONE / config).read_text(encoding="utf-8") for config in configs]
    return sorted({variable for text in texts for variable in VARIABLE.findall(text)})


def block_name(variable: str) -> str:
    """Give the name of the secret block for a variable, as flows look for it: `stemsplit-api-key`."""
    return variable.lower().replace("_", "-").strip("-")


def ensure_deployments(deployed: str, environment: Mapping[str, str]) -> tuple[str, bool]:
    """Have every deployment of prefect.yaml; give the digest of what is deployed now, and whether that took doing.

    Nothing is deployed again that is deployed as it is: what was changed in the UI, such as a schedule paused, stays.
    """
    digest = deployment_digest()
    if digest == deployed and deployment_names() <= _stored_deployments():
        return digest, False
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        command,
        env=environment,
        cwd=CLONE,
        capture_output=True,
        text=True,
        timeout=DEPLOY_SECONDS,
        check=False,
    )
    if done.returncode:
        raise StemlineError(f"`prefect deploy --all` failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return digest, True


def deployment_names() -> set[str]:
    """Give the names of the deployments in prefect.yaml."""
    return {each["name"] for each in _deployments()}


def deployed_names() -> str:
    """Give the same as words."""
    return ", ".join(sorted(deployment_names()))


def deployment_digest() -> str:
    """Give a digest of all that a deployment is made from: prefect.yaml, the flows' parameters, Prefect itself."""
    whole = hashlib.sha256(version("prefect").encode())
    for path in [DEPLOYMENTS, *sorted((CLONE / "flows").glob("*.py"))]:
        whole.update(path.read_bytes())
    return whole.hexdigest()


def ensure_automations() -> tuple[int, bool]:
    """Have the automations that the flows come with; give how many there are then, and whether any was changed."""
    from prefect.client.orchestration import get_client

    is_changed = find_spec("flows.automations") is not None and asyncio.run(_ensure_automations())
    with get_client(sync_client=True) as client:
        return len(client.read_automations()), is_changed


async def _ensure_automations() -> bool:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        return bool(await import_module("flows.automations").ensure_automations(client))


def _stored_secret(name: str) -> str | None:
    """Give the value of a secret block; None where there is none."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            document = client.read_block_document_by_name(name, "secret", include_secrets=True)
        except ObjectNotFound:
            return None
    return str(document.data["value"])


def _stored_deployments() -> set[str]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return {each.name for each in client.read_deployments()}


def _deployments() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(DEPLOYMENTS.read_bytes())["deployments"]
    return found
