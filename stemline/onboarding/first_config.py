"""What a person wishes for, held against what is there, and written as a configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from stemline.errors import ManifestError, UsageError
from stemline.manifest import ManifestSource
from stemline.manifest.column_mapping import resolve_mapping
from stemline.manifest.listing import is_audio_name
from stemline.manifest.location import URL_PATTERN
from stemline.manifest.manifest_source import LOCATION_NAMES
from stemline.manifest.sample import ManifestSample, read_sample
from stemline.manifest.windows_path import is_windows_path
from stemline.onboarding.config_text import FirstConfig, config_name, ledger_beside, write_config
from stemline.onboarding.proposal import MappingProposal, propose_mapping
from stemline.settings import Settings, load_facts, load_settings
from stemline.settings.column_mapping import MAPPED_COLUMNS, check_mapping, column_key

_STAND_IN = "not-exported-yet"
_SHOWN_LENGTH = 80
"""In place of a key that is not in the environment: a plan asks nobody."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person wants; None: nobody has said."""

    music: str | None = None
    manifest: str | None = None
    provider: str | None = None
    dataset: str | None = None
    columns: tuple[str, ...] = ()
    """Each as `ours=theirs`; nothing behind the `=`: this one is not to be mapped."""

    @property
    def catalogue(self) -> str | None:
        """Give where the music or the manifest is."""
        return self.music or self.manifest


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A manifest that was looked at, and how its columns are to be understood."""

    place: str
    sample: ManifestSample
    proposal: MappingProposal
    columns: Mapping[str, str]
    """Our name: the manifest's."""


def check_wishes(wishes: Wishes) -> None:
    """Raise UsageError for what is missing, naming the flags, and for two catalogues; ConfigError for the provider."""
    if wishes.music and wishes.manifest:
        raise UsageError(
            "--music and --manifest are both given.",
            fix="A folder is a catalogue of its own: keep one of them.",
        )
    flags = {
        "--music FOLDER or --manifest FILE": wishes.catalogue,
        "--provider NAME": wishes.provider,
        "--dataset URL": wishes.dataset,
    }
    if missing := [flag for flag, value in flags.items() if not (value or "").strip()]:
        raise UsageError(
            f"There is nobody to ask, and {'one thing is' if len(missing) == 1 else 'some things are'} not said.",
            fix=f"Give {', '.join(missing)}.",
        )
    load_facts(str(wishes.provider))
    check_dataset(str(wishes.dataset))


def check_dataset(url: str) -> None:
    """Raise UsageError for a place that only a Windows machine has."""
    _refuse_windows("--dataset", url)


def look_at_catalogue(wishes: Wishes) -> Catalogue:
    """Give what is in the catalogue; raises ManifestError or UsageError where it cannot be one."""
    given = str(wishes.catalogue)
    _refuse_windows("--music" if wishes.music else "--manifest", given)
    place = whole_place(given)
    sample = read_sample(ManifestSource(place))
    if wishes.music and not sample.is_listing:
        raise UsageError(f"{given} is a manifest, and no folder of music.", fix=f"Give --manifest {given}.")
    if sample.is_listing and wishes.columns:
        raise UsageError("A folder of music has no columns.", fix="Leave --column away.")
    _require_header(given, sample)
    found = Catalogue(place, sample, propose_mapping(sample), {})
    return with_columns(found, _corrections(wishes.columns))


def _require_header(given: str, sample: ManifestSample) -> None:
    """Refuse a manifest whose columns are called as files are: its first track would be taken for a header."""
    for name in sample.names:
        if re.match(URL_PATTERN, name) or (is_audio_name(name) and ("/" in name or "\\" in name)):
            raise ManifestError(
                f'The manifest "{given}" has no header: its first line holds "{name[:_SHOWN_LENGTH]}".',
                fix="Put a line with the names of its columns in front, such as uri,title.",
            )


def with_columns(catalogue: Catalogue, corrections: Mapping[str, str]) -> Catalogue:
    """Give the catalogue with columns mapped as a person says, otherwise as proposed.

    Raises ConfigError or UsageError for a column that is not there, or not ours; ManifestError where none is the
    location.
    """
    names = catalogue.sample.names
    said = set(map(column_key, corrections.values()))
    proposed = {
        ours: name for ours, name in catalogue.proposal.mapping.items() if column_key(name) not in said
    }
    columns = {ours: theirs for ours, theirs in (proposed | dict(corrections)).items() if theirs}
    try:
        check_mapping(columns)
    except ValueError as error:
        raise UsageError(
            f"These columns cannot be meant: {error}.", fix="Write each as --column title=Song."
        ) from error
    resolved = resolve_mapping(columns, names) if columns else None
    # What is called as we call it already needs no word.
    kept = {
        ours: theirs
        for theirs, ours in (resolved.ours if resolved else {}).items()
        if column_key(theirs) != ours
    }
    has_location = "uri" in columns or any(column_key(name) in LOCATION_NAMES for name in names)
    if not catalogue.sample.is_listing and not has_location:
        raise _no_location(catalogue.place, names)
    return replace(catalogue, columns=kept)


def _corrections(given: Sequence[str]) -> dict[str, str]:
    columns = {}
    for each in given:
        ours, mark, theirs = each.partition("=")
        if not mark or ours.strip() not in MAPPED_COLUMNS:
            (nearest,) = get_close_matches(ours.strip().lower(), MAPPED_COLUMNS, 1, 0.0)
            raise UsageError(
                f'--column "{each}" names none of our columns; the nearest is {nearest}.',
                fix=f"Write it like --column title=Song. Ours are {', '.join(MAPPED_COLUMNS)}.",
            )
        columns[ours.strip()] = theirs.strip()
    return columns


def _no_location(place: str, names: Sequence[str]) -> ManifestError:
    return ManifestError(
        f"\"{place}\" has no column that says where each track's audio is: neither a path, nor a file's name, nor a "
        f"URL. Its columns are {', '.join(names)}.",
        fix="Name the column with --column uri=NAME, or add one.",
    )


def whole_place(given: str) -> str:
    """Give a path as it is known from every folder; a URL stays as it is."""
    if ManifestSource(given).is_url:
        return given
    return os.path.abspath(os.path.expanduser(given))  # noqa: PTH100, PTH111 - text in, text out


def _refuse_windows(flag: str, given: str) -> None:
    if is_windows_path(given):
        raise UsageError(
            f'{flag} "{given}" is a path of a Windows machine.', fix="Give the place as this machine has it."
        )


def save_config(out: Path, wishes: Wishes, catalogue: Catalogue) -> None:
    """Write the configuration; raises UsageError where it cannot be written."""
    name, dataset = config_name(out), whole_place(str(wishes.dataset))
    config = FirstConfig(
        name,
        catalogue.place,
        str(wishes.provider),
        dataset,
        catalogue.sample.is_listing,
        catalogue.columns,
        ledger_beside(name, dataset, Path.cwd()),
    )
    text = write_config(config, load_facts(config.provider))
    try:
        out.write_text(text, encoding="utf-8")
    except (OSError, UnicodeEncodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a name in it is not UTF-8"
        raise UsageError(
            f"{out} cannot be written: {reason}.", fix="Give --out a file in a folder that is there."
        ) from error


def settings_to_plan(out: Path, variable: str | None) -> Settings:
    """Give the settings of a configuration that was written, with a stand-in for a key that is not exported yet."""
    environ = dict(os.environ)
    if variable is not None and not environ.get(variable):
        environ[variable] = _STAND_IN
    return load_settings(out, (), environ)
