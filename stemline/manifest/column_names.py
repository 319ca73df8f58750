"""The names people give to columns we understand, as they stand in exports of players, stores and labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from stemline.manifest.manifest_source import LOCATION_NAMES
from stemline.settings.column_mapping import column_key

# fmt: off
KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    "uri": (
        "audiourl", "audiouri", "fileurl", "fileuri", "downloadurl", "trackurl", "songurl", "mp3url", "sourceurl",
        "sourceuri", "s3uri", "s3url", "filepath", "audiopath", "trackpath", "sourcepath", "fullpath", "pathname",
        "s3key", "objectkey", "filelocation", "audiofile", "audiofilename", "soundrecordingfilename", "wavfile",
        "mp3file", "sourcefile", "filename", "file", "location", "uri", "url", "path", "link", "audiolink", "href",
        "audio", "source", "wav", "mp3", "flac", "youtubeurl", "youtubelink",
        "pfad", "dateipfad", "dateiname", "datei", "chemin", "fichier", "ruta", "archivo", "percorso",
    ),
    "track_id": (
        "trackid", "trackuri", "trackkey", "trackcode", "spotifyid", "spotifyuri", "spotifytrackid", "persistentid",
        "recordingid", "resourcereference", "proprietaryid", "catalogid", "catalogueid", "assetid", "songid",
        "internalid", "uuid", "guid", "titelid", "stucknummer", "id",
    ),
    "title": (
        "tracktitle", "trackname", "songtitle", "songname", "recordingtitle", "displaytitletext", "displaytitle",
        "referencetitle", "titletext", "title", "song", "track", "name",
        "titel", "tracktitel", "songtitel", "titre", "titulo", "titolo", "cancion", "morceau",
    ),
    "artist": (
        "trackartist", "artistname", "artistnames", "displayartistname", "displayartist", "mainartist",
        "primaryartist", "artist", "artists", "performer", "performers", "performedby", "performername", "band",
        "bandname", "interpret", "kunstler", "kunstlername", "artiste", "artista", "interprete", "albumartist",
    ),
    "album": (
        "albumtitle", "albumname", "releasetitle", "releasename", "producttitle", "album", "albumtitel", "disque",
        "release",
    ),
    "isrc": ("isrccode", "isrcnumber", "isrcid", "isrc", "trackisrc", "recordingisrc", "soundrecordingisrc"),
    "released_on": (
        "releasedon", "releasedate", "originalreleasedate", "albumreleasedate", "trackreleasedate", "dateofrelease",
        "datereleased", "releasedat", "released", "publishdate", "publicationdate", "streetdate",
        "veroffentlichungsdatum", "erscheinungsdatum", "erschienen", "veroffentlicht", "datedesortie",
        "fechadelanzamiento", "date",
    ),
    "duration_seconds": (
        "durationseconds", "durationsec", "durationsecs", "durations", "durationinseconds", "lengthseconds",
        "lengthsec", "lengthinseconds", "seconds",
        "trackduration", "tracklength", "duration", "length", "runtime", "totaltime", "time",
        "dauer", "spieldauer", "lange", "laufzeit", "duree", "duracion", "durata",
    ),
    "license": (
        "licensetype", "licencetype", "licence", "license", "licenseurl", "licenceurl", "rightslicense", "lizenz",
        "spdx", "licencia",
    ),
    "ai_training": ("aitraining", "aitrainingallowed", "trainingallowed", "allowaitraining", "aioptin"),
    "split": ("split", "subset", "partition", "fold"),
    "priority": ("priority", "prio", "prioritat", "priorite"),
}
# fmt: on
"""Our name: others for it as `plain_name` gives them, the likeliest first: of two that a manifest has, that is taken.

An opt-out, such as `tdm_optout`, is no `ai_training`: its yes is our no.
"""
_VAGUE = frozenset(
    {"trackduration", "tracklength", "duration", "length", "runtime", "totaltime", "time", "date", "release"}
    | {"dauer", "spieldauer", "lange", "laufzeit", "duree", "duracion", "durata"}
)
"""Names that tell too little without their values: a length in no unit, a day of anything."""


def plain_name(name: str) -> str:
    """Give a column's name without case, accents, spaces and marks: `Künstler (s)` is `kunstlers`."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def is_native(ours: str, name: str) -> bool:
    """Tell whether a column is called as we call it: it is understood without a word."""
    return column_key(name) in (LOCATION_NAMES if ours == "uri" else (ours,))


def likely_columns(names: Sequence[str]) -> dict[str, str]:
    """Give, for each of our columns that a manifest does not have, the column that looks like it under another name.

    The name alone has to tell. The keys are our names in our order, the values names as the manifest writes them; none
    stands for two of ours.
    """
    natives = {name for name in names if any(is_native(ours, name) for ours in KNOWN_NAMES)}
    present = {ours for ours in KNOWN_NAMES if any(is_native(ours, name) for name in natives)}
    alike: dict[str, str] = {}
    for name in names:
        if name not in natives:
            alike.setdefault(plain_name(name), name)
    found: dict[str, str] = {}
    for ours, others in KNOWN_NAMES.items():
        telling = [each for each in others if each in alike and each not in _VAGUE]
        if ours not in present and telling:
            found[ours] = alike[telling[0]]
    return found
