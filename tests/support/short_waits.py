"""What a run waits for by design is cut down, what it does is not.

Grace times and pauses of minutes are right with a vendor and of no use in a test of a service on loopback. Facts are
configuration: the commands get a folder `configs` of their own. The rest are constants, set before `main()` runs.
"""

from __future__ import annotations

import shutil
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import yaml

FACTS = {"sweep_seconds": 0.2, "speed": 0.1, "grace_seconds": 1.5, "latency_seconds": 0.1}
FACTS["min_duration_seconds"] = 1.0  # the tests' songs are shorter than a vendor takes
RETRY_POLICY = {
    "first_seconds": 0.05,
    "longest_seconds": 0.4,
    "outage_seconds": 4.0,
    "first_probe_seconds": 0.1,
    "longest_probe_seconds": 0.5,
}
CONSTANTS = (
    ("stemline.client.pacing", "LONGEST_PAUSE_SECONDS", 1.0),
    ("stemline.client.pacing", "FIRST_BACKOFF_SECONDS", 0.3),
    ("stemline.dispatcher.session", "WEBHOOK_POLL_SECONDS", 1.0),
    ("stemline.dispatcher.submitter", "PILOT_SECONDS", 1.0),
    ("stemline.dispatcher.poller", "RELINK_SECONDS", (0.0, 0.05, 0.1, 0.2, 0.2)),
    ("stemline.providers.stemsplit.dialect", "PAGE", 2),  # so that a few jobs make several pages
)
_OWN: dict[str, tuple[str, object]] = {}
"""The constants' own values, with their modules, by their names."""


def write_facts(folder: Path) -> Path:
    """Copy the providers' facts with shorter times; give the folder to put on the path."""
    ours = Path(__file__).resolve().parents[2] / "configs"
    shutil.copytree(ours, folder / "configs", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "configs" / "providers").glob("*.yaml"):
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **FACTS}))
    return folder


def shorten_waits() -> None:
    """Shorten the pauses of this process."""
    for module, name, value in CONSTANTS:
        if not hasattr(import_module(module), name):
            message = f"{module} has no {name}"
            raise AttributeError(message)
        _OWN[name] = (module, getattr(import_module(module), name))
        setattr(import_module(module), name, value)
    policy = import_module("stemline.client").RetryPolicy
    policy.__init__.__defaults__ = tuple(RETRY_POLICY.get(each.name, each.default) for each in fields(policy))


def restore_wait(name: str) -> None:
    """Give one of the constants its own value back, for what must not hang on how busy this machine is."""
    module, value = _OWN[name]
    setattr(import_module(module), name, value)
