"""What the whole suite shares: its random seed, a PostgreSQL server, an S3 server, the command line, free ports."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import postgresql as postgresql_server
from support import random_examples, s3
from support.command_line import Launcher, launcher_of, start_forkserver, stop_forkserver
from support.s3 import S3Server
from support.shared_server import shared
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed", metavar="N", help="draw other random examples, and more: a number, or `fresh` for any"
    )


def pytest_configure(config: pytest.Config) -> None:
    random_examples.choose(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    node.workerinput["seed"] = node.config.option.seed


def pytest_report_header(config: pytest.Config) -> str | None:
    return None if config.option.seed is None else f"random examples of --seed {config.option.seed}"


class FilesThenTests(LoadGroupScheduling):
    """Gives a worker a whole file, as its tests share fixtures; but single tests of the folders whose tests take long.

    xdist begins with what has most tests: the single ones come last, and all workers end at about the same time.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return super()._split_scope(nodeid) if path.split("/")[1] in {"e2e", "faults", "nights"} else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesThenTests:
    return FilesThenTests(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Give two workers for each core: half of the time a test waits for another process."""
    return min(16, 2 * (os.cpu_count() or 1))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is worth repeating with fresh seeds; of what takes turns, leave every other one to another seed."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("random")
    drawn, left = [], []
    for item in items:
        (drawn if random_examples.is_drawn(item, config.option.seed) else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = drawn


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The same number each time, unless `--seed` says otherwise."""
    return random_examples.seed_of(pytestconfig)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def postgresql(session_folder: Path) -> Iterator[str]:
    """The socket folder of a PostgreSQL server that lives as long as the session."""
    folder = session_folder / "postgresql"
    with shared(folder, postgresql_server.start, postgresql_server.stop) as facts:
        yield facts["folder"]


@pytest.fixture(scope="session")
def s3_server(session_folder: Path) -> Iterator[S3Server]:
    """An S3 server that lives as long as the session."""
    with pytest.MonkeyPatch.context() as patch, shared(session_folder / "s3", s3.start, s3.stop) as facts:
        # Newer AWS clients add checksums in trailers, which few servers besides AWS understand.
        patch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield S3Server(**facts["server"])


@pytest.fixture(scope="session")
def s3_client(s3_server: S3Server) -> Iterator[Any]:
    """A client of the S3 server that can do what stemline never does, such as creating buckets."""
    client = s3_server.client()
    yield client
    client.close()


@pytest.fixture
def bucket(s3_client: Any) -> str:
    """The name of a new bucket on the S3 server."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory, session_folder: Path) -> Iterator[Launcher]:
    """What starts commands of `stemline`, with short waits."""
    with shared(session_folder / "forkserver", start_forkserver, stop_forkserver) as facts:
        yield launcher_of(facts, tmp_path_factory.mktemp("home"))


@pytest.fixture
def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    return s3.free_port()
