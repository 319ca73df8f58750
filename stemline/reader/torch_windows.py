"""Windows as PyTorch takes them; importing it imports torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import IterableDataset

from stemline.reader.window_choice import WindowChoice
from stemline.reader.window_reading import WindowReader
from stemline.reader.window_request import Delivery
from stemline.reader.windows import StemWindows


class TorchWindows(StemWindows, IterableDataset):  # type: ignore[misc]  # torch is not typed where it is not there
    """Windows as an IterableDataset. The epoch is in shared memory: workers that stay on see what `set_epoch` sets."""

    def __init__(self, reader: WindowReader, choice: WindowChoice, delivery: Delivery) -> None:
        """Take what windows there are, who reads them, and how they are given."""
        self._shared_epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        super().__init__(reader, choice, delivery)

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration begins with."""
        return int(self._shared_epoch.item())

    def _keep_epoch(self, epoch: int) -> None:
        self._shared_epoch.fill_(epoch)

    def __getstate__(self) -> dict[str, Any]:
        """Give what a spawned worker needs: also which rank this is, which it could not ask."""
        rank, ranks = self._rank()
        return {**self.__dict__, "_delivery": replace(self._delivery, rank=rank, world_size=ranks)}
