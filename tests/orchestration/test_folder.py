"""The folder of a server: what is known in it, and whom its environment lets a process know."""

from __future__ import annotations

import pytest

from orchestration.folder import DATABASE_VARIABLE, Known, KnownProcess, ServerFolder, database_words
from stemline.errors import UsageError


def test_what_was_written_is_read(tmp_path):
    known = Known(port=4200, database="SQLite", deployed="abc", processes={"server": KnownProcess(7, 1.5)})
    ServerFolder(tmp_path).write(known)

    assert ServerFolder(tmp_path).read() == known


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"processes": {"server": {"pid": 1}}}'])
def test_a_record_that_cannot_be_read_says_nothing(tmp_path, text):
    (tmp_path / "server.json").write_text(text)

    assert ServerFolder(tmp_path).read() == Known()


def test_the_surroundings_lead_to_no_other_server_and_nothing_calls_home(tmp_path):
    around = {"PREFECT_API_URL": "https://elsewhere/api", "PREFECT_API_KEY": "pnu_x", "PATH": "/bin"}
    environment = ServerFolder(tmp_path).environment(4300, around)

    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert "PREFECT_API_KEY" not in environment
    assert environment["PATH"] == "/bin"
    assert environment["PREFECT_HOME"].startswith(str(tmp_path))
    assert environment[DATABASE_VARIABLE].startswith(f"sqlite+aiosqlite:///{tmp_path}/")
    assert (environment["PREFECT_SERVER_ANALYTICS_ENABLED"], environment["DO_NOT_TRACK"]) == ("false", "1")


def test_a_database_is_postgresql_as_prefect_takes_it_or_refused():
    with pytest.raises(UsageError, match=r"postgresql\+asyncpg://"):
        database_words({DATABASE_VARIABLE: "postgresql://user@host/database"})


def test_the_words_for_a_database_hold_no_password():
    assert database_words({}) == "SQLite"
    assert database_words({DATABASE_VARIABLE: "postgresql+asyncpg://u:secret@host/d"}) == (
        "postgresql+asyncpg://u:***@host/d"
    )
