"""A plan saved in a file holds as long as nothing that matters for its cost has changed."""

from __future__ import annotations

import json

import pytest

from stemline.errors import PlanOutdated, UsageError
from stemline.manifest import ManifestSource
from stemline.plan import row_digest
from stemline.plan.preview import preview_run
from stemline.plan.saved_plan import check_plan, save_plan
from stemline.records import State, Track


class PlanFile:
    """A catalogue and its plan, saved in a file."""

    def __init__(self, catalogue):
        self.catalogue, self.path = catalogue, catalogue.folder / "plan.json"

    def plan(self, *overrides: str, **slice_):
        settings, source = self.catalogue.settings(*overrides), self._source(slice_)
        return save_plan(self.path, settings, source, preview_run(settings, source, self.catalogue.facts))

    def check(self, *overrides: str, **slice_):
        settings = self.catalogue.settings(*overrides)
        return check_plan(self.path, settings, self._source(slice_), self.catalogue.facts)

    def refusal(self, *overrides: str, **slice_) -> str:
        with pytest.raises(PlanOutdated) as refused:
            self.check(*overrides, **slice_)
        assert refused.value.exit_code == 2
        assert refused.value.fix == f"Make a new plan with `stemline plan … --out {self.path}`."
        found = refused.value.message.removeprefix(f"The plan {self.path} no longer holds: ")
        assert found != refused.value.message
        return found

    def _source(self, slice_) -> ManifestSource:
        return ManifestSource(self.catalogue.source.manifest, **slice_)


@pytest.fixture
def plan_file(catalogue):
    """Six tracks of a minute, and their plan."""
    for name in "abcdef":
        catalogue.row(name, f"https://x.example/{name}.mp3", 60)
    return PlanFile(catalogue)


def test_a_plan_holds_while_nothing_changes(plan_file):
    saved = plan_file.plan()

    assert plan_file.check() == saved
    assert (saved.name, saved.rows, saved.tracks["new"]) == ("nightly", 6, 6)
    assert (saved.credits.low, saved.credits.high) == (360, 360)


def test_the_same_catalogue_gives_the_same_digests_in_any_order(plan_file):
    first = plan_file.plan()
    head, *lines = plan_file.catalogue.rows
    plan_file.catalogue.rows = [head, *reversed(lines)]
    second = plan_file.plan()

    assert (first.manifest_digest, first.config_digest) == (second.manifest_digest, second.config_digest)
    assert first.by_id == second.by_id


@pytest.mark.parametrize("row", ["a,https://x.example/a.mp3,61,0", "a,https://y.example/a.mp3,60,0"])
def test_another_length_or_location_is_another_digest(plan_file, row):
    before = plan_file.plan().manifest_digest
    plan_file.catalogue.rows[1] = row

    assert plan_file.plan().manifest_digest != before


def test_rows_that_are_new_gone_or_changed_are_counted_and_named(plan_file):
    plan_file.plan()
    lines = plan_file.catalogue.rows
    lines[1:3] = ["a,https://x.example/other.mp3,60,0", "b,https://x.example/b.mp3,59,0"]
    lines.pop()
    for name in "vwxyz":
        plan_file.catalogue.row(name, f"https://x.example/{name}.mp3", 1)

    # A second is too short for the vendor: unusable rows are none.
    assert plan_file.refusal() == "1 row is gone (f); 2 rows are changed (a, b)."
    for name in "vwxyz":
        plan_file.catalogue.row(f"{name}{name}", f"https://x.example/{name}.mp3", 10)
    assert plan_file.refusal().startswith(
        "5 rows are new (vv, ww, xx, …); 1 row is gone (f); 2 rows are changed"
    )


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("recipe.quality=fast", "recipe.quality was 'best' and is 'fast'."),
        ("provider.kind=local", "provider.kind was 'stemsplit' and is 'local'."),
        ("budget.run=50", "budget.run was not set and is 50."),
        ("catalogue.order_by=track_id", "catalogue.order_by was not set and is 'track_id'."),
        ("name=weekly", "name was 'nightly' and is 'weekly'."),
    ],
)
def test_another_configuration_is_named_by_its_key(plan_file, override, sentence):
    plan_file.plan()

    assert plan_file.refusal(override) == sentence


def test_another_selection_is_named(plan_file):
    plan_file.plan(where="track_id < 'c'")

    assert plan_file.refusal(limit=3) == (
        "catalogue.where was \"track_id < 'c'\" and is not set; limit was not set and is 3."
    )
    assert plan_file.check(where="track_id < 'c'").rows == 2


@pytest.mark.parametrize(
    "override", ["provider.max_in_flight=3", "execution.workers=1", "dataset.url=/elsewhere"]
)
def test_what_does_not_set_the_cost_may_change(plan_file, override):
    plan_file.plan()

    assert plan_file.check(override)


def test_finished_tracks_are_no_drift(plan_file, history):
    """Not even when their files are gone: nothing is paid for them again."""
    plan_file.plan()
    for name in "ab":
        history.bring(name, State.PUBLISHED, f"https://x.example/{name}.mp3")
    assert plan_file.check()
    plan_file.catalogue.rows.pop(1)

    assert plan_file.check()


def test_a_failed_track_that_is_tried_again_is_no_drift(plan_file, history):
    plan_file.plan()
    history.ledger.tracks.plan(
        history.run_id, [Track("a", "https://x.example/a.mp3", 1, duration_seconds=60)]
    )

    assert plan_file.check()


def test_what_is_left_may_not_cost_more_than_the_plan_says(plan_file, history):
    """A ledger that is lost makes all finished tracks new ones."""
    for name in "abcdef":
        history.bring(name, State.PUBLISHED, f"https://x.example/{name}.mp3")
    assert plan_file.plan().credits.high == 0
    plan_file.catalogue.lose_ledger()

    assert plan_file.refusal() == "what is left may cost 360 credits and the plan says 0 at most."


def test_of_very_many_rows_only_the_digest_is_kept(plan_file, monkeypatch):
    monkeypatch.setattr(row_digest, "MOST_ROWS", 5)
    assert plan_file.plan().by_id is None
    assert plan_file.check()
    plan_file.catalogue.rows.pop()

    assert plan_file.refusal() == "the rows are others (6 were usable and 5 are)."


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[:-40], "Invalid JSON"),
        (lambda _: "{}", "`name`: Field required"),
        (lambda _: "[1, 2]", "no plan"),
        (lambda _: "", "Invalid JSON"),
        (lambda text: text.replace('"stemline_plan": 1', '"stemline_plan": 2'), "`stemline_plan`"),
        (lambda text: text.replace('"bottleneck"', '"bottle"'), "`bottleneck`: Field required"),
        (lambda text: text.replace('"high": 360', '"high": "much"'), "`credits.high"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_with_the_reason(plan_file, damage, words):
    plan_file.plan()
    plan_file.path.write_text(damage(plan_file.path.read_text()))
    with pytest.raises(UsageError) as refused:
        plan_file.check()

    assert not isinstance(refused.value, PlanOutdated)
    assert words in refused.value.message
    assert str(plan_file.path) in refused.value.message
    assert "--out" in refused.value.fix


def test_bytes_that_are_no_text_are_refused(plan_file):
    plan_file.path.write_bytes(b"\xff\xfe\x00PAR1")
    with pytest.raises(UsageError, match="is no plan of this stemline"):
        plan_file.check()


def test_a_plan_that_is_missing_is_named(plan_file):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        plan_file.check()


def test_a_plan_that_cannot_be_written_is_named(plan_file):
    plan_file.path = plan_file.catalogue.folder / "nowhere" / "plan.json"
    with pytest.raises(UsageError, match=r"cannot be written to .*plan\.json: No such file"):
        plan_file.plan()


@pytest.mark.parametrize("text", ["name: night\n", '{"uri": "a.mp3"}', "\x00\u00ff", "stemline_plan"])
def test_a_file_that_is_no_plan_is_not_written_over(plan_file, text):
    plan_file.path.write_text(text)
    with pytest.raises(UsageError, match=r"plan\.json is there already and is no plan"):
        plan_file.plan()
    assert plan_file.path.read_text() == text
    with pytest.raises(UsageError) as refused:
        plan_file.check()
    assert refused.value.fix == "Make one with `stemline plan … --out FILE`."


@pytest.mark.parametrize("text", ["", '{\n "stemline_plan": 1,\n "na', '{"stemline_backfill": 1}'])
def test_an_older_plan_is_written_over_even_where_it_was_cut_off(plan_file, text):
    plan_file.path.write_text(text)
    saved = plan_file.plan()
    assert plan_file.check() == saved


def test_a_plan_is_plain_json_one_line_a_row(plan_file):
    plan_file.plan()
    tree = json.loads(plan_file.path.read_text())

    assert tree["stemline_plan"] == 1
    assert tree["by_id"]["a"].split()[1] == "60"
    assert '"a": "' in plan_file.path.read_text()
