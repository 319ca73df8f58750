"""A run: opened, its steps as verbs, and the result it ends with."""

from stemline.run.access import fingerprint, open_access, open_accesses
from stemline.run.lease import holding_key, is_held
from stemline.run.observer import Observer, observed_by
from stemline.run.opening import open_run
from stemline.run.run import Run
from stemline.run.selection import Result, Selection, source_of

__all__ = [
    "Observer",
    "Result",
    "Run",
    "Selection",
    "fingerprint",
    "holding_key",
    "is_held",
    "observed_by",
    "open_access",
    "open_accesses",
    "open_run",
    "source_of",
]
