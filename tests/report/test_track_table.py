"""The table of tracks in a real browser: sorted by its headings, filtered by words, from the keyboard."""

from __future__ import annotations

import json

import pytest
from support.chromium import browser_page, chromium_path

from stemline.report import write_report

pytestmark = [
    pytest.mark.skipif(
        chromium_path() is None, reason="There is no Chromium here: `apt-get install chromium` brings it."
    ),
    pytest.mark.xdist_group("chromium"),
]


def test_the_table_is_sorted_and_filtered_from_the_keyboard(night, tmp_path):
    for title, bpm in (("b", 90.0), ("a", 174.0), ("ä", 120.0)):
        night.publish(night.plan(title=title, artist="Kite <b>"), bpm)
    night.fail(night.plan(title="c", artist="Anchor"))
    night.finish(3)
    report = night.store.local_path(write_report(night.ledger, night.store, night.run_id))
    with browser_page(tmp_path) as page:
        page.open(report.resolve().as_uri())
        assert titles(page) == ["b", "a", "ä", "c"]
        press(page, "Track")
        assert titles(page) == ["a", "ä", "b", "c"]
        assert sorts(page) == {"Track": "ascending"}
        press(page, "bpm")
        assert titles(page) == ["b", "ä", "a", "c"]
        press(page, "bpm")
        assert titles(page) == ["a", "ä", "b", "c"]  # what has none stays last
        assert sorts(page) == {"bpm": "descending"}
        page.ask("document.querySelector('.all-tracks input').focus()")
        page.call("Input.insertText", text="  KITE 174 ")
        assert titles(page) == ["a"]
        page.ask("document.querySelector('.all-tracks input').select()")
        page.call("Input.insertText", text="job_failed anchor")
        assert titles(page) == ["c"]
        assert page.ask("document.querySelector('.all-tracks output').value") == "1 of 4"
        assert page.console == []


def titles(page) -> list[str]:
    shown = "[...document.querySelectorAll('.tracks tbody tr:not([hidden]) td:first-child')].map(c => c.textContent)"
    return json.loads(page.ask(f"JSON.stringify({shown})"))


def sorts(page) -> dict[str, str]:
    pairs = "[...document.querySelectorAll('.tracks th[aria-sort]')].map(h => [h.textContent, h.ariaSort])"
    return dict(json.loads(page.ask(f"JSON.stringify({pairs})")))


def press(page, heading: str) -> None:
    buttons = "[...document.querySelectorAll('.tracks th button')]"
    page.ask(f"{buttons}.find(b => b.textContent === {json.dumps(heading)}).focus()")
    page.press("Enter", 13, "\r")
