"""What cannot work ends at once: one sentence, the fix, the exit code, nothing paid."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

MOUNT, UMOUNT = (shutil.which(name) or name for name in ("mount", "umount"))


def assert_one_sentence(project, code, *words, argv=(), **env):
    """Run both ways: for a person and for a program; give the program's error."""
    said = project.stemline("run", project.config, "--yes", *argv, **env)
    text = " ".join(said.err.split())
    assert said.code == code, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert text.count("Error:") == 1
    told = project.run(*argv, **env)
    assert told.code == code
    error = told.tree["error"]
    assert set(error) == {"kind", "message", "fix"}
    for word in words:
        assert word in error["message"] + error["fix"], error
        assert word in text
    assert "\n" not in error["message"]
    return error


def test_a_missing_manifest(project):
    project.prepare(2, catalogue={"manifest": "nowhere.csv"})
    error = assert_one_sentence(project, 2, "nowhere.csv")
    assert error["kind"] == "ManifestError"


def test_an_empty_manifest(project):
    project.prepare(2)
    (project.folder / "catalogue.csv").write_text("")
    assert_one_sentence(project, 2, "catalogue.csv")


def test_an_unknown_key_names_the_nearest(project):
    project.prepare(2, provider={"requests_per_minit": 60})
    assert_one_sentence(project, 2, "provider.requests_per_minit", "requests_per_minute")


def test_a_missing_variable_is_named(project):
    project.prepare(2, catalogue={"where": "${NO_SUCH_VARIABLE}"})
    assert_one_sentence(project, 2, "NO_SUCH_VARIABLE")


def test_a_missing_configuration(project):
    gone = project.stemline("run", "nowhere.yaml", "--json")
    assert gone.code == 2
    assert "nowhere.yaml" in gone.tree["error"]["message"]


def test_a_key_written_twice_in_the_configuration(project):
    project.prepare(2)
    project.config.write_text(project.config.read_text() + "dataset: {url: elsewhere}\n")
    assert_one_sentence(project, 2, "dataset")


def test_a_recipe_the_provider_lacks(project):
    project.prepare(2, recipe={"stems": "seven"})
    assert_one_sentence(project, 2, "recipe.stems")


def test_a_filter_that_is_no_sql(project):
    project.prepare(2)
    assert_one_sentence(project, 2, "filter", argv=("--where", "mood = = 1"))


def test_a_column_that_nothing_can_be_partitioned_by(project):
    project.prepare(2, dataset={"partition_by": ["planet"]})
    assert_one_sentence(project, 2, "planet")


def test_a_dataset_that_cannot_be_written(project):
    (project.folder / "wall").write_text("a file where a folder should be")
    project.prepare(2, dataset={"url": str(project.folder / "wall" / "dataset")})
    error = assert_one_sentence(project, 2, "wall")
    assert error["kind"] == "StorageError"
    assert project.provider.charged == 0


def test_a_ledger_that_is_none(project):
    project.prepare(2)
    project.ledger.write_text("no database at all, and long enough to be read" * 10)
    assert_one_sentence(project, 2, "night.db")


@pytest.mark.parametrize("argv", [[], ["--json"]])
@pytest.mark.long
def test_nobody_to_ask_is_no_consent_to_spend(project, argv):
    project.prepare(2, provider={"kind": "stemsplit"})
    refused = project.stemline("run", project.config, *argv)
    assert refused.code == 2, refused.err
    assert "nobody to ask" in " ".join(refused.err.split())
    assert "Add --yes" in " ".join(refused.err.split())
    assert not project.ledger.exists()
    assert project.stemline("run", project.config, "--yes", *argv).code == 0


def test_a_wrong_key(project):
    project.prepare(2)
    refused = project.run(STEM_KEY="sk_wrong")
    assert refused.code == 5, refused.err
    assert refused.tree["tracks"] == {"held": 2}
    assert refused.tree["codes"] == {"run_stopped": 2}
    assert "provider.api_key" in " ".join(refused.err.split())
    assert "sk_wrong" not in refused.err + refused.out
    said = project.stemline("run", project.config, "--yes", STEM_KEY="sk_wrong")
    assert said.code == 5
    assert "provider.api_key" in " ".join(said.err.split())
    status = " ".join(project.stemline("status", project.config).out.split())
    assert "provider.api_key" in status
    assert "budget" not in status + said.out
    assert project.run().code == 0
    project.assert_published_once(2)


@pytest.mark.long
def test_a_provider_that_is_not_there(project, free_port):
    project.prepare(2, provider={"base_url": f"http://127.0.0.1:{free_port}/api/v1"})
    started = time.monotonic()
    gone = project.run()
    print(f"a dead provider was given up after {time.monotonic() - started:.0f} s")  # noqa: T201 - a figure
    assert gone.code == 5, gone.err
    assert gone.tree["tracks"] == {"held": 2}
    assert gone.tree["codes"] == {"run_stopped": 2}
    assert "provider.base_url" in " ".join(gone.err.split())
    assert "Traceback" not in gone.err
    project.write_config()
    assert project.run().code == 0


@contextmanager
def small_disk(folder, size):
    """A file system of so many bytes."""
    folder.mkdir()
    mount = [MOUNT, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small disk")
    try:
        yield
    finally:
        subprocess.run([UMOUNT, "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_ends_the_run_and_space_finishes_it_unpaid(project):
    disk = project.folder / "disk"
    project.dataset_folder = disk / "dataset"
    with small_disk(disk, "600k"):
        project.prepare(5, dataset={"url": str(project.dataset)})
        full = project.run()
        assert full.code == 2, full.err
        assert full.tree["error"]["kind"] == "StorageError"
        assert "Traceback" not in full.err
        subprocess.run([MOUNT, "-o", "remount,size=50m", str(disk)], check=True)
        done = project.run()
        assert done.code == 0, done.err
        project.assert_published_once(5)


def test_status_counts_the_requests_of_a_run_that_its_first_answer_ended(project):
    project.prepare(2)
    done = project.run(STEM_KEY="sk_live_nobody")
    assert done.code == 5
    sent = done.tree["requests"]["sent"]
    assert sent > 0
    assert project.stemline("status", project.config, "--json").tree["requests"]["sent"] == sent
