"""Names of keys and notes, and the frequencies behind them."""

from __future__ import annotations

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = tuple(note + mode for note in NOTES for mode in ("", "m"))
MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)


def parse_key(key: str) -> tuple[int, bool]:
    """Give the tonic (0 is C) and whether the key is minor, of a name such as `F#` or `Gm`.

    Raises:
        ValueError: there is no such key.
    """
    if key not in KEYS:
        raise ValueError(f"{key!r} is not a key; one is spelled such as C, F# or Gm.")
    return NOTES.index(key.removesuffix("m")), key.endswith("m")


def hertz(midi: float, tuning_cents: float = 0.0) -> float:
    """Give the frequency of a MIDI note number (69 is A at 440 Hz)."""
    return float(440.0 * 2.0 ** ((midi - 69.0 + tuning_cents / 100.0) / 12.0))
