"""Providers are found by the dialect their facts name."""

from __future__ import annotations

import pytest

from stemline.errors import ConfigError
from stemline.providers import load_provider
from stemline.providers.aistemsplitter import AIStemSplitter
from stemline.providers.stemsplit import StemSplit
from stemline.settings import load_facts


@pytest.mark.parametrize(
    ("kind", "dialect"), [("stemsplit", StemSplit), ("local", StemSplit), ("aistemsplitter", AIStemSplitter)]
)
def test_a_provider_speaks_the_dialect_of_its_facts(kind, dialect):
    facts = load_facts(kind)
    provider = load_provider(facts)

    assert isinstance(provider, dialect)
    assert provider.facts is facts


def test_an_unknown_dialect_names_the_known_ones():
    facts = load_facts("local").model_copy(update={"dialect": "klingon"})

    with pytest.raises(
        ConfigError, match=r"^The dialect 'klingon' is not known\. Use one of: .*stemsplit.*\.$"
    ):
        load_provider(facts)
