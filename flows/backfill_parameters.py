"""The parameters of a backfill, as the form of Prefect's UI shows them: those of `stemline backfill`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Name = Annotated[
    str | None,
    Field(
        description="What the backfill is called. The name of one that exists goes on with what that one froze; then "
        "all but the configuration may be left empty.",
        examples=["catalogue-2015-2020"],
    ),
]
Since = Annotated[
    str | None,
    Field(description="Rows from this day on; empty: from the first.", examples=["2015", "2015-06-01"]),
]
Until = Annotated[
    str | None,
    Field(
        description="Rows before this day, which is not among them; empty: to the last.", examples=["2020"]
    ),
]
By = Annotated[
    str | None,
    Field(description="The manifest's column with the dates; empty: released_on.", examples=["added_at"]),
]
Mode = Annotated[
    Literal["missing", "failed", "stale", "all"] | None,
    Field(
        description="missing: what is not published (the default). failed: what came to a bad end. stale: published "
        "with another recipe, provider or location. all: everything, what is published is paid for again."
    ),
]
Order = Annotated[
    Literal["newest", "oldest", "priority", "shortest"] | None,
    Field(description="Which tracks go first; empty: the newest."),
]
Slice = Annotated[
    Literal["day", "week", "month", "year"] | None,
    Field(description="How long each slice is that progress is counted by; empty: a month."),
]
Ceiling = Annotated[
    int | None,
    Field(description="How many credits it may cost over its whole life; empty: no ceiling.", ge=1),
]
Share = Annotated[
    str | None,
    Field(
        description="Its part of the requests a minute and of the day's credits; empty: 100%.",
        examples=["50%"],
    ),
]
PayAgain = Annotated[
    int | None,
    Field(
        description="How many credits you agree to pay for tracks that were paid for before; more are refused, and "
        "the refusal says how many it would be.",
        ge=0,
    ),
]
