"""What a run came to, as artifacts of its flow run: a table of states and codes, and a summary with links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stemline.records import Code
from stemline.run.selection import Result
from stemline.wording import STATES, balance_words, code_sentence


def show_result(result: Result, sentence: str) -> None:
    """Make the artifacts of a run's result."""
    from prefect.artifacts import create_markdown_artifact, create_table_artifact  # noqa: PLC0415

    create_table_artifact(list(result_rows(result)), key="stemline-tracks", description="Tracks of this run")
    create_markdown_artifact(result_page(result, sentence), key="stemline-summary", description=sentence)


def result_rows(result: Result) -> Iterator[dict[str, Any]]:
    """Give a row a state, then one a code with what it means and what to do."""
    states, codes = result.summary["tracks"], result.summary["codes"]
    for state in STATES:
        if state in states:
            yield {"state or code": str(state), "tracks": states[state], "what it means": STATES[state]}
    for code, count in codes.items():
        if code != Code.OK:
            yield {"state or code": str(code), "tracks": count, "what it means": code_sentence(code)}


def result_page(result: Result, sentence: str) -> str:
    """Give the summary as Markdown."""
    summary = result.summary
    credit, requests = summary["credits"], summary["requests"]
    balance = balance_words(credit["balance"])
    return "\n".join(
        [
            sentence,
            "",
            f"- credits: {credit['charged']:,} charged, {credit['reserved']:,} reserved{balance}",
            f"- requests: {requests['sent']:,} sent, {requests['rejected']:,} refused",
            f"- dataset: {_link(summary['dataset'])}",
            f"- report: {_link(summary['report'])}",
            f"- run: `{summary['run_id']}`, exit code {result.exit_code}, {summary['seconds']:,.0f} s",
        ]
    )


def _link(url: str) -> str:
    """Give a link where a browser could follow it, else the text: a path is of the machine that ran it."""
    return f"[{url}]({url})" if url.startswith(("http://", "https://", "file://")) else f"`{url}`"
