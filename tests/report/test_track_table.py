"""The table of tracks in a real browser: sorted by its headings, filtered by words, from the keyboard."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from stemline.report import write_report

SCRIPT = Path(__file__).parents[2] / "docs" / "screenshots.py"
_SPEC = importlib.util.spec_from_file_location("screenshots", SCRIPT)
screenshots = importlib.util.module_from_spec(_SPEC)
sys.modules["screenshots"] = screenshots
_SPEC.loader.exec_module(screenshots)
BROWSER = screenshots.find_browser()


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
def test_the_table_is_sorted_and_filtered_from_the_keyboard(night):
    for title, bpm in (("b", 90.0), ("a", 174.0), ("ä", 120.0)):
        night.publish(night.plan(title=title, artist="Kite <b>"), bpm)
    night.fail(night.plan(title="c", artist="Anchor"))
    night.finish(3)
    page = night.store.local_path(write_report(night.ledger, night.store, night.run_id))
    with screenshots.browser_tab(BROWSER, page) as tab:
        tab.value(
            "new Promise(go => document.readyState === 'complete' ? go() : addEventListener('load', go))"
        )
        assert titles(tab) == ["b", "a", "ä", "c"]
        press(tab, "Track", "Enter")
        assert titles(tab) == ["a", "ä", "b", "c"]
        assert sorts(tab) == {"Track": "ascending"}
        press(tab, "bpm", "Enter")
        assert titles(tab) == ["b", "ä", "a", "c"]
        press(tab, "bpm", "Enter")
        assert titles(tab) == ["a", "ä", "b", "c"]  # what has none stays last
        assert sorts(tab) == {"bpm": "descending"}
        tab.value("document.querySelector('.all-tracks input').focus()")
        tab.ask("Input.insertText", text="  KITE 174 ")
        assert titles(tab) == ["a"]
        tab.value("document.querySelector('.all-tracks input').select()")
        tab.ask("Input.insertText", text="job_failed anchor")
        assert titles(tab) == ["c"]
        assert tab.value("document.querySelector('.all-tracks output').value") == "1 of 4"


def titles(tab) -> list[str]:
    shown = "[...document.querySelectorAll('.tracks tbody tr:not([hidden]) td:first-child')].map(c => c.textContent)"
    return json.loads(tab.value(f"JSON.stringify({shown})"))


def sorts(tab) -> dict[str, str]:
    pairs = "[...document.querySelectorAll('.tracks th[aria-sort]')].map(h => [h.textContent, h.ariaSort])"
    return dict(json.loads(tab.value(f"JSON.stringify({pairs})")))


def press(tab, heading: str, key: str) -> None:
    buttons = "[...document.querySelectorAll('.tracks th button')]"
    tab.value(f"{buttons}.find(b => b.textContent === {json.dumps(heading)}).focus()")
    for kind in ("rawKeyDown", "char", "keyUp"):
        text = {"text": "\r"} if kind == "char" else {}
        tab.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=13, **text)
