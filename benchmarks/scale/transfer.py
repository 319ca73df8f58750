"""Moving 8 MB stems from a web server into an S3 server, 16 at once: our collector beside plain clients.

A plain client gets an object and puts it and looks at nothing: whole with obstore on both sides, and whole or while
it comes with urllib3 and boto3. `unverified` is our collector without its decoder, which no setting does: it still
hashes what it stores. Each way is a process of its own, in turn; ratios are of one round.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench_collect import PORT, good, make_stems, peak_mb, s3_server, tracks, vendor

from scale.own_process import asked_figures, figures_of, load, verdict
from stemline.collector import CollectTarget, stream
from stemline.collector.download import DownloadChunk
from stemline.records import Recipe
from stemline.verify import StemExpectation, StemMeasures, verify_stem

AT_ONCE = 16
STEM_BYTES = 8e6
FORMAT = "flac"
STEMS = Recipe("four", "best", FORMAT).stem_names
PLAIN = ("obstore", "boto3", "boto3-stream")
WAYS = ("verified", "unverified", *PLAIN)
SHARE_OF_PLAIN = 0.8
MOST_MB = 300.0
PROBE_SECONDS = 30.0
BUCKET = "bench"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tracks", type=int, default=60, help="of four stems each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)


def measure(arguments: argparse.Namespace) -> None:
    paces: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name, vendor(Path(name)):
        seconds, size = make_large_stems(Path(name))
        moved = len(STEMS) * size * arguments.tracks / 1e6
        print(
            f"{arguments.tracks * len(STEMS)} stems of {size / 1e6:.2f} MB ({seconds:.0f} s of {FORMAT}),"
            f" {arguments.at_once} at once, {load()}"
        )
        for _ in range(arguments.rounds):
            for way in arguments.ways:
                found = move_alone(way, arguments, Path(name), seconds)
                paces[way].append(moved / found["wall"])
                peaks[way] = max(peaks.get(way, 0.0), found["peak_mb"])
                show(way, moved, found)
    for way in set(WAYS[:2]) & paces.keys():
        compare(way, paces)
        print("  " + verdict(f"{way}, peak memory in MB", peaks[way], MOST_MB, at_most=True))


def make_large_stems(folder: Path) -> tuple[float, int]:
    """Make a stem of 8 MB under the name of each; give its seconds and its bytes."""
    make_stems(folder, PROBE_SECONDS, FORMAT)
    seconds = round(PROBE_SECONDS * STEM_BYTES / path_of(folder, STEMS[0]).stat().st_size, 1)
    make_stems(folder, seconds, FORMAT)
    for stem in STEMS[1:]:
        shutil.copyfile(path_of(folder, STEMS[0]), path_of(folder, stem))
    return seconds, path_of(folder, STEMS[0]).stat().st_size


def path_of(folder: Path, stem: str) -> Path:
    return folder / f"{stem}.{FORMAT}"


def move_alone(way: str, arguments: argparse.Namespace, folder: Path, seconds: float) -> dict[str, Any]:
    """Move everything one way into an S3 server that is fresh: it keeps what it is given in memory."""
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name)) as options:
        return figures_of(
            __name__,
            way=way,
            tracks=arguments.tracks,
            at_once=arguments.at_once,
            seconds=seconds,
            stem=str(path_of(folder, STEMS[0])),
            storage_options=options,
        )


def show(way: str, moved: float, found: dict[str, Any]) -> None:
    print(
        f"  {way:14}  {moved / found['wall']:6.1f} MB/s   {1000 * found['cpu'] / moved:5.1f} ms of CPU a MB"
        f"   peak {found['peak_mb']:.0f} MB, {found['base_mb']:.0f} before   {load()}",
        flush=True,
    )


def compare(way: str, paces: dict[str, list[float]]) -> None:
    """Print the ratio to the plain client that was the fastest in the same round."""
    plain = [paces[each] for each in PLAIN if paces[each]]
    if not plain:
        return
    ratios = [ours / max(others) for ours, *others in zip(paces[way], *plain, strict=True)]
    share = statistics.median(ratios)
    print(
        f"{way}, of the pace of the fastest plain client of its round: {', '.join(f'{each:.2f}' for each in ratios)}"
    )
    if way == "unverified":
        print("  " + verdict("unverified, share of the fastest plain client, median", share, SHARE_OF_PLAIN))


def move(asked: dict[str, Any]) -> dict[str, Any]:
    """Move everything one way in this process."""
    urls = [
        (f"track-{number}/{stem}.{FORMAT}", f"http://127.0.0.1:{PORT}/{stem}.{FORMAT}")
        for number in range(asked["tracks"])
        for stem in STEMS
    ]
    way, options, at_once = asked["way"], asked["storage_options"], asked["at_once"]
    if way in {"verified", "unverified"}:
        work = collector(asked, is_verified=way == "verified")
    elif way == "obstore":
        work = obstore_client(urls, options, at_once)
    else:
        work = boto3_client(urls, options, at_once, is_whole=way == "boto3")
    base_mb = peak_mb()
    cpu, started = time.process_time(), time.perf_counter()
    work()
    return {
        "wall": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "base_mb": base_mb,
    }


def collector(asked: dict[str, Any], *, is_verified: bool) -> Callable[[], object]:
    from stemline.collector.batch import collect_batch  # noqa: PLC0415 - memory that plain clients do not need

    ready = tracks(asked["tracks"], asked["seconds"], FORMAT, with_music=True)
    target = CollectTarget(f"s3://{BUCKET}/ours", asked["storage_options"], concurrency=asked["at_once"])
    if not is_verified:
        known = verify_stem(Path(asked["stem"]), StemExpectation(FORMAT))
        stream.StreamVerifier = lambda *_: HashOnly(known)  # type: ignore[assignment,misc] # stands for it
    return lambda: good(collect_batch(ready, target))


class HashOnly:
    """Stands for the verifier: takes the bytes for the sound that they are known to be."""

    def __init__(self, known: StemMeasures) -> None:
        """Take what is known of every stem."""
        self.measures = known
        self._digest = hashlib.sha256()

    def pass_on(self, chunks: Iterator[DownloadChunk]) -> Generator[bytes, None, None]:
        """Pass the bytes on."""
        for chunk in chunks:
            if chunk.data:
                self._digest.update(chunk.data)
                yield chunk.data
        self.measures = replace(self.measures, sha256=self._digest.hexdigest())

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""


def obstore_client(
    urls: list[tuple[str, str]], options: dict[str, str], at_once: int
) -> Callable[[], object]:
    """Give what moves them with obstore on both sides."""
    from obstore.store import HTTPStore, S3Store  # noqa: PLC0415 - memory that the other clients do not need

    allowed: Any = {"allow_http": True}
    source = HTTPStore(f"http://127.0.0.1:{PORT}", client_options=allowed)
    target = S3Store(
        BUCKET,
        endpoint=options["endpoint_url"],
        access_key_id=options["key"],
        secret_access_key=options["secret"],
        region="us-east-1",
        client_options=allowed,
    )

    async def move_one(key: str, url: str) -> None:
        found = await source.get_async(url.rpartition("/")[2])
        await target.put_async(key, await found.bytes_async())

    return lambda: asyncio.run(each_of(urls, at_once, move_one))


async def each_of(
    urls: list[tuple[str, str]], at_once: int, move_one: Callable[[str, str], Awaitable[None]]
) -> None:
    places = asyncio.Semaphore(at_once)

    async def in_its_place(key: str, url: str) -> None:
        async with places:
            await move_one(key, url)

    await asyncio.gather(*(in_its_place(key, url) for key, url in urls))


def boto3_client(
    urls: list[tuple[str, str]], options: dict[str, str], at_once: int, *, is_whole: bool
) -> Callable[[], object]:
    """Give what moves them with urllib3 and boto3 in threads."""
    import boto3  # noqa: PLC0415 - memory that the other clients do not need
    import urllib3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    http = urllib3.PoolManager(maxsize=at_once)
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id=options["key"],
        aws_secret_access_key=options["secret"],
        region_name="us-east-1",
        config=Config(max_pool_connections=at_once, s3={"addressing_style": "path"}),
    )

    def move_one(given: tuple[str, str]) -> None:
        key, url = given
        if is_whole:
            client.put_object(Bucket=BUCKET, Key=key, Body=http.request("GET", url).data)
            return
        body = http.request("GET", url, preload_content=False)
        client.upload_fileobj(body, BUCKET, key)
        body.release_conn()

    def move_all() -> None:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(move_one, urls))

    return move_all


if __name__ == "__main__":
    print(json.dumps(move(asked_figures())))
