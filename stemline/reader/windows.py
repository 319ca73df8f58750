"""Aligned windows of stems, in an order that is the same each time and can be taken up anywhere at once."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from stemline.errors import StorageError
from stemline.reader.index_cache import note_use
from stemline.reader.permutation import Permutation, random_key
from stemline.reader.prefetch import prefetched
from stemline.reader.window_choice import WindowChoice
from stemline.reader.window_progress import States, WindowOrder, WindowProgress, WindowShard
from stemline.reader.window_reading import Window, WindowReader
from stemline.reader.window_request import Delivery, require_count

logger = logging.getLogger(__name__)

_FEW, _MANY = 8, 1000
"""So many windows that cannot be read, one behind the other, are no matter of single tracks."""
_LOOK = "Run `stemline verify`, and open the dataset again."


@lru_cache(4)
def _order_of_epoch(size: int, seed: int, epoch: int) -> Permutation:
    return Permutation(size, random_key("windows", seed, epoch))


class StemWindows:
    """Windows of a dataset: dicts with an array, (frames, channels), for each stem and `mix`, and where it is from.

    One iteration gives one epoch, that of `set_epoch`, or as many as `epochs` says. It can be pickled, and used in
    forked processes; workers of a DataLoader and ranks share each epoch among them.
    """

    def __init__(self, reader: WindowReader, choice: WindowChoice, delivery: Delivery) -> None:
        """Take what windows there are, who reads them, and how they are given."""
        self._reader, self._choice, self._delivery = reader, choice, delivery
        text = f"{choice.digest} {reader.form}"
        self._order = WindowOrder(
            hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), int(delivery.seed)
        )
        self._epoch = 0
        self._resumed: WindowProgress | None = None
        self._progress = WindowProgress()
        if choice.unmeasured:
            logger.warning(
                "Of %d tracks nobody has measured how loud their seconds are: their windows may be silent. "
                "`stemline verify --repair --decode` fills the table activity.",
                choice.unmeasured,
            )

    def __len__(self) -> int:
        """Give how many windows of an epoch this rank has."""
        shard, begin = WindowShard(*self._rank()), self.epoch * self.windows_per_epoch
        return len(range(shard.first_from(begin), begin + self.windows_per_epoch, shard.count))

    @property
    def windows_per_epoch(self) -> int:
        """How many windows an epoch has, of all ranks together."""
        return len(self._choice)

    @property
    def left_out(self) -> Counter[str]:
        """Tracks of which no window is taken, by reason."""
        return self._choice.left_out

    @property
    def skipped(self) -> Counter[str]:
        """StemWindows that could not be read, by reason, in this process."""
        return self._reader.skipped

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration begins with."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Have the next iteration begin with an epoch; each has an order, and windows, of its own."""
        require_count("epoch", epoch)
        if epoch != self.epoch:
            self._resumed = None
        self._progress = WindowProgress()
        self._keep_epoch(epoch)

    def state(self) -> dict[str, Any]:
        """Give how far it is, fit for JSON: `resume=` goes on with the very next window."""
        progress = self._resumed or self._progress
        if not progress.following:
            progress = WindowProgress()
            progress.begin([WindowShard(0, 1)], self.epoch * self.windows_per_epoch)
        return self._order.state(progress, progress.first // self.windows_per_epoch)

    def note(self, batch: Mapping[str, Any]) -> None:
        """Take down that a batch of a DataLoader with workers was used, so that `state` counts it."""
        positions = np.atleast_1d(np.asarray(batch["position"]))
        shards = int(np.atleast_1d(np.asarray(batch["shards"]))[0])
        if not self._progress.following or self._resumed is not None or self._progress.shards != shards:
            self._begin_noting(shards, int(positions[0]))
        for position in positions:
            self._progress.note(int(position))

    def load_state(self, state: States) -> None:
        """Go on from what `state` gave, or from the states of all ranks; raises UsageError where it is of others."""
        self._resumed = self._order.progress(state)
        self._keep_epoch(self._resumed.first // self.windows_per_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Give `state`, as torchdata's StatefulDataLoader asks each worker for it."""
        return self.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state, as torchdata's StatefulDataLoader has it."""
        self.load_state(state)

    def __iter__(self) -> Iterator[Window]:
        """Give the windows of this worker and rank, reading the next ones ahead."""
        note_use(self._reader.index.folder.parent)
        shard, size = self._shard(), self.windows_per_epoch
        begin = self.epoch * size
        end = sys.maxsize if self._delivery.epochs is None else begin + self._delivery.epochs * size
        before, self._resumed = self._resumed or WindowProgress(), None
        self._progress = WindowProgress()
        self._progress.begin([shard], next(before.rest(shard, begin, end), end))
        positions = before.rest(shard, begin, end)
        return self._read(positions, self._progress)

    def _read(self, positions: Iterator[int], progress: WindowProgress) -> Iterator[Window]:
        pending = (self._reader.pending(*self._drawn(position, progress.shards)) for position in positions)
        share = -(-self.windows_per_epoch // progress.shards)
        most, skipped = min(max(share, _FEW), _MANY), 0
        for window in prefetched(pending, self._delivery.prefetch_bytes):
            if window is not None:
                skipped = 0
                progress.note(window["position"])
                yield window
                continue
            skipped += 1
            if skipped >= most:
                told = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
                raise StorageError(f"None of {skipped} windows could be read ({told}).", fix=_LOOK)

    def _drawn(self, position: int, shards: int) -> tuple[Any, Window]:
        """Give which window stands at a position, and what it says of itself."""
        epoch, place = divmod(position, self.windows_per_epoch)
        order = _order_of_epoch(self.windows_per_epoch, self._order.seed, epoch)
        number = order[place]
        return self._choice[number, order.key ^ number], {"position": position, "shards": shards}

    def _begin_noting(self, shards: int, position: int) -> None:
        """Begin with all workers of this rank where they began, or went on."""
        rank, ranks = self._rank()
        workers = max(shards // ranks, 1)
        size = self.windows_per_epoch
        begin = position // size * size
        before, self._resumed = self._resumed or WindowProgress(), None
        own = [WindowShard(worker * ranks + rank, shards) for worker in range(workers)]
        self._progress = WindowProgress(
            shards, {each.number: next(before.rest(each, begin, sys.maxsize)) for each in own}
        )

    def _shard(self) -> WindowShard:
        rank, ranks = self._rank()
        torch = sys.modules.get("torch")
        info = None if torch is None else torch.utils.data.get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        return WindowShard(worker * ranks + rank, ranks * workers)

    def _rank(self) -> tuple[int, int]:
        """Give which rank this is, and of how many: as told, or as torch.distributed or its launcher tells."""
        if self._delivery.rank is not None:
            return self._delivery.rank, self._delivery.world_size or 1
        torch = sys.modules.get("torch")
        if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        rank, ranks = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
        is_told = rank.isdecimal() and ranks.isdecimal() and int(rank) < int(ranks)
        return (int(rank), int(ranks)) if is_told else (0, 1)

    def _keep_epoch(self, epoch: int) -> None:
        self._epoch = epoch
