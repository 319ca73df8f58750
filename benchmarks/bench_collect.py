"""Collecting tracks: streamed into the store, and through the local disk as before, each in a process of its own.

    python benchmarks/bench_collect.py --tracks 20 --seconds 180
    python benchmarks/bench_collect.py --tracks 20 --seconds 180 --s3
    python benchmarks/bench_collect.py --tracks 20 --seconds 240 --ways stream bare --rounds 8
    python benchmarks/bench_collect.py --tracks 20 --seconds 180 --mix copy

A web server on loopback stands for the vendor. `disk` is what the kernel says the process wrote to files. `bare` is
streamed too, but no second of a stem is measured: what is left out is what the activity table costs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import numpy as np
from botocore.session import Session

from stemline import audio
from stemline.activity import StemActivity
from stemline.audio import Loudness, PacketIndex, Samples
from stemline.collector import CollectResult, CollectTarget, batch
from stemline.collector.batch import collect_batch
from stemline.records import Attempt, CollectedTrack, Job, Output, Phase, ReadyTrack, Recipe, Track

SONG_SECONDS = 30.0
PORT = 8899
S3_PORT = 8898
WAYS = ("disk", "stream", "bare")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    protocol_version = "HTTP/1.1"

    def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:  # type: ignore[override] # any file there
        """Have the kernel send it: this server's CPU is not what is measured."""
        outputfile.flush()
        self.connection.sendfile(source)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def make_stems(folder: Path, seconds: float, audio_format: str) -> None:
    from stemline_local.songs import make_song  # noqa: PLC0415 - memory that collecting does not need

    song = make_song(1, bpm=112.0, key="Am", seconds=SONG_SECONDS)
    for stem, samples in fold(song.stems).items():
        whole = np.resize(samples, (int(seconds * song.sample_rate), samples.shape[1]))
        audio.encode(folder / f"{stem}.{audio_format}", whole, song.sample_rate, audio_format)


def fold(stems: dict[str, Any]) -> dict[str, Any]:
    four = {stem: stems[stem] for stem in ("vocals", "drums", "bass")}
    return {**four, "other": sum(samples for stem, samples in stems.items() if stem not in four)}


def tracks(count: int, seconds: float, audio_format: str, *, with_music: bool) -> list[ReadyTrack]:
    recipe = Recipe("four", "best", audio_format)
    urls = [(stem, f"http://127.0.0.1:{PORT}/{stem}.{audio_format}") for stem in recipe.stem_names]
    music: dict[str, Any] = {"bpm": 112.0, "key": "Am"} if with_music else {}
    ready = []
    for n in range(count):
        track = Track(
            f"track-{n:03}", f"http://127.0.0.1:{PORT}/bass.{audio_format}", n, duration_seconds=seconds
        )
        attempt = Attempt(f"token-{n}", track, recipe, "local", 1, int(seconds))
        outputs = tuple(Output(stem, url) for stem, url in urls)
        ready.append(ReadyTrack(attempt, Job(f"job-{n}", Phase.DONE, outputs=outputs, **music)))
    return ready


def collect(way: str, options: argparse.Namespace, url: str, storage_options: dict[str, Any]) -> None:
    """Collect everything one way and print the figures as JSON."""
    if way == "disk":
        batch.is_streamable = lambda *_: False
    if way == "bare":
        measure_no_seconds()
    ready = tracks(options.tracks, options.seconds, options.format, with_music=not options.listen)
    base_mb = peak_mb()
    before, written, started = resource.getrusage(resource.RUSAGE_SELF), written_bytes(), time.perf_counter()
    results = collect_batch(ready, CollectTarget(url, storage_options, mix=options.mix))
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    stored = sum(stem.size_bytes or 0 for result in good(results) for stem in result.stems)
    figures = {
        "stored_mb": stored / 1e6,
        "disk_mb": (written_bytes() - written) / 1e6,
        "wall": wall,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": peak_mb(),
        "base_mb": base_mb,
    }
    print(json.dumps(figures))


def measure_no_seconds() -> None:
    """Measure the whole of a stem, as before there was an activity table."""

    def add_squares(self: Loudness, block: Samples) -> None:
        self._squares[:] = [sum(self._squares) + float(np.sum(np.square(block, dtype=np.float64)))]
        self.frames += len(block)

    Loudness._add_squares = add_squares  # noqa: SLF001
    Loudness.rms_dbfs_by_second = lambda _: ()
    PacketIndex.add = lambda *_: None
    PacketIndex.offsets = lambda *_: None
    StemActivity.pack = lambda _: b""


def good(results: list[CollectResult]) -> list[CollectedTrack]:
    kept = [result for result in results if isinstance(result, CollectedTrack)]
    if len(kept) < len(results):
        raise SystemExit(f"not everything was collected: {results}")
    return kept


def written_bytes() -> int:
    return counted("/proc/self/io", "write_bytes")


def peak_mb() -> float:
    return counted("/proc/self/status", "VmHWM") / 1024  # getrusage gives the parent's, where that is more


def counted(path: str, name: str) -> int:
    line = next(line for line in Path(path).read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


@contextmanager
def vendor(folder: Path) -> Iterator[None]:
    """Serve the folder from a process of its own."""
    with subprocess.Popen([sys.executable, __file__, "--serve", str(folder)]) as process:
        answering(f"http://127.0.0.1:{PORT}/")
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, Any]]:
    """Give the options of a local S3 server with a bucket `bench`."""
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(S3_PORT), "S3_PERSIST": "0"}
    os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
    endpoint = f"http://127.0.0.1:{S3_PORT}"
    environment = {**os.environ, **settings, "LOG_LEVEL": "ERROR", "S3_DATA_DIR": str(folder)}
    with subprocess.Popen([sys.executable, "-m", "ministack"], env=environment) as process:
        try:
            answering(f"{endpoint}/_ministack/health")
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            client = Session().create_client("s3", "us-east-1", endpoint_url=endpoint, **keys)
            client.create_bucket(Bucket="bench")
            yield {"key": "test", "secret": "test", "endpoint_url": endpoint}
        finally:
            process.terminate()


def answering(url: str) -> None:
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return


def compare(options: argparse.Namespace, folder: Path) -> None:
    make_stems(folder, options.seconds, options.format)
    print(f"{'':8} {'stored':>9} {'disk':>9} {'wall':>8} {'CPU':>8} {'peak':>8} {'at start':>8}")
    with vendor(folder):
        spent = defaultdict(list)
        for way in options.ways * options.rounds:
            figures = run(way, options, folder)
            spent[way].append(figures["cpu"])
            show(way, figures)
    if spent["bare"] and spent["stream"]:
        ratios = [one / other for one, other in zip(spent["stream"], spent["bare"], strict=True)]
        least = min(spent["stream"]) / min(spent["bare"])
        print(
            f"CPU of stream to bare: {least:.3f} of the least, {statistics.median(ratios):.3f} in the median"
        )


def run(way: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    arguments = [sys.executable, __file__, *sys.argv[1:], "--way", way]
    if not options.s3:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            return dict(json.loads(subprocess.check_output([*arguments, "--url", name])))
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name)) as storage_options:
        url = ["--url", "s3://bench/stems", "--storage-options", json.dumps(storage_options)]
        return dict(json.loads(subprocess.check_output([*arguments, *url])))


def show(way: str, figures: dict[str, float]) -> None:
    print(
        f"{way:8} {figures['stored_mb']:6.0f} MB {figures['disk_mb']:6.0f} MB {figures['wall']:6.1f} s"
        f" {figures['cpu']:6.1f} s {figures['peak_mb']:5.0f} MB {figures['base_mb']:5.0f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--format", default="flac")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS[:2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--listen", action="store_true", help="nobody tells tempo and key")
    parser.add_argument("--mix", choices=("none", "copy", "link"), default="none")
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--storage-options", type=json.loads, default={}, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        handler = partial(Quiet, directory=str(options.serve))
        ThreadingHTTPServer(("127.0.0.1", PORT), handler).serve_forever()
    elif options.way:
        collect(options.way, options, options.url, options.storage_options)
    else:
        with tempfile.TemporaryDirectory() as name:
            compare(options, Path(name))


if __name__ == "__main__":
    main()
