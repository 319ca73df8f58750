"""Fault injection: what may go wrong with a service, each by name, and when it does.

    - fault: timeout_after_accept     # a name of MENU
      endpoint: POST /api/v1/jobs     # method and path, * for anything; each fault has its own default
      nth: [2, 5]                     # only these of the matching requests (or jobs, or deliveries), from 1
      after: 10                       # only from the 11th on
      probability: 0.1                # only this share of them, the same ones for the same seed
      seed: 7
      times: 3                        # at most so often
      seconds: 5                      # and what the fault itself takes: seconds, factor, by, retry_after

Without nth, after, probability and times a fault always strikes. Counts begin anew with each start.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock
from typing import Any, Self

import yaml

from stemline.errors import UsageError

CREATE = ("POST /api/v1/jobs", "POST /api/v1/youtube-jobs", "POST /v1/audio/splits")
LISTS = ("GET /api/v1/jobs", "GET /api/v1/youtube-jobs")
API = ("* /api/v1/*", "* /v1/*")
DOWNLOAD = ("GET /storage/outputs/*",)
BALANCE = ("GET /api/v1/balance", "GET /v1/credits")
RETRY_AFTER = ("seconds", "date", "absent", "absurd")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and when."""

    name: str
    endpoints: tuple[str, ...] = ()
    nth: tuple[int, ...] = ()
    after: int = 0
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float = 30.0
    """How long a fault holds something back, or how far it is off."""
    factor: float = 2.0
    """What a price, or the length of stems, is multiplied by."""
    by: int = 1
    """How many jobs come in front of a list while it is paged; below zero: are taken away."""
    retry_after: str = "seconds"

    def is_due(self, count: int, struck: int) -> bool:
        """Tell whether it strikes at the match number `count`, having struck `struck` times."""
        return (
            (not self.nth or count in self.nth)
            and count > self.after
            and (self.times is None or struck < self.times)
            and random.Random(f"{self.seed} {count}").random() < self.probability  # noqa: S311 - no secret
        )


MENU = {
    fault.name: fault
    for fault in (
        # The connection: the request is not carried out, or it is and its client gets no answer.
        Fault("timeout_before_accept", CREATE),
        Fault("timeout_after_accept", CREATE),
        Fault("connection_cut", API),
        Fault("truncated_body", DOWNLOAD),
        Fault("link_expired_mid_download", DOWNLOAD),
        Fault("page_for_stem", DOWNLOAD),
        # The answer.
        Fault("too_many_requests", API, seconds=7),
        Fault("limit_halved", API),
        Fault("out_of_credits", CREATE),
        Fault("server_error", API),
        Fault("server_error_after_accept", CREATE),
        Fault("html_403", API),
        Fault("key_revoked", API),
        Fault("clock_skew", ("* *",), seconds=300),
        Fault("balance_lags", BALANCE, seconds=60),
        # The lists.
        Fault("list_shifted", LISTS),
        Fault("list_reversed", LISTS),
        Fault("same_id_in_two_lists", LISTS),
        # The jobs: these count jobs, not requests.
        Fault("price_change"),
        Fault("token_dropped"),
        Fault("job_stuck"),
        Fault("failed_after_charging"),
        Fault("expired_before_download"),
        Fault("stems_swapped"),
        Fault("stems_silent"),
        Fault("stems_stretched"),
        Fault("stem_missing"),
        Fault("format_ignored"),
        Fault("null_bpm_and_key"),
        # The webhooks: these count deliveries; an early one holds back the reply to the create request.
        Fault("webhook_early", CREATE),
        Fault("webhook_duplicate"),
        Fault("webhook_out_of_order", seconds=10),
        Fault("webhook_never"),
        Fault("webhook_forged"),
    )
}
"""Every fault with its defaults."""


@dataclass(slots=True)
class FaultCount:
    """How often a fault could have struck, and how often it did."""

    seen: int = 0
    struck: int = 0


@dataclass(slots=True)
class ActiveFaults:
    """The faults in force; asked from any thread wherever one could strike."""

    _counts: dict[Fault, FaultCount] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def from_file(cls, path: Path | None) -> Self:
        """Give the faults of a YAML file, or none without one.

        Raises:
            UsageError: names what cannot be a fault.
        """
        faults = cls()
        if path is not None:
            try:
                tree = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                raise UsageError(f"{path} cannot be read: {error}.", fix="Write a YAML list.") from error
            faults.set(read_faults(tree))
        return faults

    def set(self, faults: Iterable[Fault]) -> None:
        """Put these faults in force instead of the earlier ones, and begin to count."""
        with self._lock:
            self._counts = {fault: FaultCount() for fault in faults}

    def strikes(self, name: str, request: str = "") -> Fault | None:
        """Give the fault that strikes here and now; None when all is well. `request` is `METHOD /path`."""
        if not self._counts:
            return None
        with self._lock:
            due = [fault for fault in self._counts if fault.name == name and self._is_struck(fault, request)]
        return due[0] if due else None

    def are_set(self) -> bool:
        """Tell whether any fault is in force."""
        return bool(self._counts)

    def as_tree(self) -> list[dict[str, Any]]:
        """Give the faults in force with their counts."""
        with self._lock:
            return [
                {"fault": fault.name, "seen": count.seen, "struck": count.struck}
                for fault, count in self._counts.items()
            ]

    def _is_struck(self, fault: Fault, request: str) -> bool:
        if fault.endpoints and not any(fnmatchcase(request, pattern) for pattern in fault.endpoints):
            return False
        count = self._counts[fault]
        count.seen += 1
        is_due = fault.is_due(count.seen, count.struck)
        count.struck += is_due
        return is_due


def read_faults(tree: object) -> list[Fault]:
    """Read a list of faults, or an object with one under `faults`.

    Raises:
        UsageError: names what cannot be a fault.
    """
    entries = tree.get("faults") if isinstance(tree, Mapping) else tree
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError("Faults are not a list of objects.", fix="Write `- fault: NAME` for each.")
    return [_read_fault(dict(entry)) for entry in entries]


def _read_fault(entry: dict[str, Any]) -> Fault:
    name = entry.pop("fault", None)
    if name not in MENU:
        raise UsageError(f"There is no fault {name!r}.", fix=f"Choose one of {', '.join(MENU)}.")
    default = MENU[name]
    if "endpoint" in entry:
        if not default.endpoints:
            raise UsageError(f"{name} strikes no request.", fix="Leave its endpoint out.")
        entry["endpoints"] = _tuple(entry.pop("endpoint"))
    if "nth" in entry:
        entry["nth"] = _tuple(entry["nth"])
    for key, value in entry.items():
        _check(name, key, value)
    return replace(default, **entry)


def _check(name: str, key: str, value: object) -> None:
    settable = {each.name for each in fields(Fault)} - {"name"}
    if key not in settable:
        raise UsageError(f"{name} knows no {key!r}.", fix=f"It takes {', '.join(sorted(settable))}.")
    if key == "retry_after":
        is_right = value in RETRY_AFTER
    elif key == "endpoints":
        is_right = isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    elif key == "nth":
        is_right = isinstance(value, tuple) and all(_is_number(each, int) for each in value)
    else:
        kind = (int, float) if key in ("probability", "seconds", "factor") else int
        is_right = _is_number(value, kind)
    if not is_right:
        raise UsageError(f"{name} has {key} {value!r}.", fix="See the menu in the service's description.")


def _is_number(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _tuple(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)
