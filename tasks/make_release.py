"""A release: a copy of the dataset's tables that never changes."""

from __future__ import annotations

from stemline.release.record import Release, release_folder
from stemline.run import releasing
from stemline.settings import Settings
from tasks.asset import asset_key, describe_asset
from tasks.observed_task import observed_task


def _release(settings: Settings, name: str) -> str | None:
    return asset_key(f"{settings.dataset.url.rstrip('/')}/{release_folder(name)}")


@observed_task("make the release {name}", asset=_release)
def make_release(settings: Settings, name: str) -> Release:
    """Copy what is published now into a release of this name."""
    release = releasing.release_dataset(settings, name)
    describe_asset(lambda: _facts(release))
    return release


def _facts(release: Release) -> dict[str, object]:
    parts = sum(len(release.parts_of(table)) for table in release.tables)
    return {**release.counts, "parts": parts, "snapshot": release.facts["snapshot"]["number"]}
