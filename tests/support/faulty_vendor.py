"""The local service as a vendor that misbehaves: it takes faults, is killed, and comes back where it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import RunningService, running_service

KEYS = 400
CREDITS = 1_000
SECOND_DIALECT = "ast"


@dataclass
class FaultyVendor:
    """One running service; every test takes keys of it that nobody has used."""

    options: ServiceOptions
    http: httpx.Client
    _stack: ExitStack = field(default_factory=ExitStack)
    _service: RunningService | None = None
    _taken: int = 0

    def start(self) -> None:
        """Start it, on the same port and folder as before."""
        self._service = self._stack.enter_context(running_service(self.options))
        port = int(self._service.url.rpartition(":")[2])
        self.options = replace(self.options, port=port)

    def kill(self) -> None:
        """SIGKILL it in the middle of whatever it does."""
        os.kill(self._service.pid, signal.SIGKILL)
        self._stack.close()

    def close(self) -> None:
        self._stack.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def url(self, dialect: str = "stemsplit") -> str:
        return self._service.api_urls[dialect]

    def take_key(self, dialect: str = "stemsplit") -> str:
        """Give a key that nobody has used."""
        self._taken += 1
        prefix = "sk" if dialect == "stemsplit" else SECOND_DIALECT
        return f"{prefix}_live_{self._taken - 1}"

    def set_faults(self, faults: list[dict]) -> None:
        """Put these in force, and no others; for every key."""
        self._faults("POST", json={"faults": faults})

    def seen(self) -> dict[str, int]:
        """Give by fault how often it could have struck: one that never does counts requests."""
        return {each["fault"]: each["seen"] for each in self._faults("GET").json()["faults"]}

    def clear_faults(self) -> dict[str, int]:
        """Lift all faults and give how often each has struck."""
        struck: dict[str, int] = {}
        for fault in self._faults("GET").json()["faults"]:
            struck[fault["fault"]] = struck.get(fault["fault"], 0) + fault["struck"]
        self._faults("DELETE")
        return struck

    def _faults(self, method: str, **content: object) -> httpx.Response:
        headers = {"Authorization": "Bearer sk_live_0"}
        where = f"{self._service.url}/_faults"
        return self.http.request(method, where, headers=headers, **content).raise_for_status()


@contextmanager
def running_vendor(folder: Path, **changes: object) -> Iterator[FaultyVendor]:
    """Run one for the length of a `with` block; it copies instead of separating, which costs no time."""
    names = [f"{prefix}_live_{number}" for prefix in ("sk", SECOND_DIALECT) for number in range(KEYS)]
    facts = {"requests_per_minute": 60_000, "workers": 1, "max_running": 3, "engine": "copy"}
    keys = tuple(ApiKey(name, CREDITS) for name in names)
    options = ServiceOptions(folder, keys=keys, **{**facts, **changes})
    with httpx.Client(timeout=30) as http:
        vendor = FaultyVendor(options, http)
        vendor.start()
        try:
            yield vendor
        finally:
            vendor.close()
