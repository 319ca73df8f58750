"""Two configurations with a manifest each: one dataset, one ledger, one budget."""

from __future__ import annotations

import pytest


@pytest.mark.long
def test_a_large_catalogue_may_be_split_into_configurations(project):
    rows = project.good_rows(8)
    project.write_manifest(rows[:4])
    project.write_config()
    assert project.run("--set", "name=first").code == 0
    project.write_manifest([rows[3], *rows[4:]])
    done = project.run("--set", "name=second")
    assert done.code == 0, done.err
    assert done.tree["published"] == {"by_this_run": 4, "by_others": 0, "before": 1}
    project.assert_published_once(8)
