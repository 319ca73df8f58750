"""What a manifest names is looked at before anything of it leaves the machine, and who is silent is not paid for."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from stemline.errors import ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest import expression as manifest_expression
from stemline.manifest.scan import scan_manifest
from stemline.plan.survey import survey_catalogue
from stemline.records import Code, Reject, Track
from stemline.settings import load_facts

RATE = 44_100


def noise(seconds: float, power: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, power, (int(seconds * RATE), 2)).astype("float32").clip(-1, 1)


def survey(manifest: Path, **options: object) -> tuple[list[Track], list[Reject]]:
    source = ManifestSource(str(manifest), **options)
    batches = list(survey_catalogue(source, load_facts("stemsplit"), lambda _: ()))
    return [t for batch in batches for t in batch.tracks], [r for batch in batches for r in batch.rejects]


def table(folder: Path, *rows: str) -> Path:
    path = folder / "m.csv"
    path.write_text("\n".join(["path,duration_seconds", *rows]) + "\n")
    return path


NO_AUDIO: dict[str, bytes] = {
    "passwords": b"root:x:0:0:root:/root:/bin/bash\n" * 30,
    "a key": b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEA" * 80,
    "json": b'{"token": "abc"}' * 50,
    "html": b"<!doctype html><p>busy" * 50,
    "zip": b"PK\x03\x04" + bytes(500),
    "pdf": b"%PDF-1.7\n" + bytes(range(256)) * 4,
    "sqlite": b"SQLite format 3\0" + bytes(1000),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "elf": b"\x7fELF" + bytes(1000),
    "playlist": b"#EXTM3U\n#EXTINF:3,x\nfile:///etc/passwd\n",
    "concat list": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "zeros": bytes(5000),
}


@pytest.mark.parametrize("name", ["a", "a.wav"])
@pytest.mark.parametrize("case", NO_AUDIO)
def test_what_is_no_audio_never_leaves_the_machine_whatever_length_the_row_gives(tmp_path, case, name):
    """OWASP, unrestricted file upload: a length in the manifest is no reason to send a file unseen."""
    (tmp_path / name).write_bytes(NO_AUDIO[case])

    tracks, rejects = survey(table(tmp_path, f"{tmp_path}/{name},30"))

    assert not tracks
    assert [reject.code for reject in rejects] == [Code.UNREADABLE_AUDIO]


def test_the_length_of_a_file_is_its_own_whatever_the_row_says(tmp_path):
    """One of 12 s with the row saying 6 would cost twice what was planned; one of 1 s as 3:35 was published so."""
    soundfile.write(tmp_path / "a.wav", noise(12), RATE)

    for given in ("6", "20", "1:30:00"):
        tracks, rejects = survey(table(tmp_path, f"a.wav,{given}"))
        assert ([track.duration_seconds for track in tracks], rejects) == ([12], [])


@pytest.fixture
def fenced(tmp_path):
    """A music folder, a secret beside it, and ways from one to the other."""
    root = tmp_path / "music"
    (root / "album").mkdir(parents=True)
    (tmp_path / "musical").mkdir()
    for path in (root / "a.wav", root / "album/b.wav", tmp_path / "secret.wav", tmp_path / "musical/c.wav"):
        soundfile.write(path, noise(6), RATE)
    (root / "out.wav").symlink_to(tmp_path / "secret.wav")
    (root / "in.wav").symlink_to(root / "album/b.wav")
    (root / "up").symlink_to(tmp_path)
    return root


OUTSIDE = [
    "{base}/secret.wav",
    "{base}/music/../secret.wav",
    "{base}/music/out.wav",
    "{base}/music/up/secret.wav",
    "{base}/musical/c.wav",
    "file://{base}/secret.wav",
    "file:{base}/secret.wav",
    "file://localhost{base}/secret.wav",
    "file://{base}/music/%2e%2e/secret.wav",
    "FILE://{base}/secret.wav",
    "local://{base}/secret.wav",
    "simplecache::file://{base}/secret.wav",
    "zip://secret.wav::file://{base}/music.zip",
    "music/../secret.wav",
    "reference://{base}/secret.json",
]


@pytest.mark.parametrize("case", OUTSIDE)
def test_nothing_outside_the_fence_is_taken(fenced, case):
    """CWE-22 and CWE-59: dots, links, encodings and schemes all lead out of a folder."""
    base = fenced.parent
    manifest = base / "m.csv"
    manifest.write_text(f"path\n{case.format(base=base)}\n")

    tracks, rejects = survey(manifest, root=str(fenced))

    assert not tracks
    assert [reject.code for reject in rejects] == [Code.BAD_LOCATION]
    assert rejects[0].sentence.startswith("Row 1: ")


INSIDE = ["{base}/music/a.wav", "file://{base}/music/a.wav", "music/in.wav", "music/up/music/a.wav"]
INSIDE += ["https://x.example/a.wav", "s3://bucket/a.wav"]


@pytest.mark.parametrize("case", INSIDE)
def test_what_lies_within_the_fence_or_far_away_is_taken(fenced, case):
    """A fence is about this machine's files."""
    manifest = fenced.parent / "m.csv"
    manifest.write_text(f"path\n{case.format(base=fenced.parent)}\n")

    batches = list(scan_manifest(ManifestSource(str(manifest), root=str(fenced))))

    assert [len(batch.tracks) for batch in batches] == [1]


def test_a_listing_ends_at_the_fence(fenced):
    """CWE-59: linked folders are followed, and what they lead to is still outside."""
    tracks, rejects = survey(fenced, root=str(fenced))

    names = {os.path.realpath(track.location) for track in tracks}
    assert names == {f"{fenced}/a.wav", f"{fenced}/album/b.wav"}
    assert {reject.code for reject in rejects} == {Code.BAD_LOCATION}


def test_a_fence_that_is_no_folder_is_refused(fenced):
    """It would keep out everything, or nothing."""
    with pytest.raises(ManifestError, match=r"catalogue\.root"):
        survey(fenced, root=str(fenced / "nowhere"))


def encoded(samples: np.ndarray, form: str, kind: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=form, subtype=kind)
    return file.getvalue()


def aac(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        container.mux([packet for each in (frame, None) for packet in stream.encode(each)])
    return file.getvalue()


FORMS: dict[str, Callable[[np.ndarray], bytes]] = {
    "wav": lambda sound: encoded(sound, "WAV"),
    "flac": lambda sound: encoded(sound, "FLAC"),
    "aiff": lambda sound: encoded(sound, "AIFF"),
    "ogg": lambda sound: encoded(sound, "OGG", "VORBIS"),
    "mp3": lambda sound: encoded(sound, "MP3", "MPEG_LAYER_III"),
    "m4a": aac,
}


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_silence_is_said_before_it_is_paid_for(tmp_path, form):
    """nomadkaraoke/python-audio-separator#301: a silent track is nobody's fault, and nothing can be made of it."""
    silence, sound = np.zeros((8 * RATE, 2), "float32"), noise(8)
    late = np.concatenate([silence, 0.2 * sound])
    for name, samples in {"silent": silence, "sound": sound, "late": late}.items():
        (tmp_path / f"{name}.{form}").write_bytes(FORMS[form](samples))

    tracks, rejects = survey(tmp_path)

    names = sorted(Path(track.location).stem for track in tracks)
    assert [(Path(reject.location or "").stem, reject.code) for reject in rejects] == [
        ("silent", Code.SILENT)
    ]
    assert {"late", "sound"} <= set(names)


HISS = FORMS | {
    "float.wav": lambda sound: encoded(sound, "WAV", "FLOAT"),
    "24.wav": lambda sound: encoded(sound, "WAV", "PCM_24"),
    "24.flac": lambda sound: encoded(sound, "FLAC", "PCM_24"),
}


@pytest.mark.parametrize("form", HISS)
@pytest.mark.long
def test_hiss_below_hearing_is_silence_in_every_form(tmp_path, form):
    """A blank tape is no row of zeros, and what packs it, or more bits, makes bytes of it that look like music."""
    (tmp_path / f"hiss.{form}").write_bytes(HISS[form](noise(8, 1e-4)))
    (tmp_path / f"faint.{form}").write_bytes(HISS[form](noise(8, 1e-2)))

    tracks, rejects = survey(tmp_path)

    assert [Path(track.location).name for track in tracks] == [f"faint.{form}"]
    assert [reject.code for reject in rejects] == [Code.SILENT]


def tagged(codec: str, suffix: str, tags: dict[str, str]) -> bytes:
    """Give six seconds of noise with tags."""
    file = io.BytesIO()
    with av.open(file, "w", format={"m4a": "mp4"}.get(suffix, suffix)) as container:
        container.metadata.update({**tags, "isrc": "GBAYE9700123", "TSRC": "GBAYE9700123"})
        stream = container.add_stream(codec, rate=RATE, layout="stereo")
        context = stream.codec_context
        context.open()
        resampler = av.AudioResampler(context.format, "stereo", RATE, context.frame_size or None)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(noise(6).T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for each in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(each))
    return file.getvalue()


def test_a_folder_of_tagged_music_is_what_its_tags_say(tmp_path):
    """A file's name is not the name of a song: tags are ID3v2, Vorbis comments (RFC 9639 8.6), MP4 atoms, RIFF INFO."""
    tags = {"title": "Jóga", "artist": "Björk", "album": "Homogenic", "date": "1997-09-22"}
    with soundfile.SoundFile(tmp_path / "a.ogg", "w", RATE, 2, format="OGG", subtype="VORBIS") as file:
        for name, text in tags.items():
            setattr(file, name, text)
        file.write(noise(6))
    for suffix, codec in {"mp3": "mp3", "flac": "flac", "m4a": "aac", "wav": "pcm_s16le"}.items():
        (tmp_path / f"a.{suffix}").write_bytes(tagged(codec, suffix, tags))
    soundfile.write(tmp_path / "untagged.wav", noise(6), RATE)

    tracks, rejects = survey(tmp_path)

    assert not rejects
    found = {Path(track.location).name: dict(track.columns) for track in tracks}
    untagged = {name: text for name, text in found.pop("untagged.wav").items() if text is not None}
    assert untagged == {"title": "untagged", "guessed": "title"}
    assert {columns.pop("guessed") for columns in found.values()} == {None}
    assert len(found) == 5
    wanted = {"artist": "Björk", "title": "Jóga", "album": "Homogenic", "released_on": "1997-09-22"}
    assert [{name: columns[name] for name in wanted} for columns in found.values()] == [wanted] * 5
    assert {found[f"a.{suffix}"]["isrc"] for suffix in ("mp3", "flac")} == {"GBAYE9700123"}


def test_an_expression_without_end_is_stopped(tmp_path, monkeypatch):
    """DuckDB has no time limit of its own (duckdb/duckdb#8564)."""
    monkeypatch.setattr(manifest_expression, "LONGEST_SECONDS", 0.2)
    manifest = table(tmp_path, *(f"https://x.example/{number}.wav,6" for number in range(300)))
    joined = ", ".join(f"manifest m{number}" for number in range(6))

    with pytest.raises(ManifestError, match="does not work: it gives no rows for so long"):
        survey(manifest, where=f"(SELECT sum(m0.duration_seconds * m5.duration_seconds) FROM {joined}) > 0")


@pytest.mark.parametrize(
    "where",
    [
        "pg_sleep(1) IS NULL",
        "(WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t) > 0",
        "len(range(100000000000)) > 0",
        "length(repeat('a', 100000000000)) > 0",
        "(" * 3000 + "1" + ")" * 3000 + " > 0",
        "(SELECT count(*) FROM generate_series(1, 10000000000)) > 0",
    ],
)
def test_an_expression_that_would_wait_or_grow_is_refused(tmp_path, where):
    """CWE-400: what a person may write in a filter costs neither the machine's time nor its memory."""
    with pytest.raises(ManifestError):
        survey(table(tmp_path, "https://x.example/a.wav,6"), where=where)
