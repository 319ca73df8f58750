"""Which column of a manifest is which of ours: proposed by its name, and by what its values look like."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from stemline.dataset.table_row import read_day
from stemline.manifest.column_names import KNOWN_NAMES, is_native, plain_name
from stemline.manifest.day_order import RELEASED_ON, find_order, is_written_day
from stemline.manifest.listing import is_audio_name
from stemline.manifest.location import URL_PATTERN
from stemline.manifest.manifest_source import LOCATION_NAMES
from stemline.manifest.sample import ManifestSample
from stemline.settings.column_mapping import column_key

_CLOCK = re.compile(r"\d{1,3}(:[0-5]\d){1,2}(\.\d{1,6})?")
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")
_STORE = re.compile(rf"{URL_PATTERN}|file:/")
_MOST_SECONDS = 20_000.0
"""Lengths that are more on average are milliseconds."""
_LONGEST_ID = 256
_YEAR_LETTERS = 4
_HALF, _MOST = 0.5, 0.8


@dataclass(frozen=True, slots=True)
class ColumnProposal:
    """One of our columns, and the manifest's that seems to be it."""

    ours: str
    theirs: str
    example: str
    is_by_name: bool = True
    """Whether the name told; else the values did."""

    @property
    def is_mapped(self) -> bool:
        """Whether the configuration has to say so: what is called as we call it is understood."""
        return not is_native(self.ours, self.theirs)


@dataclass(frozen=True, slots=True)
class MappingProposal:
    """What is proposed for the columns of a manifest."""

    columns: Sequence[ColumnProposal] = ()
    others: Sequence[str] = ()
    """Columns that are carried through under their own names."""
    notes: Sequence[str] = field(default_factory=tuple)
    """What was not taken that one might expect, in sentences."""

    @property
    def mapping(self) -> dict[str, str]:
        """Give `catalogue.columns`."""
        return {each.ours: each.theirs for each in self.columns if each.is_mapped}


def propose_mapping(sample: ManifestSample) -> MappingProposal:
    """Propose which columns of a manifest are ours."""
    found: dict[str, ColumnProposal] = {}
    for ours in KNOWN_NAMES:
        taken = {each.theirs for each in found.values()}
        free = [name for name in sample.names if name not in taken]
        if (proposal := _propose(ours, free, sample)) is not None:
            found[ours] = proposal
    taken = {each.theirs for each in found.values()}
    others = [name for name in sample.names if name not in taken]
    return MappingProposal(tuple(found.values()), others, tuple(_notes(found, others, sample)))


def example_of(sample: ManifestSample, name: str) -> str:
    """Give the first value that a column has."""
    return next(iter(sample.values(name)), "")


def _propose(ours: str, free: Sequence[str], sample: ManifestSample) -> ColumnProposal | None:
    native = [name for name in free if is_native(ours, name)]
    native.sort(key=lambda name: LOCATION_NAMES.index(column_key(name)) if ours == "uri" else 0)
    if native:
        return ColumnProposal(ours, native[0], example_of(sample, native[0]))
    # What is called as we call another column is that.
    open_ = [name for name in free if not any(is_native(each, name) for each in KNOWN_NAMES)]
    ranks = {name: rank for rank, name in enumerate(KNOWN_NAMES[ours])}
    named = sorted(
        (name for name in open_ if plain_name(name) in ranks), key=lambda name: ranks[plain_name(name)]
    )
    for name in named:
        if _fits(ours, sample.values(name), sample):
            return ColumnProposal(ours, name, example_of(sample, name))
    if (looks := _LOOKS.get(ours)) is None:
        return None
    alike = [name for name in open_ if _share(sample.values(name), lambda text: looks(text, sample)) >= _MOST]
    return (
        ColumnProposal(ours, alike[0], example_of(sample, alike[0]), is_by_name=False)
        if len(alike) == 1
        else None
    )


def _fits(ours: str, values: Sequence[str], sample: ManifestSample) -> bool:
    """Tell whether the values of a column with a fitting name can be what the name says."""
    if ours == "track_id":
        is_whole = len(values) == len(sample.rows) and len(set(values)) == len(values)
        return is_whole and all(len(text) <= _LONGEST_ID for text in values)
    if ours == "duration_seconds" and _are_milliseconds(values):
        return False
    if ours == RELEASED_ON and find_order(values) is not None:
        return _share(values, lambda text: is_written_day(text) or _is_day(text, sample)) >= _HALF
    if ours not in _TESTS:
        return bool(values)
    test, least = _TESTS[ours]
    return _share(values, lambda text: test(text, sample)) >= least


def _share(values: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, values)) / len(values) if values else 0.0


def _may_be_location(text: str, sample: ManifestSample) -> bool:
    is_path = bool(re.search(r"[/\\.]", text)) and not re.match(r"[a-z]+:[^/\\]", text)
    return is_path or _is_location(text, sample)


def _is_location(text: str, sample: ManifestSample) -> bool:
    """Tell whether text is an URL of a scheme with `//`, names audio, or is the path of a file that is there."""
    if _STORE.match(text) or is_audio_name(text):
        return True
    place = text if text.startswith("/") else sample.base + text
    return bool(re.search(r"[/.]", text)) and place.startswith("/") and os.path.isfile(place)  # noqa: PTH113 - text


def _is_isrc(text: str, _: ManifestSample) -> bool:
    return _ISRC.fullmatch(text.replace("-", "").replace(" ", "").upper()) is not None


def _is_clock(text: str, _: ManifestSample) -> bool:
    return _CLOCK.fullmatch(text) is not None


def _is_seconds(text: str, _: ManifestSample) -> bool:
    return bool(_CLOCK.fullmatch(text) or re.fullmatch(r"\d+(\.\d+)?", text))


def _are_milliseconds(values: Sequence[str]) -> bool:
    numbers = [float(text) for text in values if re.fullmatch(r"\d+(\.\d+)?", text)]
    return bool(numbers) and statistics.median(numbers) > _MOST_SECONDS


def _is_day(text: str, _: ManifestSample) -> bool:
    return len(text) > _YEAR_LETTERS and read_day(text) is not None


_Test = Callable[[str, ManifestSample], bool]
_TESTS: dict[str, tuple[_Test, float]] = {
    "uri": (_may_be_location, _HALF),
    "duration_seconds": (_is_seconds, _MOST),
    "released_on": (_is_day, _HALF),
    "isrc": (_is_isrc, _HALF),
}
"""What values of a column with a fitting name must be, and how many of them."""
_LOOKS: dict[str, _Test] = {
    "uri": _is_location,
    "isrc": _is_isrc,
    "duration_seconds": _is_clock,
}
"""Of columns whose values alone tell: what one looks like."""


def _notes(found: dict[str, ColumnProposal], others: Sequence[str], sample: ManifestSample) -> Iterator[str]:
    yield from _day_notes(found, others, sample)
    if "duration_seconds" not in found:
        for name in others:
            if any(part in plain_name(name) for part in ("duration", "length", "time")) and _are_milliseconds(
                sample.values(name)
            ):
                yield f'"{name}" seems to be milliseconds, and is not taken for the length: the audio is measured.'


def _day_notes(
    found: dict[str, ColumnProposal], others: Sequence[str], sample: ManifestSample
) -> Iterator[str]:
    """Say how days that are not written as ours are read, or that they cannot be."""
    if RELEASED_ON in found:
        if (order := find_order(sample.values(found[RELEASED_ON].theirs))) is not None:
            yield f"{RELEASED_ON} is read {order.words}."
        return
    for name in others:
        example = example_of(sample, name)
        if plain_name(name) in KNOWN_NAMES[RELEASED_ON] and re.fullmatch(r"[\d./-]+", example):
            yield (
                f'"{name}" is not taken for {RELEASED_ON}: its days, such as {example}, are not written as '
                "2006-12-31, and in which order they are does not show."
            )
