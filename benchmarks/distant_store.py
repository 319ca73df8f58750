"""A store as far away as one in a cloud: every request through it takes a while longer, and is counted.

    with distant_store("http://127.0.0.1:9000", milliseconds=30) as store: …

It runs in a process of its own, so that whoever is measured does not share an interpreter with it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COUNTS_PATH = "/-counts"
CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class DistantStore:
    """Where it listens."""

    endpoint_url: str

    def counts(self) -> tuple[int, int]:
        """Give how many requests passed, and how many bytes of answers."""
        with urllib.request.urlopen(self.endpoint_url + COUNTS_PATH) as answer:  # noqa: S310 - loopback
            tree = json.loads(answer.read())
        return tree["requests"], tree["bytes"]


@contextmanager
def distant_store(endpoint_url: str, milliseconds: float) -> Iterator[DistantStore]:
    """Put a server on loopback that many milliseconds away, for the length of the block."""
    host, _, port = endpoint_url.rpartition("://")[2].partition(":")
    command = [sys.executable, __file__, host, port, str(milliseconds / 1000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101
        try:
            yield DistantStore(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()


class _Distance:
    """Passes requests on, one after the other on each connection, as HTTP/1.1 has it."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self.host, self.port, self.seconds = host, port, seconds
        self.requests = self.bytes = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while head := await _read_head(reader):
                if f" {COUNTS_PATH} ".encode() in head:
                    body = json.dumps({"requests": self.requests, "bytes": self.bytes}).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    await writer.drain()
                    continue
                self.requests += 1
                await asyncio.sleep(self.seconds)
                near = near or await asyncio.open_connection(self.host, self.port)
                near[1].write(head)
                await _pass_body(head, reader, near[1])
                answer = await _read_head(near[0])
                while answer.startswith(b"HTTP/1.1 100"):
                    answer = await _read_head(near[0])
                writer.write(answer)
                if not head.startswith(b"HEAD "):
                    size = await _pass_body(answer, near[0], writer)
                    self.bytes += size  # not in one statement: others add theirs while this one waits
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (writer, *([near[1]] if near else [])):
                each.close()


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _pass_body(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    headers = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        return await _pass_chunks(reader, writer)
    size = missing = int(headers.get(b"content-length", 0))
    while missing:
        data = await reader.read(min(missing, CHUNK_BYTES))
        if not data:
            raise ConnectionResetError
        writer.write(data)
        await writer.drain()
        missing -= len(data)
    return size


async def _pass_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    total = 0
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        writer.write(line + await reader.readexactly(size + 2))
        await writer.drain()
        total += size
        if not size:
            return total


async def _main(host: str, port: int, seconds: float) -> None:
    distance = _Distance(host, port, seconds)
    server = await asyncio.start_server(distance.connected, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
