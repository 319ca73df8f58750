"""What the local service is started with."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from stemline.errors import UsageError

DEFAULT_CREDITS = 36_000
"""What a key starts with when nothing is said: ten hours of audio."""

ENGINES = ("auto", "draft", "demucs", "copy")
ABOVE_ZERO = (
    "requests_per_minute",
    "workers",
    "max_running",
    "speed",
    "retention_seconds",
    "link_seconds",
    "webhook_seconds",
    "webhook_failures",
)
DEFAULT_WORKERS = max(1, (os.cpu_count() or 2) - 1)
"""A core is left for the service itself and for whoever calls it."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key and the credits its account is opened with (a known account keeps its balance)."""

    key: str = field(repr=False)
    credits: int = DEFAULT_CREDITS

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `KEY` or `KEY=CREDITS`.

        Raises:
            UsageError: the key is empty or the credits are not a whole number.
        """
        key, separator, credits_text = text.strip().partition("=")
        if not key.isascii() or not key.isprintable() or not key or " " in key:
            raise UsageError("An API key is empty or holds a blank.", fix="Write KEY or KEY=CREDITS.")
        if separator and not credits_text.isdecimal():
            raise UsageError(
                f"The credits of a key are {credits_text!r}.", fix="Write a whole number of seconds."
            )
        return cls(key, int(credits_text)) if separator else cls(key)


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Everything the service can be told; without keys it makes one of its own and keeps it in `folder`."""

    folder: Path
    """Where the state lives: database, uploads, outputs, secrets."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    keys: tuple[ApiKey, ...] = ()
    requests_per_minute: int = 60
    window: Literal["sliding", "fixed"] = "sliding"
    workers: int = DEFAULT_WORKERS
    """How many jobs are separated at once, each in a process of its own."""
    max_running: int | None = None
    """How many jobs may stand at PROCESSING at once; as many as there are workers when left out."""
    speed: float | None = None
    """A job takes at least its audio's length times this; as long as the work itself when left out."""
    engine: str = "auto"
    """What separates: auto | draft | demucs, or copy: no separation at all (see `workers.copy_engine`)."""
    retention_seconds: float = 14 * 86_400
    """How long outputs are kept after a job is done."""
    link_seconds: int = 3_600
    """How long a download link works."""
    minimum_seconds: float = 1.0
    """Shorter audio is refused."""
    allow_private_sources: bool = False
    """Whether a `sourceUrl` may lead to a loopback, private or link-local address."""
    allow_private_webhooks: bool | None = None
    """Whether a webhook may lead to such an address; when left out, as long as the service listens on loopback."""
    webhook_seconds: float = 10.0
    """How long a receiver may take to answer."""
    webhook_failures: int = 20
    """After so many calls in a row that failed a webhook is switched off."""
    videos: Path | None = None
    """A file that says which audio stands for which YouTube video (see `files.video_catalogue`)."""
    youtube_outputs_in_create: bool = True
    """Whether the create reply of a YouTube job names its stems, which the vendor's own Python SDK cannot read."""
    faults: Path | None = None
    """A file of faults to begin with (see `faults`)."""
    exit_with_parent: bool = False
    """Whether the end of standard input stops the service."""

    def check(self) -> None:
        """Refuse what cannot work or would be unsafe.

        Raises:
            UsageError: names the option.
        """
        for problem, fix in self._problems():
            raise UsageError(problem, fix=fix)

    def to_json(self) -> str:
        """Give one line that `from_json` reads back."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        keys = tuple(ApiKey(**key) for key in fields.pop("keys"))
        for name in ("folder", "videos", "faults"):
            fields[name] = Path(fields[name]) if fields[name] else None
        return cls(keys=keys, **fields)

    @property
    def may_call_private(self) -> bool:
        """Tell whether a webhook may lead into a private network."""
        if self.allow_private_webhooks is None:
            return _is_loopback(self.host)
        return self.allow_private_webhooks

    def _problems(self) -> Iterator[tuple[str, str]]:
        if not _is_loopback(self.host) and not self.keys:
            yield f"{self.host} can be reached from other machines and no API key is set.", "Pass --key."
        if len({key.key for key in self.keys}) < len(self.keys):
            yield "The same API key is given twice.", "Pass each key once."
        if not 0 <= self.port <= 65_535:
            yield f"There is no port {self.port}.", "Choose one from 0 (any free one) to 65535."
        if self.window not in ("sliding", "fixed"):
            yield f"There is no rate window {self.window!r}.", "Choose sliding or fixed."
        if self.engine not in ENGINES:
            yield f"There is no engine {self.engine!r}.", f"Choose one of {', '.join(ENGINES)}."
        for name in ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and value <= 0:
                yield f"{name} is {value}.", "It must be above zero."
        for path in (self.videos, self.faults):
            if path is not None and not path.is_file():
                yield f"There is no file {path}.", "Name one that exists."


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
