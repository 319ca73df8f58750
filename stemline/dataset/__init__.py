"""The dataset: three Parquet tables and the audio beside them, readable with no stemline installed.

What stands here is light: where audio lies. The modules about tables load PyArrow.
"""

from __future__ import annotations

from stemline.dataset.paths import path_safe, staged_path, stem_path

__all__ = ["path_safe", "staged_path", "stem_path"]
