"""What a flow came to, as artifacts of its flow run: tables, and a summary with links; each catalogue has its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import singledispatch
from typing import Any

from stemline.integrity.finding import IntegrityReport
from stemline.records import Code, State
from stemline.release.record import Release
from stemline.report.run_figures import RunFigures, figures_from_summary
from stemline.run.compaction import CompactionReport
from stemline.run.selection import Result
from stemline.settings.redactor import present_redactor
from stemline.wording import STATES, balance_words, code_sentence

Row = dict[str, Any]
MOST_ROWS = 500
"""So many findings are in the table; the summary says how many there are."""
_PAGES: dict[type, str] = {CompactionReport: "compaction", Release: "release"}
_WINDOWS = {
    "run": "this run",
    "day": "all runs of this UTC day",
    "month": "all runs of this UTC month",
}
COLUMNS = ("what", "of", "tracks", "charged", "reserved", "limit", "meaning")


def artifact_key(catalogue: str, kind: str) -> str:
    """Give an artifact's key, such as `stemline-night-progress`: lowercase letters, digits and dashes alone.

    A catalogue whose name has others gets a few digits more, so that no two share a key.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", catalogue.lower()).strip("-")
    if plain != catalogue:
        plain += f"-{hashlib.sha256(catalogue.encode()).hexdigest()[:4]}"
    return f"stemline-{plain}-{kind}"


@singledispatch
def show_ended(ended: object, catalogue: str, sentence: str) -> None:
    """Make the artifacts of what a flow's steps gave."""
    kind = _PAGES.get(type(ended), "summary")
    _show_page(catalogue, kind, sentence, sentence)


@show_ended.register
def show_result(ended: Result, catalogue: str, sentence: str) -> None:
    """Make those of a run's result: states, codes and credits by window, and the summary."""
    figures = figures_from_summary(ended.summary)
    rows = [*result_rows(figures), *credit_rows(figures)]
    _show_table(catalogue, "tracks", rows, "Tracks of this run, and credits by window")
    if "slices" in ended.summary:
        told = f"Backfill {ended.summary['backfill']['name']}, slice by slice"
        _show_table(catalogue, "slices", list(slice_rows(ended)), told)
    _show_page(catalogue, "summary", result_page(ended, sentence), sentence)


@show_ended.register
def show_integrity(ended: IntegrityReport, catalogue: str, sentence: str) -> None:
    """Make those of a check: a table of the findings, and the summary."""
    rows = list(finding_rows(ended))
    _show_table(catalogue, "findings", rows[:MOST_ROWS], sentence)
    shown = f"\n- shown of {len(rows):,} findings: {MOST_ROWS}" if len(rows) > MOST_ROWS else ""
    notes = "".join(f"\n- {note}" for note in ended.notes)
    page = (
        f"{sentence}\n\n- dataset: {_link(ended.dataset)}\n- read: {ended.read:,} audio objects{shown}{notes}"
    )
    _show_page(catalogue, "verification", page, sentence)


def result_rows(figures: RunFigures) -> Iterator[Row]:
    """Give a row a state, then one a code with what it means and what to do."""
    for state in STATES:
        if state in figures.tracks:
            yield _row("state", str(state), tracks=figures.tracks[state], meaning=STATES[state])
    for code, count in figures.codes.items():
        if code != Code.OK:
            yield _row("code", str(code), tracks=count, meaning=code_sentence(code))


def slice_rows(result: Result) -> Iterator[Row]:
    """Give a row a slice of a backfill: how much of it is published, and where its others stand."""
    for each in result.summary["slices"][:MOST_ROWS]:
        others = ", ".join(
            f"{n:,} {state}" for state, n in each["states"].items() if state != State.PUBLISHED
        )
        facts = {name: each[name] for name in ("slice", "tracks", "credits", "published")}
        yield {**facts, "the others": others}


def credit_rows(figures: RunFigures) -> Iterator[Row]:
    """Give a row a window: what is charged and reserved in it, and the limit the configuration sets."""
    for name, window in figures.windows.items():
        yield _row("credits", name, **asdict(window), meaning=_WINDOWS[name])


def finding_rows(report: IntegrityReport) -> Iterator[Row]:
    """Give a row for everything that is wrong, and for what a repair came to."""
    for damage in report.damages:
        yield {"finding": damage.kind.value, "where": damage.path, "what": damage.sentence}
    for row in report.rows:
        yield {"finding": row.fault.value.replace("_", " "), "where": row.track_id, "what": row.sentence}
    for left in report.leftovers:
        yield {"finding": left.what, "where": left.path, "what": "was begun and has not ended"}
    for outcome in report.outcomes or ():
        word = "mended" if outcome.is_mended else "unmended"
        yield {"finding": word, "where": outcome.path, "what": outcome.sentence}


def result_page(result: Result, sentence: str) -> str:
    """Give the summary as Markdown."""
    summary, figures = result.summary, figures_from_summary(result.summary)
    credit, requests = figures.credits, figures.requests
    balance = balance_words(credit["balance"])
    return "\n".join(
        [
            sentence,
            "",
            f"- credits: {credit['charged']:,} charged, {credit['reserved']:,} reserved{balance}",
            f"- requests: {requests['sent']:,} sent, {requests['rejected']:,} refused",
            f"- dataset: {_link(summary['dataset'])}",
            f"- report: {_link(summary['report'])}",
            f"- run: `{summary['run_id']}`, exit code {result.exit_code}, {figures.seconds:,.0f} s",
        ]
    )


def _row(what: str, of: str, **cells: object) -> Row:
    return dict.fromkeys(COLUMNS) | {"what": what, "of": of} | cells


def _show_table(catalogue: str, kind: str, rows: Sequence[Row], description: str) -> None:
    from prefect.artifacts import create_table_artifact  # noqa: PLC0415 - imported by the flow

    told = present_redactor().tree(list(rows))
    create_table_artifact(
        told, key=artifact_key(catalogue, kind), description=present_redactor()(description)
    )


def _show_page(catalogue: str, kind: str, page: str, description: str) -> None:
    from prefect.artifacts import create_markdown_artifact  # noqa: PLC0415 - imported by the flow

    redact = present_redactor()
    create_markdown_artifact(redact(page), key=artifact_key(catalogue, kind), description=redact(description))


def _link(url: str) -> str:
    """Give a link where a browser could follow it, else the text: a path is of the machine that ran it."""
    return f"[{url}]({url})" if url.startswith(("http://", "https://", "file://")) else f"`{url}`"
