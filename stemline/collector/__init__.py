"""The data side: downloads the stems of ready tracks, verifies them and stores them.

What stands here is light. `collect_batch` is in `stemline.collector.batch`, which loads the decoders.
"""

from __future__ import annotations

from stemline.collector.target import CollectResult, CollectTarget, Relink

__all__ = ["CollectResult", "CollectTarget", "Relink"]
