"""StemSplit API v1: requests built, answers deciphered. Follows the vendor's reference page."""

from stemline.providers.stemsplit.dialect import StemSplit, build
from stemline.providers.stemsplit.job_identity import file_name

__all__ = ["StemSplit", "build", "file_name"]
