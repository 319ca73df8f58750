"""A real S3 server on loopback that checks signatures and conditional writes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.session import Session
from support.health import wait_until_healthy

_START_SECONDS = 60.0


@dataclass(frozen=True)
class S3Server:
    """Where the server is and how to sign in."""

    endpoint_url: str
    key: str
    secret: str
    region: str = "us-east-1"

    @property
    def storage_options(self) -> dict[str, Any]:
        """What s3fs takes, and what a user writes under `dataset.storage_options`."""
        return {"key": self.key, "secret": self.secret, "endpoint_url": self.endpoint_url}

    def client(self) -> Any:
        """Give a client that can do what stemline never does, such as creating buckets."""
        return Session().create_client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )


def start(folder: Path) -> dict[str, Any]:
    """Start a server on a free port; give its process id and what an `S3Server` is made of."""
    port = free_port()
    endpoint_url = f"http://127.0.0.1:{port}"
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
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"], env=environment, stdout=log, stderr=log
        )
    health = f"{endpoint_url}/_ministack/health"
    wait_until_healthy(health, process, folder / "log.txt", _START_SECONDS)
    process.returncode = 0  # nobody here waits for it: who leaves last stops it
    key, secret = _create_user(endpoint_url)
    return {"pid": process.pid, "server": {"endpoint_url": endpoint_url, "key": key, "secret": secret}}


def stop(facts: dict[str, Any]) -> None:
    """Stop a server, whichever process started it."""
    os.kill(facts["pid"], signal.SIGTERM)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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
