"""The probe: length, rate, channels and codec of an audio file without decoding it.

What stands here is light. `probe` and `probe_many` are in `stemline.probe.probing`, which loads the readers.
"""

from stemline.probe.audio_facts import GUESSED, TAG_COLUMNS, AudioFacts

__all__ = ["GUESSED", "TAG_COLUMNS", "AudioFacts"]
