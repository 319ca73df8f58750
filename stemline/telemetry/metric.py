"""The metrics there are: what each counts, and in which unit."""

from __future__ import annotations

from stemline.exposition import MetricDefinition, MetricKind

GAUGE, COUNTER = MetricKind.GAUGE, MetricKind.COUNTER

TRACK_COUNT = MetricDefinition(
    "stemline.track.count", GAUGE, "{track}", "Rows of the newest run's manifest, by state."
)
TRACK_CODE_COUNT = MetricDefinition(
    "stemline.track.code.count", GAUGE, "{track}", "Those that are not well, by reason code."
)
TRACK_IN_FLIGHT = MetricDefinition(
    "stemline.track.in_flight", GAUGE, "{track}", "Tracks that the provider works on."
)
TRACK_UNCOLLECTED = MetricDefinition(
    "stemline.track.uncollected", GAUGE, "{track}", "Tracks that are paid and not collected."
)
TRACK_UNKNOWN = MetricDefinition(
    "stemline.track.unknown", GAUGE, "{track}", "Tracks whose submit was never answered."
)
CREDIT_UNCOLLECTED = MetricDefinition(
    "stemline.credit.uncollected", GAUGE, "{credit}", "Credits paid for what is not collected."
)
CREDIT_UNKNOWN = MetricDefinition(
    "stemline.credit.unknown", GAUGE, "{credit}", "Credits reserved for submits that were never answered."
)
CREDIT_DISPUTED = MetricDefinition(
    "stemline.credit.disputed", GAUGE, "{credit}", "Credits of failed jobs whose charge no provider told."
)
CREDIT_CHARGED = MetricDefinition(
    "stemline.credit.charged", GAUGE, "{credit}", "Credits charged in the present run, UTC day and month."
)
CREDIT_RESERVED = MetricDefinition(
    "stemline.credit.reserved", GAUGE, "{credit}", "Credits reserved in the present run, UTC day and month."
)
CREDIT_LIMIT = MetricDefinition(
    "stemline.credit.limit", GAUGE, "{credit}", "The budget of a run, UTC day and month, where there is one."
)
CREDIT_DRIFT = MetricDefinition(
    "stemline.credit.drift",
    GAUGE,
    "{credit}",
    "Credits the provider took beyond what was charged, in the newest run that ended; below 0: fewer.",
)
LINK_TIME_TO_EXPIRY = MetricDefinition(
    "stemline.link.time_to_expiry",
    GAUGE,
    "s",
    "Until the first link to what is paid and not collected expires; it is made anew for nothing.",
)
OUTPUT_TIME_TO_DELETION = MetricDefinition(
    "stemline.output.time_to_deletion",
    GAUGE,
    "s",
    "Until the provider may delete the oldest of what is paid and not collected: then it is lost.",
)
REQUEST_SENT = MetricDefinition(
    "stemline.request.sent", COUNTER, "{request}", "Requests to the provider in the newest run."
)
REQUEST_THROTTLED = MetricDefinition(
    "stemline.request.throttled", COUNTER, "{request}", "Those of them that were answered with 429."
)
REQUEST_UTILIZATION = MetricDefinition(
    "stemline.request.utilization", GAUGE, "1", "Share of the granted requests a minute that is used."
)
RUN_ACTIVE = MetricDefinition(
    "stemline.run.active", GAUGE, "{run}", "1 while the newest run goes on and holds its API key, else 0."
)
RUN_EXIT_CODE = MetricDefinition(
    "stemline.run.exit_code", GAUGE, "{code}", "What the newest run ended with, once it has."
)
RUN_AGE = MetricDefinition("stemline.run.age", GAUGE, "s", "Since the newest run began.")
RUN_TIME_LEFT = MetricDefinition(
    "stemline.run.time_left", GAUGE, "s", "What the provider needs for the rest at the run's pace so far."
)
HTTP_CLIENT_DURATION = MetricDefinition(
    "http.client.request.duration",
    MetricKind.HISTOGRAM,
    "s",
    "How long requests to the provider took, by endpoint and outcome.",
)
