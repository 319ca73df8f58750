"""What happens to one small catalogue, drawn from a seed: faults, kills of runs and of the vendor, a second run."""

from __future__ import annotations

import random
from dataclasses import dataclass

from kill_points import POINTS

from stemline_local.faults import CREATE

SHARES = (0.1, 0.2, 0.3)
FAULTS = (
    {"fault": "timeout_before_accept", "seconds": 0.1},
    {"fault": "timeout_after_accept", "seconds": 0.1},
    {"fault": "connection_cut"},
    {"fault": "connection_cut", "endpoint": "GET /storage/outputs/*"},
    {"fault": "truncated_body"},
    {"fault": "link_expired_mid_download"},
    {"fault": "too_many_requests", "seconds": 1},
    {"fault": "too_many_requests", "retry_after": "absent"},
    {"fault": "too_many_requests", "retry_after": "absurd"},
    {"fault": "limit_halved"},
    {"fault": "out_of_credits"},
    {"fault": "server_error"},
    {"fault": "server_error", "endpoint": list(CREATE)},
    {"fault": "server_error_after_accept"},
    {"fault": "html_403"},
    {"fault": "key_revoked", "times": 1},
    {"fault": "clock_skew", "seconds": 300},
    {"fault": "clock_skew", "seconds": -300},
    {"fault": "list_shifted"},
    {"fault": "list_shifted", "by": -1},
    {"fault": "list_reversed"},
    {"fault": "same_id_in_two_lists"},
    {"fault": "token_dropped"},
    {"fault": "failed_after_charging"},
    {"fault": "expired_before_download"},
    {"fault": "stems_swapped"},
    {"fault": "null_bpm_and_key"},
)
"""What may happen in any mix. `balance_lags` and `price_change` would make the sums uncertain, and stand alone."""
MOST_SECONDS = 2.2
"""About as long as a run of such a catalogue takes from its start to its end."""
OUTSIDE_WEBHOOKS = [name for name in POINTS if not name.startswith("event_")]
"""The points that lie outside the webhook receiver."""
ONCE = {"batch_opened", "in_part", "part_unnamed", "parts_written", "in_publish", "in_report", "lease_held"}
"""Those of them that most runs reach no second time."""


@dataclass(frozen=True)
class Round:
    """One run that is killed, unless it ends before."""

    account: int
    point: str | None
    """A named moment, or None: after so many seconds."""
    seconds: float
    second_run: float | None
    """A run on the other key at the same time, killed after so many seconds; None: there is none."""
    vendor_kill: float | None
    """The vendor is killed after so many seconds and started again; None: it is not."""


@dataclass(frozen=True)
class Schedule:
    """All that happens, until the faults are lifted and everybody may finish."""

    seed: str
    tracks: int
    dialect: str
    faults: tuple[dict, ...]
    rounds: tuple[Round, ...]
    limit: int | None
    """The day's budget in credits."""
    is_pooled: bool
    """Whether every run works with two keys at once."""

    @property
    def accounts(self) -> int:
        """How many keys take part."""
        return 1 + (self.is_pooled or any(each.second_run is not None for each in self.rounds))


def draw_schedule(seed: str) -> Schedule:
    """Give the schedule of a seed, the same one each time."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    is_shared = chance.random() < 0.3
    return Schedule(
        seed=seed,
        tracks=chance.randint(4, 6),
        dialect="aistemsplitter" if chance.random() < 0.2 else "stemsplit",
        faults=tuple(draw_faults(chance, chance.randint(0, 5))),
        rounds=tuple(_draw_round(chance, is_shared=is_shared) for _ in range(chance.randint(1, 4))),
        limit=chance.randint(4, 10) if chance.random() < 0.25 else None,
        is_pooled=chance.random() < 0.2,
    )


def draw_faults(chance: random.Random, count: int) -> list[dict]:
    """Draw so many different faults, each with its share."""
    drawn = chance.sample(FAULTS, count)
    return [
        {**fault, "probability": chance.choice(SHARES), "seed": chance.randrange(10**6)} for fault in drawn
    ]


def _draw_round(chance: random.Random, *, is_shared: bool) -> Round:
    point = _draw_point(chance) if chance.random() < 0.6 else None
    return Round(
        account=chance.randint(0, 1) if is_shared else 0,
        point=point,
        seconds=chance.uniform(0.1, MOST_SECONDS),
        second_run=chance.uniform(0.1, MOST_SECONDS) if is_shared and chance.random() < 0.7 else None,
        vendor_kill=chance.uniform(0.1, MOST_SECONDS) if chance.random() < 0.15 else None,
    )


def _draw_point(chance: random.Random) -> str:
    name = chance.choice(OUTSIDE_WEBHOOKS)
    return f"{name}:{1 if name in ONCE else chance.randint(1, 3)}"
