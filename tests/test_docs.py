"""What the pages promise exists: commands, options, profiles, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stemline.cli.application import app
from stemline.errors import ConfigError, UsageError
from stemline.settings import Settings, load_facts, load_settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROFILES = sorted((ROOT / "configs").glob("*.yaml"))
FACTS = sorted((ROOT / "configs" / "providers").glob("*.yaml"))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(?:sh|console|bash|text)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
VARIABLE = re.compile(r"\$\{(\w+)")
COMMAND = typer.main.get_command(app)


def command_lines(page):
    """Give every command line of ours that a page shows."""
    text = page.read_text()
    shown = [line for block in FENCE.findall(text) for line in block.splitlines()] + INLINE.findall(text)
    for line in shown:
        words = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
        if re.match(r"stemline(\s|$)", words):
            yield words.split("  #")[0].split(" # ")[0].strip()


LINES = sorted({(page.name, line) for page in PAGES for line in command_lines(page)})


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line}" for page, line in LINES])
def test_a_command_line_on_a_page_parses(page, line):
    words = shlex.split(line)[1:]
    if not words or words[0].startswith("-"):
        return
    command = COMMAND.commands.get(words[0])
    assert command is not None, f"{page} shows `{line}`, and there is no such command"
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    asked = {word.split("=")[0] for word in words[1:] if word.startswith("-")}
    assert asked <= known, f"{page} shows `{line}`"


def test_the_readme_shows_every_command():
    text = (ROOT / "README.md").read_text()
    assert [name for name in COMMAND.commands if f"stemline {name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_a_profile_is_a_valid_configuration(profile):
    names = VARIABLE.findall(profile.read_text())
    settings = load_settings(profile, environ=dict.fromkeys(names, "value"))
    load_facts(settings.provider.kind)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_a_profile_says_what_to_fill_in(profile, tmp_path, monkeypatch):
    """From another folder, with nothing prepared: a key or a variable is named, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLE.findall(profile.read_text()):
        monkeypatch.delenv(name, raising=False)

    def refusal():
        error = CliRunner().invoke(app, ["plan", str(profile)]).exception
        assert isinstance(error, UsageError), error
        return str(error)

    if names := VARIABLE.findall(profile.read_text()):
        told = refusal()
        assert all(name in told for name in names)
        assert "Run `export " in told
    for name in names:
        monkeypatch.setenv(name, "sqlite:///ledger.db" if "LEDGER" in name else "nowhere.csv")
    told = refusal()
    assert "into catalogue.manifest" in told
    assert f"looked for as {tmp_path}" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("profile", FACTS, ids=lambda path: path.stem)
def test_the_facts_of_a_provider_are_complete(profile):
    assert load_facts(profile.stem).kind == profile.stem


def test_an_unknown_provider_names_the_known_ones():
    with pytest.raises(ConfigError, match=", ".join(path.stem for path in FACTS)):
        load_facts("stemsplitter")


def test_the_configuration_page_names_every_key():
    text = (ROOT / "docs" / "configuration.md").read_text()
    missing = []
    for name, section in Settings.model_fields.items():
        fields = getattr(section.annotation, "model_fields", None) or {}
        keys = [field.alias or key for key, field in fields.items()]
        missing += [
            f"{name}.{key}" for key in keys if f"`{name}.{key}`" not in text and f"`.{key}`" not in text
        ]
    assert missing == []


def test_the_readme_can_be_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
