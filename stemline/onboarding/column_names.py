"""The names people give to columns we understand, as they stand in exports of players, stores and labels."""

from __future__ import annotations

import unicodedata

# Each name as `plain_name` gives it, the likeliest first: of two that a manifest has, the first is taken.
KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    "uri": (
        *("audiourl", "fileurl", "downloadurl", "trackurl", "sourceurl", "filepath", "audiopath", "fullpath"),
        *(
            "filelocation",
            "audiofile",
            "audiofilename",
            "soundrecordingfilename",
            "filename",
            "file",
            "location",
        ),
        *("uri", "url", "path", "link", "href", "audio", "wav", "mp3", "flac", "youtubeurl", "youtubelink"),
        *("pfad", "dateipfad", "dateiname", "datei", "chemin", "fichier", "ruta", "archivo", "percorso"),
    ),
    "track_id": (
        *("trackid", "trackuri", "spotifyid", "spotifyuri", "spotifytrackid", "persistentid", "recordingid"),
        *(
            "resourcereference",
            "proprietaryid",
            "catalogid",
            "catalogueid",
            "assetid",
            "songid",
            "uuid",
            "guid",
        ),
        *("titelid", "stucknummer", "id"),
    ),
    "title": (
        *("tracktitle", "trackname", "songtitle", "songname", "recordingtitle", "displaytitletext"),
        *(
            "displaytitle",
            "referencetitle",
            "titletext",
            "title",
            "song",
            "track",
            "name",
            "titel",
            "tracktitel",
        ),
        *("songtitel", "titre", "titulo", "titolo", "cancion", "morceau"),
    ),
    "artist": (
        *("trackartist", "artistname", "artistnames", "displayartistname", "displayartist", "mainartist"),
        *("primaryartist", "artist", "artists", "performer", "performers", "band", "interpret", "kunstler"),
        *("kunstlername", "artiste", "artista", "interprete", "albumartist"),
    ),
    "album": (
        *(
            "albumtitle",
            "albumname",
            "releasetitle",
            "releasename",
            "album",
            "albumtitel",
            "disque",
            "release",
        ),
    ),
    "isrc": ("isrccode", "isrcnumber", "isrc", "trackisrc", "recordingisrc", "soundrecordingisrc"),
    "released_on": (
        *(
            "releasedon",
            "releasedate",
            "originalreleasedate",
            "albumreleasedate",
            "trackreleasedate",
            "dateofrelease",
        ),
        *(
            "released",
            "publishdate",
            "veroffentlichungsdatum",
            "erscheinungsdatum",
            "erschienen",
            "veroffentlicht",
        ),
        *("datedesortie", "fechadelanzamiento", "date"),
    ),
    "duration_seconds": (
        *("durationseconds", "durationsec", "durations", "lengthseconds", "lengthsec", "seconds"),
        *("trackduration", "tracklength", "duration", "length", "runtime", "totaltime", "time"),
        *("dauer", "spieldauer", "lange", "laufzeit", "duree", "duracion", "durata"),
    ),
    "license": ("licensetype", "licence", "license", "lizenz", "spdx", "licencia"),
    "ai_training": ("aitraining", "aitrainingallowed", "trainingallowed", "tdm", "tdmoptout"),
    "split": ("split", "subset", "partition", "fold"),
    "priority": ("priority", "prio", "prioritat", "priorite"),
}
"""Our name: others for it."""


def plain_name(name: str) -> str:
    """Give a column's name without case, accents, spaces and marks: `Künstler (s)` is `kunstlers`."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in letters if letter.isalnum())
