"""Songs made from a seed, with exact stems, tempo and key.

The demo processes them, tests measure with them, and the local engine is trained on nothing else.
"""

from stemline_local.songs.catalogue import make_catalogue
from stemline_local.songs.song import STEMS, Song, make_song

__all__ = ["STEMS", "Song", "make_catalogue", "make_song"]
