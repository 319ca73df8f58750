"""Which columns of a manifest look like ours by another name: `ISRC_code`, `Artist Name`, `Track Title`, `File`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stemline.manifest.manifest_source import LOCATION_NAMES

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "uri": (
        *(
            "file",
            "filename",
            "filepath",
            "fileurl",
            "fileuri",
            "location",
            "audio",
            "audiofile",
            "audiopath",
        ),
        *("audiourl", "audiouri", "fullpath", "pathname", "trackurl", "trackpath", "songurl", "link"),
        *("audiolink", "filelocation", "source", "sourceuri", "sourcepath", "sourcefile", "wav", "wavfile"),
        *("mp3", "mp3file", "mp3url", "s3uri", "s3url", "s3key", "objectkey"),
    ),
    "track_id": ("trackid", "id", "songid", "recordingid", "trackkey", "trackcode", "internalid", "assetid"),
    "duration_seconds": (
        *(
            "durationseconds",
            "durationsec",
            "durationsecs",
            "durations",
            "durationinseconds",
            "lengthseconds",
        ),
        *("lengthsec", "lengthinseconds", "seconds"),
    ),
    "priority": ("priority", "prio"),
    "artist": (
        *("artist", "artistname", "artists", "artistnames", "trackartist", "mainartist", "primaryartist"),
        *("displayartist", "performer", "performedby", "performername", "bandname", "band", "interpret"),
    ),
    "title": (
        *("title", "tracktitle", "trackname", "songtitle", "songname", "song", "recordingtitle", "track"),
        "name",
    ),
    "album": ("album", "albumtitle", "albumname", "releasetitle", "releasename", "producttitle"),
    "isrc": ("isrc", "isrccode", "isrcnumber", "isrcid", "trackisrc", "recordingisrc"),
    "license": (
        *("license", "licence", "licensetype", "licencetype", "licenseurl", "licenceurl", "spdx"),
        "rightslicense",
    ),
    "released_on": (
        *("releasedon", "releasedate", "releasedat", "released", "datereleased", "dateofrelease"),
        *("originalreleasedate", "publicationdate", "publishdate", "streetdate"),
    ),
    "split": ("split", "subset", "partition", "fold"),
    "ai_training": ("aitraining", "aitrainingallowed", "trainingallowed", "allowaitraining", "aioptin"),
}
"""Our name: what others call the column, as written without case, spaces and marks; the likeliest first."""


def likely_columns(names: Sequence[str]) -> dict[str, str]:
    """Give, for each of our columns that a manifest does not have, the column that looks like it under another name.

    The keys are our names in our order, the values names as the manifest writes them; none stands for two of ours.
    """
    present = {name.strip().lower() for name in names}
    alike: dict[str, str] = {}
    for name in names:
        alike.setdefault(_bare(name), name)
    taken: set[str] = {name for name in names if name.strip().lower() in {*_OTHER_NAMES, *LOCATION_NAMES}}
    found: dict[str, str] = {}
    for ours, others in _OTHER_NAMES.items():
        if present.intersection(LOCATION_NAMES if ours == "uri" else (ours,)):
            continue
        theirs = next((alike[each] for each in others if each in alike and alike[each] not in taken), None)
        if theirs is not None:
            found[ours] = theirs
            taken.add(theirs)
    return found


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()
