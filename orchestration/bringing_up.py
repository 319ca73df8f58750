"""`up`: all that is missing is started or made, and what is there is left alone."""

from __future__ import annotations

import os

from orchestration import objects
from orchestration.folder import Known, ServerFolder, database_words
from orchestration.process import find_process
from orchestration.server import POOL, end_all, ensure_server, ensure_worker, find_port
from orchestration.steps import Echo, Steps, take_automations, take_secrets
from stemline.errors import UsageError


def bring_up(folder: ServerFolder, port: int | None, echo: Echo) -> None:
    """Have everything there and say what was done; raises UsageError where it is there otherwise than asked for."""
    database, around = database_words(), dict(os.environ)
    with folder.alone():
        known = folder.read()
        _check_as_asked(known, port, database)
        _choose_address(folder, known, port, database)
        environment = enter(folder, known.port)
        steps = Steps(echo)
        steps.take(
            "server", lambda: ensure_server(folder, known, environment), f"{address(known)}, {database}"
        )
        steps.take("work pool", objects.ensure_pool, f"{POOL}, of processes")
        take_secrets(steps, around)
        steps.take("worker", lambda: ensure_worker(folder, known, environment), f"of {POOL}")
        steps.take("deployments", lambda: _deploy(folder, known, environment), objects.deployed_names())
        take_automations(steps)
    _say_where(known, environment, steps, echo)


def _choose_address(folder: ServerFolder, known: Known, port: int | None, database: str) -> None:
    """Choose where the server is to be, unless it runs; end what knows another address, or is not known itself."""
    if known.starting:
        end_all(folder)
    if find_process(known.processes.get("server")) is None:
        found = find_port(port, known)
        if found != known.port:
            end_all(folder)
        known.port, known.database = found, database


def enter(folder: ServerFolder, port: int) -> dict[str, str]:
    """Have this process know the folder's server and no other; give the environment. Before Prefect is imported."""
    environment = folder.environment(port)
    for variable in objects.configured_variables():
        # The blocks have them: a worker that had them too would never hear of another key.
        environment.pop(variable, None)
    folder.temporary.mkdir(parents=True, exist_ok=True)
    os.environ.clear()
    os.environ.update(environment)
    return environment


def address(known: Known) -> str:
    """Give the UI's address."""
    return f"http://127.0.0.1:{known.port}"


def _check_as_asked(known: Known, port: int | None, database: str) -> None:
    """Raise UsageError where the server runs already, on another port or another database."""
    if find_process(known.processes.get("server")) is None:
        return
    for name, has, wanted in (
        ("port", known.port, port or known.port),
        ("database", known.database, database),
    ):
        if has != wanted:
            raise UsageError(
                f"The server runs with the {name} {has}, not {wanted}.", fix="End it first: make down KEEP=1."
            )


def _deploy(folder: ServerFolder, known: Known, environment: dict[str, str]) -> bool:
    known.deployed, is_changed = objects.ensure_deployments(known.deployed, environment)
    folder.write(known)
    return is_changed


def _say_where(known: Known, environment: dict[str, str], steps: Steps, echo: Echo) -> None:
    if not steps.is_changed:
        echo("Nothing had to be changed.")
    echo(f"\nThe UI: {address(known)}   ({steps.seconds:.0f} s; end it with `make down`)")
    echo("For `prefect` and `stemline` in a shell:")
    for name in ("PREFECT_HOME", "PREFECT_API_URL"):
        echo(f"  export {name}={environment[name]}")
