"""What a run is asked for, and what it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stemline.collector import CollectTarget
from stemline.manifest import ManifestSource
from stemline.records import Code
from stemline.settings import Settings


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of the manifest a run is about, besides what the configuration says."""

    where: str | None = None
    limit: int | None = None
    redrive: tuple[Code, ...] | None = None
    """Instead of the manifest's rows, tracks that came to a bad end: those of these codes, all that failed for ()."""
    backfill: str | None = None
    """Instead of the manifest's rows, those that the backfill of this name froze."""
    again: Mapping[str, int] = field(default_factory=dict)
    """Of published tracks that are made again, and so paid for again, the number of the newest attempt there may be."""
    behind: int = -1
    """The place in the backfill's order behind which the run begins."""

    @property
    def reads_manifest(self) -> bool:
        """Whether the rows come from the manifest as it is now."""
        return self.redrive is None and self.backfill is None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run ends with: the contract's final JSON object, and the exit code."""

    exit_code: int
    summary: dict[str, Any]
    reason: str = ""
    """Why it stopped early, as a sentence with the fix; empty when it did not."""
    goes_on: bool = False
    """Whether the backfill it is part of goes on by itself, once a person or another run lets it."""
    reached: int | None = None
    """The place in its order up to which this run was about it, where the run has done all of that; None: it has not,
    or the rest was among it."""


def source_of(settings: Settings, selection: Selection) -> ManifestSource:
    """Give the part of the catalogue that is selected."""
    catalogue = settings.catalogue
    return ManifestSource(
        catalogue.manifest,
        where=selection.where or catalogue.where,
        limit=selection.limit,
        storage_options=catalogue.storage_options,
        order_by=catalogue.order_by,
        root=catalogue.root,
        types=dict(catalogue.types),
        columns=dict(catalogue.columns),
    )


def target_of(settings: Settings) -> CollectTarget:
    """Give where collectors put what they collect."""
    dataset, execution = settings.dataset, settings.execution
    return CollectTarget(
        dataset.url,
        dataset.storage_options,
        audio=dataset.audio,
        mix=dataset.mix,
        source_options=settings.catalogue.storage_options,
        concurrency=execution.workers,
    )
