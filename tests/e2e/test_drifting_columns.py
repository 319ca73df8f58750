"""Nights on which the manifest's columns change, as whole runs; the rest is proven on the tables alone."""

from __future__ import annotations

import pytest
from support.weeks import read_by_everyone


@pytest.mark.long
def test_nights_of_drifting_columns_end_in_tables_that_everyone_reads(project):
    first, second = project.good_rows(2)
    rows = [{**first, "cat_no": "1001", "mood": ""}]
    project.write_manifest(rows)
    project.write_config()
    assert project.run().code == 0
    balance = project.provider.balance

    rows = [{**rows[0], "mood": "calm"}, {**second, "cat_no": "WARP-7", "label": "Warp"}]
    project.write_manifest(rows)
    refused = project.run()
    assert refused.code == 2
    assert 'Row 2 has "WARP-7" in column "cat_no"' in refused.err
    assert (project.provider.balance, len(project.tracks())) == (balance, 1)

    assert "catalogue.types: {cat_no: text}" in " ".join(refused.err.split())
    project.write_config(catalogue={"types": {"cat_no": "text"}})
    planned = project.stemline("plan", project.config, "--json").tree
    assert (planned["tracks"]["new"], planned["tracks"]["changed"]) == (1, 1)
    done = project.run()

    assert (done.code, done.tree["corrected"]) == (0, 1), done.err
    assert read_by_everyone(project.dataset, "cat_no", "mood", "label", "recipe") == {
        "t00": ("1001", "calm", None, "both-fast-wav"),
        "t01": ("WARP-7", "m1", "Warp", "both-fast-wav"),
    }
    project.assert_published_once(2)
