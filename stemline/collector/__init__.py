"""The data side: downloads the stems of ready tracks, verifies them and stores them."""

from __future__ import annotations

from stemline.collector.batch import Relink, Target, collect_batch

__all__ = ["Relink", "Target", "collect_batch"]
