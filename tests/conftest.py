"""Servers that several parts of the suite share, started once a session."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.session import Session

_START_SECONDS = 60.0


@dataclass(frozen=True)
class S3Server:
    """A real S3 server on loopback: where it is and how to sign in."""

    endpoint_url: str
    key: str
    secret: str
    region: str = "us-east-1"

    @property
    def storage_options(self) -> dict[str, Any]:
        """What s3fs takes, and what a user writes under `dataset.storage_options`."""
        return {"key": self.key, "secret": self.secret, "endpoint_url": self.endpoint_url}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """An S3 server that checks signatures and conditional writes, on a free port."""
    folder = tmp_path_factory.mktemp("s3-server")
    port = free_port()
    endpoint_url = f"http://127.0.0.1:{port}"
    process = _start(port, folder)
    patch = pytest.MonkeyPatch()
    try:
        # Newer AWS clients add checksums in trailers, which few servers besides AWS understand.
        patch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        _wait_until_healthy(endpoint_url, process, folder / "log.txt")
        key, secret = _create_user(endpoint_url)
        yield S3Server(endpoint_url, key, secret)
    finally:
        patch.undo()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="session")
def s3_client(s3_server):
    """A client of the S3 server that can do what stemline never does, such as creating buckets."""
    client = Session().create_client(
        "s3",
        endpoint_url=s3_server.endpoint_url,
        region_name=s3_server.region,
        aws_access_key_id=s3_server.key,
        aws_secret_access_key=s3_server.secret,
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3_client):
    """The name of a new bucket on the S3 server."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=name)
    return name


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _start(port: int, folder: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "S3_PERSIST": "0",
        "S3_DATA_DIR": str(folder / "data"),
    }
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", "ministack"], env=environment, stdout=log, stderr=log)


def _create_user(endpoint_url: str) -> tuple[str, str]:
    """Give the keys of a new user: the server checks no signatures of its root user's."""
    root = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    iam = Session().create_client("iam", endpoint_url=endpoint_url, **root)
    iam.create_user(UserName="tests")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName="tests", PolicyName="s3", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="tests")["AccessKey"]
    iam.close()
    return made["AccessKeyId"], made["SecretAccessKey"]


def _wait_until_healthy(endpoint_url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{endpoint_url}/_ministack/health", timeout=1).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"The S3 server did not start:\n{log.read_text(errors='replace')[-2000:]}")
