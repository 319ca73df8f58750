"""What the pages promise exists: commands, options, profiles, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import typer
import yaml
from typer.testing import CliRunner

from stemline.cli.application import app
from stemline.errors import ConfigError, UsageError
from stemline.settings import build_settings, load_facts, load_settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OTHERS = {"distributed"}
"""First keys of other programs' configurations."""
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PROFILES = sorted((ROOT / "configs").glob("*.yaml"))
FACTS = sorted((ROOT / "configs" / "providers").glob("*.yaml"))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(?:sh|console|bash|text)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
VARIABLE = re.compile(r"\$\{(\w+)")
COMMAND = typer.main.get_command(app)


def command_lines(shown):
    """Give every command line of ours among those that a page shows."""
    for line in shown:
        words = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
        if re.match(r"stemline(\s|$)", words):
            yield words.split("  #")[0].split(" # ")[0].strip()


def typed_on(page):
    """Give the lines of a page that are to be typed."""
    return [line for block in FENCE.findall(page.read_text()) for line in block.splitlines()]


LINES = sorted(
    {(page.name, line) for page in PAGES for line in command_lines(INLINE.findall(page.read_text()))}
)
TYPED = sorted({(page.name, line) for page in PAGES for line in command_lines(typed_on(page))})


@pytest.mark.parametrize(("page", "line"), TYPED, ids=[f"{page}: {line}" for page, line in TYPED])
def test_a_command_line_to_be_typed_is_understood(page, line):
    """As the command line reads it: options, their values, arguments that must be there."""
    name, *arguments = shlex.split(line.partition("&&")[0])[1:]
    assert name in COMMAND.commands, page
    command = COMMAND.commands[name]
    command.make_context(name, arguments, parent=click.Context(COMMAND))


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line}" for page, line in LINES])
def test_a_command_that_a_sentence_names_exists(page, line):
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
    broken = []
    for name, anchor in LINK.findall(page.read_text()):
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{name}#{anchor}")
    assert broken == []


def anchors(page):
    """Give what a page's headings are called in links, as GitHub makes it of them."""
    found = set()
    for heading in HEADING.findall(FENCED.sub("", page.read_text())):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = next(n for n in range(len(found) + 1) if (f"{slug}-{n}" if n else slug) not in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


def test_every_page_of_the_documentation_stands_in_its_index():
    index = (DOCS / "README.md").read_text()
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent.name != "decisions"}
    assert pages - {"README.md"} - {name for name, _ in LINK.findall(index)} == set()


BLOCKS = [(page.name, block) for page in PAGES for block in YAML.findall(page.read_text())]


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_a_configuration_on_a_page_is_one_or_part_of_one(page, block):
    tree = yaml.safe_load(block)
    if tree.keys() <= OTHERS:
        return
    whole = {"catalogue": {"manifest": "m"}, "provider": {"kind": "local"}, "dataset": {"url": "d"}}
    for name, section in tree.items():
        whole[name] = {**whole.get(name, {}), **section} if isinstance(section, dict) else section
    build_settings(whole, Path(page), environ=dict.fromkeys(VARIABLE.findall(block), "value"))


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


def test_the_readme_can_be_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
