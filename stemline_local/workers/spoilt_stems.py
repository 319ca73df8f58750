"""The stems of a vendor that is not good at its work: faults that strike what a job made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stemline_local.faults import ActiveFaults

OTHER_FORMAT = {"wav": "flac", "flac": "mp3", "mp3": "wav"}
"""What comes in place of each format."""


def spoil_stems(faults: ActiveFaults, folder: Path, stems: Mapping[str, str]) -> dict[str, str]:
    """Give a job's stems (file names in its folder) as they are once the faults in force have struck it."""
    spoilt = dict(stems)
    if faults.strikes("stem_missing"):
        spoilt.popitem()
    is_silent, stretched = faults.strikes("stems_silent"), faults.strikes("stems_stretched")
    is_other = faults.strikes("format_ignored") is not None
    if is_silent or stretched or is_other:
        factor = stretched.factor if stretched else 1.0
        for stem, name in spoilt.items():
            spoilt[stem] = _rewrite(folder / name, factor, is_silent=is_silent is not None, is_other=is_other)
    return spoilt


def _rewrite(path: Path, factor: float, *, is_silent: bool, is_other: bool) -> str:
    """Write a stem anew, `factor` times as long; give its file name."""
    import numpy as np  # noqa: PLC0415 - no service without faults needs it here

    from stemline.audio import decode, encode  # noqa: PLC0415

    sound = decode(path)
    length = round(factor * len(sound.samples))
    samples = np.resize(sound.samples, (length, sound.samples.shape[1]))
    audio_format = path.suffix[1:]
    written = path.with_suffix(f".{OTHER_FORMAT[audio_format]}") if is_other else path
    encode(written, samples * (not is_silent), sound.sample_rate, written.suffix[1:])
    return written.name
