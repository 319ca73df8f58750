"""Backfills paused, resumed, cancelled and changed, from any machine that reaches the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict

from stemline.backfill.beginning import read_share, share_words
from stemline.backfill.progress import progress_tree
from stemline.backfill.request import BackfillRequest, check_ceiling, require_word
from stemline.errors import LedgerConflict, UsageError
from stemline.ledger import Backfill, BackfillOrder, BackfillState, Ledger
from stemline.plan.ledger_view import open_ledger_view
from stemline.records import State
from stemline.run.existing_ledger import open_existing_ledger
from stemline.run.lane import leave_standing, require_backfill
from stemline.settings import Settings
from stemline.wording import counted

SENT = (State.PROCESSING, State.READY, State.UNKNOWN)
"""Of tracks that the provider has, or may have."""


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
    named = {"pause": pause, "resume": resume, "cancel": cancel, "change": change}
    for option, name in named.items():
        if name is not None:
            require_word(name, f"--{option}")
    states = {"pause": BackfillState.PAUSED, "resume": BackfillState.OPEN, "cancel": BackfillState.CANCELLED}
    moves = [(name, state) for option, state in states.items() if (name := named[option]) is not None]
    changes: _Changes = {
        "ceiling": check_ceiling(ceiling),
        "share": None if share is None else read_share(share),
        "order": None if order is None else BackfillRequest.from_words({"order": order}).order,
    }
    if not moves and change is None:
        return []
    with open_existing_ledger(settings) as ledger:
        _require_possible(ledger, moves, change)
        told = [_move(ledger, name, state) for name, state in moves]
        if change is not None:
            told.append(_change(ledger, change, changes))
    return told


class _Changes(TypedDict):
    """What is to be another of a backfill; None: it stays."""

    ceiling: int | None
    share: float | None
    order: BackfillOrder | None


def _require_possible(ledger: Ledger, moves: Sequence[tuple[str, BackfillState]], change: str | None) -> None:
    """Raise UsageError where one of the names is not there, or its state does not allow it: all is done, or nothing."""
    names = [*(name for name, _ in moves), *filter(None, (change,))]
    found = {name: require_backfill(ledger, name) for name in names}
    for name, state in moves:
        if found[name].state is BackfillState.FINISHED:
            raise UsageError(f"Backfill {name} is finished.", fix="There is nothing left to steer.")
        found[name] = _said(lambda name=name, state=state: found[name].moved(state))  # type: ignore[misc]
    if change is not None:
        _said(found[change].require_changeable)


def _move(ledger: Ledger, name: str, state: BackfillState) -> str:
    moved = _said(lambda: ledger.backfills.move(name, state))
    if moved.state is BackfillState.CANCELLED:
        leave_standing(ledger, moved)
    return f"Backfill {name} is {moved.state}. {''.join(_follows(ledger, moved))}".strip()


def _follows(ledger: Ledger, backfill: Backfill) -> Iterator[str]:
    """Say what becomes of what was sent, and who goes on."""
    progress = ledger.backfills.progress(backfill.name)
    states = sum((Counter(each.states) for each in progress), Counter[str]())
    sent, about = sum(states[state] for state in SENT), states[State.SUBMITTING]
    if backfill.state is BackfillState.OPEN:
        yield f"A process that waits goes on; else `stemline backfill CONFIG --name {backfill.name}`."
        return
    if sent:
        yield f"{counted(sent)} with the provider or without an answer: whoever has the key collects them. "
    if about:
        yield (
            f"{counted(about)} about to be sent, with credits reserved: what the provider takes is collected, "
            "what it does not is held and costs nothing. "
        )


def _change(ledger: Ledger, name: str, changes: _Changes) -> str:
    changed = _said(lambda: ledger.backfills.change(name, **changes))
    most = "no ceiling" if changed.ceiling is None else f"a ceiling of {changed.ceiling:,} credits"
    return f"Backfill {name}: {changed.order} first, {most}, {share_words(changed.share)} of rate and day."


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
