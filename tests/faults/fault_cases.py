"""What each fault of the vendor's menu must end with: the exit code under it, and where tracks stand afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

TRACKS = 4
SUBMIT = ["POST /api/v1/jobs", "POST /v1/audio/splits"]
DOWNLOAD = "GET /storage/outputs/*"
LOST_ANSWER = {"fault": "server_error_after_accept", "nth": 2}
"""A submit that is charged and not answered, so that the lists must be read to find its job."""
OLDEST_LOST = {**LOST_ANSWER, "nth": 1}
"""One whose job stands on the last page of its list."""
ONE_QUARANTINED = {"published": 3, "quarantined": 1}
BOTH = ("stemsplit", "aistemsplitter")


@dataclass(frozen=True)
class FaultCase:
    """Faults, and what a run under them ends with."""

    faults: tuple[dict, ...]
    code: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    """Where tracks stand after the faults are gone and the run was repeated; empty: all are published."""
    failed_jobs: int = 0
    """Jobs that the vendor charged for and failed."""
    may_wait: bool = False
    """Whether a track may be `unknown` under the fault, exit 3, and be resolved by the next run."""
    has_webhooks: bool = False
    """Whether the vendor calls back."""
    dialects: tuple[str, ...] = ("stemsplit",)
    is_certain: bool = True
    """Whether every fault strikes each time: a second page is asked for only where a look finds enough jobs."""
    is_long: bool = False
    """Whether `make test` proves it elsewhere."""

    @property
    def name(self) -> str:
        """The fault this is about, with the word that tells it from its like."""
        fault, *_ = self.faults
        words = [
            fault["fault"],
            fault.get("retry_after"),
            "download" if fault.get("endpoint") == DOWNLOAD else None,
        ]
        return "-".join(word for word in (*words, "for good" if self.code == 5 else None) if word)


FAULT_CASES = (
    # The connection.
    FaultCase(({"fault": "timeout_before_accept", "nth": 2, "seconds": 0.2},), dialects=BOTH, is_long=True),
    FaultCase(({"fault": "timeout_after_accept", "nth": 2, "seconds": 0.2},), dialects=BOTH),
    FaultCase(({"fault": "connection_cut", "nth": [3, 5, 8, 9, 13]},), dialects=BOTH, is_long=True),
    FaultCase(({"fault": "connection_cut", "endpoint": DOWNLOAD, "nth": [1, 2, 5]},), is_long=True),
    FaultCase(({"fault": "truncated_body", "nth": 2},), dialects=BOTH, is_long=True),
    FaultCase(({"fault": "link_expired_mid_download", "nth": 2},), dialects=BOTH, is_long=True),
    # The answer.
    FaultCase(({"fault": "too_many_requests", "nth": [2, 4], "seconds": 1},), dialects=BOTH, is_long=True),
    FaultCase(({"fault": "too_many_requests", "nth": [2, 4], "retry_after": "date"},), is_long=True),
    FaultCase(({"fault": "too_many_requests", "nth": [2, 4], "retry_after": "absent"},), is_long=True),
    FaultCase(({"fault": "too_many_requests", "nth": [2, 4], "retry_after": "absurd"},), is_long=True),
    FaultCase(({"fault": "limit_halved", "after": 5},), is_long=True),
    FaultCase(({"fault": "out_of_credits", "after": 2},), code=5, dialects=BOTH, is_long=True),
    FaultCase(({"fault": "server_error", "nth": [2, 3, 6, 7, 8]},), dialects=BOTH, is_long=True),
    FaultCase(({"fault": "server_error", "after": 6},), code=5, dialects=BOTH, is_long=True),
    FaultCase(({"fault": "server_error_after_accept", "nth": [1, 3]},), dialects=BOTH),
    FaultCase(({"fault": "html_403", "nth": [2, 4, 7]},), dialects=BOTH, is_long=True),
    FaultCase(({"fault": "key_revoked", "after": 6},), code=5, dialects=BOTH, is_long=True),
    FaultCase(({"fault": "clock_skew", "seconds": 300}, LOST_ANSWER), is_long=True),
    FaultCase(({"fault": "clock_skew", "seconds": -300}, LOST_ANSWER), is_long=True),
    FaultCase(({"fault": "balance_lags", "seconds": 60},), is_long=True),
    # The lists.
    FaultCase(({"fault": "list_shifted", "by": 1}, OLDEST_LOST), is_certain=False, is_long=True),
    FaultCase(({"fault": "list_reversed"}, LOST_ANSWER), is_long=True),
    FaultCase(({"fault": "same_id_in_two_lists"}, LOST_ANSWER), is_long=True),
    # The jobs.
    FaultCase(({"fault": "price_change", "after": 1, "factor": 3},), dialects=BOTH, is_long=True),
    FaultCase(({"fault": "token_dropped", "nth": 1}, {"fault": "server_error_after_accept", "nth": 3})),
    # Once the other submits are answered, only one job of the list can be it.
    FaultCase(({"fault": "token_dropped"}, LOST_ANSWER), may_wait=True),
    FaultCase(({"fault": "failed_after_charging", "nth": 2},), failed_jobs=1, dialects=BOTH),
    FaultCase(({"fault": "expired_before_download", "nth": 2},), code=3, ends={"published": 3, "expired": 1}),
    # Nothing tells one stem from another, least of all where all are the same: they are published.
    FaultCase(({"fault": "stems_swapped"},), is_long=True),
    FaultCase(({"fault": "null_bpm_and_key"},), is_long=True),
    # The vendor keeps what it made, so it is collected again for nothing, and is as bad as before.
    FaultCase(({"fault": "stems_silent", "nth": 2},), code=3, ends=ONE_QUARANTINED, is_long=True),
    FaultCase(
        ({"fault": "stems_stretched", "nth": 2, "factor": 4},), code=3, ends=ONE_QUARANTINED, is_long=True
    ),
    FaultCase(({"fault": "stem_missing", "nth": 2},), code=3, ends=ONE_QUARANTINED, is_long=True),
    FaultCase(({"fault": "format_ignored", "nth": 2},), is_long=True),
    FaultCase(({"fault": "page_for_stem", "nth": [2, 3]},), is_long=True),
    # The webhooks.
    FaultCase(({"fault": "webhook_early", "seconds": 2},), has_webhooks=True, is_long=True),
    FaultCase(({"fault": "webhook_duplicate"},), has_webhooks=True, is_long=True),
    FaultCase(
        ({"fault": "webhook_out_of_order", "nth": [1, 2], "seconds": 1},), has_webhooks=True, is_long=True
    ),
    FaultCase(({"fault": "webhook_never"},), has_webhooks=True, is_long=True),
    FaultCase(({"fault": "webhook_forged"},), has_webhooks=True, is_long=True),
)
"""Every fault of the menu alone, but `job_stuck`, which ends no run: see its own test."""
