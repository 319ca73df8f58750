"""verify, on a real workplace."""

from __future__ import annotations


def test_a_dataset_is_verified_damaged_and_verified_again(project):
    project.prepare(3)
    assert project.run().code == 0
    sound = project.stemline("verify", project.config, "--decode", "--json")
    assert sound.code == 0, sound.out + sound.err
    assert {name: sound.tree[name] for name in ("objects", "missing", "extra", "altered")} == {
        "objects": 6,
        "missing": [],
        "extra": [],
        "altered": [],
    }
    assert project.stemline("compact", project.config).code == 0
    gone, cut, *_ = sorted(project.stems()["path"])
    (project.dataset / gone).unlink()
    (project.dataset / cut).write_bytes((project.dataset / cut).read_bytes()[:-1])
    (project.dataset / "audio" / "stray.wav").write_bytes(b"RIFF")
    told = project.stemline("verify", project.config, "--json")
    assert told.code == 3
    assert [told.tree[word] for word in ("missing", "extra", "altered")] == [
        [gone],
        ["audio/stray.wav"],
        [cut],
    ]
    shown = project.stemline("verify", project.config, "--sample", "2")
    assert shown.code == 3
    assert f"missing       {gone}" in shown.out
    assert "Traceback" not in shown.err


def test_nothing_is_alarmed_about_where_nothing_has_run(project):
    project.prepare(1)
    empty = project.stemline("verify", project.config, "--json")
    assert (empty.code, empty.tree["parts"], empty.tree["objects"]) == (0, 0, 0)
    assert not project.dataset.exists()
