"""The ledger lies with its dataset, of whatever characters the folder's name is made."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from stemline.cli.console import Screen
from stemline.cli.options import read_config
from stemline.ledger import open_ledger
from stemline.onboarding.config_text import ledger_beside
from stemline.settings import Settings, build_settings
from stemline.settings.default_ledger import default_ledger, sqlite_file, sqlite_url
from stemline.webhooks.secret import SecretFile

NAMES = ("x%20y", "a?b", "100% hits", "a%3Fb#c", "50%25", "ü 🎵 & 'x\"", "a+b;c=d", "%zz")


def settings_for(dataset: str, **ledger: str) -> Settings:
    """Give the settings of a configuration named c."""
    tree = {"name": "c", "catalogue": {"manifest": "m.csv"}, "provider": {"kind": "local"}, "ledger": ledger}
    return build_settings({**tree, "dataset": {"url": dataset}}, Path("c.yaml"))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files_found() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*.db"))


def make_ledger(file: Path) -> None:
    """Make a ledger where an earlier version made it."""
    with open_ledger(sqlite_url(file)):
        pass


@pytest.mark.parametrize("is_absolute", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_ledger_is_made_in_the_datasets_folder_and_known_to_be_there(name, is_absolute):
    settings = settings_for(str(Path(name).absolute()) if is_absolute else name)
    with open_ledger(settings.ledger_url):
        pass
    assert files_found() == [f"{name}/_stemline/c.db"]
    assert settings.ledger_file == Path(settings.dataset.url) / "_stemline" / "c.db"
    assert settings.ledger_place is None


@pytest.mark.parametrize("name", NAMES)
def test_a_url_of_a_file_names_that_file(name):
    assert sqlite_file(sqlite_url(Path("/", name, "c.db"))) == Path("/", name, "c.db")
    assert sqlite_file(ledger_beside("c", "s3://ml/stems", Path("/", name))) == Path(
        "/", name, ".stemline/c.db"
    )


@pytest.mark.parametrize(
    ("name", "old"),
    [("x%20y", "x y/_stemline/c.db"), ("a?b", ".stemline/c.db"), ("100%25 x%20y", "100% x y/_stemline/c.db")],
)
def test_a_ledger_of_an_earlier_version_is_kept_to_until_it_is_moved_as_told(name, old, capsys):
    make_ledger(Path(old))
    Path(name).mkdir()
    Path("c.yaml").write_text(
        f"catalogue: {{manifest: m.csv}}\nprovider: {{kind: local}}\ndataset: {{url: '{name}'}}"
    )
    settings = read_config(Screen(is_json=True), Path("c.yaml"), None)
    assert settings.ledger_file == Path(old)
    with open_ledger(settings.ledger_url):
        assert files_found() == [old]
    told = " ".join(capsys.readouterr().err.split())
    move = told.partition("while nothing runs: ")[2]
    assert shlex.quote(f"{name}/_stemline") in move
    subprocess.run(["/bin/sh", "-c", move], check=True)
    assert settings.ledger_file == Path(name) / "_stemline" / "c.db"
    assert files_found() == [f"{name}/_stemline/c.db"]
    read_config(Screen(is_json=True), Path("c.yaml"), None)
    assert capsys.readouterr().err == ""


def test_another_datasets_ledger_is_not_taken_for_an_old_one():
    make_ledger(Path("x y/_stemline/c.db"))
    Path("x y/tracks").mkdir()
    assert default_ledger("c", "x%20y") == Path("x%20y/_stemline/c.db")


def test_a_written_url_leads_where_it_did_before():
    settings = settings_for("stems", url="sqlite:///x%20y/own.db")
    with open_ledger(settings.ledger_url):
        pass
    assert files_found() == ["x y/own.db"]
    assert settings.ledger_file == Path("x y/own.db")


def test_webhook_secrets_are_looked_for_where_they_were_kept():
    assert SecretFile.beside_ledger(settings_for("x%20y")).path == Path(".stemline/c.hooks")
    make_ledger(Path("x y/_stemline/c.db"))
    assert SecretFile.beside_ledger(settings_for("x%20y")).path == Path(".stemline/c.hooks")
    make_ledger(Path(".stemline/c.db"))
    assert SecretFile.beside_ledger(settings_for("a?b")).path == Path(".stemline/c.db.hooks")
