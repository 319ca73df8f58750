"""AIStemSplitter API v1: requests built, answers deciphered. Follows the vendor's reference page."""

from stemline.providers.aistemsplitter.dialect import AIStemSplitter, build

__all__ = ["AIStemSplitter", "build"]
