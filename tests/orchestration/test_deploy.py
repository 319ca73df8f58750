"""What the flows need, put on a server that somebody else brought up."""

from __future__ import annotations

import pytest
from support.orchestration_place import Orchestration
from support.prefect_server import ask, prefect_server

from orchestration.objects import deployment_names


@pytest.fixture
def visitor(tmp_path):
    """Somebody who has brought up nothing."""
    return Orchestration(tmp_path)


@pytest.fixture
def url(tmp_path_factory):
    """A server that somebody else brought up."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as url:
        yield url


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_server_that_is_there_gets_pool_and_deployments_and_no_worker(visitor, url):
    visitor.variables["PREFECT_API_URL"] = url

    printed = visitor.run("deploy")

    assert "+ work pool   stemline" in printed
    assert {each["name"] for each in ask(url, "deployments/filter")} >= deployment_names()
    assert ask(url, "work_pools/stemline/workers/filter") == []


@pytest.mark.long
def test_without_a_server_it_says_how_to_have_one(visitor):
    assert "make up" in visitor.run("deploy", code=2)


@pytest.mark.long
def test_a_server_that_does_not_answer_is_a_sentence(visitor):
    visitor.variables["PREFECT_API_URL"] = f"http://127.0.0.1:{visitor.port}/api"

    printed = visitor.run("deploy", code=1)

    assert f"The server at http://127.0.0.1:{visitor.port}/api does not answer" in printed
    assert "Traceback" not in printed
