"""How a refusal is said in StemSplit's dialect."""

from __future__ import annotations

from stemline_local.refusal import Reason, Refusal
from stemline_local.stemsplit.language import Language


def test_a_file_that_is_too_large_is_told_with_both_sizes() -> None:
    refusal = Refusal(Reason.FILE_TOO_LARGE, "Too large.", maximum_bytes=100, actual_bytes=101)

    status, body = Language().refuse(refusal, "http://127.0.0.1")

    assert status == 400
    assert body["error"] == {
        "code": "FILE_TOO_LARGE",
        "message": "Too large.",
        "maxSizeBytes": 100,
        "actualSizeBytes": 101,
    }
