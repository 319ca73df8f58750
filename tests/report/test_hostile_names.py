"""Names as no manifest should have them, on real pages in a real Chromium: text that nobody runs, within the page."""

from __future__ import annotations

import json
import unicodedata

import pytest
from support.chromium import browser_page, chromium_path
from support.html_page import ATTACK
from support.made_tables import MadeTables

from stemline.records import Code, Reject
from stemline.report import write_report
from stemline.report.dataset_page import write_dataset_report

pytestmark = [
    pytest.mark.skipif(
        chromium_path() is None, reason="There is no Chromium here: `apt-get install chromium` brings it."
    ),
    pytest.mark.xdist_group("chromium"),
]
HOSTILE = {
    "markup": f"</script></style></title><svg onload=\"document.title='owned'\">{ATTACK}",
    "quotes": "\"double\" 'single' `back` &amp; &#x3c;",
    "arabic": "\u0623\u063a\u0646\u064a\u0629 live \u0637\u0648\u064a\u0644\u0629",
    "turned around": "never closed \u202egnp.exe \u2067and on",
    "emoji": "\U0001f3b8\U0001f389 \U0001f469\u200d\U0001f469\u200d\U0001f467 party",
    "long word": "W" * 500,
    "long line": "words and " * 50,
    "lines": "one\nline\r\nafter\tanother\u2028and more",
    "controls": "bell\x07 escape\x1b[31m null\x00 end",
    "marks": "Z" + "\u0310" * 80 + "algo " + "o\u0317" * 40,
    "template": "{{7*7}} ${7*7} %s $body {0}",
}
WIDTHS = (1280, 390)
OUTSIDE = """
[...document.querySelectorAll("main *")].filter((each) => {
  const box = each.getBoundingClientRect(), isHidden = each.closest("audio, svg, .scroll, details:not([open]), .facts");
  return !isHidden && box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map((each) => each.outerHTML.slice(0, 200))
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browser_page(tmp_path_factory.mktemp("chromium")) as page:
        page.call(
            "Page.addScriptToEvaluateOnNewDocument", source="window.alert = () => { window.owned = true; }"
        )
        yield page


def shown(name: str) -> str:
    """How a page writes a name of which nothing is cut off."""
    kept = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) == "Cc" and each not in "\t\r\n" else each
        for each in name
    )
    return " ".join(kept.split())


def check(browser, path) -> None:
    """Open a page at every width: its own script alone has run, and nothing reaches out of it."""
    for width in WIDTHS:
        browser.console.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.call("Emulation.setDeviceMetricsOverride", **size)
        browser.open(f"file://{path}")
        assert browser.ask("window.owned === undefined && document.scripts.length === 1"), path
        assert browser.ask("document.querySelectorAll('svg[onload], img:not(.artwork)').length") == 0
        assert "owned" not in browser.ask("document.title")
        assert browser.ask("document.documentElement.scrollWidth") <= width
        assert browser.ask(OUTSIDE) == []
        assert browser.console == []


def test_a_runs_page_shows_them_as_they_are(night, browser):
    for number, (kind, name) in enumerate(HOSTILE.items()):
        facts = {"title": name, "artist": name, "album": name, "license": name[:40]}
        track = night.plan(f"t-{number:016x}", f"/music/{kind}.mp3", **facts)
        if number % 2:
            night.fail(track, f"It was: {name}")
        else:
            night.publish(track)
    night.ledger.runs.reject(
        night.run_id, [Reject(99, None, f"music/{'x' * 300}.wav", Code.MISSING_FILE, ATTACK)]
    )
    night.finish(3)
    key = write_report(night.ledger, night.store, night.run_id)
    check(browser, night.store.local_path(key))
    heads = browser.ask("[...document.querySelectorAll('.deck h3')].map((each) => each.innerText)")
    names = [name for number, name in enumerate(HOSTILE.values()) if not number % 2]
    for told, name in zip(heads, names, strict=True):
        if len(name) <= 90:
            assert " ".join(told.split()) == shown(name)
        else:
            assert told.endswith("…")
    listed = browser.ask(
        "[...document.querySelectorAll('.troubles td:nth-child(2)')].map((e) => e.innerText)"
    )
    assert any(HOSTILE["quotes"] in each for each in listed)
    ids = browser.ask(
        "[...document.querySelectorAll('.troubles small code')].map((e) => e.getClientRects().length)"
    )
    assert set(ids) == {1}, "an id broke over lines"


def test_the_table_of_tracks_finds_and_sorts_them(night, browser):
    for name in HOSTILE.values():
        night.publish(night.plan(title=name, artist=name))
    night.finish()
    browser.open(f"file://{night.store.local_path(write_report(night.ledger, night.store, night.run_id))}")
    find = f"(() => {{ const f = document.querySelector('.tools input'); f.value = {json.dumps('<img src')}; "
    browser.ask(find + "f.dispatchEvent(new Event('input')); })()")
    browser.wait("document.querySelectorAll('.tracks tbody tr:not([hidden])').length < 9")
    browser.ask("document.querySelector('.tracks th button').click()")
    assert browser.ask("window.owned === undefined")


def test_a_datasets_page_shows_them_as_they_are(tmp_path, browser):
    made = MadeTables(str(tmp_path / "dataset"), {})
    made.publish(
        *(
            {"track_id": f"t{number}", "title": name, "artist": name, "album": name, "split": kind}
            for number, (kind, name) in enumerate(HOSTILE.items())
        )
    )
    check(browser, write_dataset_report(made.settings)["report"])
