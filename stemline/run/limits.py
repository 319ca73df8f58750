"""The budget's present limits: a person may change them in the configuration while a run goes on."""

from __future__ import annotations

import logging
from threading import Lock

from stemline.budget import Limits
from stemline.errors import ConfigError
from stemline.settings import BudgetSettings, Settings, load_settings

logger = logging.getLogger(__name__)


class LiveBudget:
    """Reads the `budget` section again whenever its file has changed; from any thread."""

    def __init__(self, settings: Settings) -> None:
        """Begin with the settings as they are."""
        self._origin = settings.origin
        self._limits = _limits(settings.budget)
        self._stamp = self._read_stamp()
        self._lock = Lock()

    def __call__(self) -> Limits:
        """Give the present limits; a file that is half written or wrong changes nothing."""
        with self._lock:
            if (stamp := self._read_stamp()) != self._stamp:
                self._stamp = stamp
                self._read()
            return self._limits

    def _read_stamp(self) -> tuple[int, int] | None:
        if self._origin is None:
            return None
        try:
            found = self._origin[0].stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _read(self) -> None:
        if self._origin is None:
            return
        try:
            limits = _limits(load_settings(*self._origin).budget)
        except ConfigError as error:
            logger.warning("The limits stay as they were: %s", error)
            return
        if limits != self._limits:
            logger.warning("The budget was changed and holds from now on: %s.", _sentence(limits))
        self._limits = limits


def _limits(budget: BudgetSettings) -> Limits:
    return Limits(budget.run, budget.day, budget.month, budget.floor)


def _sentence(limits: Limits) -> str:
    named = {name: getattr(limits, name) for name in ("run", "day", "month", "floor")}
    found = [f"{name} {limit:,}" for name, limit in named.items() if limit is not None]
    return ", ".join(found) or "no limit"
