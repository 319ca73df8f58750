"""Stems that do not come as they should: whole catalogues arrive all the same, or cost no more than a pilot."""

from __future__ import annotations

import csv

import pytest
import yaml

DOWNLOAD = "GET /storage/outputs/*"
PILOT = 3
"""How many tracks a pilot is."""
KINDS = {
    "stems_silent": "Every stem is silent.",
    "stems_stretched": "lasts",
    "stem_missing": "The provider returned no",
    "format_ignored": "Its stems are",
    "page_for_stem": "the server answers with a web page",
}


def reconfigure(scenario, **sections):
    """Change the configuration of a scenario."""
    config = scenario.project.config
    tree = yaml.safe_load(config.read_text())
    for name, section in sections.items():
        tree[name] = {**tree.get(name, {}), **section}
    config.write_text(yaml.safe_dump(tree))


def behave_as_the_vendor(scenario, **provider):
    """Work with the facts of the vendor itself."""
    if scenario.accounts[0].dialect == "stemsplit":
        provider = {"kind": "stemsplit", **provider}
    reconfigure(scenario, provider=provider)


def jobs(scenario) -> int:
    return scenario.project.query("SELECT count(*) FROM attempts WHERE job_id IS NOT NULL")[0][0]


def quarantined_files(scenario) -> list[str]:
    return [name for name in scenario.project.files("_stemline") if "/quarantine/" in name]


def every_kind():
    for kind in KINDS:
        for dialect in ("stemsplit", "aistemsplitter"):
            is_short = (kind, dialect) == ("stems_silent", "stemsplit")
            yield pytest.param(kind, dialect, marks=() if is_short else pytest.mark.long)


@pytest.mark.long
@pytest.mark.by_turns
@pytest.mark.parametrize(("kind", "dialect"), every_kind())
def test_a_bad_vendor_costs_three_tracks_however_often_it_is_tried(new_scenario, vendor, kind, dialect):
    scenario = new_scenario(6, dialect=dialect)
    behave_as_the_vendor(scenario)
    vendor.set_faults([{"fault": kind, "factor": 9}])
    for _ in range(2):
        run = scenario.run()
        assert run.code == 3, run.out + run.err
        assert KINDS[kind] in run.tree["reason"]
        assert run.tree["tracks"]["held"] == 3
        assert run.tree["codes"]["pilot"] == 3
        assert jobs(scenario) == PILOT
    assert scenario.charged == scenario.project.charges()
    assert scenario.project.open_reservations() == 0


@pytest.mark.long
def test_what_was_paid_and_not_delivered_is_accepted_or_collected_again_for_nothing(new_scenario, vendor):
    scenario = new_scenario(3)
    behave_as_the_vendor(scenario, pilot=0)
    project = scenario.project
    short = {"fault": "truncated_body", "endpoint": f"{DOWNLOAD}/vocals.wav"}
    good = {"fault": "page_for_stem", "endpoint": f"{DOWNLOAD}/instrumental.wav", "after": 1_000_000}
    vendor.set_faults([short, good])
    run = scenario.run()
    assert (run.code, run.tree["tracks"]) == (3, {"quarantined": 3}), run.out + run.err
    assert vendor.seen()["page_for_stem"] == 3  # what was good came once
    paid, booked = scenario.charged, project.query("SELECT count(*) FROM credit_entries")
    plan = project.stemline("plan", project.config, "--json").tree
    assert (plan["tracks"]["under_way"], plan["credits"]["high"]) == (3, 0)

    vendor.set_faults([good, {"fault": "server_error", "after": 1_000_000}])
    accepted = project.stemline("resolve", project.config, "t00", "--accept", "--json")
    assert accepted.code == 0, accepted.err
    assert (accepted.tree["settled"], accepted.tree["state"]) == ("accepted", "published")
    assert set(vendor.seen().values()) == {0}  # it asked nobody
    stems = project.stems()
    assert [word.split(",")[-1] for word in stems["verification"]] == ["accepted"] * 2
    assert set(stems["stem"]) == {"vocals", "instrumental"}
    refused = project.stemline("resolve", project.config, "t00", "--accept", "--json")
    assert "published, not quarantined" in refused.tree["error"]["message"]

    again = project.stemline("redrive", project.config, "--json")  # nothing is spent, so nobody is asked
    assert (again.code, again.tree["tracks"]) == (0, {"published": 2}), again.out + again.err
    assert "for nothing" in again.err
    assert "paid again" not in again.err
    assert vendor.seen()["page_for_stem"] == 0
    assert (scenario.charged, project.query("SELECT count(*) FROM credit_entries")) == (paid, booked)
    charged = project.query("SELECT track_id, credits_charged FROM attempts ORDER BY track_id")
    table = project.tracks().sort_values("track_id")[["track_id", "credits_charged"]]
    assert charged == list(table.itertuples(index=False, name=None))
    assert quarantined_files(scenario) == []
    assert scenario.run().code == 0


@pytest.mark.long
def test_a_key_that_was_replaced_leaves_what_it_paid_in_quarantine_and_says_why(new_scenario, vendor):
    """With the old key configured again, it is collected; a key of the same account is shown the job at once."""
    scenario = new_scenario(1, accounts=2)
    vendor.set_faults([{"fault": "truncated_body", "endpoint": f"{DOWNLOAD}/vocals.wav"}])
    assert scenario.run().tree["tracks"] == {"quarantined": 1}
    vendor.clear_faults()
    for _ in range(2):
        other = scenario.run(account=1)
        assert (other.code, other.tree["tracks"]) == (3, {"quarantined": 1})
    (sentence,) = scenario.project.query("SELECT sentence FROM tracks")[0]
    assert sentence.count("add that key to provider.keys") == 1
    assert scenario.run().tree["tracks"] == {"published": 1}
    assert jobs(scenario) == 1


@pytest.mark.long
def test_what_the_vendor_no_longer_keeps_is_paid_again_only_when_its_code_is_named(new_scenario, vendor):
    scenario = new_scenario(1)
    project = scenario.project
    vendor.set_faults([{"fault": "truncated_body", "endpoint": f"{DOWNLOAD}/vocals.wav"}])
    assert scenario.run().tree["tracks"] == {"quarantined": 1}
    vendor.set_faults([{"fault": "server_error", "after": 1_000_000}])
    age(scenario, days=15)
    assert scenario.run().tree["tracks"] == {"quarantined": 1}
    assert vendor.seen()["server_error"] == 0  # nothing is asked
    code = project.query("SELECT code FROM tracks")[0][0]
    again = project.stemline("redrive", project.config, "--code", code, "--json")
    assert (again.code, again.tree["tracks"]) == (0, {"published": 1})
    assert "paid again" in again.err
    assert jobs(scenario) == 2
    assert quarantined_files(scenario) == []  # not even what the first attempt left


def age(scenario, days: int) -> None:
    """Have everything been sent so much earlier."""
    import sqlite3  # noqa: PLC0415 - nothing else here writes to a ledger

    with sqlite3.connect(scenario.project.ledger) as connection:
        for token, sent_at in connection.execute("SELECT token, sent_at FROM attempts").fetchall():
            moved = connection.execute("SELECT datetime(?, ?)", (sent_at, f"-{days} days")).fetchone()[0]
            text = f"{moved}{sent_at[19:]}".replace(" ", sent_at[10])
            connection.execute("UPDATE attempts SET sent_at = ? WHERE token = ?", (text, token))


@pytest.mark.parametrize(("count", "share"), [(8, 0.12), pytest.param(120, 0.05, marks=pytest.mark.long)])
@pytest.mark.long
def test_with_short_and_broken_downloads_every_track_of_four_stems_arrives(
    new_scenario, vendor, count, share
):
    scenario = new_scenario(6)
    reconfigure(scenario, recipe={"stems": "four"})
    songs = [row["uri"] for row in scenario.project.good_rows(6)]
    with (scenario.project.folder / "catalogue.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["track_id", "uri"])
        table.writerows((f"t{number:03d}", songs[number % 6]) for number in range(count))
    vendor.set_faults(
        [
            {"fault": "truncated_body", "probability": share, "seed": 1},
            {"fault": "connection_cut", "endpoint": DOWNLOAD, "probability": share, "seed": 2},
            {"fault": "page_for_stem", "after": 1_000_000},
        ]
    )
    run = scenario.run()
    asked, struck = vendor.seen()["page_for_stem"], sum(vendor.clear_faults().values())
    assert (run.code, run.tree["tracks"]) == (0, {"published": count}), run.out + run.err
    assert struck > 0
    assert asked <= 4 * count + struck  # what was good came once
    assert jobs(scenario) == count
    assert quarantined_files(scenario) == []
