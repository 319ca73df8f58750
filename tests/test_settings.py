"""The configuration: read, refused with one precise sentence, and silent about keys."""

from __future__ import annotations

import json
import os
import re
import typing
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import configs
from stemline.errors import ConfigError
from stemline.records import Recipe
from stemline.settings import Settings, build_settings, has_literal_key, load_facts, load_settings
from stemline.settings.document import escape_variables, missing_variables

CONFIGS = Path(configs.__file__).parent
SECRET = "sk_live_do_not_show"
MINIMAL = """
catalogue: {manifest: music.csv}
provider: {kind: stemsplit, api_key: "${STEMSPLIT_API_KEY}"}
dataset: {url: stems}
"""
WHOLE = """
name: nightly
catalogue:
  manifest: s3://music/catalogue.parquet
  where: "released_on >= '2024-01-01'"
provider:
  kind: stemsplit
  base_url: https://stemsplit.io/api/v1
  api_key: ${STEMSPLIT_API_KEY}
  requests_per_minute: 60
  max_in_flight: 100
recipe: {stems: four, quality: best, format: flac}
budget: {run: 36000, day: 100000, month: 2000000, floor: 600, on_limit: stop}
dataset:
  url: s3://ml/stems
  audio: objects
  partition_by: [provider, collected_on]
  storage_options: {}
ledger: {url: sqlite:///.stemline/nightly.db}
webhooks: {public_url: "https://hooks.example.com/stemline", listen: "0.0.0.0:8787"}
failures: {max_attempts: 3, tolerate: 5%}
execution: {runner: threads, address: null}
"""
KEYS_FIX = "docs/configuration.md has every key with what it takes."
ENVIRON = {"STEMSPLIT_API_KEY": SECRET}


@pytest.fixture
def load(tmp_path):
    """Write a configuration and load it."""

    def write_and_load(text, *overrides, environ=ENVIRON, name="nightly.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return load_settings(path, overrides, environ)

    return write_and_load


@pytest.fixture
def refusal(load):
    """The sentence a configuration is refused with, without where the keys stand."""

    def load_and_catch(text, *overrides, **options):
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides, **options)
        return str(caught.value).removesuffix(f" {KEYS_FIX}")

    return load_and_catch


def test_the_whole_contract_is_understood(load):
    settings = load(WHOLE)

    assert settings.provider.api_key.get_secret_value() == SECRET
    assert settings.recipe.as_recipe() == Recipe("four", "best", "flac")
    assert settings.budget.month == 2_000_000
    assert settings.webhooks.listen == "0.0.0.0:8787"
    assert settings.failures.tolerate == 0.05
    assert settings.dataset.partition_by == ("provider", "collected_on")


def test_what_is_left_out_has_the_contracts_defaults(load):
    settings = load(MINIMAL)

    assert settings.name == "nightly"
    assert settings.ledger_url == "sqlite:///stems/_stemline/nightly.db"
    assert settings.recipe.as_recipe() == Recipe("four", "best", "flac")
    assert settings.provider.max_in_flight == 100
    assert settings.failures.max_attempts == 3
    assert settings.budget.on_limit == "stop"
    assert settings.webhooks is None


def test_a_section_with_nothing_under_it_has_every_default(load):
    assert load(MINIMAL + "budget:\nrecipe:\n") == load(MINIMAL)


def test_settings_cannot_be_changed(load):
    with pytest.raises(ValueError, match="frozen"):
        load(MINIMAL).budget.run = 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("recipe: {stem: four}", "unknown key `recipe.stem`, the nearest known one is `recipe.stems`."),
        ("budgte: {run: 5}", "unknown key `budgte`, the nearest known one is `budget`."),
        (
            "failures: {max_attempt: 5}",
            "unknown key `failures.max_attempt`, the nearest known one is `failures.max_attempts`.",
        ),
        ('webhooks: {listen: "a:1"}', "the key `webhooks.public_url` is missing."),
        (
            "recipe: {stems: five}",
            "`recipe.stems` is 'five': input should be 'vocals', 'instrumental', 'both', 'four' or 'six'.",
        ),
        ("budget: {run: -1}", "`budget.run` is -1: give at least 0."),
        (
            "budget: {run: lots}",
            "`budget.run` is 'lots': a whole number is wanted.",
        ),
        ("budget: 5", "`budget` must be a section with keys of its own."),
        ("failures: {tolerate: 120%}", "`failures.tolerate` is '120%': give a share from 0% to 100%."),
        ("failures: {tolerate: 5}", "`failures.tolerate` is 5: give a share from 0% to 100%."),
        ("failures: {tolerate: few}", "`failures.tolerate` is 'few': give a share from 0% to 100%."),
        ("failures: {tolerate: few%}", "`failures.tolerate` is 'few%': give a share from 0% to 100%."),
        ("failures: {tolerate: .nan}", "`failures.tolerate` is nan: give a share from 0% to 100%."),
        (
            "name: a/b",
            "`name` is 'a/b': use letters, digits, '.', '_' and '-' (at most 64), starting with a letter or digit.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(refusal, tmp_path, text, sentence):
    assert refusal(MINIMAL + text) == f"{tmp_path}/nightly.yaml: {sentence}"


def number_keys(model, at=""):
    """Every key of the configuration that takes a number."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield from number_keys(inner[0], f"{at}{name}.")
        elif {int, float} & {*kinds} and name != "shares":  # written as splits, not as a key
            yield f"{at}{name}"


@pytest.mark.parametrize("written", [".inf", "-.inf", ".nan", "10000000000000000000000000", "1.0e+25", "-1"])
@pytest.mark.parametrize("key", list(number_keys(Settings)))
def test_a_number_that_nothing_could_work_with_is_refused(refusal, tmp_path, key, written):
    """Taken, such a one ended a run in a traceback, or had it wait for ever, after it had paid."""
    if (key, written) == ("dataset.splits.seed", "-1"):
        pytest.skip("a seed may be negative")
    splits = ("dataset.splits={train: 0.8, test: 0.2}",) if "splits" in key else ()
    hooks = ("webhooks.public_url=https://a.example",) if "webhooks" in key else ()

    told = refusal(MINIMAL, *splits, *hooks, f"{key}={written}")

    assert told.startswith(f"{tmp_path}/nightly.yaml: `{key}` is ")
    assert re.search(r": (give |a (whole )?number is wanted|so large)", told), told


def test_the_numbers_of_every_section_are_looked_at():
    keys = set(number_keys(Settings))
    assert {"execution.batch_seconds", "failures.max_attempts", "execution.workers", "budget.day"} <= keys
    assert {"provider.job_timeout", "failures.tolerate", "dataset.splits.seed"} <= keys


@pytest.mark.parametrize("url", ["stemsplit.io/api/v1", "ftp://stemsplit.io", "https://", "https://a b"])
def test_a_base_url_must_be_one(refusal, url):
    sentence = refusal(MINIMAL, f"provider.base_url={url}")

    assert sentence.endswith(f"`provider.base_url` is {url!r}: write it as https://host/path.")


def test_a_port_that_is_none_is_refused(refusal):
    assert "port out of range" in refusal(MINIMAL, "provider.base_url=http://127.0.0.1:99999/api")


@pytest.mark.parametrize("key", ["sk_l\u00e4ve", "sk_a\u2013b", "sk a", "sk\tb", "sk\x7f"])
@pytest.mark.parametrize("name", ["api_key", "keys"])
def test_a_key_that_no_header_may_hold_is_refused_and_never_shown(refusal, key, name):
    """Such as one that an office program made prettier."""
    text = "catalogue: {manifest: a.csv}\ndataset: {url: d}\nprovider: {kind: stemsplit, NAME: VALUE}\n"
    value = yaml.safe_dump(key, default_style='"').strip()
    text = text.replace("NAME", name).replace("VALUE", f"[{value}]" if name == "keys" else value)
    sentence = refusal(text)
    assert f"provider.{name}" in sentence
    assert "copy it again" in sentence
    assert key not in sentence


@pytest.mark.parametrize("around", [" {}", "{}\r", "\t{}\n"])
def test_what_a_file_left_around_a_key_is_not_part_of_it(load, around):
    settings = load(MINIMAL, environ={"STEMSPLIT_API_KEY": around.format(SECRET)})
    assert settings.provider.api_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("text", "override", "told"),
    [
        ("", 'dataset.url="a\\0b"', "`dataset.url` holds a NUL character."),
        ("", "catalogue.manifest=''", "`catalogue.manifest` is '': name a file, a folder or a URL"),
        ("name: &a [*a]", "budget.run=1", "nests its lists or sections without end."),
        (f"name: {'[' * 3_000}{']' * 3_000}", "budget.run=1", "nests its lists or sections without end."),
    ],
    ids=["nul", "no manifest", "in itself", "deep"],
)
def test_what_no_value_can_be_is_refused_in_a_sentence(refusal, text, override, told):
    assert told in refusal(MINIMAL + text, override)


def test_each_refusal_of_a_value_says_where_the_keys_stand(load):
    with pytest.raises(ConfigError) as refused:
        load(MINIMAL + "recipe: {stem: four}")
    assert refused.value.fix == KEYS_FIX


def test_several_faults_are_all_named(refusal):
    sentence = refusal("catalogue: {manifest: a.csv}\nprovider: {kin: local}\n")

    assert "the key `provider.kind` is missing" in sentence
    assert "unknown key `provider.kin`, the nearest known one is `provider.kind`" in sentence
    assert "the key `dataset` is missing" in sentence


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"^There is no configuration at .*/gone\.yaml\. Check the path"):
        load_settings(tmp_path / "gone.yaml")


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path)


def test_text_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"name: \xff\xfe")

    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "a.yaml")


def test_malformed_yaml_is_refused_with_its_place(refusal):
    sentence = refusal("catalogue: {manifest: [\nprovider: }")

    assert "nightly.yaml is not valid YAML at line 2, column 11: " in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "- a\n- b\n", "just words"])
def test_a_file_without_sections_is_refused(refusal, text):
    assert "holds no configuration. It needs catalogue, provider and dataset sections." in refusal(text)


def test_a_missing_variable_is_named_with_its_key(refusal, tmp_path):
    sentence = (
        f"{tmp_path}/nightly.yaml: provider.api_key needs the environment variable STEMSPLIT_API_KEY, "
        "which is not set. Run `export STEMSPLIT_API_KEY=…` first."
    )

    assert refusal(MINIMAL, environ={}) == sentence
    assert refusal(MINIMAL, environ={"STEMSPLIT_API_KEY": ""}) == sentence


def test_variables_expand_anywhere_and_may_have_a_default(load):
    settings = load(
        MINIMAL,
        "catalogue.manifest=s3://${BUCKET}/${FILE:-all.csv}",
        "dataset.partition_by=['${PART}']",
        "dataset.storage_options={client_kwargs: {region_name: '${REGION:-}'}}",
        "budget.run=${RUN}",
        environ={**ENVIRON, "BUCKET": "music", "PART": "artist", "RUN": "360"},
    )

    assert settings.catalogue.manifest == "s3://music/all.csv"
    assert settings.dataset.partition_by == ("artist",)
    assert settings.dataset.storage_options == {"client_kwargs": {"region_name": ""}}
    assert settings.budget.run == 360


def test_a_dollar_without_braces_is_text(load):
    assert load(MINIMAL, "catalogue.manifest=a$b{c}.csv").catalogue.manifest == "a$b{c}.csv"


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("recipe.stems=six", lambda s: s.recipe.stems, "six"),
        ("budget.run=5", lambda s: s.budget.run, 5),
        ("budget.run=null", lambda s: s.budget.run, None),
        ("dataset.partition_by=[artist, provider]", lambda s: s.dataset.partition_by, ("artist", "provider")),
        ("dataset.partition_by=[]", lambda s: s.dataset.partition_by, ()),
        (
            "dataset.storage_options.client_kwargs.verify=false",
            lambda s: s.dataset.storage_options["client_kwargs"],
            {"verify": False},
        ),
        ("webhooks.public_url=https://a.example", lambda s: s.webhooks.public_url, "https://a.example"),
        ("failures.tolerate=2.5%", lambda s: s.failures.tolerate, 0.025),
        ("failures.tolerate=0.5", lambda s: s.failures.tolerate, 0.5),
        ("catalogue.manifest=*.mp3", lambda s: s.catalogue.manifest, "*.mp3"),
        ("catalogue.where=year > 1 AND a = 'b=c'", lambda s: s.catalogue.where, "year > 1 AND a = 'b=c'"),
        ("name=other", lambda s: s.ledger_url, "sqlite:///stems/_stemline/other.db"),
        ("dataset.url=s3://ml/stems", lambda s: s.ledger_url, "sqlite:///.stemline/nightly.db"),
    ],
)
def test_any_key_can_be_set_from_outside(load, override, read, value):
    assert read(load(MINIMAL + "budget:\n", override)) == value


def test_the_last_override_wins(load):
    assert load(MINIMAL, "budget.run=1", "budget.run=2").budget.run == 2


@pytest.mark.parametrize("override", ["budget.run", "=5", "budget..run=5", ".run=5"])
def test_an_override_without_key_or_value_is_refused(refusal, override):
    assert refusal(MINIMAL, override).startswith(f"--set {override!r} is not key=value. Write it like --set")


def test_an_override_below_a_value_is_refused(refusal):
    assert "'url' is not a section" in refusal(MINIMAL, "dataset.url.host=x")


def test_an_unknown_key_set_from_outside_is_refused_like_one_in_the_file(refusal):
    assert "the nearest known one is `provider.base_url`" in refusal(MINIMAL, "provider.bas_url=x")


def test_a_tree_that_was_given_stays_as_it_was():
    tree = yaml.safe_load(MINIMAL)
    build_settings(tree, Path("a.yaml"), ["budget.run=1", "recipe.stems=six"], ENVIRON)

    assert tree == yaml.safe_load(MINIMAL)


def test_the_key_is_never_shown(load):
    settings = load(WHOLE)

    for text in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.model_dump()}"):
        assert SECRET not in text


def test_other_secrets_are_left_out_of_what_is_printed(load):
    settings = load(
        MINIMAL,
        f"dataset.storage_options={{secret: {SECRET}}}",
        f"catalogue.storage_options={{secret: {SECRET}}}",
        f"ledger.url=postgresql+psycopg://me:{SECRET}@host/db",
    )

    assert SECRET not in repr(settings) + str(settings)


def test_an_error_shows_the_key_nowhere_not_even_in_its_cause(load):
    with pytest.raises(ConfigError) as caught:
        load(MINIMAL + "recipe: {stems: five}", f"provider={{api_key: {SECRET}, kin: local}}")

    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)


def test_a_key_of_the_wrong_type_is_not_repeated(refusal):
    assert "31337" not in refusal(MINIMAL, "provider.api_key=[31337]")


@pytest.mark.parametrize(
    ("key", "is_literal"),
    [
        ("${STEMSPLIT_API_KEY}", False),
        ("${STEMSPLIT_API_KEY:-}", False),
        ("${STEMSPLIT_API_KEY:-sk_live_x}", True),
        ("sk_live_x", True),
        ("sk_${REST}", True),
        ("12345", True),
        ("null", False),
    ],
)
def test_a_key_written_into_the_file_is_noticed(tmp_path, key, is_literal):
    path = tmp_path / "a.yaml"
    path.write_text(
        f"provider: {{kind: stemsplit, api_key: {key!r}}}".replace("'12345'", "12345").replace(
            "'null'", "null"
        )
    )

    assert has_literal_key(path) is is_literal


@pytest.mark.parametrize("text", ["provider: {kind: local}", "provider: stemsplit", "name: x"])
def test_no_key_is_no_literal_key(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)

    assert not has_literal_key(tmp_path / "a.yaml")


class Everything(dict):
    """An environment in which every variable is set."""

    def get(self, name, _=None):
        return f"value-of-{name}"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_ready_configuration_parses_and_holds_no_key(path):
    settings = load_settings(path, environ=Everything())

    assert not has_literal_key(path)
    facts = load_facts(settings.provider.kind)
    assert settings.recipe.stems in facts.stems


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("providers/*.yaml")), ids=lambda path: path.stem)
def test_every_providers_facts_load(path):
    facts = load_facts(path.stem)

    assert facts.kind == path.stem
    assert facts.requests_per_minute > 0
    assert 0 < facts.min_duration_seconds < facts.max_duration_seconds


def test_an_unknown_provider_names_the_known_ones():
    with pytest.raises(
        ConfigError,
        match=r"^provider\.kind is 'spleeter', which is not known\. Use one of: .*local.*stemsplit",
    ):
        load_facts("spleeter")


def test_the_environment_is_the_processes_own_by_default(tmp_path):
    variable = next(name for name, value in os.environ.items() if value and name.isidentifier())
    (tmp_path / "a.yaml").write_text(MINIMAL.replace("STEMSPLIT_API_KEY", variable))

    settings = load_settings(tmp_path / "a.yaml")
    assert settings.provider.api_key.get_secret_value() == os.environ[variable]


def test_several_keys_take_the_place_of_one(load):
    keys = load(MINIMAL, "provider.api_key=null", "provider.keys=[sk_1, sk_2]").provider.api_keys
    assert [key.get_secret_value() for key in keys] == ["sk_1", "sk_2"]
    assert load(MINIMAL, "provider.api_key=null").provider.api_keys == ()
    assert [key.get_secret_value() for key in load(MINIMAL, "provider.api_key=sk_3").provider.api_keys] == [
        "sk_3"
    ]


def test_keys_that_contradict_each_other_are_refused_and_not_shown(refusal):
    twice = refusal(MINIMAL, "provider.api_key=null", "provider.keys=[sk_1, sk_1]")
    assert "the same key stands there twice" in twice
    both = refusal(MINIMAL, "provider.keys=[sk_1]", "provider.api_key=sk_2")
    assert "give either api_key or keys" in both
    assert not {"sk_1", "sk_2"} & set(re.findall(r"sk_\d", twice + both))


@pytest.mark.parametrize(
    "other", ["http://127.0.0.1:8790/v1", "http://LOCALHOST:8790/v1/", "http://localhost:08790/v1"]
)
def test_one_service_under_two_names_is_not_taken_for_two_accounts(refusal, other):
    urls = f"provider.base_url=[http://localhost:8790/v1, '{other}']"
    assert "the same address stands there twice" in refusal(MINIMAL, urls)


def test_services_that_may_differ_are_taken_for_what_they_are(load):
    urls = [
        "http://localhost:1/v1",
        "http://127.0.0.1:2/v1",
        "http://[::1]:1/v1",
        "https://h/v1",
        "http://h/v1",
    ]
    assert load(MINIMAL, f"provider.base_url={json.dumps(urls)}").provider.base_urls == tuple(urls)


@pytest.mark.parametrize("text", ["a${B}c", "$${B}", "$$${B:-c}", "${", "$B", "{B}", "$$"])
def test_text_that_looks_like_a_variable_can_be_written(load, text):
    written = json.dumps({"url": escape_variables(text)})
    settings = load(MINIMAL.replace("{url: stems}", written), environ=ENVIRON)
    assert settings.dataset.url == text


def test_an_escaped_variable_is_none(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL.replace("{url: stems}", "{url: 'a$${B}'}").replace("${STEM", "$${STEM"))

    assert missing_variables(path, environ={}) == []
    assert has_literal_key(path)


def test_a_configuration_without_mapped_columns_has_the_digest_it_had_before_there_were_any(load):
    """A backfill that was begun then goes on."""
    assert load(MINIMAL).digest() == "a0b0832e7c098e50"
    mapped = load(MINIMAL.replace("music.csv", "music.csv, columns: {title: Song}"))
    assert mapped.digest() != "a0b0832e7c098e50"
