"""Makes songs that owe nothing to stemline's own: sampled instruments and a sung speech synthesiser.

Development only: it judges the draft engine on sounds the engine was never trained on. Needs, outside the
project's environment:

    apt-get install fluid-soundfont-gm espeak-ng
    pip install "setuptools<81" numpy scipy soundfile pyworld
    pip install --no-deps tinysoundfont

Usage: python benchmarks/make_independent_set.py FOLDER [--songs 30] [--seconds 30] [--processes 2]

Writes FOLDER/<nn>/{vocals,drums,bass,piano,guitar,other,mix}.wav (44.1 kHz stereo, float; the six stems add
up to the mix) and truth.json {"bpm", "key", "seed", "seconds", "voice"}. Tempos are spread evenly over 60-180 bpm
and every one of the 24 keys occurs. The voice is a speech synthesiser whose pitch is replaced (WORLD vocoder,
Morise et al. 2016); the instruments are FluidR3 samples.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyworld
import soundfile
import tinysoundfont
from scipy.signal import fftconvolve, resample_poly

RATE = 44100
SOUNDFONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 0, 4), (0, 3, 4, 0), (0, 2, 3, 4), (0, 1, 4, 0)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 5, 3, 4), (0, 6, 5, 4), (0, 3, 6, 0), (0, 2, 5, 6)),
}
KICKS = ((0, 8), (0, 4, 8, 12), (0, 3, 8, 10))
HATS = (range(0, 16, 2), range(2, 16, 4), range(16))
BASS_LINES = ((0, 2, 4, 6, 8, 10, 12, 14), (0, 6, 8, 14), (0, 3, 6, 8, 11, 14))
MELODIES = (
    ((0, 3), (3, 3), (6, 2), (8, 4), (12, 3)),
    ((0, 2), (2, 2), (4, 4), (8, 6)),
    ((2, 2), (4, 2), (6, 4), (10, 2), (12, 3)),
)
LINES = (
    "bring me back to where the water turns to gold",
    "no one ever told me that the road would be this long",
    "little bird is singing on the window of my room",
    "give me one more reason and I will not walk away",
    "under neon signs we wait for morning to arrive",
    "somebody is calling from the other side of town",
    "all I want is time to learn the colour of your name",
    "we were only children when the summer learned to end",
)
PROGRAMS = {"bass": (32, 33, 34, 38), "piano": (0, 4), "guitar": (25, 27, 29), "other": (48, 50, 89)}
PANS = {"bass": 64, "piano": 50, "guitar": 105, "other": 64}
LEVELS_DB = {"vocals": -18, "drums": -19, "bass": -21, "piano": -25, "guitar": -25, "other": -27}
WETNESS = {"vocals": 0.15, "drums": 0.06, "bass": 0.0, "piano": 0.1, "guitar": 0.1, "other": 0.15}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a song is made from; also its truth.json."""

    seed: int
    bpm: float
    key: str
    seconds: float
    voice: str


@dataclass(frozen=True, slots=True)
class Note:
    """One played note: seconds, seconds, MIDI pitch, MIDI velocity."""

    start: float
    length: float
    pitch: int
    velocity: int


class Composer:
    """Writes the notes of one plan."""

    def __init__(self, plan: Plan) -> None:
        """Draw what holds for the whole song: progression and style."""
        self.rng = np.random.default_rng(7000 + plan.seed)
        root, self.mode = plan.key.split(" ")
        self.root = NAMES.index(root)
        self.plan = plan
        self.step = 15 / plan.bpm
        self.bars = int(np.ceil(plan.seconds / (16 * self.step))) + 1
        self.progression = PROGRESSIONS[self.mode][self.rng.integers(6)]
        self.style = int(self.rng.integers(3))

    def chord(self, bar: int, base: int) -> list[int]:
        """Give the triad of a bar; the dominant of a minor key has its raised third."""
        scale, degree = SCALES[self.mode], self.progression[bar % 4]
        pitches = [base + self.root + scale[i % 7] + 12 * (i // 7) for i in (degree, degree + 2, degree + 4)]
        if self.mode == "minor" and degree == 4:
            pitches[1] = base + self.root + 11
        return pitches

    def note(self, at: tuple[int, float], length: float, pitch: int, velocity: tuple[int, int]) -> Note:
        """Place a note at (bar, step) with a player's timing and touch; its length is in steps."""
        bar, step = at
        start = max(0.0, (16 * bar + step) * self.step + self.rng.normal(0, 0.004))
        return Note(start, length * self.step, pitch, int(self.rng.integers(*velocity)))

    def drums(self) -> list[Note]:
        """Give kick, snare, hats, a fill every fourth bar and a crash every eighth."""
        notes = []
        for bar in range(self.bars):
            notes += [self.note((bar, s), 1, 36, (100, 122)) for s in KICKS[self.style]]
            notes += [self.note((bar, s), 1, 38, (95, 120)) for s in (4, 12)]
            notes += [self.note((bar, s), 0.5, 42, (55, 95)) for s in HATS[self.style]]
            if bar % 8 == 0:
                notes.append(self.note((bar, 0), 8, 49, (95, 105)))
            if bar % 4 == 3:
                notes += [self.note((bar, s), 1, p, (100, 110)) for s, p in ((13, 45), (14, 45), (15, 41))]
        return notes

    def backing(self) -> dict[str, list[Note]]:
        """Give the pitched instruments."""
        notes: dict[str, list[Note]] = {"bass": [], "piano": [], "guitar": [], "other": []}
        for bar in range(self.bars):
            low = 28 + (self.chord(bar, 24)[0] - 28) % 12
            notes["bass"] += [self.note((bar, s), 1.9, low, (90, 115)) for s in BASS_LINES[self.style]]
            root, third, fifth = self.chord(bar, 60)
            for step in (0, 6, 8):
                notes["piano"] += [
                    self.note((bar, step), 4, p, (60, 95)) for p in (root - 12, root, third, fifth)
                ]
            for step in (0, 3, 6, 8, 11, 14):
                strings = (root - 12, fifth - 12, root, third)
                notes["guitar"] += [
                    self.note((bar, step + 0.007 * i / self.step), 2.6, p, (60, 100))
                    for i, p in enumerate(strings)
                ]
            notes["other"] += [self.note((bar, 0), 15.7, p, (70, 71)) for p in (root, third, fifth)]
        return notes

    def phrases(self) -> list[list[Note]]:
        """Give the sung melody, one phrase a bar, with every fourth bar at rest."""
        centre = {"female": 64, "male": 54}[self.plan.voice]
        scale = {(self.root + degree) % 12 for degree in SCALES[self.mode]}
        current, phrases = centre, []
        for bar in range(1, self.bars):
            if bar % 4 == 3:
                continue
            chord, phrase = {p % 12 for p in self.chord(bar, 0)}, []
            for step, length in MELODIES[self.rng.integers(3)]:
                allowed = chord if step % 8 == 0 else scale
                pitches = np.array([p for p in range(centre - 7, centre + 9) if p % 12 in allowed])
                weight = np.exp(-np.abs(pitches - current) / 2.5)
                current = int(self.rng.choice(pitches, p=weight / weight.sum()))
                start = (16 * bar + step) * self.step
                phrase.append(Note(start, 0.95 * length * self.step, current, 100))
            phrases.append(phrase)
        return phrases


def play(notes: list[Note], frames: int, stem: str, program: int) -> np.ndarray:
    """Render notes with the soundfont -> (frames, 2)."""
    synth = tinysoundfont.Synth(gain=-6, samplerate=RATE)
    font, channel = synth.sfload(SOUNDFONT), 9 if stem == "drums" else 0
    synth.program_select(channel, font, 128 if stem == "drums" else 0, program, stem == "drums")
    if stem in PANS:
        synth.control_change(channel, 10, PANS[stem])
    events = [(int(n.start * RATE), 1, n.pitch, n.velocity) for n in notes]
    events += [(int((n.start + n.length) * RATE), 0, n.pitch, 0) for n in notes]
    blocks, position = [], 0
    for when, is_on, pitch, velocity in sorted(events):
        if when >= frames:
            break
        if when > position:
            blocks.append(np.frombuffer(bytes(synth.generate(when - position)), np.float32))
            position = when
        if is_on:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
    blocks.append(np.frombuffer(bytes(synth.generate(frames - position)), np.float32))
    return np.concatenate(blocks).reshape(-1, 2)[:frames].astype(np.float64)


@lru_cache(maxsize=16)
def analyse_line(index: int, voice: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Speak a line and take it apart -> pitch (n,), envelope and aperiodicity (n, bins), in 5 ms frames."""
    espeak = shutil.which("espeak-ng")
    if espeak is None:
        raise SystemExit("espeak-ng is not installed: apt-get install espeak-ng")
    accent = {"female": "en-us+f3", "male": "en-us"}[voice]
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run([espeak, "-v", accent, "-s", "150", "-w", file.name, LINES[index]], check=True)
        speech, rate = soundfile.read(file.name)
    loud = np.flatnonzero(np.abs(speech) > 0.01)
    speech = resample_poly(speech[loud[0] : loud[-1]], RATE, rate)
    pitch, times = pyworld.harvest(speech, RATE)
    envelope = pyworld.cheaptrick(speech, pitch, times, RATE)
    return pitch, envelope, pyworld.d4c(speech, pitch, times, RATE)


def sing(phrase: list[Note], line: int, voice: str) -> np.ndarray:
    """Sing a phrase on a spoken line: its vowels and consonants, the melody's pitch, a little vibrato."""
    pitch, envelope, aperiodicity = analyse_line(line, voice)
    start, end = phrase[0].start, phrase[-1].start + phrase[-1].length
    frames = int((end - start) / 0.005)
    source = np.minimum(np.arange(frames) * len(pitch) // frames, len(pitch) - 1)
    times = start + np.arange(frames) * 0.005
    melody = np.full(frames, float(phrase[0].pitch))
    for note in phrase:
        melody[times >= note.start] = note.pitch
    glide = np.hanning(15)[1:-1]
    melody = np.convolve(np.pad(melody, 6, "edge"), glide / glide.sum(), "valid")
    melody += 0.25 * np.sin(2 * np.pi * 5.5 * times) * np.clip(np.sin(3 * times), 0, 1)
    hertz = 440 * 2 ** ((melody - 69) / 12) * (pitch[source] > 0)
    return pyworld.synthesize(hertz, envelope[source].copy(), aperiodicity[source].copy(), RATE)


def perform(plan: Plan) -> dict[str, np.ndarray]:
    """Render the six dry stems of a plan."""
    composer, frames = Composer(plan), int(plan.seconds * RATE)
    stems = {"vocals": np.zeros((frames, 2)), "drums": play(composer.drums(), frames, "drums", 0)}
    for stem, notes in composer.backing().items():
        stems[stem] = play(notes, frames, stem, int(composer.rng.choice(PROGRAMS[stem])))
    for phrase in composer.phrases():
        begin = int(phrase[0].start * RATE)
        voice = sing(phrase, int(composer.rng.integers(len(LINES))), plan.voice)[: max(0, frames - begin)]
        stems["vocals"][begin : begin + len(voice)] += voice[:, None]
    return stems


def master(stems: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Put every stem into one room and at its level, and scale all by one gain to a peak of -1 dB."""
    size = int(0.8 * RATE)
    room = rng.standard_normal((size, 2)) * np.exp(-7 * np.arange(size) / RATE)[:, None]
    room /= np.sqrt((room**2).sum(0))
    placed = {}
    for name, dry in stems.items():
        tail = [fftconvolve(dry.mean(1), room[:, side])[: len(dry)] for side in (0, 1)]
        wet = dry + WETNESS[name] * np.stack(tail, 1)
        power = wet.mean(1) ** 2
        active = power[power > 1e-3 * power.mean()].mean()
        placed[name] = wet * 10 ** ((LEVELS_DB[name] + rng.uniform(-2, 2)) / 20) / np.sqrt(active)
    gain = 0.89 / np.abs(sum(placed.values())).max()
    return {name: (gain * samples).astype(np.float32) for name, samples in placed.items()}


def make_song(plan: Plan, folder: Path) -> Path:
    """Write one song's stems, mix and truth; give its folder."""
    song = folder / f"{plan.seed:02d}"
    song.mkdir(parents=True, exist_ok=True)
    stems = master(perform(plan), np.random.default_rng(9000 + plan.seed))
    mix = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    for name, samples in {**stems, "mix": mix}.items():
        soundfile.write(song / f"{name}.wav", samples, RATE, subtype="FLOAT")
    (song / "truth.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")
    return song


def make_plans(count: int, seconds: float) -> list[Plan]:
    """Give songs of evenly spread tempos in shuffled order, over all 24 keys in turn."""
    rng = np.random.default_rng(2026)
    tempos = rng.permutation(np.round(np.linspace(60, 180, count)))
    keys = rng.permutation([f"{name} {mode}" for name in NAMES for mode in SCALES])
    voices = [("female", "male")[int(rng.integers(2))] for _ in range(count)]
    return [
        Plan(number, float(tempos[number]), str(keys[number % 24]), seconds, voices[number])
        for number in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        plans = make_plans(options.songs, options.seconds)
        for song in pool.map(partial(make_song, folder=options.folder), plans):
            print(song, flush=True)


if __name__ == "__main__":
    main()
