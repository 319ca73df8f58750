"""The commands of the pages do what they say, as they stand there: in a fresh folder, on a terminal."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from support.command_line import clean_environment
from support.project import Provider, make_songs

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.yaml)\n")
KEY = "sk_live_your_key"
VENDORS_CONFIG = re.compile(r"(^.*stemline init .*--provider stemsplit .*--out (\S+).*)\n", re.MULTILINE)
AT_OUR_SERVICE = r"\1 || test $? = 5\nsed -i '/^  kind: stemsplit/a\\  base_url: '$VENDOR \2" "\n"
"""What is done between two commands: the configuration that was written leads to the service, not to the vendor.

That one is out of reach of tests: its `init` ends with exit code 5 where there is no network, the file written.
"""
SONGS = 2
COPIED = ("Makefile", "pyproject.toml", "requirements.lock", "requirements-test.lock", "prefect.yaml")


def script_of(page: Path) -> str:
    """Give one script of all that a page shows: commands, programs, and files that are named in their first line.

    It ends where a command fails, but for the exit code of runs that leave tracks out. `tests/orchestration` brings
    servers up.
    """
    parts = [r"set -ux; trap 'code=$?; test $code = 3 || exit $code' ERR"]
    for language, text in BLOCK.findall(page.read_text()):
        name = FILE.match(text)
        if "make up" in text:
            continue
        if language == "sh":
            parts.append(VENDORS_CONFIG.sub(AT_OUR_SERVICE, text))
        elif language == "python":
            parts.append(f".venv/bin/python - <<'END'\n{text}END")
        elif name:
            parts.append(f"cat > {name[1]} <<'END'\n{text}END")
    return "\n".join([*parts, "exit 0"])


@pytest.fixture(scope="session")
def vendor(tmp_path_factory, http):
    """The service, with the account whose key the pages show."""
    options = ServiceOptions(
        tmp_path_factory.mktemp("vendor"),
        keys=(ApiKey(KEY, 10_000),),
        requests_per_minute=6_000,
        engine="copy",
    )
    with running_service(options) as service:
        yield Provider(service.api_url, KEY, http, 10_000)


@pytest.fixture
def clone(tmp_path):
    """What a new person has: a clone that is set up, and some music at home."""
    venv = Path(sys.prefix)
    if not (venv / ".test").exists():
        pytest.skip("This Python was not set up by make: a clone of it would be set up anew.")
    folder = tmp_path / "stemline"
    folder.mkdir()
    (folder / ".venv").symlink_to(venv)
    (folder / "tests").symlink_to(ROOT / "tests")
    for name in COPIED:
        os.utime(
            shutil.copy(ROOT / name, folder), (0, 0)
        )  # older than what make has set up: nothing is missing
    shutil.copytree(ROOT / "configs", folder / "configs")
    make_songs(tmp_path / "Music", SONGS, seconds=6)
    return folder


def run_on_a_terminal(script: str, folder: Path, **env: str) -> tuple[int, str]:
    """Run a script of bash's and say yes to what is asked; give its exit code and all that was shown."""
    ours, theirs = pty.openpty()
    environment = {**clean_environment(folder.parent), "TERM": "dumb", **env}
    process = subprocess.Popen(
        ["/bin/bash", "-c", script], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, b"y\n" * 8)
    shown = b""
    try:
        with suppress(OSError):  # the terminal ends with whoever held it
            while block := os.read(ours, 1 << 12):
                shown += block
        return process.wait(30), shown.decode()
    finally:
        os.close(ours)  # it hangs up: whoever still runs there is told to end


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "docs" / "quickstart.md"], ids=lambda page: page.name
)
def test_what_a_page_has_typed_is_a_script(page):
    """The tests below run it; this one takes no time."""
    script = script_of(page)
    assert script.count(".venv/bin/stemline ") > 3
    done = subprocess.run(["/bin/bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_the_readme_leads_from_a_clone_to_stems_by_a_vendor(clone, vendor):
    """Of the tests that `make test` would run, some: all of them contain this one."""
    before = vendor.charged
    code, shown = run_on_a_terminal(
        script_of(ROOT / "README.md"), clone, VENDOR=vendor.url, PYTEST_ADDOPTS="tests/test_names.py"
    )
    assert code == 0, shown
    assert len(pd.read_parquet(clone / "demo" / "dataset" / "tracks")) == 12
    tracks = pd.read_parquet(clone / "stems" / "tracks")
    assert sorted(tracks["provider"]) == ["local"] * SONGS + ["stemsplit"] * SONGS
    charged = tracks.loc[tracks["provider"] == "stemsplit", "credits_charged"].sum()
    assert vendor.charged - before == charged > 0
    assert len(list((clone / "stems" / "_stemline" / "runs").glob("*.html"))) == 2


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_the_first_hour(clone, vendor):
    """Behind what the README has typed, in the same clone: as the pages are read."""
    started = re.sub(r"(?m)^make .*\n", "", script_of(ROOT / "README.md")).removesuffix("exit 0")
    before = vendor.charged
    code, shown = run_on_a_terminal(
        started + script_of(ROOT / "docs" / "quickstart.md"), clone, VENDOR=vendor.url
    )
    assert code == 0, shown
    assert len(pd.read_parquet(clone / "music-stems" / "tracks")) == SONGS
    tracks = pd.read_parquet(clone / "label-stems" / "tracks")
    rows = set(tracks[["provider", "track_id", "title", "mood"]].itertuples(index=False, name=None))
    assert rows == {
        (provider, f"mine-{number}", f"Song {number}", "calm")
        for provider in ("local", "stemsplit")
        for number in range(1, SONGS + 1)
    }
    assert vendor.charged > before
    assert "missing_file" in "".join(
        file.read_text() for file in (clone / "label-stems").rglob("rejects/*.csv")
    )
