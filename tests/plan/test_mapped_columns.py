"""Plans of a catalogue with columns of its own names speak of ours: dates, ISRCs, changes, partitions, saved plans."""

from __future__ import annotations

import pytest

from stemline.errors import PlanOutdated
from stemline.plan.preview import preview_run
from stemline.plan.saved_plan import check_plan, save_plan
from stemline.run.selection import Selection, source_of
from stemline.settings import build_settings, load_facts

COLUMNS = {
    "track_id": "Nr",
    "uri": "Link",
    "isrc": "ISRC Code",
    "released_on": "Out",
    "duration_seconds": "Time",
}
HEADER = "Nr,Link,ISRC Code,Out,Time\n"


@pytest.fixture
def mapped(tmp_path):
    """Give the settings over a manifest with these rows."""

    def settings_over(*rows, **catalogue):
        (tmp_path / "m.csv").write_text(HEADER + "\n".join(rows))
        tree = {
            "catalogue": {"manifest": str(tmp_path / "m.csv"), "columns": COLUMNS, **catalogue},
            "provider": {"kind": "stemsplit"},
            "dataset": {"url": str(tmp_path / "d"), "partition_by": ["provider", "released_on"]},
        }
        return build_settings(tree, tmp_path / "c.yaml", environ={})

    return settings_over


def preview(settings):
    return preview_run(settings, source_of(settings, Selection()), load_facts("stemsplit"))


ROWS = ("a,https://h/a.mp3,GBAYE0601498,2004-05-06,1:00", "b,https://h/b.mp3,nonsense,some day,2:00")


def test_a_plan_looks_at_mapped_columns_as_at_ours(mapped):
    plan = preview(mapped(*ROWS))

    assert (plan.new, plan.workload.credits_high, plan.rejects) == (2, 180, [])
    assert (plan.metadata.bad_isrcs, plan.metadata.bad_dates) == (1, 1)


def test_a_saved_plan_holds_with_the_columns_it_was_made_with(mapped, tmp_path):
    settings = mapped(*ROWS)
    save_plan(tmp_path / "plan.json", settings, Selection(), preview(settings))

    def check(settings):
        return check_plan(
            tmp_path / "plan.json", settings, source_of(settings, Selection()), load_facts("stemsplit")
        )

    assert check(settings).credits.high == 180
    other = {name: theirs for name, theirs in COLUMNS.items() if name != "track_id"}
    with pytest.raises(PlanOutdated):
        check(mapped(*ROWS, columns=other))
