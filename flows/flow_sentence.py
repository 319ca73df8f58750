"""What a flow came to, in a sentence, and the name of the state that says so."""

from __future__ import annotations

from collections import Counter
from functools import singledispatch

from stemline.integrity.finding import IntegrityReport
from stemline.records import Code
from stemline.release.record import Release
from stemline.run.compaction import CompactionReport
from stemline.run.selection import Result
from stemline.wording import (
    STATES,
    bytes_text,
    code_sentence,
    counted,
    hours_text,
    standing_rejects_sentence,
)


@singledispatch
def flow_sentence(ended: object) -> str:
    """Give the sentence for what a flow's steps gave."""
    return str(ended)


@flow_sentence.register
def result_sentence(ended: Result) -> str:
    """Say what a run came to, and what to do about it: why it stopped, else what most of the rest lack."""
    states = ended.summary["tracks"]
    shown = ", ".join(f"{states[state]:,} {state}" for state in STATES if state in states)
    lead = f"{counted(sum(states.values()), 'track')}: {shown or 'none'}."
    if beyond := ended.summary.get("beyond_limit"):
        lead += f" {counted(beyond, 'more row')} left out by the limit."
    if ended.reason:
        return f"{ended.reason} {lead}"
    others = {code: count for code, count in ended.summary["codes"].items() if code != Code.OK}
    if not others or ended.exit_code == 0:
        return lead
    if told := standing_rejects_sentence(states, ended.summary.get("rejects")):
        return f"{lead} {told} They are listed in {ended.summary['rejects']['list']}."
    return f"{lead} {code_sentence(max(others, key=lambda code: others[code]))}"


@flow_sentence.register
def compaction_sentence(ended: CompactionReport) -> str:
    """Say what was merged, and what was left alone."""
    counts = ended.counts
    if not counts.partitions:
        lead = f"Nothing to merge: {counted(ended.right, 'partition')} as before."
    else:
        lead = (
            f"Merged {counted(counts.parts_before, 'part')} of {counted(counts.partitions, 'partition')} to "
            f"{counts.parts_after:,}, {bytes_text(counts.bytes_before)} to {bytes_text(counts.bytes_after)}."
        )
    if not ended.left:
        return lead
    return f"{lead} {counted(ended.left, 'part')} that this ledger did not publish: `stemline adopt` makes them known."


@flow_sentence.register
def release_sentence(ended: Release) -> str:
    """Say what is in a release."""
    counts = ended.counts
    rows = ", ".join(f"{counts[table]:,} {table}" for table in ended.tables)
    return f"Release {ended.name} holds {rows}: {hours_text(counts['seconds'])} of audio."


@flow_sentence.register
def integrity_sentence(ended: IntegrityReport) -> str:
    """Say what is wrong with a dataset, and what to do about it."""
    looked = f"Looked at {counted(ended.parts, 'part')} and {counted(ended.objects, 'audio object')}"
    if ended.is_sound:
        return f"{looked}: nothing is missing, extra or altered."
    kinds = Counter(each.kind.value for each in ended.damages)
    kinds.update(each.fault.value.replace("_", " ") for each in ended.rows)
    kinds.update(f"left by a cut-off {each.what}" for each in ended.leftovers if not each.is_passing)
    found = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    if ended.outcomes is None:
        return f"{looked}: {found}. `stemline verify CONFIG --repair` mends what can be mended for nothing."
    return f"{looked}: {found}, after {sum(each.is_mended for each in ended.outcomes):,} were mended."
