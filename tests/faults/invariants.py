"""What must hold after anything that happened, told by the vendor's own accounts and not by the ledger's word."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from support.scenario import Scenario, sizes

PAID_AND_KEPT = {"published", "quarantined", "expired", "unknown"}
"""Where a track may stand whose job was charged: in the dataset, or on the list of what a person must look at."""
UNDER_WAY = {"planned", "submitting", "processing", "ready", "collected"}
"""Where no track may stand when there is nothing left to do."""


@dataclass(frozen=True)
class Findings:
    """Counts of violations, none of which may be above zero, and counts that say what happened."""

    violations: dict[str, int]
    states: Counter[str] = field(default_factory=Counter)
    open_credits: int = 0

    @property
    def is_clean(self) -> bool:
        return not any(self.violations.values())

    def __str__(self) -> str:
        """Give what is wrong."""
        wrong = {what: count for what, count in self.violations.items() if count}
        return f"{wrong}, states {dict(self.states)}, {self.open_credits} credits reserved"


def examine(scenario: Scenario, limit: int | None = None) -> Findings:
    """Compare ledger, dataset and the vendor's accounts when nothing runs any more."""
    rows = scenario.project.query("SELECT track_id, state FROM tracks")
    states = dict(rows)
    open_credits = scenario.project.open_reservations()
    violations = {
        "tracks in no state or in two": len(scenario.track_ids() ^ states.keys()) + len(rows) - len(states),
        "tracks left under way": sum(state in UNDER_WAY for state in states.values()),
        **_examine_credits(scenario, open_credits, set(states.values())),
        **_examine_jobs(scenario, states),
        **_examine_dataset(scenario, states),
        "credits past the limit": 0 if limit is None else max(0, scenario.charged - limit),
    }
    return Findings(violations, Counter(states.values()), open_credits)


def jobs_by_track(scenario: Scenario) -> dict[str, list[dict]]:
    """Give the vendor's jobs by track, told apart by the size of what was uploaded and by nothing of ours."""
    names = dict(sizes(scenario))
    found: dict[str, list[dict]] = {}
    for account in scenario.accounts:
        for job in account.details():
            found.setdefault(names[job["input"]["fileSizeBytes"]], []).append(job)
    return found


def _examine_credits(scenario: Scenario, open_credits: int, states: set[str]) -> dict[str, int]:
    """Compare what the accounts lost with what the ledger says: what is still open lies between the two."""
    query = scenario.project.query
    twice = "SELECT token FROM credit_entries WHERE kind = 'charge' GROUP BY token HAVING count(*) > 1"
    disputed = query("SELECT count(*) FROM attempts WHERE is_disputed")[0][0]
    missing = scenario.charged - scenario.project.charges()
    is_open_known = open_credits == 0 or disputed or "unknown" in states
    totals = int(query("SELECT coalesce(sum(reserved), 0) FROM credit_totals WHERE period = 'all'")[0][0])
    return {
        "attempts charged twice": len(query(twice)),
        "paid credits not in the ledger": max(0, missing - open_credits),
        "credits in the ledger that were not paid": max(0, -missing),
        "credits reserved for nothing": 0 if is_open_known else open_credits,
        "totals that differ from the entries": abs(totals - open_credits),
    }


def _examine_jobs(scenario: Scenario, states: dict[str, str]) -> dict[str, int]:
    jobs = jobs_by_track(scenario)
    good = {track_id: [job for job in made if job["status"] != "FAILED"] for track_id, made in jobs.items()}
    lost = [track_id for track_id, made in good.items() if made and states.get(track_id) not in PAID_AND_KEPT]
    return {
        "tracks paid twice": sum(max(0, len(made) - 1) for made in good.values()),
        "paid results lost": len(lost),
    }


def _examine_dataset(scenario: Scenario, states: dict[str, str]) -> dict[str, int]:
    """Read the dataset as its users do."""
    published = {track_id for track_id, state in states.items() if state == "published"}
    tracks, stems = _table(scenario.project.dataset / "tracks"), _table(scenario.project.dataset / "stems")
    wanted = Counter((track_id, stem) for track_id in published for stem in scenario.stem_names)
    found = Counter(zip(stems["track_id"], stems["stem"], strict=True))
    told = Counter(tracks["track_id"])
    spoilt = sum(not _is_whole(scenario.project.dataset / row.path, row.sha256) for row in stems.itertuples())
    seconds = _table(scenario.project.dataset / "activity")
    measured = Counter(zip(seconds["track_id"], seconds["stem"], strict=True))
    orphans = {name for name in scenario.project.files("audio") if name not in set(stems["path"])}
    return {
        "tracks not in the dataset once": sum(
            ((told - Counter(published)) + (Counter(published) - told)).values()
        ),
        "stems not in the dataset once": sum(((found - wanted) + (wanted - found)).values()),
        "stems whose seconds are not told once": sum(((measured - found) + (found - measured)).values()),
        "stems that are not as told": spoilt,
        "audio objects nobody knows": len(orphans),
    }


def _table(folder: Path) -> pd.DataFrame:
    if not any(folder.rglob("*.parquet")):
        return pd.DataFrame({name: [] for name in ("track_id", "stem", "path", "sha256")})
    return pd.read_parquet(folder)


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def assert_invariants(scenario: Scenario, **states: int) -> None:
    """Check all of it, that tracks stand as told, and that running again pays nothing and changes no file."""
    findings = examine(scenario)
    assert findings.is_clean, str(findings)
    assert findings.states == (states or {"published": scenario.count}), str(findings)
    before = scenario.project.files(), scenario.charged, jobs_by_track(scenario).keys()
    for number in range(len(scenario.accounts)):
        again = scenario.run(number)
        assert again.code == (0 if findings.states == {"published": scenario.count} else 3), again.err
    assert (scenario.project.files(), scenario.charged, jobs_by_track(scenario).keys()) == before
