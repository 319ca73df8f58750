"""What a cluster is asked before a run uses it, and what is said of one that is not there, whichever engine it is."""

from __future__ import annotations

import re
from collections.abc import Callable

import stemline
from stemline.errors import ClusterAway

CHECK_ADDRESS = "Check execution.address, or leave it away for workers on this machine."
_ERROR_NAME = re.compile(r"^[\w.]+(Error|Exception): ")
Errors = tuple[type[BaseException], ...]


def require_same_stemline(  # noqa: PLR0913 - what is an engine's own
    engine: str, address: str | None, ask: Callable[[], str], *, silent: Errors, absent: Errors, waking: str
) -> None:
    """Have a worker say which stemline it has.

    `ask` raises one of `silent` where no worker answers, for which `waking` is the fix, and one of `absent` where it
    has none. Raises ClusterAway then, for another version than this, and for whatever else it dies of.
    """
    where = f"The {engine} workers at {address}" if address else f"The {engine} workers"
    try:
        found = ask()
    except silent as error:
        raise ClusterAway(f"{where} do not answer.", fix=waking) from error
    except absent as error:
        raise ClusterAway(
            f"{where} have no stemline.", fix=f"Install stemline {stemline.__version__} there."
        ) from error
    except (
        Exception
    ) as error:  # of an engine or a Python that is another there, or of a worker that dies at it
        raise ClusterAway(
            f"{where} cannot carry out a task: {_last_line(error)}.",
            fix="Have the same Python and engine there as here.",
        ) from error
    if found != stemline.__version__:
        raise ClusterAway(
            f"{where} have stemline {found}, and this is {stemline.__version__}.",
            fix="Install the same there.",
        )


def unreachable(what: str, error: Exception, fix: str = CHECK_ADDRESS) -> ClusterAway:
    """Give the error of a run whose cluster does not answer when it begins."""
    return ClusterAway(f"No {what}: {_last_line(error)}.", fix=fix)


def gone(what: str, error: Exception) -> ClusterAway:
    """Give the error of a run whose cluster has ended under it."""
    return ClusterAway(
        f"The {what} is gone: {_last_line(error)}.",
        fix="Run again once it is there: what is paid is collected then.",
    )


def _last_line(error: Exception) -> str:
    """Give what an engine says of its error, without the traceback of another machine that may stand before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" .")] or [type(error).__name__]
    return _ERROR_NAME.sub("", lines[-1]).rstrip(".")
