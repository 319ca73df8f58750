"""Planning a manifest: the seconds and the memory of `stemline plan`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench_nights import make_manifest

CONFIG = """
name: scale
catalogue: {{manifest: {folder}/catalogue.parquet}}
provider: {{kind: stemsplit, api_key: sk_live_bench}}
recipe: {{stems: four, quality: best, format: flac}}
dataset: {{url: {folder}/stems}}
ledger: {{url: "sqlite:///{folder}/ledger.db"}}
"""
MOST = {1_000_000: (30.0, 500.0), 10_000_000: (360.0, 1_000.0)}
"""The targets by rows: seconds, and megabytes."""


class Finished(NamedTuple):
    """A command that has ended."""

    output: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


def run_command(*words: str) -> Finished:
    """Run stemline in a process of its own; exits where it fails."""
    command = [str(Path(sys.executable).with_name("stemline")), *words]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}: {output}")
    cpu = usage.ru_utime + usage.ru_stime
    return Finished(output, time.perf_counter() - started, cpu, usage.ru_maxrss / 1024)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how many rows."""
    parser.add_argument("--rows", type=int, default=1_000_000)


def measure(arguments: argparse.Namespace) -> None:
    """Plan a Parquet manifest that the ledger knows nothing of."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_manifest(folder, arguments.rows)
        config = folder / "scale.yaml"
        config.write_text(CONFIG.format(folder=folder))
        done = run_command("plan", str(config), "--json")
    if json.loads(done.output)["tracks"]["new"] != arguments.rows:
        sys.exit(f"not every row was planned: {done.output}")
    print(
        f"plan of {arguments.rows:,} rows: {done.seconds:.1f} s ({done.cpu_seconds:.1f} s of CPU), "
        f"{done.peak_mb:.0f} MB{verdict(arguments.rows, done)}"
    )


def verdict(rows: int, done: Finished) -> str:
    """Say how a plan stands to its target, if there is one for so many rows."""
    if rows not in MOST:
        return ""
    seconds, megabytes = MOST[rows]
    is_met = done.seconds <= seconds and done.peak_mb <= megabytes
    return f"; target {seconds:.0f} s, {megabytes:.0f} MB: {'met' if is_met else 'MISSED'}"
