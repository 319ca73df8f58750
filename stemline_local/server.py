"""Running the service in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from threading import Thread, current_thread, main_thread

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from stemline.errors import UsageError
from stemline_local.api.fault_middleware import TRANSPORT
from stemline_local.app import DIALECTS, build_app
from stemline_local.backend import open_backend
from stemline_local.jobs.accounts import account_id
from stemline_local.options import ServiceOptions
from stemline_local.secret_files import own_keys

GRACE_SECONDS = 5
"""How long requests in hand may take to finish after a stop."""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a listening service is reached, and with which keys."""

    url: str
    api: dict[str, str]
    keys: tuple[str, ...] = field(repr=False)
    webhook_secrets: dict[str, str] = field(repr=False)
    """What signs the webhooks of each key's splits; AIStemSplitter shows it once, beside the key."""

    def to_json(self) -> str:
        """Give the line a parent process waits for."""
        return json.dumps(asdict(self))


def serve(options: ServiceOptions) -> None:
    """Run until SIGTERM or Ctrl-C (or the end of standard input, when so told); prints its address once.

    The address is one line of JSON on standard output, written when the service listens:
    `{"url": "http://127.0.0.1:8123", "api": {"stemsplit": "http://127.0.0.1:8123/api/v1",
    "aistemsplitter": "http://127.0.0.1:8123/v1"}, "keys": ["…"], "webhook_secrets": {"<key>": "whsec_…"}}`.

    Raises:
        UsageError: an option cannot work, the port is taken, or another service holds the folder.
    """
    options.check()
    if not options.keys:
        options = replace(options, keys=own_keys(options.folder))
    server = LocalServer(options, _print_address)
    if options.exit_with_parent:
        Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    if current_thread() is main_thread():
        # uvicorn raises the signal that stopped it once more at the end; a stop asked for is a success.
        signal.signal(signal.SIGTERM, server.handle_exit)
    server.run()


class CuttableConnection(H11Protocol):
    """One HTTP connection that the application is given too, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Put the connection into the scope of its requests."""
        super().connection_made(transport)
        app: ASGIApp = self.app

        async def connected(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, TRANSPORT: transport}, receive, send)

        self.app = connected


class LocalServer(uvicorn.Server):
    """The service in this thread or another: `run` blocks, `should_exit = True` stops it."""

    def __init__(
        self,
        options: ServiceOptions,
        on_listening: Callable[[ServiceAddress], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Bind the port and take hold of the folder.

        Raises:
            UsageError: either is taken.
        """
        self._listener = _listen(options.host, options.port)
        self._on_listening = on_listening
        self._options = options
        try:
            self._backend = open_backend(options, clock)
        except BaseException:
            self._listener.close()
            raise
        super().__init__(
            uvicorn.Config(
                build_app(self._backend),
                http=CuttableConnection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                date_header=False,  # the application tells its own time
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on the bound port."""
        await super().serve(sockets or [self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_listening(self._address())

    def _address(self) -> ServiceAddress:
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        url = f"http://{host}:{self._listener.getsockname()[1]}"
        api = {dialect: url + prefix for dialect, prefix in DIALECTS.items()}
        keys = tuple(key.key for key in self._options.keys)
        return ServiceAddress(
            url, api, keys, {key: self._backend.webhook_secret(account_id(key)) for key in keys}
        )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on ({error.strerror}).", fix="Choose another."
        ) from error
    return listener


def _print_address(address: ServiceAddress) -> None:
    sys.stdout.write(address.to_json() + "\n")
    sys.stdout.flush()


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    # Not through sys.stdin: a thread that waits inside its buffer breaks the interpreter's own end.
    while os.read(sys.stdin.fileno(), 4_096):
        pass
    server.should_exit = True
