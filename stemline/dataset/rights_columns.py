"""The rights of tracks as the tracks table has them, read from what a manifest says, and held against a gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from stemline.rights import RightsGate, normalise_license, read_ai_training

LICENSE_SPDX = "license_spdx"
AI_TRAINING = "ai_training"
RIGHTS_COLUMNS = ("license", LICENSE_SPDX, AI_TRAINING)
REFUSAL = "refusal"
"""The column that says why a row does not pass."""


def rights_cells(columns: Mapping[str, Any]) -> dict[str, str | None]:
    """Give the cells of a row that say what a track may be used for, from its manifest's columns."""
    license_text = columns.get("license")
    return {
        LICENSE_SPDX: None if license_text is None else normalise_license(str(license_text)),
        AI_TRAINING: read_ai_training(said_of_training(columns)),
    }


def said_of_training(columns: Mapping[str, Any]) -> Any:  # noqa: ANN401 - cells are of any type
    """Give what a row says of AI training, as its manifest has it; None where it says nothing."""
    name = manifest_name(columns)
    return None if name is None else columns[name]


def manifest_name(names: Mapping[str, Any]) -> str | None:
    """Give the column of a manifest that says whether a model may be trained on a track, whatever its letters' case."""
    return next((name for name in names if name.lower() == AI_TRAINING), None)


def licenses_array(texts: pa.ChunkedArray) -> pa.Array:
    """Give `license_spdx` for the column `license`."""
    return pa.array([normalise_license(text) for text in texts.to_pylist()], pa.string())


def training_array(said: pa.ChunkedArray) -> pa.Array:
    """Give `ai_training` for a column in which a manifest says it."""
    return pa.array([read_ai_training(value) for value in said.to_pylist()], pa.string())


def split_by_rights(tracks: pa.Table, gate: RightsGate) -> tuple[pa.Table, pa.Table]:
    """Give the rows of a tracks table that pass a gate, and those that do not, with the column `refusal` behind theirs.

    `tracks` has at least the columns `license` and `ai_training`, `license_spdx` where the dataset has it.
    """
    refusals = refusal_array(tracks, gate)
    passes = refusals.is_null()
    refused = tracks.append_column(REFUSAL, refusals).filter(refusals.is_valid())
    return tracks.filter(passes), refused


def refusal_array(tracks: pa.Table, gate: RightsGate) -> pa.Array:
    """Give for each row of a tracks table why it does not pass a gate; null where it does."""
    names = tracks.column_names
    licenses = (
        tracks.column(LICENSE_SPDX).to_pylist()
        if LICENSE_SPDX in names
        else licenses_array(tracks.column("license")).to_pylist()
    )
    said = tracks.column(AI_TRAINING).to_pylist() if AI_TRAINING in names else [None] * tracks.num_rows
    pairs = [(one, read_ai_training(value)) for one, value in zip(licenses, said, strict=True)]
    reasons = {pair: gate.refusal(*pair) for pair in dict.fromkeys(pairs)}
    return pa.array([reasons[pair] for pair in pairs], pa.string())
