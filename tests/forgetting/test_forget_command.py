"""The command: who is asked, what is told, and the exit codes."""

from __future__ import annotations

import json

import pytest
import yaml
from support.estate import DATASET
from typer.testing import CliRunner

from stemline.cli.application import app
from stemline.dataset.identity import DATASET_KEY
from stemline.errors import UsageError
from stemline.rewrite.rewrite import RewritePlan
from stemline.rewrite.snapshot import live_parts
from stemline.run.rewriting import rewriting


@pytest.fixture
def ask(estate, tmp_path):
    """What calls the command about the filled dataset."""
    estate.store.put_bytes(DATASET_KEY, json.dumps({"dataset_id": DATASET}).encode())
    config = tmp_path / "night.yaml"
    tree = {
        "name": "night",
        "catalogue": {"manifest": str(tmp_path / "m.csv")},
        "provider": {"kind": "local"},
        "recipe": {"stems": "both"},
        "dataset": {"url": estate.store.url()},
        "ledger": {"url": f"sqlite:///{estate.file}"},
    }
    config.write_text(yaml.safe_dump(tree))
    return lambda *words: CliRunner().invoke(app, ["forget", str(config), *words])


def test_a_person_reads_what_was_done(ask, estate):
    done = ask("--artist", "Nina Simone", "--yes")
    assert done.exit_code == 0, done.output
    for line in (
        "forgotten 4 tracks",
        "✓ tables: 4 objects, 6 rows before, nothing left",
        "outside ",
        "proof ",
    ):
        assert line in done.output
    assert "Later tracks of this artist are rejected too." in done.output
    assert estate.traces("Nina", "goes-") == []


def test_nobody_is_there_to_be_asked(ask, estate):
    assert isinstance(ask("--track", "goes-01").exception, UsageError)
    assert "goes-01" in estate.rows()


def test_nothing_is_meant(ask):
    found = ask("--artist", "Nina Simon", "--yes")
    assert "Near to it are: Nina Simone." in str(found.exception)
    assert "Near to it are: Nina Simone." in str(ask("--artist", "Nina Simon", "--dry-run").exception)
    assert ask("--artist", "Nina Simon", "--dry-run", "--json").exit_code == 2


def test_all_that_is_meant_is_under_way(ask, estate):
    estate.ready("waits-1", artist="Bob")
    found = ask("--artist", "Bob", "--yes", "--json")
    assert found.exit_code == 3
    assert json.loads(found.stdout)["under_way"] == {"waits-1": "ready"}
    assert estate.ledger.forgetting.tombstones() == []


def test_a_look_tells_what_would_go(ask):
    told = ask("--track", "goes-01", "--dry-run")
    assert told.exit_code == 0
    assert "tables: 2 objects, 3 rows" in told.output
    assert "audio: 2 objects" in told.output


def test_a_part_that_is_gone_and_a_release_that_says_nothing_of_itself_stop_nothing(ask, estate):
    part = next(key for key in live_parts(estate.store) if key.startswith("tracks/"))
    with rewriting(estate.ledger, estate.store, DATASET) as rewriter:
        rewriter.commit(RewritePlan("nothing", "compact", ()))  # from here on the snapshot lists the part
    estate.store.delete(part)
    estate.store.put_bytes("releases/v1/release.json", b"[]")

    done = ask("--artist", "Nina Simone", "--yes")

    assert done.exit_code == 0, done.output
    assert estate.traces("Nina", "goes-") == []
