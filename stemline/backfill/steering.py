"""Backfills paused, resumed, cancelled and changed, from any machine that reaches the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stemline.backfill.beginning import read_share
from stemline.backfill.progress import progress_tree
from stemline.backfill.request import BackfillRequest
from stemline.errors import LedgerConflict, UsageError
from stemline.ledger import Backfill, BackfillOrder, BackfillState, Ledger
from stemline.ledger.recovery import UNDER_WAY
from stemline.plan.ledger_view import open_ledger_view
from stemline.run.existing_ledger import open_existing_ledger
from stemline.run.lane import leave_standing, require_backfill
from stemline.settings import Settings
from stemline.wording import counted


def steer_backfill(  # noqa: PLR0913 - what may be asked for
    settings: Settings,
    *,
    pause: str | None = None,
    resume: str | None = None,
    cancel: str | None = None,
    change: str | None = None,
    order: str | None = None,
    ceiling: int | None = None,
    share: str | None = None,
) -> list[str]:
    """Do what is asked with the backfills named, and give what was done as sentences.

    A run that is under way notices within seconds. Raises UsageError for a name that is not there, for what its state
    does not allow, and where it is not said what to change.
    """
    has_change = any(each is not None for each in (order, ceiling, share))
    if has_change is not (change is not None):
        raise UsageError(
            "--change NAME goes with --order, --credits or --share.", fix="Give the name and what to change."
        )
    asked = {
        BackfillState.PAUSED: pause,
        BackfillState.OPEN: resume,
        BackfillState.CANCELLED: cancel,
    }
    if not any((pause, resume, cancel, change)):
        return []
    with open_existing_ledger(settings) as ledger:
        for name in filter(None, (pause, resume, cancel, change)):
            require_backfill(ledger, name)  # all or nothing: a typing error in one of them changes none
        told = [_move(ledger, name, state) for state, name in asked.items() if name is not None]
        if change is not None:
            told.append(_change(ledger, change, order, ceiling, share))
    return told


def _move(ledger: Ledger, name: str, state: BackfillState) -> str:
    backfill = require_backfill(ledger, name)
    if backfill.state is BackfillState.FINISHED:
        raise UsageError(f"Backfill {name} is finished.", fix="There is nothing left to steer.")
    moved = _said(lambda: ledger.backfills.move(name, state))
    if moved.state is BackfillState.CANCELLED:
        leave_standing(ledger, moved)
    return f"Backfill {name} is {moved.state}. {''.join(_follows(ledger, moved))}".strip()


def _follows(ledger: Ledger, backfill: Backfill) -> Iterator[str]:
    """Say what becomes of what was sent, and who goes on."""
    progress = ledger.backfills.progress(backfill.name)
    under_way = sum(each.states.get(state, 0) for each in progress for state in UNDER_WAY)
    if backfill.state is BackfillState.OPEN:
        yield f"A process that waits goes on; else `stemline backfill CONFIG --name {backfill.name}`."
    elif under_way:
        yield f"{counted(under_way)} with the provider or without an answer: whoever has the key collects them."


def _change(ledger: Ledger, name: str, order: str | None, ceiling: int | None, share: str | None) -> str:
    asked = None if order is None else BackfillRequest.from_words({"order": order}).order
    changed = _said(
        lambda: ledger.backfills.change(
            name,
            ceiling=ceiling,
            share=None if share is None else read_share(share),
            order=None if asked is None else BackfillOrder(asked),
        )
    )
    most = "no ceiling" if changed.ceiling is None else f"a ceiling of {changed.ceiling:,} credits"
    return f"Backfill {name}: {changed.order} first, {most}, {changed.share:.0%} of rate and day."


def _said(action: Callable[[], Backfill]) -> Backfill:
    try:
        return action()
    except LedgerConflict as error:
        raise UsageError(str(error), fix="`stemline backfills CONFIG` shows how each stands.") from error


def list_backfills(settings: Settings) -> list[dict[str, Any]]:
    """Give every backfill of the ledger with its progress, newest first, as JSON has it."""
    with open_ledger_view(settings) as view:
        ledger = view.ledger
        if ledger is None:
            return []
        return [
            progress_tree(ledger, each, ledger.backfills.progress(each.name))
            for each in ledger.backfills.every()
        ]
