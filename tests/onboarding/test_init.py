"""`stemline init`: from a folder or a manifest to a configuration that loads and can be planned."""

from __future__ import annotations

import gzip
import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from support.terminal import on_a_terminal, typed_to
from typer.testing import CliRunner

from stemline.cli.application import app
from stemline.errors import StemlineError
from stemline.onboarding.config_text import FirstConfig, config_name, scalar, write_config
from stemline.settings import load_facts, load_settings
from stemline.settings.column_mapping import MAPPED_COLUMNS

HEADER = "ISRC Code;File Name;Track Title;Künstler;Plays\n"
ROWS = "GBAYE0601498;a.flac;Hey: #1;Ann;3\nGBAYE0601499;b.flac;[red]Two;Bob;4\n"
MAPPING = {"uri": "File Name", "title": "Track Title", "artist": "Künstler", "isrc": "ISRC Code"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a manifest and a folder of music, where the person stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEMSPLIT_API_KEY", raising=False)
    (tmp_path / "music").mkdir()
    for number, name in enumerate(["a", "b"]):
        sound = np.random.default_rng(number).normal(0, 0.1, 44_100 * 6)
        soundfile.write(tmp_path / f"music/{name}.flac", sound, 44_100)
    (tmp_path / "music/m.csv").write_text(HEADER + ROWS)
    return tmp_path


def init(*argv):
    return CliRunner().invoke(app, ["init", *map(str, argv)])


def refusal(*argv):
    """Give what `init` refuses with."""
    error = init(*argv).exception
    assert isinstance(error, StemlineError), error
    assert error.exit_code == 2
    return str(error)


def test_without_a_terminal_all_that_is_missing_is_named(place):
    assert "Give --music FOLDER or --manifest FILE, --provider NAME, --dataset URL." in refusal()
    assert "Give --dataset URL." in refusal("--music", "music", "--provider", "local")
    assert "keep one of them" in refusal("--music", "music", "--manifest", "music/m.csv")
    assert list(place.iterdir()) == [place / "music"]


def test_a_manifest_becomes_a_configuration_and_its_plan(place):
    done = init("--manifest", "music/m.csv", "--provider", "local", "--dataset", "stems", "--json")

    tree = json.loads(done.stdout)
    assert tree["columns"] == MAPPING
    assert (tree["plan"]["tracks"]["new"], tree["plan"]["rejects"]) == (2, [])
    assert tree["next"].endswith(" run stemline.yaml")
    settings = load_settings(place / "stemline.yaml")
    assert settings.catalogue.columns == MAPPING
    assert settings.catalogue.manifest == f"{place}/music/m.csv"
    assert settings.dataset.url == f"{place}/stems"


def test_a_person_sees_columns_plan_and_next_command(place):
    done = init(
        "--manifest", "music/m.csv", "--provider", "stemsplit", "--dataset", "stems", "--out", "my c.yaml"
    )

    shown = " ".join(done.output.split())
    assert "title Track Title Hey: #1" in shown
    assert "artist Künstler Ann" in shown
    assert "Kept as they are: Plays" in shown
    assert "to do 2" in shown
    assert "Next: export STEMSPLIT_API_KEY=…" in shown
    assert "run 'my c.yaml'" in shown
    text = (place / "my c.yaml").read_text()
    assert "api_key: ${STEMSPLIT_API_KEY}" in text
    assert "not-exported-yet" not in text + shown
    assert "Asking" not in shown  # nobody is sent a key that is none


def test_columns_are_shown_however_much_is_in_them(place):
    names = ["File Name", "Track Title", *(f"c{number}" for number in range(40))]
    row = ["a.flac", "T" * 300_000, *("x" for _ in range(40))]
    (place / "music/wide.csv").write_text("\n".join(map(",".join, (names, row))) + "\n")
    shown = init("--manifest", "music/wide.csv", "--provider", "local", "--dataset", "stems").stdout

    assert re.search(r"uri +File Name +a\.flac", shown), shown
    assert re.search(r"title +Track Title +TTT", shown), shown
    assert "c29 and 10 more" in " ".join(shown.split()), shown


def test_for_a_folder_nothing_but_the_configuration_is_written(place):
    before = sorted(place.rglob("*"))
    done = init("--music", "music", "--provider", "local", "--dataset", "stems")

    assert done.exit_code == 0
    assert sorted(place.rglob("*")) == sorted([*before, place / "stemline.yaml"])


def test_a_configuration_that_is_there_is_kept(place):
    asked = ("--music", "music", "--provider", "local", "--dataset", "stems")
    (place / "stemline.yaml").write_text("mine")

    assert "Give --force" in refusal(*asked)
    assert (place / "stemline.yaml").read_text() == "mine"
    assert init(*asked, "--force").exit_code == 0
    assert load_settings(place / "stemline.yaml").name == "stemline"


@pytest.mark.usefixtures("place")
def test_a_person_says_which_column_is_which():
    asked = ("--manifest", "music/m.csv", "--provider", "local", "--dataset", "stems", "--json")
    done = init(*asked, "--column", "artist=", "--column", "track_id=isrc code")

    assert json.loads(done.stdout)["columns"] == {
        "uri": "File Name",
        "title": "Track Title",
        "track_id": "ISRC Code",
    }
    assert 'nearest is "Track Title"' in refusal(*asked, "--force", "--column", "title=Trak Title")
    assert "nearest is title" in refusal(*asked, "--force", "--column", "titel=Track Title")
    assert "both name" in refusal(*asked, "--force", "--column", "title=Plays", "--column", "album=Plays")


def test_a_terminal_asks_for_what_is_missing_and_takes_corrections(place):
    project = SimpleNamespace(folder=place, provider=SimpleNamespace(key="x"))
    said = ["music/m.csv", "", "stems", "n", *[""] * 4, "Plays", "-", *[""] * 6, "y", ""]

    code, shown = on_a_terminal(project, "\n".join(said).encode(), "init")

    assert code == 0, shown
    assert "Where is your music" in shown
    assert "Which service" in shown
    columns = load_settings(place / "stemline.yaml").catalogue.columns
    assert columns == {"uri": "File Name", "artist": "Künstler", "title": "Plays", "isrc": "ISRC Code"}


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("empty.csv", b"", "holds no rows"),
        ("header.csv", b"File Name,Title\n", "holds no rows"),
        ("empty.jsonl", b"\n", "holds no rows"),
        ("broken.parquet", b"PAR1", "cannot be read"),
        ("broken.csv.gz", b"no gzip", "cannot be read"),
        ("western.csv", "File Name;Länge\r\na.mp3;3:35\r\n".encode("cp1252"), "Save it as UTF-8"),
        (
            "none.csv",
            b"Genre,Plays\nPop,3\n",
            "no column that says where each track's audio is.*--column uri=NAME",
        ),
        ("quote.csv", b'File Name,Title\n"a.flac,One\n', r"no rows that can be read\. Row 1 "),
        ("lists.jsonl", b'["a.flac"]\n', r"no rows that can be read\. Row 1 is no JSON object"),
        ("bare.csv", b"music/a.flac\nmusic/b.flac\n", 'no header: its first line holds "music/a.flac"'),
        ("bare.tsv", b"One\thttps://a.example/1\nTwo\thttps://a.example/2\n", "has no header"),
        ("list.txt", b"a.mp3\n", "no known form"),
        ("away.csv", None, "does not exist"),
    ],
)
def test_a_manifest_that_cannot_be_one_says_why(place, name, data, sentence):
    if data is not None:
        (place / name).write_bytes(data)
    told = refusal("--manifest", name, "--provider", "local", "--dataset", "stems")

    assert re.search(sentence, told), told
    assert not (place / "stemline.yaml").exists()


def test_a_folder_without_audio_says_what_is_there(place):
    (place / "texts").mkdir()
    (place / "texts/a.txt").write_text("x")

    told = refusal("--music", "texts", "--provider", "local", "--dataset", "stems")
    assert "holds no audio files" in told
    assert ".txt" in told


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--music", r"C:\Music"), "--music .* is a path of a Windows machine"),
        (("--music", "music/m.csv"), "Give --manifest music/m.csv"),
        (("--music", "music", "--column", "title=x"), "has no columns"),
        (("--music", "music", "--provider", "stemsplitter"), "stemsplit"),
        (("--music", "music", "--dataset", r"D:\out"), "--dataset .* is a path of a Windows machine"),
        (("--music", "music", "--out", "nowhere/c.yaml"), "cannot be written.*a folder that is there"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_cannot_be_meant_is_refused(flags, sentence):
    told = refusal("--provider", "local", "--dataset", "stems", *flags)
    assert re.search(sentence, told), told


def test_manifests_on_the_web_and_in_a_store(place):
    (place / "web").mkdir()
    rows = "Link;Song;Length\nhttps://h/a.mp3;One;3:35\n"
    (place / "web/m.csv.gz").write_bytes(gzip.compress(rows.encode()))
    fsspec.filesystem("memory").pipe("/init/m.csv", rows.encode())
    handler = partial(SimpleHTTPRequestHandler, directory=str(place / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for manifest in (f"http://127.0.0.1:{server.server_port}/m.csv.gz", "memory://init/m.csv"):
            asked = ("--manifest", manifest, "--provider", "stemsplit", "--dataset", "stems", "--force")
            tree = json.loads(init(*asked, "--json").stdout)
            assert tree["columns"] == {"uri": "Link", "title": "Song", "duration_seconds": "Length"}
            assert tree["plan"]["tracks"]["new"] == 1
            settings = load_settings(place / "stemline.yaml", environ={"STEMSPLIT_API_KEY": "x"})
            assert settings.catalogue.manifest == manifest
        server.shutdown()


_LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
ODD = st.text(_LETTERS, min_size=1, max_size=20) | st.sampled_from(
    [
        "${HOME}",
        "$${A:-b}",
        "a: b",
        "#x",
        " lead",
        "'q'",
        '"q"',
        "\\",
        "yes",
        "null",
        "1e3",
        "- a",
        "{a}",
        "a\nb",
        "\u2028",
    ]
)


@given(text=ODD)
def test_any_text_is_read_back_as_it_was(text):
    written = scalar(text)

    assert "\n" not in written
    (read,) = yaml.safe_load(f"a: [{written}]")["a"]
    assert yaml.safe_load(f"a: {written}  # comment")["a"] == read


@given(
    manifest=ODD.filter(str.strip),
    dataset=ODD.filter(str.strip),
    columns=st.dictionaries(st.sampled_from(MAPPED_COLUMNS), ODD),
    kind=st.sampled_from(["local", "stemsplit", "aistemsplitter"]),
)
def test_what_is_written_loads_as_what_was_meant(tmp_path_factory, manifest, dataset, columns, kind):
    assume("\0" not in manifest + dataset + "".join(columns.values()))  # refused, whoever writes it
    assume(manifest.strip())
    columns = {ours: f"{ours}{theirs}".strip() for ours, theirs in columns.items()}
    facts, path = load_facts(kind), tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(
        write_config(FirstConfig("n", manifest, kind, dataset, columns=columns), facts), encoding="utf-8"
    )

    settings = load_settings(path, (), {facts.key_variable: "k"} if facts.key_variable else {})
    assert settings.catalogue.manifest == manifest
    assert settings.dataset.url == dataset
    assert settings.catalogue.columns == columns
    assert settings.recipe.format in facts.formats


@pytest.mark.parametrize(
    "odd", ["it's", 'a "b"', "a: b #c", "${HOME}", "back\\slash", "ünï", "- x", "[a]", "%41"]
)
@pytest.mark.long
def test_what_was_written_about_an_odd_place_can_be_planned(place, odd):
    folder = place / odd
    (place / "music").rename(folder)
    (folder / "m.csv").write_text(f'"{odd.replace(chr(34), chr(34) * 2)}",Song\na.flac,One\n')
    done = init(
        "--manifest",
        f"{odd}/m.csv",
        "--provider",
        "local",
        "--dataset",
        odd + "/out",
        "--json",
        "--out",
        f"{odd}.yaml",
    )

    tree = json.loads(done.stdout)
    assert tree["columns"] == {"uri": odd, "title": "Song"}
    assert tree["plan"]["tracks"]["new"] == 1
    planned = CliRunner().invoke(app, ["plan", f"./{odd}.yaml", "--json"])
    assert json.loads(planned.stdout)["tracks"]["new"] == 1


@pytest.mark.parametrize(
    ("file", "name"), [("a b.yaml", "a-b"), ("ü.yaml", "stemline"), ("-x-.yaml", "x"), ("a" * 99, "a" * 64)]
)
def test_a_configuration_has_a_name_that_is_allowed(tmp_path, file, name):
    assert config_name(tmp_path / file) == name


def test_an_answer_that_cannot_be_is_asked_for_again(place):
    typed = b"nowhere.csv\nmusic\nx\nlocal\nstems\n"
    code, shown = typed_to(place, typed, "init")
    assert code == 0, shown
    assert shown.count("Where is your music") == 2
    assert "provider.kind is 'x', which is not known." in shown
    assert load_settings(place / "stemline.yaml").provider.kind == "local"


def test_who_leaves_at_a_question_is_told_so_and_nothing_is_written(place):
    end_of_input = b"\x04"
    code, shown = typed_to(place, end_of_input, "init")
    assert (code, shown.rpartition("lists it?: ")[2]) == (130, "Interrupted.")
    assert not (place / "stemline.yaml").exists()
