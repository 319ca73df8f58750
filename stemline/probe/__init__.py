"""The probe: length, rate, channels and codec of an audio file without decoding it."""

from stemline.probe.facts import AudioFacts
from stemline.probe.many import probe_many
from stemline.probe.single import probe

__all__ = ["AudioFacts", "probe", "probe_many"]
