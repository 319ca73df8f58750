"""What a command costs before it does anything: CPU seconds, child processes included, beside `import typer, rich`.

python benchmarks/bench_startup.py --times 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from stemline_local.songs import make_catalogue

PYTHON = sys.executable
STEMLINE = str(Path(PYTHON).with_name("stemline"))
CONFIG = "demo/demo.yaml"
BASE = "import typer, rich"
COMMANDS = {
    BASE: [PYTHON, "-c", BASE],
    "--help": [STEMLINE, "--help"],
    "completion": [STEMLINE],
    "status": [STEMLINE, "status", CONFIG],
    "run, nothing to do": [STEMLINE, "run", CONFIG],
}
COMPLETE = {"_STEMLINE_COMPLETE": "complete_bash", "COMP_WORDS": "stemline re", "COMP_CWORD": "1"}


def cpu_seconds(name: str, folder: Path) -> float:
    """Run a command and give the seconds of CPU that it and its children took."""
    environment = {**os.environ, **(COMPLETE if name == "completion" else {})}
    process = subprocess.Popen(
        COMMANDS[name], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def measure(folder: Path, times: int) -> dict[str, list[float]]:
    """Give the seconds of every command, in turns so that a busy moment hits them all."""
    rounds = [{name: cpu_seconds(name, folder) for name in COMMANDS} for _ in range(times)]
    return {name: [each[name] for each in rounds] for name in COMMANDS}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_catalogue(folder / "demo" / "catalogue", count=2)
        subprocess.run([STEMLINE, "demo"], cwd=folder, check=True, capture_output=True)
        for command in COMMANDS:
            cpu_seconds(command, folder)  # once unmeasured: byte code and the file cache
        found = measure(folder, times)
    least, usual = min(found[BASE]), statistics.median(found[BASE])
    print(f"{'CPU seconds':<20} {'min':>6} {'median':>7}   times `{BASE}`")
    for command, seconds in found.items():
        median = statistics.median(seconds)
        print(
            f"{command:<20} {min(seconds):6.2f} {median:7.2f}   {min(seconds) / least:5.1f} {median / usual:5.1f}"
        )


if __name__ == "__main__":
    main()
