"""The manifest: a catalogue as given, read into tracks and rejects in bounded memory.

What stands here is light. `scan_manifest` and `read_columns` are in `stemline.manifest.scan`, which loads DuckDB.
"""

from stemline.manifest.location import LocationKind, location_kind
from stemline.manifest.manifest_source import ManifestSource

__all__ = ["LocationKind", "ManifestSource", "location_kind"]
