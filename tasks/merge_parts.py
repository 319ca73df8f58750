"""A dataset's small parts, merged."""

from __future__ import annotations

from stemline.rewrite.snapshot import read_snapshot
from stemline.run import compaction
from stemline.settings import Settings
from stemline.storage import open_store
from tasks.asset import asset_key, describe_asset
from tasks.observed_task import observed_task


def _dataset(settings: Settings) -> str | None:
    return asset_key(settings.dataset.url)


@observed_task("merge parts", asset=_dataset)
def merge_parts(settings: Settings) -> compaction.CompactionReport:
    """Merge the parts of every partition that has more than its size asks for."""
    report = compaction.compact_dataset(settings)
    describe_asset(lambda: report.as_tree() | {"snapshot": _snapshot_number(settings)})
    return report


def _snapshot_number(settings: Settings) -> int | None:
    snapshot = read_snapshot(open_store(settings.dataset.url, settings.dataset.storage_options))
    return snapshot.number if snapshot else None
