"""Rows whose rights do not pass the configuration's gate, rejected before anything is opened or spent."""

from __future__ import annotations

import pytest

from stemline.errors import ConfigError
from stemline.manifest import ManifestSource
from stemline.plan.survey import survey_catalogue
from stemline.records import Code
from stemline.settings import build_settings, load_facts

ROWS = """uri,track_id,duration_seconds,license,AI_Training
https://h/a,a,9,CC BY 4.0,yes
https://h/b,b,9,mit OR Zlib,no
https://h/c,c,9,CC BY,perhaps
https://h/d,d,9,,
"""


def settings_with(tmp_path, required):
    tree = {
        "catalogue": {"manifest": "x.csv", "require_rights": required},
        "provider": {"kind": "local"},
        "dataset": {"url": str(tmp_path / "out")},
    }
    return build_settings(tree, tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("required", "taken"),
    [
        (None, "abcd"),
        (False, "abcd"),
        (True, "a"),
        (["cc by 4.0", "MIT"], "ab"),
        ("Zlib", "b"),
        ({"licenses": ["MIT", "CC-BY-4.0"], "ai_training": True}, "a"),
        ({"ai_training": "yes"}, "a"),
        ({"licenses": "CC0-1.0"}, ""),
    ],
)
def test_a_row_goes_on_only_with_the_rights_that_are_required(tmp_path, required, taken):
    gate = settings_with(tmp_path, required).catalogue.rights_gate
    manifest = tmp_path / "x.csv"
    manifest.write_text(ROWS)

    found = list(
        survey_catalogue(ManifestSource(str(manifest)), load_facts("stemsplit"), lambda _: (), gate=gate)
    )

    assert "".join(track.track_id for batch in found for track in batch.tracks) == taken
    rejects = [reject for batch in found for reject in batch.rejects]
    assert len(rejects) == 4 - len(taken)
    assert {reject.code for reject in rejects} <= {Code.RIGHTS_NOT_GRANTED}


def test_what_is_paid_for_already_stays(tmp_path):
    gate = settings_with(tmp_path, ["CC0-1.0"]).catalogue.rights_gate
    manifest = tmp_path / "x.csv"
    manifest.write_text(ROWS)

    (batch,) = survey_catalogue(
        ManifestSource(str(manifest)), load_facts("stemsplit"), lambda _: {"d"}, gate=gate
    )

    assert [track.track_id for track in batch.tracks] == ["d"]
    assert batch.rejects[2].sentence == (
        'The license is unknown (its license: "CC BY"); '
        "catalogue.require_rights takes only tracks licensed under CC0-1.0."
    )


@pytest.mark.parametrize(
    ("required", "sentence"),
    [
        (["CC-BY-5.0"], "'CC-BY-5.0' is no SPDX license id. Near ones are CC-BY-4.0"),
        ({"licenses": []}, "no license is named"),
        ({"licenses": [7]}, "require_rights.licenses"),
        ({}, "name licenses or set ai_training to true"),
        ({"ai_training": "sometimes"}, "require_rights.ai_training"),
        ({"licences": ["MIT"]}, "the nearest known one is `catalogue.require_rights.licenses`"),
        (3, "must be a section with keys of its own"),
        (["MIT OR Zlib"], "'MIT OR Zlib' is more than one license"),
    ],
)
def test_what_is_no_demand_is_refused_in_one_sentence(tmp_path, required, sentence):
    with pytest.raises(ConfigError) as refused:
        settings_with(tmp_path, required)

    assert sentence in str(refused.value)
    assert ".." not in str(refused.value)
