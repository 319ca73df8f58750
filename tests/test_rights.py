"""Licenses as SPDX writes them, whether a model may be trained on a track, and the gate that asks both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.errors import UsageError
from stemline.rights import RightsGate, is_ai_training_clear, normalise_license, read_ai_training

READ = {
    "CC-BY-4.0": "CC-BY-4.0",
    "CC BY 4.0": "CC-BY-4.0",
    "cc by 4": "CC-BY-4.0",
    "CC\u2011BY\u2011SA\u20113.0": "CC-BY-SA-3.0",
    "CC-BY-ND-NC-1.0": "CC-BY-NC-ND-1.0",
    "by-nc-sa 4.0": "CC-BY-NC-SA-4.0",
    "CC-BY-NC-SA 3.0 DE": "CC-BY-NC-SA-3.0-DE",
    "cc0": "CC0-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Public Domain Mark 1.0": "CC-PDM-1.0",
    "Creative Commons Attribution 4.0": "CC-BY-4.0",
    "Creative Commons Attribution 4.0 International (CC BY 4.0)": "CC-BY-4.0",
    "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International": "CC-BY-NC-ND-3.0",
    "Attribution-Share Alike 2.5": "CC-BY-SA-2.5",
    "Attribution 3.0 United States": "CC-BY-3.0-US",
    "https://creativecommons.org/licenses/by-nc/3.0/": "CC-BY-NC-3.0",
    "http://creativecommons.org/licenses/by/4.0/deed.de": "CC-BY-4.0",
    "creativecommons.org/licenses/by/3.0/us/legalcode": "CC-BY-3.0-US",
    "http://creativecommons.org/publicdomain/zero/1.0/": "CC0-1.0",
    "https://spdx.org/licenses/MIT.html": "MIT",
    "MIT License": "MIT",
    "Apache License, Version 2.0": "Apache-2.0",
    "Free Art License 1.3": "LAL-1.3",
    "mit or apache-2.0": "MIT OR Apache-2.0",
    "CC BY 4.0 or MIT": "CC-BY-4.0 OR MIT",
    "MIT AND (CC BY 4.0 OR Zlib)": "MIT AND (CC-BY-4.0 OR Zlib)",
    "GPL-2.0": "GPL-2.0-only",
    "gpl-2.0+": "GPL-2.0-or-later",
    "Apache-2.0+": "Apache-2.0+",
    "GPL-2.0 with classpath-exception-2.0": "GPL-2.0-only WITH Classpath-exception-2.0",
    "LicenseRef-Label-42": "LicenseRef-Label-42",
    "DocumentRef-deal:LicenseRef-Label-42": "DocumentRef-deal:LicenseRef-Label-42",
}
UNKNOWN = [
    "CC BY",  # no version
    "CC-BY-SA",
    "GPL",
    "by 4.0",
    "Public Domain",
    "All rights reserved",
    "Attribution-Noncommercial 3.0 Japan",  # SPDX has no such port
    "CC BY-SA-ND 4.0",  # there is no such license
    "CC BY 3.0 4.0",
    "not CC BY 4.0",
    "CC BY 4.0 maybe",
    "https://creativecommons.org.evil.example/licenses/by/4.0/",
    "https://example.com/licenses/by/4.0/",
    "Classpath-exception-2.0",  # an exception alone is no license
    "MIT WITH MIT",
    "MIT OR",
    "MIT Apache-2.0",
    "(MIT",
    "()",
    "OR",
    "NONE",
    "NOASSERTION",
    "MIT\0",
    "\ud800",
    "",
    " ",
    "x" * 10_000,
    "(" * 150 + "MIT" + ")" * 150,
    None,
    4.0,
]


@pytest.mark.parametrize(("text", "spdx"), READ.items())
def test_licenses_are_read_from_what_people_write(text: str, spdx: str) -> None:
    assert normalise_license(text) == spdx


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_cannot_be_told_is_unknown(text: object) -> None:
    assert normalise_license(text) is None


PIECES = [
    *READ,
    *(text for text in UNKNOWN if isinstance(text, str) and len(text) < 99),
    "(",
    ")",
    "AND",
    "+",
    "-",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join)))
def test_what_was_normalised_stays_as_it_is(text: str) -> None:
    found = normalise_license(text)

    assert found is None or normalise_license(found) == found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("allowed", "allowed"),
        (" Allowed ", "allowed"),
        ("YES", "allowed"),
        (True, "allowed"),
        ("denied", "denied"),
        ("no", "denied"),
        (False, "denied"),
        ("unknown", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_ai_training_is_one_of_three_words(value: object, said: str) -> None:
    assert read_ai_training(value) == said
    assert is_ai_training_clear(value)


@pytest.mark.parametrize("value", ["maybe", "allowed?", "1", 1, 0.5, ["yes"], "yes" * 99, "\0"])
def test_any_other_word_is_unknown_and_told(value: object) -> None:
    assert read_ai_training(value) == "unknown"
    assert not is_ai_training_clear(value)


OPEN_LICENSES = frozenset({"MIT", "CC-BY-4.0", "CC0-1.0"})


@pytest.mark.parametrize(
    ("license_spdx", "reason"),
    [
        ("MIT", None),
        ("MIT OR GPL-3.0-only", None),
        ("GPL-3.0-only OR (MIT AND CC0-1.0)", None),
        ("MIT AND GPL-3.0-only", "the license MIT AND GPL-3.0-only is not allowed"),
        ("CC-BY-NC-4.0", "the license CC-BY-NC-4.0 is not allowed"),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            "the license GPL-2.0-only WITH Classpath-exception-2.0 is not allowed",
        ),
        ("LicenseRef-Label-42", "the license LicenseRef-Label-42 is not allowed"),
        ("MIT OR", "the license is unknown"),
        ("", "the license is unknown"),
        (None, "the license is unknown"),
    ],
)
def test_of_or_one_license_is_enough_and_of_and_all_are_needed(
    license_spdx: str | None, reason: str | None
) -> None:
    assert RightsGate(OPEN_LICENSES).refusal(license_spdx, "denied") == reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("allowed", None),
        ("denied", "AI training is denied"),
        ("unknown", "AI training is unknown"),
        (None, "AI training is unknown"),
    ],
)
def test_ai_training_passes_only_where_it_is_allowed(said: str | None, reason: str | None) -> None:
    assert RightsGate(is_ai_training_required=True).refusal(None, said) == reason


def test_every_reason_is_told() -> None:
    gate = RightsGate(OPEN_LICENSES, is_ai_training_required=True)

    assert gate.refusal(None, "denied") == "the license is unknown; AI training is denied"
    assert (
        gate.sentence()
        == "only tracks licensed under CC-BY-4.0, CC0-1.0 or MIT and on which AI training is allowed"
    )


def test_a_gate_without_demands_is_open() -> None:
    gate = RightsGate.from_flags(None, is_ai_training_required=False)

    assert gate.is_open
    assert gate.refusal(None, None) is None


def test_flags_take_licenses_as_people_write_them() -> None:
    gate = RightsGate.from_flags("mit, CC BY 4.0,,LicenseRef-Deal", is_ai_training_required=True)

    assert gate.as_tree() == {"licenses": ["CC-BY-4.0", "LicenseRef-Deal", "MIT"], "ai_training": True}


@pytest.mark.parametrize(
    ("licenses", "sentence"),
    [
        (
            "CC-BY-5.0",
            (
                "'CC-BY-5.0' is no SPDX license id. Near ones are CC-BY-4.0, CC-BY-3.0 and CC-BY-2.0; "
                "the dataset has CC0-1.0, MIT and Zlib."
            ),
        ),
        ("CC BY", "Near ones are CC-BY-"),
        ("\0" * 5_000, "The dataset has CC0-1.0"),
        ("MIT OR Zlib", "'MIT OR Zlib' is more than one license. Name each by itself, with commas between."),
        (" , ", "No license is named that would be allowed. The dataset has CC0-1.0, MIT and Zlib."),
    ],
)
def test_a_flag_that_names_no_license_is_refused_with_those_there_are(licenses: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        RightsGate.from_flags(
            licenses,
            is_ai_training_required=False,
            find_known=lambda: ["CC0-1.0", None, "MIT OR Zlib", "MIT"],
        )

    assert sentence in str(refused.value)
