"""A plan saved in a file, and compared with the catalogue before it is carried out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import ValidationError

from stemline.clock import utc_now
from stemline.errors import PlanOutdated, UsageError
from stemline.manifest import ManifestSource
from stemline.plan.ledger_view import open_ledger_view
from stemline.plan.preview import Preview, preview_run
from stemline.plan.row_digest import Row, RowDigest, compare_rows
from stemline.records import State
from stemline.settings import ProviderFacts, Section, Settings

PlanFile = TypeVar("PlanFile", bound=Section)
OPENINGS = (b"stemline_plan", b"stemline_backfill")
"""The first key of a plan file of either kind."""
SHOWN_IDS = 3
IDS_A_QUERY = 10_000


class RowSelection(Protocol):
    """Which rows of the manifest a plan is about."""

    @property
    def where(self) -> str | None:
        """Give the SQL filter."""

    @property
    def limit(self) -> int | None:
        """Give how many rows at most."""


class PlanInterval(Section):
    """A figure between two bounds."""

    low: int | float
    high: int | float


class SavedPlan(Section):
    """The contents of a plan file."""

    stemline_plan: Literal[1] = 1
    """The version of the file format."""
    name: str
    created_at: datetime
    manifest_digest: str
    config_digest: str
    config: dict[str, Any]
    """What sets the cost, key by key."""
    tracks: dict[str, int]
    credits: PlanInterval
    seconds: PlanInterval
    requests: PlanInterval
    bottleneck: str
    rows: int
    places_digest: str
    by_id: dict[str, Row] | None
    """Each row's digest and credits; None: there are too many."""


def save_plan(path: Path, settings: Settings, selection: RowSelection, plan: Preview) -> SavedPlan:
    """Write a plan to a file and give it; raises UsageError where that cannot be written."""
    config, found = _config(settings, selection), plan.forecast
    counted = ("new", "done", "under_way", "failed", "rejected", "held")
    saved = SavedPlan(
        name=settings.name,
        created_at=utc_now().replace(microsecond=0),
        manifest_digest=plan.rows.digest,
        config_digest=hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
        config=config,
        tracks={name: getattr(plan, name) for name in counted},
        credits=PlanInterval(low=plan.workload.credits_low, high=plan.workload.credits_high),
        seconds=PlanInterval(low=round(found.seconds_low, 1), high=round(found.seconds_high, 1)),
        requests=PlanInterval(low=found.requests_low, high=found.requests_high),
        bottleneck=found.bottleneck,
        rows=plan.rows.count,
        places_digest=plan.rows.places_digest,
        by_id=plan.rows.by_id,
    )
    write_plan_file(path, saved)
    return saved


def read_plan(path: Path) -> SavedPlan:
    """Give the plan of a file; raises UsageError for one that is missing, damaged or no plan of ours."""
    return read_plan_file(path, SavedPlan, "plan of this stemline", "stemline plan …")


def write_plan_file(path: Path, plan: Section) -> None:
    """Write a plan of whatever kind to a file, over an older one.

    Raises UsageError where that cannot be written, and for a file that holds something else: a configuration is one
    word away on the command line.
    """
    try:
        if not _may_hold_a_plan(path):
            raise UsageError(f"{path} is there already and is no plan.", fix="Give --out another name.")
        path.write_text(plan.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"The plan cannot be written to {path}: {error.strerror}.",
            fix="Give --out a file in a folder that is there and can be written to.",
        ) from error


def read_plan_file(path: Path, kind: type[PlanFile], what: str, command: str) -> PlanFile:
    """Give the plan of a kind, called `what` and made by `command`, in a file; raises UsageError for one without."""
    try:
        fix = f"Make one with `{command} --out {path if _may_hold_a_plan(path) else 'FILE'}`."
    except OSError:
        fix = f"Make one with `{command} --out FILE`."
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.", fix=fix) from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        reason = f"`{where}`: {problem['msg']}" if where else problem["msg"]
        raise UsageError(f"{path} is no {what}, or damaged ({reason}).", fix=fix) from error


def _may_hold_a_plan(path: Path) -> bool:
    """Tell whether nothing but a plan, whole or cut off, is lost when a file is written over."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        beginning = file.read(100)
    return not beginning or beginning.lstrip(b"{ \r\n\t").startswith(tuple(b'"' + key for key in OPENINGS))


def check_plan(path: Path, settings: Settings, source: ManifestSource, facts: ProviderFacts) -> SavedPlan:
    """Give a saved plan that still holds; the catalogue is read again.

    Raises PlanOutdated with what changed: the configuration, rows, or what is left to pay. Tracks that were finished
    since are no reason: they only lower the cost. Raises UsageError for a file that is no plan.
    """
    saved = read_plan(path)
    changes = list(_config_changes(saved, settings, source))
    if not changes:
        found = preview_run(settings, source, facts)
        changes = [*_row_changes(saved, found.rows, settings), *_cost_changes(saved, found)]
    if changes:
        raise PlanOutdated(
            f"The plan {path} no longer holds: {'; '.join(changes)}.",
            fix=f"Make a new plan with `stemline plan … --out {path}`.",
        )
    return saved


def _config(settings: Settings, selection: RowSelection) -> dict[str, Any]:
    """Give what sets the cost, by its key in the configuration."""
    tree: dict[str, Any] = {
        "name": settings.name,
        "provider.kind": settings.provider.kind,
        "catalogue.where": selection.where or settings.catalogue.where,
        "catalogue.order_by": settings.catalogue.order_by,
        "limit": selection.limit,
    }
    for section in ("recipe", "budget"):
        tree |= {
            f"{section}.{name}": value for name, value in getattr(settings, section).model_dump().items()
        }
    return tree


def _config_changes(saved: SavedPlan, settings: Settings, selection: RowSelection) -> Iterator[str]:
    present = _config(settings, selection)
    for name in sorted(saved.config.keys() | present.keys()):
        before, now = saved.config.get(name), present.get(name)
        if before != now:
            yield f"{name} was {_shown(before)} and is {_shown(now)}"


def _shown(value: object) -> str:
    return "not set" if value is None else repr(value)


def _row_changes(saved: SavedPlan, rows: RowDigest, settings: Settings) -> Iterator[str]:
    if saved.by_id is None or rows.by_id is None:
        if saved.places_digest != rows.places_digest:
            yield f"the rows are others ({saved.rows:,} were usable and {rows.count:,} are)"
        return
    changes = compare_rows(saved.by_id, rows.by_id)
    finished = _finished(settings, [*changes["gone"], *changes["changed"]])
    for how, track_ids in changes.items():
        if left := [track_id for track_id in track_ids if track_id not in finished]:
            yield f"{_rows(len(left))} {how} ({_some(left)})"


def _finished(settings: Settings, track_ids: list[str]) -> set[str]:
    """Name those of some tracks that are published: nothing is paid for them again."""
    with open_ledger_view(settings) as view:
        return {
            track_id
            for start in range(0, len(track_ids), IDS_A_QUERY)
            for track_id, state in view.states_of(track_ids[start : start + IDS_A_QUERY]).items()
            if state is State.PUBLISHED
        }


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _some(track_ids: list[str]) -> str:
    shown = ", ".join(track_ids[:SHOWN_IDS])
    return f"{shown}, …" if len(track_ids) > SHOWN_IDS else shown


def _cost_changes(saved: SavedPlan, found: Preview) -> Iterator[str]:
    most = found.workload.credits_high
    if most > saved.credits.high:
        yield f"what is left may cost {most:,} credits and the plan says {saved.credits.high:,.0f} at most"
