"""A song from a seed, with the exact stems, tempo and key it was made of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import reduce

import numpy as np

from stemline.audio import Samples
from stemline_local.songs.drum import DrumKitBuilder
from stemline_local.songs.mixing import Reverberation, StereoTrack, draw_reverberation, level
from stemline_local.songs.notes import KEYS, hertz
from stemline_local.songs.score import Composer, DrumHit, Note, Score
from stemline_local.songs.timbre import Timbre, draw_bass, draw_guitar, draw_other, draw_piano
from stemline_local.songs.voice import draw_singer

STEMS = ("vocals", "drums", "bass", "piano", "guitar", "other")
_LEVEL_DBFS = {
    "vocals": -18.0,
    "drums": -19.0,
    "bass": -20.0,
    "piano": -24.0,
    "guitar": -24.0,
    "other": -26.0,
}
_WETNESS = {"vocals": 0.35, "drums": 0.2, "bass": 0.03, "piano": 0.3, "guitar": 0.25, "other": 0.45}
_INSTRUMENTS: dict[str, Callable[[np.random.Generator], Timbre]] = {
    "bass": draw_bass,
    "piano": draw_piano,
    "guitar": draw_guitar,
    "other": draw_other,
}


@dataclass(frozen=True, slots=True)
class Song:
    """What was asked for and what it is made of."""

    stems: dict[str, Samples]
    """The six of STEMS, each float32 (frames, 2); a part that does not play is silence."""
    mix: Samples
    """The sum of the stems in their order, exactly."""
    sample_rate: int
    bpm: float
    key: str
    groove: str


def make_song(
    seed: int,
    *,
    bpm: float | None = None,
    key: str | None = None,
    seconds: float = 30.0,
    without: Collection[str] = (),
) -> Song:
    """Give the song of a seed: the same seed and wishes, the same samples.

    Tempo (60 to 180) and key are drawn when they are not given. The stems that `without` names stay silent;
    of piano, guitar and other some songs lack one or two anyway. Always 44.1 kHz.
    """
    rng = np.random.default_rng([seed, 20])
    drawn_bpm = float(np.clip(np.round(rng.normal(115, 28)), 60, 180))
    drawn_key = KEYS[rng.integers(len(KEYS))]
    bpm, key = bpm or drawn_bpm, key or drawn_key
    score = Composer(rng, bpm, key, seconds).score()
    renderer = SongRenderer(rng, score, round(seconds * 44100), bpm)
    stems = renderer.stems(frozenset(without))
    mix = reduce(np.add, stems.values())
    return Song(stems, mix, renderer.sample_rate, bpm, key, score.groove)


class SongRenderer:
    """Turns a score into stems: the instruments, where each stands in the stereo image, and the reverberation."""

    sample_rate = 44100

    def __init__(self, rng: np.random.Generator, score: Score, length: int, bpm: float) -> None:
        """Choose tuning, stereo width and reverberations."""
        self.rng, self.score, self.length, self.beat = rng, score, length, 60.0 / bpm
        self.tuning = float(rng.uniform(-25, 25)) if rng.random() < 0.25 else 0.0
        self.width = float(rng.uniform(0.0, 0.4)) if rng.random() < 0.12 else float(rng.uniform(0.7, 1.0))
        self.reverberations = [draw_reverberation(rng, length, self.sample_rate) for _ in range(2)]
        self.dryness = rng.uniform(0.3, 1.2)

    def stems(self, without: frozenset[str]) -> dict[str, Samples]:
        """Give the finished stems, their sum peaking a little below full scale."""
        resting = without | self._resting()
        tracks = {
            "vocals": self._vocals(),
            "drums": self._drums(),
            **{part: self._instrument(part) for part in _INSTRUMENTS},
        }
        finished = {stem: self._finish(stem, tracks[stem], is_resting=stem in resting) for stem in STEMS}
        peak = float(np.abs(sum(finished.values())).max())
        gain = np.float32(self.rng.uniform(0.7, 0.95) / max(peak, 1e-6))
        return {stem: np.ascontiguousarray((gain * samples).T) for stem, samples in finished.items()}

    def _resting(self) -> frozenset[str]:
        """Give which of the accompanying parts do not play in this song; at least one does."""
        parts = ["piano", "guitar", "other"]
        playing = {part for part in parts if self.rng.random() < 0.75} or {parts[self.rng.integers(3)]}
        return frozenset(parts) - playing

    def _finish(self, stem: str, track: StereoTrack, *, is_resting: bool) -> Samples:
        """Give a stem, (2, frames), with its reverberation and at its level, faded out at the end."""
        reverberation: Reverberation = self.reverberations[self.rng.integers(2)]
        share = _WETNESS[stem] * self.dryness * self.rng.uniform(0.2, 1.5)
        loudness = _LEVEL_DBFS[stem] + self.rng.normal(0, 2.5)
        if is_resting or not track.samples.any():
            return np.zeros_like(track.samples)
        samples = reverberation.wet(track, share)
        samples *= np.float32(10 ** (loudness / 20) / max(level(samples), 1e-9))
        fade = min(self.length, int(0.03 * self.sample_rate))
        samples[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        return samples

    def _frame(self, second: float) -> int:
        return round(second * self.sample_rate)

    def _drums(self) -> StereoTrack:
        """Give the kit, its cymbals and toms spread over the stage."""
        track, kit = StereoTrack(self.length), DrumKitBuilder(self.rng, self.sample_rate).kit()
        spread = self.width * self.rng.uniform(0.1, 0.9) * self.rng.choice([-1, 1])
        pans = {
            "hat": 0.5,
            "open_hat": 0.5,
            "ride": -0.7,
            "shaker": 0.8,
            "crash": -0.6,
            "high_tom": 0.4,
            "low_tom": -0.5,
        }
        balance = {piece: 10 ** (self.rng.normal(0, 2) / 20) for piece in kit}
        for hit in self.score.drums:
            self._place(track, kit[hit.piece], hit, spread * pans.get(hit.piece, 0.0), balance[hit.piece])
        return track

    def _place(
        self, track: StereoTrack, sound: Samples, event: DrumHit | Note, pan: float, gain: float
    ) -> None:
        track.add(sound, self._frame(event.start), pan, gain * event.velocity)

    def _instrument(self, part: str) -> StereoTrack:
        """Give one pitched part: in the middle, to a side, or played twice, left and right."""
        track, rng = StereoTrack(self.length), self.rng
        timbre = _INSTRUMENTS[part](rng)
        pans = self._positions(part)
        keyboard_spread = self.width * rng.uniform(0, 0.6) if part == "piano" else 0.0
        recordings: dict[tuple[int, int, int], Samples] = {}
        for note in self.score.parts[part]:
            for side, pan in enumerate(pans):
                name = (side, note.midi, round(note.seconds * 1000))
                if name not in recordings:
                    pitch = hertz(note.midi, self.tuning + (2 * side - 1) * (len(pans) - 1) * 4)
                    recordings[name] = timbre.note(pitch, note.seconds, self.sample_rate, rng)
                along = keyboard_spread * (note.midi - 60) / 24
                self._place(track, recordings[name], note, float(np.clip(pan + along, -1, 1)), 1.0)
        return track

    def _positions(self, part: str) -> tuple[float, ...]:
        """Give where a part is heard from: one place, or two when it is doubled."""
        side = self.width * float(self.rng.uniform(0.2, 0.95))
        kind = self.rng.random()
        if part == "bass":
            return (0.0,) if kind < 0.9 else (0.15 * side,)
        double = {"piano": 0.25, "guitar": 0.35, "other": 0.6}[part]
        if kind < double:
            return (-side, side)
        return (0.0,) if kind > 0.8 else (side * float(self.rng.choice([-1, 1])),)

    def _vocals(self) -> StereoTrack:
        """Give the lead, mostly in the middle, sometimes doubled or off it, and a harmony to the sides."""
        track, rng = StereoTrack(self.length), self.rng
        singer = draw_singer(rng, self.sample_rate, self.tuning)
        kind = rng.random()
        places: tuple[float, ...] = (0.0,)
        if kind < 0.15:
            places = (-0.5 * self.width, 0.5 * self.width)
        elif kind < 0.3:
            places = (float(rng.uniform(-0.35, 0.35)),)
        for phrase in self.score.phrases:
            for pan in places:
                late = 0.0 if len(places) == 1 else float(rng.uniform(0, 0.02))
                track.add(singer.sing(phrase, rng), self._frame(phrase[0].start + late), pan)
        harmony = float(rng.choice([0.0, 0.2, 0.4]))
        for phrase in self.score.chorus if harmony else ():
            sound = singer.sing(phrase, rng)
            for pan, late in ((-0.8 * self.width, 0.012), (0.8 * self.width, 0.023)):
                track.add(sound, self._frame(phrase[0].start + late), pan, harmony)
        if rng.random() < 0.25:
            track.echo(self._frame(self.beat * float(rng.choice([0.5, 0.75]))), float(rng.uniform(0.1, 0.35)))
        return track
