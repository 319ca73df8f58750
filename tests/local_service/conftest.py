"""The service of each test: in a thread of this process, on the test's own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from local_service import KEY, OTHER_KEY, Client, Clock, Receiver, SplitClient, VendorClients, listening, tone
from service_state import ServiceState

from stemline_local import ApiKey, ServiceOptions
from stemline_local.server import ServiceAddress


@pytest.fixture
def options(tmp_path: Path) -> ServiceOptions:
    """Two keys, no wish to be slowed down, one worker."""
    keys = (ApiKey(KEY, 1_000), ApiKey(OTHER_KEY, 500))
    return ServiceOptions(tmp_path / "service", keys=keys, requests_per_minute=100_000, workers=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(options: ServiceOptions, clock: Clock) -> Iterator[Callable[..., Client]]:
    """Start the service on the test's clock, with options changed by name, and give a client."""
    with ExitStack() as stack:

        def begin(**changes: object) -> Client:
            address = stack.enter_context(listening(replace(options, **changes), clock))
            return stack.enter_context(Client(address.url))

        yield begin


@pytest.fixture
def start_splits(options: ServiceOptions, clock: Clock) -> Iterator[Callable[..., SplitClient]]:
    """Start a service that copies, on the test's clock, and give a client of the AIStemSplitter dialect."""
    keys = (ApiKey("ast_live_vendor"), ApiKey("sk_live_vendor"), ApiKey("neutral"))
    with ExitStack() as stack:

        def begin(**changes: object) -> SplitClient:
            changed = replace(options, keys=keys, engine="copy", **changes)
            address = stack.enter_context(listening(changed, clock))
            return stack.enter_context(SplitClient(address.url, keys[0].key))

        yield begin


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Iterator[str]]]:
    """One service for all tests that need nothing special, and keys that nobody has used."""
    keys = tuple(ApiKey(f"sk_live_{number}", 1_000) for number in range(200))
    folder = tmp_path_factory.mktemp("shared")
    options = ServiceOptions(
        folder, keys=keys, requests_per_minute=100_000, workers=2, allow_private_sources=True
    )
    with listening(options) as address:
        yield address.url, iter(address.keys)


@pytest.fixture
def client(shared_service: tuple[str, Iterator[str]]) -> Iterator[Client]:
    """A client of the shared service with an account of its own: 1,000 credits and no jobs."""
    url, keys = shared_service
    with Client(url, next(keys)) as client:
        yield client


@pytest.fixture(scope="session")
def copy_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceAddress, Iterator[str]]]:
    folder = tmp_path_factory.mktemp("copying")
    (folder / "never.wav").write_bytes(tone(1.2))
    (folder / "videos.yaml").write_text(
        "dQw4w9WgXcQ: {audio: never.wav, title: Never, channel: Rick}\nlost_audio_: {audio: gone.wav}\n"
    )
    options = ServiceOptions(
        folder / "service",
        keys=tuple(ApiKey(f"key_{number}", 1_000) for number in range(300)),
        requests_per_minute=100_000,
        workers=2,
        engine="copy",
        allow_private_sources=True,
        videos=folder / "videos.yaml",
    )
    with listening(options) as address:
        yield address, iter(address.keys)


@pytest.fixture
def clients(copy_service: tuple[ServiceAddress, Iterator[str]]) -> Iterator[VendorClients]:
    """The same service for every test that needs no real stems; its faults are lifted at the end."""
    address, keys = copy_service
    key = next(keys)
    with Client(address.url, key) as jobs, SplitClient(address.url, key) as splits:
        yield VendorClients(address.url, key, address.webhook_secrets[key], jobs, splits)
        jobs.delete(f"{address.url}/_faults")


@pytest.fixture
def fault(clients: VendorClients) -> Callable[..., None]:
    """Put one fault in force."""

    def put(name: str, **fields: object) -> None:
        clients.break_with({"fault": name, **fields})

    return put


@pytest.fixture
def store(tmp_path: Path) -> ServiceState:
    return ServiceState(tmp_path)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def short() -> bytes:
    """1.2 seconds: two credits."""
    return tone(1.2)
