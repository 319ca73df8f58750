"""Resuming in the middle of a catalogue: the seconds from the command to its first submit."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from bench_nights import fill, make_manifest, new_schema, running_postgresql
from sqlalchemy import func, select

from stemline.clock import utc_now
from stemline.ledger import Ledger, open_ledger
from stemline.ledger.tables import attempts
from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

KEY = "sk_live_bench"
CONFIG = """
name: nights
catalogue: {{manifest: {folder}/catalogue.parquet}}
provider: {{kind: local, base_url: "{service}", api_key: {key}, pilot: 0}}
recipe: {{stems: four, quality: best, format: flac}}
dataset: {{url: {folder}/stems}}
ledger: {{url: "{url}"}}
"""
MOST_SECONDS = 10.0
"""The target for a million."""
GIVEN_UP = 600.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the size of the catalogue, and which ledger."""
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")


def measure(arguments: argparse.Namespace) -> None:
    """Go on with a run that was killed when half of its tracks were published."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/ledger.db"
        if arguments.postgresql:
            url = new_schema(stack.enter_context(running_postgresql()))
        options = ServiceOptions(folder / "service", keys=(ApiKey(KEY, 10**12),), engine="copy")
        service = stack.enter_context(running_service(options))
        make_manifest(folder, arguments.rows)
        half = arguments.rows // 2
        with open_ledger(url) as ledger:
            fill(ledger, half, arguments.rows - half, state="planned")
            config = folder / "scale.yaml"
            config.write_text(CONFIG.format(folder=folder, service=service.api_url, key=KEY, url=url))
            seconds = time_to_first_submit(config, ledger, folder / "run.log")
    is_met = seconds <= MOST_SECONDS
    print(
        f"first submit in the middle of {arguments.rows:,} tracks after {seconds:.1f} s; "
        f"target {MOST_SECONDS:.0f} s: {'met' if is_met else 'MISSED'}"
    )


def time_to_first_submit(config: Path, ledger: Ledger, log: Path) -> float:
    """Give the seconds until the ledger says of a track that it is being sent."""
    command = [str(Path(sys.executable).with_name("stemline")), "run", str(config), "--json", "--yes"]
    started = utc_now()
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        while (first := first_sent(ledger)) is None:
            if process.poll() is not None or (utc_now() - started).total_seconds() > GIVEN_UP:
                process.kill()
                sys.exit(f"nothing was submitted: {log.read_text()}")
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
    return (first - started).total_seconds()


def first_sent(ledger: Ledger) -> datetime | None:
    """Give when the first track was sent; None before that."""
    with ledger.database.read() as connection:
        return connection.execute(select(func.min(attempts.c.sent_at))).scalar_one()
