"""A gate before spending: rows without the rights are rejected, the others go on, what is published stays."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.long

RIGHTS = [("CC BY 4.0", "yes"), ("mit or gpl-3.0", "no"), ("CC BY", "yes"), ("", "perhaps")]
FREE = {"licenses": ["CC0-1.0", "cc by 4.0", "MIT"]}


@pytest.fixture
def catalogue(project):
    rows = project.good_rows(4)
    project.write_manifest(
        row | {"license": text, "ai_training": said} for row, (text, said) in zip(rows, RIGHTS, strict=True)
    )
    project.write_config(catalogue={"require_rights": FREE})
    return project


def test_only_what_has_the_rights_is_paid_for_and_plan_and_rejects_say_why(catalogue):
    plan = catalogue.stemline("plan", catalogue.config, "--json").tree
    assert (plan["tracks"]["new"], plan["tracks"]["rejected"]) == (2, 2)
    assert plan["doubtful"] == {
        "released_on": 0,
        "isrc": 0,
        "license": 0,
        "ai_training": 0,
        "duration_seconds": 0,
    }
    assert [(each["row"], each["code"]) for each in plan["rejects"]] == [
        (3, "rights_not_granted"),
        (4, "rights_not_granted"),
    ]
    assert plan["rejects"][0]["sentence"] == (
        'The license is unknown (its license: "CC BY"); catalogue.require_rights takes only tracks licensed under '
        "CC-BY-4.0, CC0-1.0 or MIT."
    )

    first = catalogue.run()

    assert first.code == 3
    assert first.tree["tracks"] == {"published": 2, "rejected": 2}
    assert first.tree["codes"]["rights_not_granted"] == 2
    assert catalogue.jobs_by_track().keys() == {"t00", "t01"}
    assert len(list((catalogue.dataset / "_stemline/rejects").iterdir())) == 2
    tracks = catalogue.tracks().set_index("track_id")
    assert tracks[["license", "license_spdx", "ai_training"]].to_dict("index") == {
        "t00": {"license": "CC BY 4.0", "license_spdx": "CC-BY-4.0", "ai_training": "allowed"},
        "t01": {"license": "mit or gpl-3.0", "license_spdx": "MIT OR GPL-3.0-only", "ai_training": "denied"},
    }

    # A gate that closes leaves alone what is published, and costs nothing.
    stricter = catalogue.run("--set", "catalogue.require_rights=true")
    assert stricter.tree["tracks"] == {"published": 3, "rejected": 1}
    assert catalogue.jobs_by_track() == {"t00": 1, "t01": 1, "t02": 1}


def test_without_a_gate_all_go_and_what_is_not_clear_is_told(catalogue):
    plan = catalogue.stemline(
        "plan", catalogue.config, "--json", "--set", "catalogue.require_rights=false"
    ).tree

    assert plan["tracks"]["new"] == 4
    assert plan["doubtful"] == {
        "released_on": 0,
        "isrc": 0,
        "license": 1,
        "ai_training": 1,
        "duration_seconds": 0,
    }


def test_a_run_tells_what_is_not_clear(catalogue):
    done = catalogue.stemline(
        "run", catalogue.config, "--yes", "--limit", "4", "--set", "catalogue.require_rights=null"
    )

    assert done.code == 0, done.err
    assert "1 track with ai_training neither allowed nor denied: unknown" in done.out
    assert catalogue.tracks().set_index("track_id").ai_training["t03"] == "unknown"
