"""Webhook secrets on the disk."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hook_sender import SECRET

from stemline.errors import ConfigError, StorageError
from stemline.protocol import WebhookRegistration
from stemline.providers import load_provider
from stemline.settings import load_facts
from stemline.webhooks import ReceiverSettings, SecretFile


@pytest.fixture
def file(tmp_path) -> SecretFile:
    return SecretFile(tmp_path / "new" / "ledger.db.hooks")


def test_what_is_kept_is_read_by_the_next_process(file) -> None:
    assert file.read() == {}
    file.keep("whk_1", "one")
    file.keep("whk_2", "two")
    assert SecretFile(file.path).read() == {"whk_1": "one", "whk_2": "two"}


def test_only_its_owner_may_read_it(file) -> None:
    file.keep("whk_1", "one")
    file.path.chmod(0o644)
    file.keep("whk_2", "two")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]


def test_what_is_forgotten_is_gone(file) -> None:
    file.keep("whk_1", "one")
    file.keep("whk_2", "two")
    file.forget("whk_1", "whk_9")
    assert file.read() == {"whk_2": "two"}
    assert "one" not in file.path.read_text()


def test_two_that_keep_at_once_lose_nothing(file) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: SecretFile(file.path).keep(f"whk_{number}", "s"), range(24)))
    assert len(file.read()) == 24


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_broken_file_is_named_with_the_way_out(file, text) -> None:
    file.path.parent.mkdir()
    file.path.write_text(text)
    with pytest.raises(StorageError, match=r"ledger\.db\.hooks cannot be read.* remove it"):
        file.read()


def test_a_place_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be"):
        SecretFile(tmp_path / "file" / "x.hooks").keep("whk_1", "one")


def test_the_file_lies_beside_the_ledger(configure, tmp_path) -> None:
    settings = configure("stemsplit", "http://127.0.0.1:9", public_url="https://hooks.test")
    assert SecretFile.beside_ledger(settings).path == tmp_path / "ledger.db.hooks"
    ledger = settings.ledger.model_copy(update={"url": "postgresql+psycopg://u:p@h/d"})
    settings = settings.model_copy(update={"ledger": ledger})
    assert str(SecretFile.beside_ledger(settings).path) == ".stemline/night.hooks"


def test_a_secret_shows_in_no_repr(configure) -> None:
    settings = configure("stemsplit", "http://127.0.0.1:9", public_url="https://hooks.test", secret=SECRET)
    provider = load_provider(load_facts("stemsplit"))
    for thing in (
        settings,
        ReceiverSettings("stemsplit", provider, (SECRET,)),
        WebhookRegistration("whk_1", SECRET),
    ):
        assert SECRET not in repr(thing)
    assert SECRET not in settings.model_dump_json()


@pytest.mark.parametrize("secret", ["", " ", 123_456, ["whsec_real"]])
def test_a_bad_secret_is_refused_without_being_shown(configure, secret) -> None:
    with pytest.raises(ConfigError, match=r"webhooks\.secret") as refused:
        configure("stemsplit", "http://127.0.0.1:9", public_url="https://hooks.test", secret=secret)
    assert "123" not in str(refused.value)
    assert "whsec_real" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("public_url", "hooks.test"),
        ("public_url", "https://h/?a=1"),
        ("listen", "8787"),
        ("listen", "host:http"),
    ],
)
def test_an_address_that_is_none_is_refused(configure, key, value) -> None:
    webhooks = {"public_url": "https://hooks.test", key: value}
    with pytest.raises(ConfigError, match=rf"webhooks\.{key}"):
        configure("stemsplit", "http://127.0.0.1:9", **webhooks)


def test_a_slash_at_the_end_of_the_public_url_makes_no_second_one(configure) -> None:
    settings = configure("stemsplit", "http://127.0.0.1:9", public_url="https://hooks.test/stemline/")
    assert settings.webhooks.hook_url("stemsplit") == "https://hooks.test/stemline/hooks/stemsplit"
