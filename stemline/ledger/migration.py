"""Numbered migrations: SQL files, each applied once, in order, as a ledger is opened."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from sqlalchemy import Connection, inspect, select

from stemline.errors import ConfigError
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.tables import migrations

OWN_TYPES = {
    "sqlite": {
        "serial": "INTEGER PRIMARY KEY",
        "instant": "DATETIME",
        "real": "DOUBLE PRECISION",
        "clustered": "WITHOUT ROWID",
        "minute": "SUBSTR(at, 1, 16)",
    },
    "postgresql": {
        "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "instant": "TIMESTAMP WITH TIME ZONE",
        "real": "DOUBLE PRECISION",
        "clustered": "",
        "minute": "TO_CHAR(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')",
    },
}


def names() -> list[str]:
    """Give the names of all migrations, in order."""
    folder = files("stemline.ledger") / "migrations"
    return sorted(file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql"))


def apply(database: LedgerDatabase) -> list[str]:
    """Bring the ledger up to date and give the names applied; raises ConfigError if it is newer."""
    with database.read() as connection:
        if not _pending(connection, database.name):
            return []
    with database.write() as connection:
        pending = _pending(connection, database.name)  # again: another process may have been faster
        for name in pending:
            _run_script(connection, name)
            connection.execute(migrations.insert().values(name=name, applied_at=database.clock()))
    return pending


def is_there(database: LedgerDatabase) -> bool:
    """Tell whether the ledger has been made; writes nothing. Raises ConfigError for one of an older version."""
    with database.read() as connection:
        pending = _pending(connection, database.name)
    if pending and pending != names():
        raise ConfigError(
            f"The ledger {database.name} is of an older stemline, and a look at it does not change it.",
            fix="`stemline status` upgrades it and spends nothing.",
        )
    return not pending


def _pending(connection: Connection, ledger_name: str) -> list[str]:
    if not inspect(connection).has_table(migrations.name):
        return names()
    done = set(connection.scalars(select(migrations.c.name)))
    unknown = sorted(done - set(names()))
    if unknown:
        raise ConfigError(
            f"The ledger {ledger_name} was written by a newer stemline (it has {unknown[-1]}).",
            fix="Upgrade stemline, or name another ledger.url.",
        )
    return [name for name in names() if name not in done]


def _run_script(connection: Connection, name: str) -> None:
    script = (files("stemline.ledger") / "migrations" / f"{name}.sql").read_text(encoding="utf-8")
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    own = Template("\n".join(lines)).substitute(OWN_TYPES[connection.dialect.name])
    for statement in filter(str.strip, own.split(";")):
        connection.exec_driver_sql(statement)
