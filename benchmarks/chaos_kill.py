"""SIGKILLs of real `stemline run` processes at random moments, and what was paid and published after the last one.

    python benchmarks/chaos_kill.py 40 [SEED]

Each catalogue of five tiny tracks is killed one to three times and then run to its end. A table says where each kill
fell: the ledger's last event before it. Exits 1 when anything was paid twice, lost or published twice.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from command_line import launching
from workbench import Bench, Provider, make_songs

from stemline.service import ApiKey, Options
from stemline.service.process import running_service

TRACKS = 5
CREDITS = 1_000
EVENTS = 45
"""What a run of five tracks writes into the ledger, from its start to its end."""
JITTER_SECONDS = 0.3


def kill_once(bench: Bench, chance: random.Random) -> str | None:
    """Start a run, kill it a little after a random event, and give the ledger's last one; None: it was over."""
    found = bench.query("SELECT max(event_id) FROM events")
    event_id = (found[0][0] if found else 0) + chance.randint(1, EVENTS)
    running = bench.start("run", bench.config, "--json")
    running.until(lambda: bool(bench.query("SELECT 1 FROM events WHERE event_id >= ?", event_id)))
    end = time.monotonic() + chance.choice((0, chance.uniform(0, JITTER_SECONDS)))
    running.until(lambda: time.monotonic() > end)
    if running.kill().code >= 0:
        return None
    return bench.query("SELECT verb FROM events ORDER BY event_id DESC LIMIT 1")[0][0]


def judge(bench: Bench) -> dict[str, int]:
    """Run to the end and give what went wrong, in counts."""
    done = bench.run()
    jobs = bench.jobs_by_track()
    tracks, stems = bench.tracks(), bench.stems()
    known = set(stems["path"])
    return {
        "runs that did not end with 0": int(done.code != 0),
        "tracks paid twice": sum(count - 1 for count in jobs.values()),
        "paid credits not in the ledger": abs(bench.provider.charged - bench.charges()),
        "credits still reserved": bench.open_reservations(),
        "tracks not published": TRACKS - tracks["track_id"].nunique(),
        "tracks published twice": len(tracks) - tracks["track_id"].nunique(),
        "stems missing or twice": abs(len(stems) - TRACKS * 2) + len(stems) - len(known),
        "audio objects nobody knows": len(bench.files("audio").keys() - known),
    }


def main(kills: int, seed: int) -> int:
    chance, moments, harm = random.Random(seed), Counter[str](), Counter[str]()  # noqa: S311 - repeatable, no secret
    started, done, catalogues = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        songs = make_songs(folder / "music", TRACKS)
        keys = tuple(ApiKey(f"sk_chaos_{number}", CREDITS) for number in range(4 * kills))
        options = Options(folder / "service", keys=keys, requests_per_minute=6_000, workers=2, engine="draft")
        with running_service(options) as service, launching(folder) as launcher, httpx.Client() as http:
            while done < kills:
                key = keys[catalogues].key
                bench = Bench(folder / key, launcher, Provider(service.api_url, key, http, CREDITS), songs)
                bench.folder.mkdir()
                bench.prepare(TRACKS, execution={"batch_seconds": 0.05})
                for _ in range(min(chance.randint(1, 3), kills - done)):
                    if (moment := kill_once(bench, chance)) is not None:
                        moments[moment] += 1
                        done += 1
                found = judge(bench)
                if any(found.values()):
                    print("harm at", bench.folder.name, found)
                harm.update(found)
                catalogues += 1
    print(f"{done} kills over {catalogues} catalogues in {time.monotonic() - started:.0f} s, seed {seed}\n")
    print("killed right after")
    for verb, count in moments.most_common():
        print(f"  {count:4}  {verb}")
    print("afterwards")
    for what, count in harm.items():
        print(f"  {count:4}  {what}")
    return int(any(harm.values()))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
