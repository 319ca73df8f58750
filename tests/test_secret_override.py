"""Overrides that hold a secret are told from those that name a variable, by the code and the server's schema alike."""

from __future__ import annotations

import re

import pytest

from stemline.errors import UsageError
from stemline.settings.secret_override import PATTERN, require_no_secret, secret_name_in

SECRET = {
    "provider.api_key=sk_1": "provider.api_key",
    "provider.keys=[sk_a, sk_b]": "provider.keys",
    "provider={kind: stemsplit, api_key: sk_1}": "provider.api_key",
    "ledger.url=postgresql://u:pw@h/d": "ledger.url",
    "dataset.storage_options.secret=abc": "dataset.storage_options.secret",
    "dataset.storage_options={key: a, secret: b}": "dataset.storage_options.key",
    "webhooks.secret=abc": "webhooks.secret",
    "catalogue.manifest=https://u:pw@host/m.csv": "catalogue.manifest",
}
HARMLESS = [
    "provider.api_key=${KEY}",
    "provider.keys=['${A}', '${B}']",
    "provider.keys=[${A}, ${B}]",
    "provider={kind: stemsplit, api_key: '${KEY}'}",
    "ledger.url=postgresql://u:${PASSWORD}@h/d",
    "ledger.url=sqlite:////srv/night.db",
    "catalogue.types={key: text, author: text}",
    "catalogue.types.key=text",
    "dataset.partition_by=[author]",
    "budget.run=100",
    "catalogue.where=mood = 'calm'",
    "provider.base_url=http://127.0.0.1:8000/api",
]


@pytest.mark.parametrize("override", SECRET)
def test_an_override_with_a_secret_is_refused_without_being_shown(override):
    with pytest.raises(UsageError) as refused:
        require_no_secret(["budget.run=1", override])

    assert SECRET[override] in refused.value.message
    assert override.partition("=")[2] not in str(refused.value)
    assert re.search(PATTERN, override) is None


@pytest.mark.parametrize("override", HARMLESS)
def test_an_override_without_a_secret_passes(override):
    assert secret_name_in(override) is None
    assert re.search(PATTERN, override) is not None
