"""The licenses that a dataset's tracks have, as SPDX writes them."""

from __future__ import annotations

import pyarrow.compute as pc

from stemline.dataset.metadata import part_keys
from stemline.dataset.renewal import opened_part
from stemline.dataset.rights_columns import LICENSE_SPDX
from stemline.errors import StorageError
from stemline.rights import normalise_license
from stemline.storage import Store

MOST_PARTS = 64
"""So many parts are looked at: this is for a person who mistook a name, and need not be all."""


def read_licenses(store: Store) -> list[str]:
    """Give the licenses of a dataset's tracks, in order; what cannot be read has none."""
    found: set[str | None] = set()
    for key in part_keys(store, "tracks")[:MOST_PARTS]:
        try:
            with opened_part(store, key) as part:
                column = LICENSE_SPDX if LICENSE_SPDX in part.schema_arrow.names else "license"
                texts = pc.unique(part.read([column]).column(0)).to_pylist()
        except (StorageError, FileNotFoundError):
            continue
        found.update(map(normalise_license, texts))
    return sorted(each for each in found if each is not None)
