"""stemline turns a music catalogue into a stems dataset."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_READER = ("StemsDataset", "open_dataset")


def __getattr__(name: str) -> object:
    """Give what reads a dataset, which is loaded when it is first asked for; `__init__.pyi` tells its types."""
    if name not in _READER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("stemline.reader"), name)


def __dir__() -> list[str]:
    """Name what is here, and what is loaded when it is asked for."""
    return sorted([*globals(), *_READER])
