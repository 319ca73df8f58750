"""What the end-to-end tests share: one local service, a few tiny songs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from support.command_line import clean_environment
from support.prefect_server import ask, prefect, prefect_server
from support.project import POOR, RICH, Project, Provider, make_songs

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import RunningService, running_service

KEYS = 200
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service, with many keys: each test takes one that nobody has used."""
    rich = [ApiKey(f"sk_rich_{number}", RICH) for number in range(KEYS)]
    poor = [ApiKey(f"sk_poor_{number}", POOR) for number in range(KEYS)]
    options = ServiceOptions(
        tmp_path_factory.mktemp("service"),
        keys=(*rich, *poor),
        requests_per_minute=6_000,
        workers=2,
        engine="draft",
        allow_private_sources=True,
    )
    with running_service(options) as service:
        yield service


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list:
    return make_songs(tmp_path_factory.mktemp("catalogue") / "music", 12)


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


_numbers = count()


@pytest.fixture
def project(tmp_path, service, launcher, songs, http) -> Project:
    """A workplace with a rich key."""
    provider = Provider(service.api_url, f"sk_rich_{next(_numbers)}", http, RICH)
    return Project(tmp_path, launcher, provider, songs)


@pytest.fixture
def second(project) -> Provider:
    """Another rich account with the same provider."""
    return Provider(project.provider.url, f"sk_rich_{next(_numbers)}", project.provider.http, RICH)


@pytest.fixture
def more_keys() -> Callable[[], str]:
    """Give a key to a rich account that nobody has used."""
    return lambda: f"sk_rich_{next(_numbers)}"


@pytest.fixture
def poor_project(project) -> Project:
    """A workplace whose key has 7 credits."""
    project.provider.key, project.provider.opened_with = f"sk_poor_{next(_numbers)}", POOR
    return project


@pytest.fixture
def break_with(service, project) -> Iterator[Callable[..., None]]:
    """Put faults in force until the end of the test."""
    where, account = f"{service.url}/_faults", {"Authorization": f"Bearer {project.provider.key}"}

    def set_faults(*faults: dict) -> None:
        project.provider.http.post(where, headers=account, json={"faults": faults}).raise_for_status()

    yield set_faults
    project.provider.http.delete(where, headers=account).raise_for_status()


@pytest.fixture(scope="session")
def prefect_folder(tmp_path_factory):
    """Where the Prefect server keeps all that it keeps: its database, its log."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def prefect_api(prefect_folder):
    """The API URL of a Prefect server with a home of its own."""
    with prefect_server(prefect_folder) as url:
        yield url


@pytest.fixture(scope="session")
def deployed(prefect_api, tmp_path_factory):
    """The ids of what prefect.yaml deploys, by name, on a server with the pool it names."""
    environment = {**clean_environment(tmp_path_factory.mktemp("deploying")), "PREFECT_API_URL": prefect_api}
    ask(prefect_api, "work_pools/", name="stemline", type="process")
    prefect(["--no-prompt", "deploy", "--all"], environment, ROOT)
    return {each["name"]: each["id"] for each in ask(prefect_api, "deployments/filter")}
