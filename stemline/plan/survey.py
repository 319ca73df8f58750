"""The rows of a manifest, each as a track with its length or as a reject with its reason.

The readers are loaded where rows are read: whoever only checks a recipe does not wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import TYPE_CHECKING, TypedDict, Unpack

from stemline.dataset.rights_columns import rights_cells
from stemline.errors import AudioRejected, ConfigError, SourceAway
from stemline.ledger import MeasuredTrack
from stemline.manifest import LocationKind, ManifestSource, location_kind
from stemline.plan.file_tags import FileTags
from stemline.plan.first_usable import first_usable
from stemline.plan.recall import recall_facts
from stemline.plan.surveyed_batch import SurveyedBatch as SurveyedBatch  # noqa: PLC0414 - surveyors give it
from stemline.probe import TAG_COLUMNS, AudioFacts
from stemline.records import ROUNDED_SECONDS, Code, Misstatement, Recipe, Reject, Track
from stemline.rights import EVERY_TRACK, RightsGate
from stemline.settings import ProviderFacts, known_kinds, load_facts
from stemline.tombstone import NO_TOMBSTONES, TombstoneIndex

if TYPE_CHECKING:
    from stemline.manifest.scan import ManifestBatch

PROBES_AT_ONCE = 8
_SHOWN_LICENSE = 80


class SurveyRules(TypedDict, total=False):
    """Which rows are not taken, and which are not meant."""

    tombstones: TombstoneIndex
    gate: RightsGate
    is_meant: Callable[[Track], bool]


def check_recipe(recipe: Recipe, facts: ProviderFacts) -> None:
    """Refuse a recipe the provider cannot make, before anything is spent; raises ConfigError."""
    for name, asked in (("stems", recipe.stems), ("quality", recipe.quality), ("format", recipe.format)):
        offered = _offered(facts, name)
        if asked not in offered:
            others = [kind for kind in known_kinds() if asked in _offered(load_facts(kind), name)]
            who = f" {' and '.join(others)} would make it." if others else ""
            raise ConfigError(
                f"{facts.kind} does not make recipe.{name} {asked!r}.",
                fix=f"It offers: {', '.join(offered)}.{who}",
            )
    if recipe.stems in facts.best_only and recipe.quality != "best":
        raise ConfigError(
            f"{facts.kind} makes recipe.stems {recipe.stems!r} in quality 'best' alone.", fix="Ask for that."
        )


def _offered(facts: ProviderFacts, name: str) -> tuple[str, ...]:
    """Give what a provider offers of one part of a recipe."""
    return {"stems": facts.stems, "quality": facts.qualities, "format": facts.formats}[name]


def survey_catalogue(
    source: ManifestSource,
    facts: ProviderFacts,
    find_done: Callable[[Sequence[str]], Collection[str]],
    recipe: Recipe | None = None,
    find_measured: Callable[[Sequence[str]], Mapping[str, MeasuredTrack]] = lambda _: {},
    **rules: Unpack[SurveyRules],
) -> Iterator[SurveyedBatch]:
    """Give the selected rows of a manifest as `survey_rows` does; a limit is one of usable rows."""

    def survey(some: ManifestSource) -> Iterator[SurveyedBatch]:
        return survey_rows(some, facts, find_done, recipe, find_measured, **rules)

    return survey(source) if source.limit is None else first_usable(source, survey)


def survey_rows(  # noqa: PLR0913 - what is known of the rows already, and by whom
    source: ManifestSource,
    facts: ProviderFacts,
    find_done: Callable[[Sequence[str]], Collection[str]],
    recipe: Recipe | None = None,
    find_measured: Callable[[Sequence[str]], Mapping[str, MeasuredTrack]] = lambda _: {},
    *,
    tombstones: TombstoneIndex = NO_TOMBSTONES,
    gate: RightsGate = EVERY_TRACK,
    is_meant: Callable[[Track], bool] = lambda _: True,
) -> Iterator[SurveyedBatch]:
    """Give the selected rows of a manifest, batch by batch, probed where the manifest gives no duration.

    Files of this machine, which are uploaded, are always opened: only audio leaves it. Those of a listing are what
    their tags say. `find_done` names those of some track ids whose audio need not be probed again, `find_measured`
    gives what others were found to be earlier: while they are as they were, they are not opened again. YouTube URLs are
    taken where the provider makes `recipe` of them; how long they are, it alone knows. What `tombstones` stand for is
    not opened, nor what does not pass the gate; what is done or under way stays. Rows that are not `is_meant` are left
    out: before they are opened, but for those of a listing, of which only their tags tell.
    """
    from stemline.manifest.scan import scan_manifest  # noqa: PLC0415 -- it loads DuckDB, which few need

    rules = _TrackRules(facts, takes_videos=recipe is not None and recipe.stems == facts.video_stems)
    for given in scan_manifest(source):
        meant = given.tracks if given.is_listing else tuple(filter(is_meant, given.tracks))
        taken, refused = tombstones.sort(meant, given.rejects)
        done = find_done([track.track_id for track in taken])
        taken, without_rights = _pass_gate(taken, done, gate)
        batch = replace(given, tracks=taken, rejects=(*refused, *without_rights))
        unknown = [
            track.track_id for track in batch.tracks if track.track_id not in done and _needs_probe(track)
        ]
        measured = find_measured(unknown) if unknown else {}
        mine = replace(rules, away={}, misstated=[], measured=measured, tags=_tags(source, batch))
        checked = list(_probe_and_check(batch.tracks, done, source, mine))
        tracks = [each for each in checked if isinstance(each, Track)]
        tracks = list(filter(is_meant, tracks)) if given.is_listing else tracks
        rejects = [each for each in checked if isinstance(each, Reject)]
        # Again: of a listing, the artists are known only now.
        usable, unusable = tombstones.sort(tracks, (*batch.rejects, *rejects))
        in_order = tuple(sorted(unusable, key=lambda reject: reject.row))
        taken_ids = {track.track_id for track in usable}
        misstated = tuple(each for each in mine.misstated if each.track_id in taken_ids)
        yield SurveyedBatch(usable, in_order, batch.passed_over, mine.away, misstated, given.rows)


def _pass_gate(
    tracks: Sequence[Track], done: Collection[str], gate: RightsGate
) -> tuple[tuple[Track, ...], list[Reject]]:
    """Give the tracks that pass, and the rejects; what is done has been paid for."""
    if gate.is_open:
        return tuple(tracks), []
    sorted_out = [None if track.track_id in done else rights_reject(track, gate) for track in tracks]
    taken = tuple(track for track, reject in zip(tracks, sorted_out, strict=True) if reject is None)
    return taken, [reject for reject in sorted_out if reject is not None]


def rights_reject(track: Track, gate: RightsGate) -> Reject | None:
    """Give the reject of a track that has not the rights a gate asks for; None where it has."""
    reason = gate.refusal(*rights_cells(track.columns).values())
    if reason is None:
        return None
    told = track.columns.get("license")
    license_told = "" if told is None else f' (its license: "{str(told)[:_SHOWN_LICENSE]}")'
    sentence = (
        f"{reason[0].upper()}{reason[1:]}{license_told}; catalogue.require_rights takes {gate.sentence()}."
    )
    return _reject(track, Code.RIGHTS_NOT_GRANTED, sentence)


def without_forgotten(batch: SurveyedBatch, tombstones: TombstoneIndex) -> SurveyedBatch:
    """Give a batch of which what these tombstones stand for is rejected."""
    tracks, rejects = tombstones.sort(batch.tracks, batch.rejects)
    return replace(batch, tracks=tracks, rejects=rejects)


def _tags(source: ManifestSource, batch: ManifestBatch) -> FileTags:
    """Give what a batch's files tell of themselves: columns that are text in the dataset, or not there yet."""
    if batch.listed_below is None:
        return FileTags()
    kept = {field.name: str(field.type) for field in source.carried or ()}
    columns = tuple(name for name in TAG_COLUMNS if kept.get(name, "string") == "string")
    return FileTags.of(columns, batch.listed_below, [track.location for track in batch.tracks])


@dataclass(frozen=True, slots=True)
class _TrackRules:
    """What a provider takes."""

    facts: ProviderFacts
    takes_videos: bool
    away: dict[str, str] = field(default_factory=dict)
    """Filled with the ids of tracks whose source cannot be reached, and why."""
    misstated: list[Misstatement] = field(default_factory=list)
    """Filled with those whose file is not as long as the manifest says."""
    measured: Mapping[str, MeasuredTrack] = field(default_factory=dict)
    """What tracks were found to be earlier, by their ids."""
    tags: FileTags = field(default_factory=FileTags)
    """Of rows without columns of their own, those that their files fill."""


def _probe_and_check(
    tracks: Sequence[Track], done: Collection[str], source: ManifestSource, rules: _TrackRules
) -> Iterator[Track | Reject]:
    opened = [track for track in tracks if track.track_id not in done and _needs_probe(track)]
    known = recall_facts(opened, rules.measured, rules.tags.columns)
    needed = [track for track in opened if track.track_id not in known]
    probed = _probe(needed, source, with_tags=bool(rules.tags.columns))
    for track in tracks:
        if track.track_id in done:
            yield track
        elif track.track_id in known:
            yield _check_probed(track, known[track.track_id], rules)
        elif _needs_probe(track):
            yield _check_probed(track, next(probed), rules)
        else:
            yield _check(track, rules)


def _probe(
    tracks: Sequence[Track], source: ManifestSource, *, with_tags: bool
) -> Iterator[AudioFacts | AudioRejected]:
    """Give what each track's file turns out to be; the decoder is loaded only where a file has to be opened."""
    if not tracks:
        return
    from stemline.probe.probing import probe_many  # noqa: PLC0415 -- most runs need none, and it takes 0.2 s

    locations = [track.location for track in tracks]
    outcomes = probe_many(
        locations,
        workers=PROBES_AT_ONCE,
        storage_options=source.storage_options,
        with_tags=with_tags,
        refuse_silence=True,
    )
    for _, outcome in outcomes:
        yield outcome


def _needs_probe(track: Track) -> bool:
    """Tell whether a track's file has to be opened: for its length, and a local one to see that it is audio."""
    kind = location_kind(track.location)
    return kind is LocationKind.FILE or (track.duration_seconds is None and kind is not LocationKind.YOUTUBE)


def _check_probed(track: Track, outcome: AudioFacts | AudioRejected, rules: _TrackRules) -> Track | Reject:
    if isinstance(outcome, SourceAway):
        rules.away[track.track_id] = str(outcome)
        return track
    if isinstance(outcome, AudioRejected):
        return _reject(track, outcome.code, str(outcome))
    given, seconds = track.duration_seconds, outcome.duration_seconds
    if given is not None and abs(given - seconds) > ROUNDED_SECONDS:
        rules.misstated.append(Misstatement(track.track_id, track.position, given, seconds))
    measured = replace(
        track,
        duration_seconds=seconds,
        size_bytes=outcome.size_bytes,
        columns=rules.tags.fill(track.location, outcome.tags) | track.columns,
    )
    return _check(measured, rules)


def _check(track: Track, rules: _TrackRules) -> Track | Reject:
    facts, kind = rules.facts, location_kind(track.location)
    if kind is LocationKind.YOUTUBE and not rules.takes_videos:
        return _reject(track, Code.BAD_LOCATION, _no_videos(facts))
    if track.duration_seconds is not None and (reject := _check_length(track, track.duration_seconds, facts)):
        return reject
    is_uploaded = kind in {LocationKind.FILE, LocationKind.STORE}
    if is_uploaded and facts.max_size_bytes and (track.size_bytes or 0) > facts.max_size_bytes:
        sentence = (
            f'The file "{track.location}" has {track.size_bytes} bytes; '
            f"{facts.kind} takes at most {facts.max_size_bytes}."
        )
        return _reject(track, Code.TOO_LARGE, f"{sentence} Compress it, or give a URL.")
    return track


def _check_length(track: Track, seconds: float, facts: ProviderFacts) -> Reject | None:
    most = facts.max_duration_seconds
    if seconds < facts.min_duration_seconds:
        length = floor(seconds * 100) / 100  # rounded, what is too short would read as what is not
        sentence = (
            f'"{track.location}" is {length:g} s long; '
            f"{facts.kind} takes at least {facts.min_duration_seconds:g} s. Drop the row, or take the file away."
        )
        return _reject(track, Code.TOO_SHORT, sentence)
    if seconds > most:
        sentence = (
            f'"{track.location}" is {ceil(seconds / 6) / 10:g} min long; '
            f"{facts.kind} takes at most {most / 60:g} min. Cut it."
        )
        return _reject(track, Code.TOO_LONG, sentence)
    return None


def _no_videos(facts: ProviderFacts) -> str:
    if facts.video_stems is None:
        return f"{facts.kind} takes no YouTube URLs; give the audio itself."
    return f"{facts.kind} makes only recipe.stems {facts.video_stems!r} of a YouTube URL: ask for that."


def _reject(track: Track, code: Code, sentence: str) -> Reject:
    return Reject(track.position, track.track_id, track.location, code, sentence)
