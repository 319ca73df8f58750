"""A flow run from the command line: started, watched while it goes on, its result shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import typer

from stemline.cli.console import Screen
from stemline.cli.logging_setup import redact
from stemline.cli.next_step import CommandLine, NextStep, find_next_step
from stemline.cli.options import print_json
from stemline.cli.run_display import RunDisplay
from stemline.errors import UsageError
from stemline.manifest.passed_over import passed_over_sentence
from stemline.plan.relocation import relocated_sentence
from stemline.records import Code, State
from stemline.run.observer import observed_by
from stemline.run.rejected_rows import rejected_rows_lines
from stemline.run.selection import Result, Selection
from stemline.wording import (
    COLOURS,
    STATES,
    balance_words,
    code_sentence,
    counted,
    drift_sentence,
    hours_text,
    lengths_sentence,
    mix_sentence,
    overcharged_sentence,
)

if TYPE_CHECKING:
    from rich.table import Table

ShowMore = Callable[[], None] | None


def run_flow(
    screen: Screen,
    typed: CommandLine,
    selection: Selection,
    *,
    with_engine: bool = False,
    show_more: ShowMore = None,
) -> Result:
    """Process the selection and show what it came to."""
    result = start_flow(
        screen,
        "process_catalogue",
        with_engine=with_engine,
        config=str(typed.config),
        overrides=list(typed.overrides),
        where=selection.where,
        limit=selection.limit,
        redrive=None if selection.redrive is None else [str(code) for code in selection.redrive],
    )
    show_result(screen, typed, result, show_more)
    return result


def start_flow(screen: Screen, name: str, /, *, with_engine: bool, **parameters: Any) -> Result:  # noqa: ANN401
    """Give what a flow with these parameters came to, watched while it goes on."""
    start = _find_starter()
    try:
        with observed_by(RunDisplay(screen)):
            result: Result = start(name, with_engine=with_engine, **parameters)
    except KeyboardInterrupt:  # before the display looks after it, or behind it
        screen.note("Interrupted. What was sent and paid is in the ledger: the same command goes on.")
        raise typer.Exit(130) from None
    return result


def show_result(screen: Screen, typed: CommandLine, result: Result, show_more: ShowMore = None) -> None:
    """Show what a run came to, what there is more to it, and what to do next; or print it as JSON."""
    step = find_next_step(typed, result)
    if screen.is_json:
        print_json({**result.summary, "next": step.as_tree()})
        if found := result.summary.get("overcharged"):
            screen.note(overcharged_sentence(found, result.summary["credits"]["drift"]))
        _show_reason(screen, result)
        return
    _show_result(screen, result)
    if show_more is not None:
        show_more()
    show_next_step(screen, step)


def show_next_step(screen: Screen, step: NextStep) -> None:
    """Say what to do next; the command stands on a line of its own, whole."""
    screen.out.print()
    screen.tell("Next:", redact(step.why), style="bold")
    screen.out.print(f"  {redact(step.command)}", markup=False, soft_wrap=True)


def _find_starter() -> Callable[..., Any]:
    """Give what runs a flow. The library must not import its flows: it finds them as plug-ins are found."""
    for entry in entry_points(group="stemline.flows"):
        if entry.name == "start":
            starter: Callable[..., Any] = entry.load()
            return starter
    raise UsageError(
        "stemline is not installed completely: its flows are missing.", fix="Install it with pip."
    )


def _show_result(screen: Screen, result: Result) -> None:
    """Show what a run came to."""
    summary = result.summary
    screen.out.print(_states_table(summary["tracks"], summary["codes"]))
    for line in rejected_rows_lines(summary.get("rejects"), summary["tracks"].get("rejected", 0)):
        screen.out.print(f"  {line}", markup=False)
    for label, told in _facts(summary):
        screen.tell_fact(label, told)
    credit = summary["credits"]
    if found := summary.get("overcharged"):
        screen.tell_fact("", overcharged_sentence(found, credit["drift"]), style="bold yellow")
    elif credit["drift"]:
        screen.tell_fact("", drift_sentence(credit["drift"]), style="yellow")
    requests = summary["requests"]
    per_track = "" if requests["per_track"] is None else f" ({requests['per_track']:.1f} a track)"
    screen.tell_fact(
        "requests", f"{requests['sent']:,} sent, {requests['rejected']:,} refused for their pace{per_track}"
    )
    screen.tell_fact("time", _duration(summary["seconds"]))
    if rejects := summary.get("rejects"):
        screen.tell_path("rejected", rejects["list"])
    screen.tell_path("dataset", summary["dataset"])
    screen.tell_path("report", summary["report"])
    _show_reason(screen, result)


def _facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what a run did besides the tracks' states, and what it spent."""
    yield from _manifest_facts(summary)
    if splits := summary.get("splits"):
        yield "splits", ", ".join(f"{name} {count:,}" for name, count in splits.items())
    if "splits_notice" in summary:
        yield "", summary["splits_notice"]
    if mix := summary.get("mix"):
        yield "mix", mix_sentence(mix)
    credit = summary["credits"]
    audio = f" ({hours_text(credit['charged'])} of audio)" if credit["charged"] >= 60 else ""
    yield "credits", f"{credit['charged']:,} charged{audio}{balance_words(credit['balance'])}"
    if credit["charged_for_earlier"]:
        yield "", f"{credit['charged_for_earlier']:,} charged for what an earlier run had submitted"
    if left := _left_with_provider(summary["tracks"], credit["reserved"]):
        yield "left", left


def _manifest_facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what a run found in the manifest that a person should know of."""
    if told := passed_over_sentence(summary.get("passed_over_kinds", {})):
        yield "", told
    if beyond := summary.get("beyond_limit"):
        yield "", f"{counted(beyond, 'more row')} left out by --limit"
    if unclear := summary.get("doubtful", {}).get("ai_training"):
        yield "", f"{counted(unclear)} with ai_training neither allowed nor denied: unknown"
    if summary["corrected"]:
        yield "corrected", f"{summary['corrected']:,} published before, as the manifest has them now"
    if told := relocated_sentence(summary.get("relocated")):
        yield "relocated", told
    if lengths := summary.get("lengths"):
        yield "lengths", lengths_sentence(lengths)


def _left_with_provider(tracks: Mapping[str, int], reserved: int) -> str:
    """Say what is still with the provider, or may be, and what is reserved for it."""
    told = {
        State.PROCESSING: "still with the provider",
        State.READY: "paid and not collected",
        State.UNKNOWN: "sent without an answer",
    }
    parts = [f"{counted(tracks[state])} {words}" for state, words in told.items() if tracks.get(state)]
    if reserved:
        parts.append(f"{counted(reserved, 'credit')} reserved for what has not come to an end")
    return "; ".join(parts)


def _show_reason(screen: Screen, result: Result) -> None:
    """Say why a run stopped early, if it did."""
    if result.reason:
        screen.note_after("Stopped early:", result.reason, style="bold yellow")


def _states_table(states: dict[str, int], codes: dict[str, int]) -> Table:
    """Give how many tracks are in each state and, of each code, what it means and what to do."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for state in STATES:
        if state in states:
            table.add_row(f"[{COLOURS.get(state, 'cyan')}]{state}[/]", f"{states[state]:,}")
    for code, count in codes.items():
        if code != Code.OK:
            table.add_row(f"  {code}", f"{count:,}", code_sentence(code))
    return table


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 6_000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
