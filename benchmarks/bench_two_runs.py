"""Two runs with a key each over one manifest, begun at one instant on an empty ledger, against one run alone.

    python benchmarks/bench_two_runs.py --tracks 120 --rate 240

The service copies instead of separating and grants each key its rate, so that the rate is what a run waits for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from bench_pipeline import make_tracks

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

KEYS = ("sk_live_one", "sk_live_two")
CREDITS = 10**6


def configure(folder: Path, music: Path, base_url: str, rate: int) -> Path:
    tree = {
        "name": "bench",
        "catalogue": {"manifest": str(music)},
        "provider": {
            "kind": "local",
            "base_url": base_url,
            "api_key": "${BENCH_KEY}",
            "requests_per_minute": rate,
        },
        "recipe": {"stems": "both", "quality": "fast", "format": "wav"},
        "dataset": {"url": str(folder / "dataset")},
        "ledger": {"url": f"sqlite:///{folder / 'bench.db'}"},
    }
    config = folder / "bench.yaml"
    config.write_text(yaml.safe_dump(tree))
    return config


def start(config: Path, key: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("stemline")), "run", str(config), "--json", "--yes"]
    environment = {**os.environ, "BENCH_KEY": key}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def measure(folder: Path, music: Path, rate: int, keys: tuple[str, ...]) -> float:
    """Give the seconds in which everything is published by one run for each key; prints what each did."""
    folder.mkdir()
    options = ServiceOptions(
        folder / "service",
        keys=tuple(ApiKey(key, CREDITS) for key in keys),
        requests_per_minute=rate,
        workers=2,
        max_running=20,
        engine="copy",
    )
    with running_service(options) as service:
        config = configure(folder, music, service.api_url, rate)
        started = time.perf_counter()
        running = [start(config, key) for key in keys]
        answers = [each.communicate() for each in running]
        seconds = time.perf_counter() - started
    for each, (out, err) in zip(running, answers, strict=True):
        summary = json.loads(out) if out else sys.exit(err)
        facts = summary["tracks"], summary["credits"]["charged"], summary["requests"]["sent"]
        print(f"  exit {each.returncode}  tracks {facts[0]}  credits {facts[1]}  requests {facts[2]}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=120)
    parser.add_argument("--rate", type=int, default=240, help="requests a minute that each key is granted")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tracks(folder / "music", arguments.tracks, 1.0)
        walls = []
        for count in (1, 2):
            walls.append(measure(folder / f"of-{count}", folder / "music", arguments.rate, KEYS[:count]))
            pace = 60 * arguments.tracks / walls[-1]
            print(f"{count} run{'s' * (count > 1)}: {walls[-1]:.1f} s, {pace:.0f} tracks a minute")
        print(f"two runs are {walls[0] / walls[1]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
