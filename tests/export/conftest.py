"""A dataset of real sound to export, and exports of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.sound_catalogue import SoundCatalogue

from stemline.export.exporting import ExportOutcome, export_dataset
from stemline.export.options import ExportOptions


@pytest.fixture
def catalogue(tmp_path) -> SoundCatalogue:
    """A dataset in a folder, with four tracks in two splits."""
    made = SoundCatalogue(str(tmp_path / "set"))
    made.publish("anna", "b.c", "dora", split="train")
    made.publish("emil", split="test")
    return made


@pytest.fixture
def export(catalogue, tmp_path) -> Callable[..., ExportOutcome]:
    """Exports the catalogue to a folder of the form's name, or to another place."""

    def run(form: str, out: str | None = None, **options: Any) -> ExportOutcome:
        return export_dataset(catalogue.settings, ExportOptions(form, **options), out or str(tmp_path / form))

    return run
