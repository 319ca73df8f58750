"""Compaction: the small parts of a partition become one, sorted, for each table."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import part_key
from stemline.dataset.paths import TABLES
from stemline.dataset.stored_tracks import batch_of_part
from stemline.records import PartFile
from stemline.rewrite.merging import PART_BYTES, SortedMerge
from stemline.rewrite.partfiles import fetched
from stemline.rewrite.rewrite import Replacement, RewritePlan, Rewriter
from stemline.storage import Store, scratch_folder

PARTITIONS_AT_ONCE = 32
"""How many partitions one rewrite replaces: so much is done again after a crash, and lies twice on the store."""
MANY_PARTS = 32
"""So many parts of a partition that may still grow are merged all the same."""
DAYS = ("collected_on",)
"""Partition columns whose value tells when nothing is added any more."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The parts of one partition that may be merged, by table."""

    folder: str
    """As it stands behind the table's name; empty where nothing partitions."""
    parts: Mapping[str, tuple[tuple[str, int], ...]]
    """Their keys and sizes."""

    @property
    def is_merged(self) -> bool:
        """Whether no table has more parts than its size asks for."""
        return all(len(parts) <= _parts_for(parts) for parts in self.parts.values())

    @property
    def count(self) -> int:
        """How many parts there are in all tables."""
        return sum(map(len, self.parts.values()))

    @property
    def batch_id(self) -> str:
        """The name that its merged parts go by, which follows from those that go."""
        keys = sorted(key for parts in self.parts.values() for key, _ in parts)
        return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:20]

    def is_finished(self, today: date) -> bool:
        """Whether nothing is added to it any more, or so much was that it is worth merging meanwhile."""
        days = [
            step.partition("=")[2]
            for step in self.folder.split("/")
            if step.startswith(tuple(f"by_{name}=" for name in DAYS))
        ]
        if days:
            return days[0] < today.isoformat()
        return max(map(len, self.parts.values())) >= MANY_PARTS


@dataclass
class CompactionCounts:
    """What a compaction came to."""

    partitions: int = 0
    """That were merged."""
    parts_before: int = 0
    parts_after: int = 0
    """Of these partitions."""
    bytes_before: int = 0
    bytes_after: int = 0
    rows: int = 0


def list_partitions(
    store: Store, live: Collection[str], is_published: Callable[[Collection[str]], set[str]]
) -> tuple[list[Partition], int]:
    """Give the partitions with the live parts that may be merged, and how many parts may not.

    A part may that belongs to a published batch: of another, a run that goes on may write the parts again.
    """
    wanted = set(live)
    found: defaultdict[str, dict[str, list[tuple[str, int]]]] = defaultdict(lambda: defaultdict(list))
    listed = [each for table in TABLES for each in store.list_sizes(table) if each[0] in wanted]
    published = is_published({batch_of_part(key) for key, _ in listed})
    left = 0
    for key, size in sorted(listed):
        if batch_of_part(key) not in published:
            left += 1
            continue
        table, _, rest = key.partition("/")
        found[rest.rpartition("/")[0]][table].append((key, size))
    partitions = [
        Partition(folder, {table: tuple(parts) for table, parts in tables.items()})
        for folder, tables in sorted(found.items())
    ]
    return partitions, left


@dataclass(frozen=True, slots=True)
class Compaction:
    """Merges partitions, some with each rewrite."""

    rewriter: Rewriter
    layout: DatasetLayout
    on_progress: Callable[[CompactionCounts], object] = lambda _: None

    def run(self, partitions: Sequence[Partition]) -> CompactionCounts:
        """Merge these partitions; what is right already is left as it is."""
        counts = CompactionCounts()
        wanted = [each for each in partitions if not each.is_merged]
        for start in range(0, len(wanted), PARTITIONS_AT_ONCE):
            self._merge(wanted[start : start + PARTITIONS_AT_ONCE], counts)
        return counts

    def _merge(self, partitions: Sequence[Partition], counts: CompactionCounts) -> None:
        rewrite_id = _rewrite_id(partitions)
        replacements = []
        for partition in partitions:
            new = tuple(self._stage(rewrite_id, partition))
            old = [key for table in TABLES for key, _ in partition.parts.get(table, ())]
            replacements.append(Replacement(tuple(old), new))
            counts.partitions += 1
            counts.parts_before += partition.count
            counts.parts_after += len(new)
            counts.bytes_before += sum(size for parts in partition.parts.values() for _, size in parts)
            counts.bytes_after += sum(part.size_bytes for part in new)
            counts.rows += sum(part.rows for part in new)
            self.on_progress(counts)
        self.rewriter.commit(RewritePlan(rewrite_id, "compact", tuple(replacements)))

    def _stage(self, rewrite_id: str, partition: Partition) -> Iterator[PartFile]:
        """Give the partition's merged parts, once they are staged; stems before tracks."""
        for table in TABLES:
            keys = [key for key, _ in partition.parts.get(table, ())]
            with scratch_folder() as folder, fetched(self.rewriter.store, keys) as files:
                merge = SortedMerge(self.layout.schema_of(table), files, folder)
                for number, path in enumerate(merge.write(), 1):
                    key = part_key(table, partition.folder, partition.batch_id, number)
                    yield self.rewriter.stage(rewrite_id, key, path)


def _parts_for(parts: Sequence[tuple[str, int]]) -> int:
    """Give how many parts a table of this size has in a partition when it is merged."""
    return max(1, math.ceil(sum(size for _, size in parts) / PART_BYTES))


def _rewrite_id(partitions: Sequence[Partition]) -> str:
    """Give the name of a rewrite, which follows from what it merges."""
    names = "\n".join(f"{each.folder} {each.batch_id}" for each in partitions)
    return f"compact-{hashlib.sha256(names.encode()).hexdigest()[:20]}"
