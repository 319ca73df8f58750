"""Weeks of manifests whose values are of any sort: read by everyone, or refused with a fix that works."""

from __future__ import annotations

import json
import random
import re

import pytest
from support.weeks import READERS, Weeks, read_by_everyone

from stemline.errors import ManifestError

COLUMNS = "vwx"
VALUES = [
    *(1, 2**63, 10**30, 1.5, -0.0, True, None, None, "", "x", "00123", "1.10", "true", "infinity"),
    *("2020-01-01", "2020-01-01 01:02:03", [], [None], [1], [1.5], ["a"], [True], [[1]], [{}], {}),
    *({"a": 1}, {"a": "x"}, {"A": 1}, {"b": [1]}, {"a": None}, {"a": {"z": 1}}, {"a": {"y": []}}),
    *([{"a": 1}], [{"b": 2}], [{"a": "t"}]),
]
ALL = 43
FEW = 3


@pytest.mark.parametrize(
    "seed", [*range(FEW), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(FEW, ALL))]
)
@pytest.mark.long
def test_every_week_is_published_as_it_was_given(tmp_path, seed, monkeypatch):
    monkeypatch.delitem(READERS, "datasets")  # a second of each look
    chance, weeks = random.Random(seed), Weeks(tmp_path)  # noqa: S311
    given = {}
    for week in range(4):
        columns, pool = chance.sample(COLUMNS, chance.randint(1, 3)), chance.sample(VALUES, 4)
        rows = [
            {
                "uri": f"https://h/{week}{row}",
                "track_id": f"{week}{row}",
                **{name: chance.choice(pool) for name in columns},
            }
            for row in range(chance.randint(1, 2))
        ]
        publish(weeks, rows, {name: "text" for name in columns if chance.random() < 0.1})
        given |= {row["track_id"]: row for row in rows}
        names = [name for name in COLUMNS if name in weeks.layout.carried.names]
        found = read_by_everyone(tmp_path / "out", *names)
        assert {track_id: [value is None for value in row] for track_id, row in found.items()} == {
            track_id: [row.get(name) is None for name in names] for track_id, row in given.items()
        }


def publish(weeks, rows, types):
    """Publish rows, doing what the refusals say."""
    manifest = weeks.write("m.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(len(COLUMNS) + 1):
        try:
            return weeks.run(manifest, **types)
        except ManifestError as error:
            name = re.search(r"catalogue.types: {(\w): text}", error.fix)[1]
            assert name not in types
            types[name] = "text"
    raise AssertionError(types)
