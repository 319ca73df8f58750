"""The manifest: a catalogue as given, read into tracks and rejects in bounded memory."""

from stemline.manifest.location import Kind, kind_of
from stemline.manifest.reject import REJECTS_SCHEMA, rejects_table
from stemline.manifest.scan import ManifestBatch, columns, scan
from stemline.manifest.source import Source

__all__ = [
    "REJECTS_SCHEMA",
    "Kind",
    "ManifestBatch",
    "Source",
    "columns",
    "kind_of",
    "rejects_table",
    "scan",
]
