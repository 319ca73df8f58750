"""The Croissant file: what it says of tables, where they came from and what they may be used for.

That `mlcroissant` finds nothing wrong with it is a test in an environment of its own (test_other_environment.py).
"""

from __future__ import annotations

import json

import pyarrow as pa
import pytest


@pytest.fixture
def described(dataset):
    dataset.carried = pa.schema(
        [
            ("tags", pa.list_(pa.string())),
            ("my column/ü", pa.int64()),
            ("where", pa.struct([("x", pa.int64())])),
        ]
    )
    dataset.publish("a")
    dataset.publish("b", license="All rights reserved")
    dataset.publish("c", license=None)
    dataset.release("v1")
    return json.loads(dataset.store.read_bytes("releases/v1/croissant.json"))


def test_it_is_of_version_1_1_and_has_all_that_it_must(described):
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    required = {
        "@context",
        "@type",
        "description",
        "license",
        "name",
        "url",
        "creator",
        "datePublished",
        "distribution",
    }
    assert required <= described.keys()


def test_every_column_that_it_has_a_word_for_is_a_field(described, dataset):
    for record_set in described["recordSet"]:
        schema = dataset.layout.schema_of(record_set["name"])
        fields = {field["name"]: field for field in record_set["field"]}
        assert set(fields) == set(schema.names) - {"where"}
        assert len({field["@id"] for field in record_set["field"]}) == len(fields)
        assert {key["@id"] for key in record_set["key"]} <= {field["@id"] for field in record_set["field"]}
    tracks = {field["name"]: field for field in described["recordSet"][0]["field"]}
    assert tracks["tags"]["isArray"]
    assert tracks["my column/ü"]["@id"] == "tracks/my%20column/%C3%BC"
    assert tracks["bpm"]["dataType"] == "cr:Float64"
    assert tracks["collected_on"]["dataType"] == "sc:Date"


def test_it_says_where_it_came_from(described, dataset):
    assert described["prov:wasDerivedFrom"]["@id"] == f"urn:stemline:{dataset.record('v1')['dataset_id']}"
    stems = described["recordSet"][1]
    assert stems["prov:wasAttributedTo"] == [{"@type": "prov:Agent", "prov:label": "local"}]
    assert stems["prov:wasGeneratedBy"]["prov:label"] == "source separation: both-best-flac"


def test_each_track_is_used_as_its_licence_says_and_one_without_after_asking(described):
    assert described["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html", "unknown"]
    *allowed, asked = described["usageInfo"]["odrl:permission"]
    assert [each["odrl:constraint"]["odrl:rightOperand"] for each in allowed] == ["CC-BY-4.0"]
    assert asked["odrl:duty"]["odrl:action"]["@id"] == "odrl:obtainConsent"
