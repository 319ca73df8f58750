"""A part of a benchmark in a process of its own, so that its CPU and memory are its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[1]


def figures_of(module: str, **asked: object) -> dict[str, Any]:
    """Run `python -m module` with what is asked as JSON; give the JSON of the last line that it prints."""
    command = [sys.executable, "-m", module, json.dumps(asked)]
    printed = subprocess.check_output(command, cwd=BENCHMARKS, text=True)
    return dict(json.loads(printed.splitlines()[-1]))


def asked_figures() -> dict[str, Any]:
    """Give what this process was asked for by `figures_of`."""
    return dict(json.loads(sys.argv[1]))


def load() -> str:
    """Tell how busy the machine is, without which no figure can be read."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def verdict(what: str, value: float, target: float, *, at_most: bool = False) -> str:
    """Say a figure with its target, and whether it is met."""
    is_met = value <= target if at_most else value >= target
    side = "at most" if at_most else "at least"
    return f"{what}: {value:.3g}, target {side} {target:.3g}: {'met' if is_met else 'MISSED'}"
