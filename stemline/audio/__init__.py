"""Sound in and out of files: every common format decoded, wav, flac, mp3 and ogg written.

Samples are float32, shape (frames, channels), full scale at -1..1.
"""

from stemline.audio.decoding import AudioBlocks, DecodedAudio, decode, decode_blocks, to_float
from stemline.audio.encoding import FORMATS, MP3_RATES, encode
from stemline.audio.flac_checksum import FlacChecksum
from stemline.audio.loudness import Loudness
from stemline.audio.packet_index import PacketIndex
from stemline.audio.resampling import Samples, resampled

__all__ = [
    "FORMATS",
    "MP3_RATES",
    "AudioBlocks",
    "DecodedAudio",
    "FlacChecksum",
    "Loudness",
    "PacketIndex",
    "Samples",
    "decode",
    "decode_blocks",
    "encode",
    "resampled",
    "to_float",
]
