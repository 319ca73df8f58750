"""The dataset's own lock on rewriting it: leases are a ledger's, and several ledgers may publish in one dataset."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stemline.clock import Clock
from stemline.errors import LeaseHeld
from stemline.storage import Store

LOCK_KEY = "_stemline/rewriting.json"
GOOD_FOR = timedelta(minutes=2)
"""How long it lasts that nobody renews; clocks of two machines may differ by less."""
CHECK_SECONDS = 5.0
"""How often the holder makes sure that it is still its own."""


@dataclass
class RewriteLock:
    """A lock that is one small object, made by one alone."""

    store: Store
    holder: str
    clock: Clock
    is_dead: Callable[[str], bool]
    """Whether a holder is known to be gone."""
    _mark: str = field(default_factory=lambda: secrets.token_hex(8))
    _checked_at: float = 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for the length of the block; raises LeaseHeld while another one does."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def require(self) -> None:
        """Make sure that it is still held, and renew it; raises LeaseHeld when another one has taken it."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        if not self._is_ours():
            raise LeaseHeld("Another run rewrites this dataset by now.", fix="Run again when it is done.")
        self.store.put_bytes(LOCK_KEY, self._content())
        self._checked_at = time.monotonic()

    def acquire(self) -> None:
        """Take it; raises LeaseHeld while another one has it."""
        if not self.store.create(LOCK_KEY, self._content()):
            tree = self._read()
            if tree is not None and not self._is_over(tree):
                raise LeaseHeld(
                    f"{tree.get('holder')} is rewriting parts of the dataset.",
                    fix="Run again when it is done.",
                )
            self.store.delete(LOCK_KEY)
            if not self.store.create(LOCK_KEY, self._content()):
                raise LeaseHeld(
                    "Another run is rewriting parts of the dataset.", fix="Run again when it is done."
                )
        self._checked_at = time.monotonic()

    def release(self) -> None:
        """Let it go, unless another one has taken it."""
        if self._is_ours():
            self.store.delete(LOCK_KEY)

    def _is_over(self, tree: dict[str, str]) -> bool:
        try:
            until = datetime.fromisoformat(tree["until"])
        except (KeyError, ValueError):
            return True
        return until <= self.clock() or self.is_dead(str(tree.get("holder")))

    def _is_ours(self) -> bool:
        tree = self._read()
        return tree is not None and tree.get("mark") == self._mark

    def _read(self) -> dict[str, str] | None:
        try:
            tree = json.loads(self.store.read_bytes(LOCK_KEY))
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        return tree if isinstance(tree, dict) else {}

    def _content(self) -> bytes:
        until = self.clock() + GOOD_FOR
        tree = {"holder": self.holder, "mark": self._mark, "until": until.isoformat()}
        return json.dumps(tree).encode() + b"\n"
