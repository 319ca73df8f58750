"""A filter and an order are one SQL expression over the manifest, in a database that reaches nothing else."""

from __future__ import annotations

import duckdb
import pytest

from stemline.errors import ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest.loading import load_manifest
from stemline.manifest.scan import scan_manifest

ROWS = "uri,track_id,plays,artist\nhttps://h/1,a,1,Zoë\nhttps://h/2,b,5,Abba\nhttps://h/3,c,9,Moby\n"

HOSTILE = [
    "exists(SELECT 1 FROM read_text('{secret}'))",
    "(SELECT content FROM read_text('{secret}')) LIKE 'key%'",
    "artist IN (SELECT * FROM read_csv('{secret}', header = false))",
    "artist IN (FROM '{secret}')",
    "exists(SELECT 1 FROM read_blob('{secret}') WHERE size > 0)",
    "exists(SELECT 1 FROM glob('/etc/*'))",
    "exists(SELECT 1 FROM sniff_csv('{secret}'))",
    "exists(SELECT 1 FROM query('COPY (SELECT 1) TO ''{loot}'''))",
    "exists(SELECT 1 FROM manifest, read_text('{secret}'))",
    "exists(WITH x AS (SELECT * FROM read_text('{secret}')) SELECT * FROM x)",
    "exists(SELECT 1 FROM duckdb_settings())",
    "exists(SELECT 1 FROM raw)",
    "exists(SELECT 1 FROM information_schema.tables)",
    "exists(SHOW TABLES)",
    "current_setting('temp_directory') <> ''",
    "getenv('HOME') <> ''",
    "sleep_ms(60000) IS NULL",
    "true; COPY (SELECT 1) TO '{loot}'",
    "true); COPY (SELECT 1) TO '{loot}'; SELECT (true",
    "true) UNION ALL SELECT * FROM raw WHERE (true",
    "true UNION SELECT true",
    "true; ATTACH '{loot}'",
    "true; INSTALL httpfs",
    "true; PRAGMA database_list",
    "true; SET lock_configuration = false",
    "true, plays",
    "true FROM read_text('{secret}')",
    "true WHERE true",
    "plays > $1",
]


@pytest.fixture(params=["csv", "parquet"])
def manifest(request, tmp_path):
    (tmp_path / "m.csv").write_text(ROWS)
    if request.param == "parquet":
        duckdb.execute(f"COPY (FROM '{tmp_path}/m.csv') TO '{tmp_path}/m.parquet'")
    return tmp_path / f"m.{request.param}"


def chosen(manifest, **slice_):
    batches = scan_manifest(ManifestSource(str(manifest), **slice_))
    return "".join(track.track_id for batch in batches for track in batch.tracks)


@pytest.mark.parametrize("key", ["where", "order_by"])
@pytest.mark.parametrize("text", HOSTILE)
def test_what_reaches_beyond_the_manifest_is_refused_by_its_key(manifest, tmp_path, key, text):
    if key == "order_by" and text == "true, plays":
        pytest.skip("an order has many members")
    secret, loot = tmp_path / "secret.txt", tmp_path / "loot"
    secret.write_text("key of the house")

    with pytest.raises(ManifestError) as refused:
        chosen(manifest, **{key: text.format(secret=secret, loot=loot)})

    assert refused.value.message.startswith({"where": "The filter ", "order_by": "catalogue.order_by "}[key])
    assert refused.value.fix
    assert "key of the house" not in str(refused.value)
    assert not loot.exists()


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("plays > 3", "bc"),
        ("plays > (SELECT avg(plays) FROM manifest)", "c"),
        ("artist IN (SELECT m.artist FROM manifest m WHERE m.plays < 6)", "ab"),
        ("artist IN (VALUES ('Abba'), ('Moby'))", "bc"),
        ("plays BETWEEN 2 AND 10 AND NOT regexp_matches(artist, '^M') -- the best", "b"),
        ("CASE WHEN artist = 'Zoë' THEN plays < 2 ELSE plays > 8 END", "ac"),
        ("list_contains(list_transform([plays], lambda x: x + 1), 6)", "b"),
        ("'; COPY' <> artist /* a mark in a text is a text */", "abc"),
    ],
)
def test_an_expression_over_the_manifest_says_what_it_wants(manifest, where, ids):
    assert chosen(manifest, where=where) == ids


def test_an_order_may_ask_the_whole_manifest(manifest):
    assert chosen(manifest, order_by="abs(plays - (SELECT avg(plays) FROM manifest))", limit=1) == "b"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM '{secret}'",
        "COPY (SELECT 1) TO '{loot}'",
        "ATTACH '{loot}'",
        "EXPORT DATABASE '{loot}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SELECT * FROM a_variable_of_ours",
    ],
)
def test_a_loaded_manifest_is_shut_against_what_would_pass_the_parser(manifest, tmp_path, statement):
    a_variable_of_ours = duckdb.sql("SELECT 1 AS n").to_arrow_table()
    assert a_variable_of_ours
    secret, loot = tmp_path / "secret.csv", tmp_path / "loot"
    secret.write_text("key\n1\n")

    with load_manifest(ManifestSource(str(manifest))) as loaded:
        with pytest.raises(duckdb.Error):
            loaded.database.execute(statement.format(secret=secret, loot=loot))
        assert loaded.database.sql("SELECT count(*) FROM manifest").fetchall() == [(3,)]
    assert not loot.exists()


def test_a_manifest_of_an_odd_name_is_still_read_when_it_is_shut(tmp_path):
    folder = tmp_path / "a[b]'s *"
    folder.mkdir()
    (tmp_path / "m.csv").write_text(ROWS)
    duckdb.execute(f"COPY (FROM '{tmp_path}/m.csv') TO '{tmp_path}/m.parquet'")
    path = (tmp_path / "m.parquet").rename(folder / "m?.parquet")

    assert chosen(path, where="plays > 3") == "bc"
    assert chosen(folder, order_by="plays", limit=1) == "a"
