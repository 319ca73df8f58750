"""The composer: keys, chords and rhythms turned into timed notes for every part of a song."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stemline_local.songs.groove import CHORD_RHYTHMS, GROOVES, MELODY_RHYTHMS, STRUM_RHYTHMS, Groove, Steps
from stemline_local.songs.notes import MAJOR, MINOR, parse_key

_PROGRESSIONS = {  # scale degrees, one a bar, 0 the tonic
    False: (
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (0, 3, 0, 4),
        (0, 3, 4, 0),
        (0, 2, 3, 4),
        (0, 1, 4, 0),
        (0, 4, 0, 3),
        (0, 0, 3, 4, 0, 5, 3, 4),
        (0, 3, 1, 4),
        (0, 4, 5, 2, 3, 0, 3, 4),
    ),
    True: (
        (0, 5, 2, 6),
        (0, 3, 4, 0),
        (0, 5, 3, 4),
        (0, 6, 5, 4),
        (0, 3, 6, 0),
        (0, 2, 5, 6),
        (0, 0, 3, 4),
        (0, 6, 5, 6, 0, 3, 5, 4),
        (0, 6, 3, 0),
    ),
}
_VOWELS = "aeiou"
_CONSONANTS = "_shtlkf"


@dataclass(frozen=True, slots=True)
class Note:
    """One note of an instrument: seconds and a MIDI number."""

    start: float
    seconds: float
    midi: int
    velocity: float


@dataclass(frozen=True, slots=True)
class DrumHit:
    """One stroke on a piece of the drum kit."""

    start: float
    piece: str
    velocity: float


@dataclass(frozen=True, slots=True)
class Syllable:
    """One sung note."""

    start: float
    seconds: float
    midi: int
    vowel: str
    consonant: str
    """How it begins; `_` for nothing."""


@dataclass(frozen=True, slots=True)
class Score:
    """All that is played and sung in a song."""

    groove: str
    drums: tuple[DrumHit, ...]
    parts: dict[str, tuple[Note, ...]]
    """Notes of bass, piano, guitar and other."""
    phrases: tuple[tuple[Syllable, ...], ...]
    chorus: tuple[tuple[Syllable, ...], ...]
    """A second voice, below, where there is one."""


class Composer:
    """One song in the making; every call of a method uses up random numbers, so their order is fixed."""

    def __init__(self, rng: np.random.Generator, bpm: float, key: str, seconds: float) -> None:
        """Choose groove, harmony and form."""
        self.rng, self.seconds = rng, seconds
        self.root, self.is_minor = parse_key(key)
        self.scale = MINOR if self.is_minor else MAJOR
        self.step = 15.0 / bpm
        self.bars = int(np.ceil(seconds / (16 * self.step)))
        self.groove: Groove = GROOVES[rng.integers(len(GROOVES))]
        self.swing = max(self.groove.swing, 0.25 if rng.random() < 0.12 else 0.0)
        choices = _PROGRESSIONS[self.is_minor]
        self.progression = choices[rng.integers(len(choices))]
        self.looseness = rng.uniform(0.001, 0.007)
        self.section_bars = int(rng.choice([4, 8]))
        self.intro_bars = int(rng.choice([0, 1, 2]))

    def score(self) -> Score:
        """Give the whole song."""
        parts = {
            "bass": tuple(self._bass()),
            "piano": tuple(self._chords(CHORD_RHYTHMS, strum_seconds=0.002)),
            "guitar": tuple(self._guitar()),
            "other": tuple(self._other()),
        }
        drums = tuple(self._drums())
        phrases = tuple(self._phrases())
        return Score(self.groove.name, drums, parts, phrases, tuple(self._harmony(phrases)))

    def _when(self, bar: int, step: float) -> float:
        """Give the second at which a step of a bar sounds, played by hand."""
        late = self.swing if step % 2 == 1 else 0.0
        return max(0.0, (bar * 16 + step + late) * self.step + self.rng.normal(0.0, self.looseness))

    def _degree(self, bar: int) -> int:
        return self.progression[bar % len(self.progression)]

    def _chord(self, degree: int, lowest: int) -> list[int]:
        """Give a triad (sometimes a seventh chord) from `lowest` up; minor keys get their major dominant."""
        extent = 4 if self.rng.random() < 0.2 else 3
        pitches = [self.root + self.scale[(degree + 2 * i) % 7] for i in range(extent)]
        if self.is_minor and degree == 4:
            pitches[1] = self.root + 11
        notes = [lowest + (pitches[0] - lowest) % 12]
        for pitch in pitches[1:]:
            notes.append(notes[-1] + (pitch - notes[-1]) % 12)
        return notes

    def _is_chorus(self, bar: int) -> bool:
        return (bar // self.section_bars) % 2 == 1

    def _drums(self) -> Iterator[DrumHit]:
        """Give the beat, a crash at a section's start and a fill at its end; a break leaves the hat alone."""
        has_fills = self.rng.random() < 0.7
        cymbal = self.rng.choice(["hat", "ride", "shaker"], p=[0.7, 0.15, 0.15])
        silent_bars = set() if self.rng.random() < 0.6 else {int(self.rng.integers(2, max(3, self.bars)))}
        for bar in range(self.bars):
            if bar < self.intro_bars and self.intro_bars > 1:
                lines: tuple[tuple[str, str], ...] = ((cymbal, self.groove.hat),)
            else:
                lines = (("kick", self.groove.kick), ("snare", self.groove.snare), (cymbal, self.groove.hat))
            if bar in silent_bars:
                lines = lines[-1:]
            yield from self._beat(bar, lines)
            if bar % self.section_bars == 0 and bar >= self.intro_bars:
                yield DrumHit(self._when(bar, 0), "crash", 0.7)
            if has_fills and bar % self.section_bars == self.section_bars - 1:
                yield from (
                    DrumHit(self._when(bar, 12 + i), ("high_tom", "low_tom")[i // 2], 0.8) for i in range(4)
                )

    def _beat(self, bar: int, lines: tuple[tuple[str, str], ...]) -> Iterator[DrumHit]:
        for piece, line in lines:
            for step, mark in enumerate(line):
                if mark == ".":
                    continue
                velocity = (0.95 if mark == "x" else 0.45) * self.rng.uniform(0.8, 1.1)
                is_open = piece == "hat" and step == 14 and bar % 2 == 1
                yield DrumHit(self._when(bar, step), "open_hat" if is_open else piece, velocity)

    def _bass(self) -> Iterator[Note]:
        """Give roots in the groove's rhythm, with a fifth or an octave now and then."""
        for bar in range(0 if self.rng.random() < 0.6 else self.intro_bars, self.bars):
            root = 28 + (self.root + self.scale[self._degree(bar)] - 28) % 12
            for step, length in self.groove.bass:
                leap = int(self.rng.choice([0, 7, 12], p=[0.82, 0.08, 0.1])) if step else 0
                yield Note(
                    self._when(bar, step),
                    length * self.step * 0.95,
                    root + leap,
                    self.rng.uniform(0.75, 1.05),
                )

    def _chords(self, rhythms: tuple[Steps, ...], strum_seconds: float) -> Iterator[Note]:
        """Give block chords, rolled from the lowest note up."""
        rhythm = rhythms[self.rng.integers(len(rhythms))]
        lowest = int(self.rng.integers(52, 62))
        for bar in range(self.bars):
            chord = self._chord(self._degree(bar), lowest)
            chord = [chord[0] - 12, *chord]
            for step, length in rhythm:
                start = self._when(bar, step)
                for i, midi in enumerate(chord):
                    yield Note(
                        start + i * strum_seconds, length * self.step, midi, float(self.rng.uniform(0.6, 1.0))
                    )

    def _guitar(self) -> Iterator[Note]:
        """Give strummed or picked chords."""
        if self.rng.random() < 0.65:
            return self._chords(STRUM_RHYTHMS, strum_seconds=float(self.rng.uniform(0.004, 0.015)))
        return self._arpeggio(int(self.rng.choice([1, 2])), lowest=int(self.rng.integers(48, 56)))

    def _arpeggio(self, every: int, lowest: int) -> Iterator[Note]:
        """Give chords note by note, `every` so many sixteenths."""
        for bar in range(self.bars):
            chord = self._chord(self._degree(bar), lowest)
            notes = [*chord, chord[0] + 12, *chord[:0:-1]]
            for i, step in enumerate(range(0, 16, every)):
                yield Note(
                    self._when(bar, step),
                    every * self.step * 1.8,
                    notes[i % len(notes)],
                    float(self.rng.uniform(0.6, 1.0)),
                )

    def _other(self) -> Iterator[Note]:
        """Give held chords, an arpeggio, or short stabs."""
        kind = self.rng.random()
        if kind < 0.6:
            return self._chords((((0, 16),),), strum_seconds=0.0)
        if kind < 0.85:
            return self._arpeggio(int(self.rng.choice([1, 2])), lowest=int(self.rng.integers(60, 72)))
        return self._chords((((0, 2), (6, 2)), ((4, 2), (12, 2)), ((0, 3), (3, 3))), strum_seconds=0.0)

    def _phrases(self) -> Iterator[tuple[Syllable, ...]]:
        """Give a melody that walks the scale and lands on chord notes, with rests between the lines."""
        centre = int(self.rng.choice([52, 55, 60, 64, 67]))
        current = centre
        first = max(1, self.intro_bars) if self.seconds > 12 else 0
        rest_every = int(self.rng.choice([4, 8]))
        for bar in range(first, self.bars):
            if bar % rest_every == rest_every - 1:
                continue
            phrase: list[Syllable] = []
            for step, length in MELODY_RHYTHMS[self.rng.integers(len(MELODY_RHYTHMS))]:
                current = self._next_tone(bar, step, centre, current)
                phrase.append(self._syllable(self._when(bar, step), length * self.step * 0.93, current))
            yield tuple(phrase)

    def _next_tone(self, bar: int, step: int, centre: int, current: int) -> int:
        degree = self._degree(bar)
        strong = {(self.root + self.scale[(degree + i) % 7]) % 12 for i in (0, 2, 4)}
        allowed = strong if step % 8 == 0 else {(self.root + tone) % 12 for tone in self.scale}
        near = [midi for midi in range(centre - 8, centre + 10) if midi % 12 in allowed]
        weight = np.exp(-np.abs(np.array(near) - current) / 2.5)
        return int(self.rng.choice(near, p=weight / weight.sum()))

    def _syllable(self, start: float, seconds: float, midi: int) -> Syllable:
        vowel, consonant = self.rng.integers(len(_VOWELS)), self.rng.integers(len(_CONSONANTS))
        return Syllable(start, seconds, midi, _VOWELS[vowel], _CONSONANTS[consonant])

    def _harmony(self, phrases: tuple[tuple[Syllable, ...], ...]) -> Iterator[tuple[Syllable, ...]]:
        """Give the lower third of the lines that fall into a chorus."""
        for phrase in phrases:
            if not self._is_chorus(int(phrase[0].start / (16 * self.step))):
                continue
            yield tuple(
                Syllable(one.start, one.seconds, self._third_below(one.midi), one.vowel, "_")
                for one in phrase
            )

    def _third_below(self, midi: int) -> int:
        tones = {(self.root + tone) % 12 for tone in self.scale}
        return midi - 3 if (midi - 3) % 12 in tones else midi - 4
