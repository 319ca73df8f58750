"""Verbs repeated when the database fails them: a lock, a restart or a failover ends no run that has paid for jobs.

A verb is one transaction. What was rolled back is done again as if it had not begun. A commit whose answer was lost may
have been carried out: every verb may be said twice and changes nothing the second time, except those marked `once`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from stemline.errors import LedgerAway

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

AWAY_SECONDS = 120.0
"""How long a database may be away: a managed PostgreSQL fails over in one or two minutes."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
ONCE = "_stemline_once"


def repeating_verbs(part: type[C]) -> type[C]:
    """Have every public verb of a part of the ledger repeated for as long as the database may be away."""
    for name, verb in list(vars(part).items()):
        if inspect.isfunction(verb) and not name.startswith("_") and not inspect.isgeneratorfunction(verb):
            setattr(part, name, _repeated(verb))
    return part


def once(verb: Callable[P, R]) -> Callable[P, R]:
    """Mark a verb that must not be said twice: it is not repeated when its commit is in doubt."""
    setattr(verb, ONCE, True)
    return verb


def repeat(action: Callable[[], R], is_worth: Callable[[LedgerAway], bool]) -> R:
    """Give what an action gives, tried again while its failure is worth it.

    It blocks, an event loop as well: nothing may be sent while what was sent cannot be booked.
    """
    end, pause = time.monotonic() + AWAY_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            return action()
        except LedgerAway as error:
            if time.monotonic() + pause > end or not is_worth(error):
                raise
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _repeated(verb: Callable[P, R]) -> Callable[P, R]:
    is_once = hasattr(verb, ONCE)

    @wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return repeat(lambda: verb(*args, **kwargs), lambda error: not (is_once and error.is_in_doubt))

    return call
