"""Sound in and out of files: every common format decoded, wav, flac, mp3 and ogg written.

Samples are float32, shape (frames, channels), full scale at -1..1.
"""

from stemline.audio.block_reader import BlockReader
from stemline.audio.decoding import AudioBlocks, DecodedAudio, SourceBlocks, decode, decode_blocks, to_float
from stemline.audio.encoding import FORMATS, AudioWriter, encode, open_writer
from stemline.audio.flac_checksum import FlacChecksum
from stemline.audio.loudness import Loudness
from stemline.audio.mp3_file import MP3_RATES
from stemline.audio.packet_index import PacketIndex
from stemline.audio.resampling import Resampler, Samples, resampled, resampled_blocks

__all__ = [
    "FORMATS",
    "MP3_RATES",
    "AudioBlocks",
    "AudioWriter",
    "BlockReader",
    "DecodedAudio",
    "FlacChecksum",
    "Loudness",
    "PacketIndex",
    "Resampler",
    "Samples",
    "SourceBlocks",
    "decode",
    "decode_blocks",
    "encode",
    "open_writer",
    "resampled",
    "resampled_blocks",
    "to_float",
]
