"""Samples whose stems are of one length, with the mixture they were made of."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from stemline.audio import Samples, decode
from stemline.errors import AudioRejected
from stemline.export.sample import ExportSample, StemSound, renamed
from stemline.reader.resampling import resample, to_mono
from stemline.records import MIX, Code

MIXTURE = "mixture"
ToFile = Callable[[Samples, int], StemSound]
"""Gives samples, (frames, channels), of a sample rate as a file."""


class SoundShape(NamedTuple):
    """What sounds have in common that are played together."""

    sample_rate: int
    channels: int
    frames: int


def has_mix(sample: ExportSample) -> bool:
    """Tell whether the mixture of a sample is what was kept of it; else it is the sum of the stems."""
    return MIX in sample.track.stems


def told_facts(sample: ExportSample) -> dict[str, Any]:
    """Give what is known of a sample besides its sound, as JSON has it; `mixture` is `kept` or `sum`."""
    told = {**renamed(sample.metadata, {MIXTURE}), MIXTURE: "kept" if has_mix(sample) else "sum"}
    text = json.dumps(told, ensure_ascii=False, default=str)
    found: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)  # JSON knows no NaN
    return found


def json_line(tree: Mapping[str, Any]) -> bytes:
    """Give a tree as a line of JSON."""
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def with_mixture(sample: ExportSample, to_file: ToFile) -> ExportSample:
    """Give a sample with `mixture` in place of the kept mix, or as the sum of the stems, which may pass full scale.

    Stems that differ are cut to the shortest and brought to the first one's rate; the mix to theirs, with silence
    behind one that ends earlier. A file that is right stays as it is.

    Raises:
        AudioRejected: there is no stem, or one does not decode.
    """
    stems = {name: _measured(sound) for name, sound in sorted(sample.sounds.items())}
    mix = stems.pop(MIX, None)
    if not stems:
        raise AudioRejected("it has no stem besides its mix.", code=Code.MISSING_STEM)
    shape = _common_shape(stems)
    total = np.zeros((shape.frames, shape.channels), np.float32)
    sounds = {}
    for name, sound in stems.items():
        is_right = _shape(sound) == shape
        if mix is None or not is_right:
            samples = _fitted(sound, shape)
            total += samples if mix is None else 0
        sounds[name] = sound if is_right else to_file(samples, shape.sample_rate)
    if mix is None:
        sounds[MIXTURE] = to_file(total, shape.sample_rate)
    else:
        is_right = _shape(mix) == shape
        sounds[MIXTURE] = mix if is_right else to_file(_fitted(mix, shape), shape.sample_rate)
    return replace(sample, sounds=sounds)


def _common_shape(stems: Mapping[str, StemSound]) -> SoundShape:
    shapes = [_shape(sound) for sound in stems.values()]
    rate = shapes[0].sample_rate
    frames = min(each.frames * rate // each.sample_rate for each in shapes)
    return SoundShape(rate, max(each.channels for each in shapes), frames)


def _measured(sound: StemSound) -> StemSound:
    """Give a sound that tells its rate, channels and frames."""
    if None not in {sound.sample_rate, sound.channels, sound.frames}:
        return sound
    found = decode(io.BytesIO(sound.data))
    frames, channels = found.samples.shape
    return replace(sound, sample_rate=found.sample_rate, channels=channels, frames=frames)


def _shape(sound: StemSound) -> SoundShape:
    return SoundShape(sound.sample_rate or 0, sound.channels or 0, sound.frames or 0)


def _fitted(sound: StemSound, shape: SoundShape) -> Samples:
    """Give sound in a shape: resampled, in as many channels, cut, or followed by silence."""
    found = decode(io.BytesIO(sound.data))
    samples = resample(found.samples[: sound.frames], found.sample_rate, shape.sample_rate)
    samples = _with_channels(samples, shape.channels)[: shape.frames]
    missing = shape.frames - len(samples)
    return np.pad(samples, ((0, missing), (0, 0))) if missing else samples


def _with_channels(samples: Samples, channels: int) -> Samples:
    """Give mono sound in each of the channels, the mean where one is wanted, else the first ones or silent others."""
    if channels == 1:
        return to_mono(samples)
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    return np.pad(samples[:, :channels], ((0, 0), (0, max(0, channels - samples.shape[1]))))
