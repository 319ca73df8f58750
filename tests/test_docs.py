"""What the pages promise exists: commands, options, profiles, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from stemline.cli.application import app
from stemline.errors import ConfigError
from stemline.settings import load_facts, load_settings

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


@pytest.mark.parametrize("profile", FACTS, ids=lambda path: path.stem)
def test_the_facts_of_a_provider_are_complete(profile):
    assert load_facts(profile.stem).kind == profile.stem


def test_an_unknown_provider_names_the_known_ones():
    with pytest.raises(ConfigError, match=", ".join(path.stem for path in FACTS)):
        load_facts("stemsplitter")


def test_the_readme_can_be_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
