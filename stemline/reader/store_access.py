"""The dataset's store as this process may use it: also a forked worker's, and one that was started anew."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stemline.storage import Store, open_store


@dataclass(frozen=True)
class StoreAccess:
    """Where a dataset is, and the store behind it for whichever process asks.

    It can be pickled. Each process opens a store of its own: sockets and threads do not survive a fork.
    """

    url: str
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    _opened: dict[int, Store] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By process; in a forked one, the parent's is still there and is not touched."""

    @property
    def store(self) -> Store:
        """Give the store; raises ConfigError or StorageError where the URL or its options are no good."""
        process = os.getpid()
        if process not in self._opened:
            self._opened[process] = open_store(
                self.url, self.storage_options, is_forked="obstore" in _imported_before_fork
            )
        return self._opened[process]

    def beside(self, url: str) -> StoreAccess:
        """Give another place; what opens this one opens it as well where it is of the same kind."""
        is_alike = url.partition("://")[0] == self.url.partition("://")[0]
        return StoreAccess(url, self.storage_options if is_alike else {})

    def __getstate__(self) -> dict[str, Any]:
        """Give what another process needs, which are no sockets."""
        return {"url": self.url, "storage_options": dict(self.storage_options), "_opened": {}}


_imported_before_fork: set[str] = set()


def _note_fork() -> None:
    """Remember, in a forked process, what its parent had loaded: obstore's threads stayed there.

    So did DuckDB's, whose objects crash the process that frees them here: garbage of the parent's is left alone.
    """
    _imported_before_fork.update({"obstore"} & sys.modules.keys())
    if "duckdb" in sys.modules:
        gc.freeze()


os.register_at_fork(after_in_child=_note_fork)
