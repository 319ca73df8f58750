"""The receiver on a port: in a thread beside a run, or in this thread until it is told to stop."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread

import uvicorn
from starlette.applications import Starlette

from stemline.errors import ConfigError, StemlineError

LISTEN_KEY = "webhooks.listen"
GRACE_SECONDS = 5
"""How long deliveries in hand may take to be stored after a stop."""
START_SECONDS = 30.0
CONNECTIONS = 256
"""More at once are answered with 503: the provider will send again, or the slow sweep finds the job."""


class ReceiverServer(uvicorn.Server):
    """A receiver on a bound port: `run` blocks, `should_exit = True` stops it."""

    def __init__(self, app: Starlette, listen: str, key: str = LISTEN_KEY) -> None:
        """Bind the port of `host:port`, which this key gives; raises ConfigError when that cannot be done."""
        self._listener = _bind(listen, key)
        self.is_up = Flag()
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    @property
    def port(self) -> int:
        """The port, also when the system chose it."""
        return int(self._listener.getsockname()[1])

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on the bound port."""
        await super().serve(sockets or [self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self.is_up.set()


@contextmanager
def serve_receiver(app: Starlette, listen: str, key: str = LISTEN_KEY) -> Iterator[ReceiverServer]:
    """Serve in a thread for the length of a `with` block; deliveries in hand are stored before it ends.

    Raises ConfigError when the port cannot be listened on.
    """
    server = ReceiverServer(app, listen, key)
    thread = Thread(target=server.run, name=key, daemon=True)
    thread.start()
    try:
        if not server.is_up.wait(START_SECONDS):
            raise StemlineError(f"The server on {listen} ({key}) does not start.")
        yield server
    finally:
        server.should_exit = True
        thread.join(GRACE_SECONDS + START_SECONDS)


def require_free_address(listen: str, key: str) -> None:
    """Raise ConfigError where `host:port`, which this key gives, cannot be listened on now."""
    _bind(listen, key).close()


def _bind(listen: str, key: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # now: a second socket may be bound to a port, and only fails to listen
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ConfigError(
            f"{key} is {listen}, which cannot be listened on ({error.strerror}).",
            fix=_other_address(error),
        ) from error
    return listener


def _other_address(error: OSError) -> str:
    """Say which part of an address that cannot be listened on has to be another."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Name a host of this machine: 127.0.0.1, or 0.0.0.0 for each of its addresses."
    return "Choose a port above 1023." if error.errno == errno.EACCES else "Choose another port."
