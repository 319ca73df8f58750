"""Opening a ledger: migrations, durability, and what is said when the database cannot be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import inspect

from stemline.errors import ConfigError, StorageError
from stemline.ledger import migration, open_ledger, view_ledger
from stemline.ledger.tables import metadata
from stemline.records import Recipe

RECIPE = Recipe("four", "best", "flac")


def test_the_migrations_make_the_tables_the_queries_name(ledger) -> None:
    with ledger.database.read() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == set(metadata.tables)
        for name, table in metadata.tables.items():
            made = {column["name"]: column["type"] for column in found.get_columns(name)}
            assert list(made) == [column.name for column in table.columns]
            for column in table.columns:
                kind = getattr(column.type, "impl_instance", column.type)
                assert made[column.name].python_type is kind.python_type


def test_a_ledger_is_migrated_once(url: str) -> None:
    with open_ledger(url) as ledger:
        assert migration.apply(ledger.database) == []
        with ledger.database.read() as connection:
            applied = connection.exec_driver_sql("SELECT name FROM migrations ORDER BY name").scalars().all()
    assert applied == migration.names()


def test_a_newer_ledger_is_refused_with_the_way_out(url: str) -> None:
    with open_ledger(url) as ledger, ledger.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO migrations SELECT '9999_later', applied_at FROM migrations LIMIT 1"
        )
    with pytest.raises(ConfigError, match=r"newer stemline \(it has 9999_later\).*Upgrade stemline"):
        open_ledger(url)


def test_a_look_makes_upgrades_and_writes_nothing(url: str, clock, monkeypatch) -> None:
    if not url.startswith("sqlite"):
        assert view_ledger(url) is None  # a database in which no ledger was made yet
    every = migration.names()
    with monkeypatch.context() as older:
        older.setattr(migration, "names", lambda: every[:2])
        open_ledger(url).close()
    with pytest.raises(ConfigError, match=r"older stemline.*`stemline status` upgrades it"):
        view_ledger(url)
    with open_ledger(url, clock=clock) as ledger:
        run_id = ledger.runs.start("nightly", "local", RECIPE, "d")
    with view_ledger(url) as view:
        assert view.runs.get(run_id).started_at == clock.now
        with pytest.raises(StorageError):
            view.runs.start("nightly", "local", RECIPE, "d")


def test_a_committed_row_is_on_disk_before_the_commit_returns(sqlite_url: str) -> None:
    with open_ledger(sqlite_url) as ledger, ledger.database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    full = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous
    assert pragmas == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1}


def test_postgresql_commits_money_durably_even_where_the_server_is_lax(postgresql_url: str) -> None:
    with open_ledger(f"{postgresql_url}%20-csynchronous_commit%3Doff") as ledger:
        with ledger.database.read() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "off"
        with ledger.database.write() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_the_ledgers_folder_is_made(tmp_path: Path) -> None:
    open_ledger(f"sqlite:///{tmp_path}/a/b/nightly.db").close()
    assert (tmp_path / "a/b/nightly.db").exists()


def test_an_open_ledger_keeps_what_a_closed_one_knew(url: str, clock) -> None:
    with open_ledger(url, clock=clock) as ledger:
        run_id = ledger.runs.start("nightly", "local", RECIPE, "d")
    with open_ledger(url) as ledger:
        assert ledger.runs.get(run_id).started_at == clock.now


BAD_URLS = [
    ("nightly.db", "not a database URL"),
    ("mysql://h/d", "names mysql, which stemline does not know"),
    ("sqlite://", "would forget what was paid"),
    ("sqlite:///:memory:", "would forget what was paid"),
]


@pytest.mark.parametrize(("url", "message"), BAD_URLS)
def test_a_url_that_names_no_ledger_is_a_config_error(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_ledger(url)
    assert "sqlite:///folder/name.db" in caught.value.fix


def test_a_file_that_is_no_database_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, and long enough to tell" * 100)
    with pytest.raises(ConfigError, match=r"notes\.txt cannot be used: the file is no SQLite database"):
        open_ledger(f"sqlite:///{tmp_path}/notes.txt")


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"folder .* cannot be written"):
        open_ledger(f"sqlite:///{tmp_path}/file/nightly.db")
    with pytest.raises(StorageError, match="the database file cannot be opened"):
        open_ledger(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # the limit on pages is SQLite's
def test_a_full_disk_is_a_storage_error_and_loses_nothing_committed(case) -> None:
    case.plan(1)
    with case.ledger.database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match=r"is full.*Free some disk space"):
        case.plan(*range(2, 2000))
    with case.ledger.database.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=100000")
    assert [track.track_id for track in case.ledger.tracks.next_planned(case.run_id, 10)] == ["t1"]


def test_a_file_that_stays_held_by_another_program_is_a_storage_error(sqlite_url: str, monkeypatch) -> None:
    monkeypatch.setattr("stemline.ledger.repetition.AWAY_SECONDS", 0.2)
    with open_ledger(sqlite_url) as ledger:
        with ledger.database.read() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=1")
        holder = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"locked.*close it and run again"):
            ledger.runs.start("nightly", "local", RECIPE, "d")
        holder.close()
        assert ledger.runs.start("nightly", "local", RECIPE, "d")


def test_an_unreachable_server_is_a_storage_error_that_hides_the_password() -> None:
    with pytest.raises(StorageError, match=r"nothing listens there.*Start the database server") as caught:
        open_ledger("postgresql+psycopg://u:hush@127.0.0.1:1/d")
    assert "hush" not in str(caught.value)


def test_a_missing_database_is_a_config_error(postgresql: str) -> None:
    with pytest.raises(ConfigError, match=r'database "nope" does not exist.*Create the database first'):
        open_ledger(f"postgresql://stemline@/nope?host={postgresql}")
