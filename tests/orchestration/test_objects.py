"""What prefect.yaml asks of a server, and where the server is to be."""

from __future__ import annotations

import socket

import pytest
import yaml
from typer.testing import CliRunner

from orchestration.__main__ import app
from orchestration.folder import Known
from orchestration.objects import (
    DEPLOYMENTS,
    block_name,
    configured_variables,
    deployment_digest,
    deployment_names,
)
from orchestration.server import POOL, find_port
from stemline.errors import UsageError


def test_every_deployment_is_of_the_pool_that_is_made():
    deployments = yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]

    assert {each["work_pool"]["name"] for each in deployments} == {POOL}
    assert deployment_names() == {each["name"] for each in deployments}


def test_the_digest_of_what_is_deployed_is_the_same_for_the_same(tmp_path, monkeypatch):
    before = deployment_digest()
    assert deployment_digest() == before
    other = tmp_path / "prefect.yaml"
    other.write_text(DEPLOYMENTS.read_text() + "\n# another\n")
    monkeypatch.setattr("orchestration.objects.DEPLOYMENTS", other)

    assert deployment_digest() != before


def test_a_secret_block_is_called_like_its_variable():
    assert "STEMSPLIT_API_KEY" in configured_variables()
    assert block_name("STEMSPLIT_API_KEY") == "stemsplit-api-key"


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_is_asked_for_and_taken_is_refused_with_the_way_out(taken):
    with pytest.raises(UsageError, match=rf"Port {taken} of 127.0.0.1 is taken .* make up PORT="):
        find_port(taken, Known())


def test_a_port_that_is_not_for_this_user_is_not_said_to_be_taken(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(UsageError, match=r"Port 80 of 127\.0\.0\.1 is not for this user to listen on"):
        find_port(80, Known())


@pytest.mark.parametrize("port", ["0", "65536", "80000", "-1"])
def test_a_number_that_is_no_port_is_refused_before_anything_is_started(tmp_path, port):
    folder = tmp_path / "prefect"
    ended = CliRunner().invoke(app, ["up", "--folder", str(folder), "--port", port])
    assert ended.exit_code == 2
    assert "--port" in ended.output
    assert not folder.exists()


def test_a_server_keeps_the_port_it_had(free_port):
    assert find_port(None, Known(port=free_port)) == free_port


def test_a_port_it_had_that_is_taken_is_given_up(taken):
    assert find_port(None, Known(port=taken)) != taken
