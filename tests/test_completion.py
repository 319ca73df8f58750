"""What a shell offers: the real bash, its completion installed as a person would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from stemline.cli.application import app
from stemline.cli.completion import complete_code, complete_config, complete_release

STEMLINE = Path(sys.executable).with_name("stemline")
BASH = shutil.which("bash")
COMPLETE = """
source "$HOME/.bash_completions/stemline.sh"
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
$(complete -p stemline | sed 's/.*-F \\([^ ]*\\).*/\\1/') "{program}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "night.yaml",
        "notes.txt",
        "configs/nightly.yml",
        "configs/deep/er/down.yaml",
        ".hidden/night.yaml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
@pytest.mark.long
def test_bash_completes_after_the_installation(folder):
    home = folder / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "SHELL": "/bin/bash"}

    def bash(script: str) -> str:
        done = subprocess.run(
            [BASH, "-c", script],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    bash(f"{STEMLINE} --install-completion; exit $?")
    assert "stemline.sh" in (home / ".bashrc").read_text()

    def offered(words: str) -> set[str]:
        return set(bash(COMPLETE.format(words=words, program=STEMLINE)).split())

    assert offered("stemline rele") == {"release", "releases"}
    assert offered("stemline run n") == {"night.yaml"}
    assert offered("stemline redrive night.yaml --code job_l") == {"job_late", "job_lost"}


def test_configurations_are_found_in_the_folder_and_below_it(folder):
    assert complete_config("") == ["configs/nightly.yml", "night.yaml"]
    assert complete_config("configs/") == ["configs/deep/er/down.yaml", "configs/nightly.yml"]
    assert complete_config(f"{folder}/ni") == [f"{folder}/night.yaml"]
    assert complete_config("nowhere/") == []


def test_codes_are_those_that_a_track_can_have():
    assert complete_code("budget_d") == ["budget_day"]
    assert "ok" not in complete_code("")


def test_releases_are_those_of_a_dataset_on_this_machine_and_nothing_is_said_where_that_cannot_be_told(
    folder,
):
    (folder / "dataset" / "releases" / "2026-11").mkdir(parents=True)
    config = folder / "night.yaml"
    config.write_text("{catalogue: {manifest: c.csv}, provider: {kind: local}, dataset: {url: dataset}}")

    def offered(path: Path, *overrides: str) -> list[str]:
        context = typer.Context(typer.main.get_command(app))
        context.params = {"config": path, "overrides": list(overrides)}
        return complete_release(context, "2026")

    assert offered(config) == ["2026-11"]
    assert offered(config, "dataset.url=elsewhere") == []
    assert offered(folder / "none.yaml") == []
    assert complete_release(typer.Context(typer.main.get_command(app)), "") == []
