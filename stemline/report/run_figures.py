"""A run's figures, of one account: `run --json`, its page, `report --json` and Prefect's artifacts all tell these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stemline.ledger import Ledger, PublishedShares, RunRecord
from stemline.records import Code, State

WINDOWS = ("run", "day", "month")


@dataclass(frozen=True, slots=True)
class CreditWindow:
    """What is charged and reserved in a window of the budget."""

    charged: int = 0
    reserved: int = 0
    limit: int | None = None
    """As the configuration sets it."""


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What a run came to."""

    tracks: Mapping[State, int]
    codes: Mapping[Code, int]
    published: PublishedShares
    credits: Mapping[str, int | None]
    """`charged`, `reserved`, `balance` and `drift`; the last two are None where no balance was read."""
    requests: Mapping[str, float | int | None]
    """`sent`, `rejected`, and `per_track`, None where no track was finished."""
    seconds: float
    windows: Mapping[str, CreditWindow]
    """By WINDOWS, as they were when the run ended."""

    @property
    def total(self) -> int:
        """How many rows of the manifest the run was about."""
        return sum(self.tracks.values())

    @property
    def is_nothing(self) -> bool:
        """Whether nothing was done, and nothing is to be done: all there is was published before."""
        others = self.total - self.tracks.get(State.PUBLISHED, 0)
        return not (
            others or self.published.by_this_run or self.credits["charged"] or self.credits["reserved"]
        )

    def as_tree(self) -> dict[str, Any]:
        """Give them as JSON, named as in `run --json`."""
        return {
            "tracks": {str(state): count for state, count in self.tracks.items()},
            "codes": {str(code): count for code, count in self.codes.items()},
            "published": asdict(self.published),
            "credits": dict(self.credits),
            "requests": dict(self.requests),
            "seconds": self.seconds,
            "windows": {name: asdict(window) for name, window in self.windows.items()},
        }


def figures_from_summary(summary: Mapping[str, Any]) -> RunFigures:
    """Give the figures of the object of `run --json`."""
    nothing = {"charged": 0, "reserved": 0, "balance": None, "drift": None}
    windows: Mapping[str, Mapping[str, Any]] = summary.get("windows") or {}
    return RunFigures(
        tracks={State(name): int(count) for name, count in summary["tracks"].items()},
        codes={Code(name): int(count) for name, count in (summary.get("codes") or {}).items()},
        published=PublishedShares(**summary["published"]),
        credits={**nothing, **(summary.get("credits") or {})},
        requests={"sent": 0, "rejected": 0, "per_track": None, **(summary.get("requests") or {})},
        seconds=float(summary.get("seconds") or 0.0),
        windows={name: CreditWindow(**windows[name]) for name in WINDOWS if name in windows},
    )


def read_figures(ledger: Ledger, run: RunRecord) -> RunFigures:
    """Give the figures a run ended with: a later one may have moved its tracks. Of one under way, the ledger's."""
    told = {name: value for name, value in run.totals.items() if value is not None}
    ended = {**_standing(ledger, run, is_counted="tracks" not in told or run.finished_at is None), **told}
    if "published" not in told:
        ended["published"] = asdict(ledger.queries.published_shares(run.run_id))
    if "windows" not in told:
        ended["windows"] = read_windows(ledger, run.run_id, told.get("budget") or {})
    run_window = ended["windows"]["run"]
    spent = {"charged": run_window["charged"], "reserved": run_window["reserved"]}
    ended["credits"] = {**spent, **(told.get("credits") or {})}
    return figures_from_summary(ended)


def read_windows(ledger: Ledger, run_id: str, limits: Mapping[str, int | None]) -> dict[str, dict[str, Any]]:
    """Give what is charged and reserved now for a run, its day and its month, each with its limit."""
    spending = ledger.credits.spending(run_id)
    return {
        name: asdict(
            CreditWindow(getattr(spending, name).charged, getattr(spending, name).reserved, limits.get(name))
        )
        for name in WINDOWS
    }


def _standing(ledger: Ledger, run: RunRecord, *, is_counted: bool) -> dict[str, Any]:
    ended = run.finished_at
    found: dict[str, Any] = {"seconds": 0.0 if ended is None else (ended - run.started_at).total_seconds()}
    if is_counted:
        found["tracks"] = ledger.queries.counts(run.run_id)
        found["codes"] = ledger.queries.codes(run.run_id)
    return found
