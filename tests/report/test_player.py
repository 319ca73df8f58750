"""The players of a page in a real Chromium: what is heard is taken from where the browser sends it to the speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.chromium import browser_page, chromium_path

from stemline.report.frame import html_page
from stemline.report.player import AudioPlace, PlayedStem, PlayedTrack, track_player
from stemline.report.preview import SAMPLE_RATE, make_preview

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        chromium_path() is None, reason="There is no Chromium here: `apt-get install chromium` brings it."
    ),
    pytest.mark.xdist_group("chromium"),
]
SECONDS = 4
CLICKS = (0.5, 1.3, 1.9, 2.8, 3.4)
STEMS = ("vocals", "drums", "bass", "mix")
RECORDER = """
// Each stem's last node is heard on a channel of its own of one recorder, and so are all of them at the same moments.
window.channels = []; window.recorded = [[], [], [], []];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target === this.context.destination && this instanceof GainNode) {
    if (!window.recorder) {
      window.merger = this.context.createChannelMerger(4);
      window.recorder = this.context.createScriptProcessor(4096, 4, 1);
      window.recorder.onaudioprocess = (event) => {
        for (let number = 0; number < 4; number++) {
          window.recorded[number].push(new Float32Array(event.inputBuffer.getChannelData(number)));
        }
      };
      connect.call(window.merger, window.recorder);
      connect.call(window.recorder, this.context.destination);
    }
    connect.call(this, window.merger, 0, window.channels.length % 4);
    window.channels.push(this);
  }
  return connect.call(this, target, ...rest);
};
"""
TAKE = """
(() => {
  const taken = window.recorded.map((blocks) => blocks.flatMap((block) => [...block]));
  window.recorded = [[], [], [], []];
  const whole = (x) => Math.round(Math.max(-1, Math.min(1, x)) * 16000) + 32768;
  const text = (list) => {
    let out = "";
    for (let i = 0; i < list.length; i += 4096) out += String.fromCharCode(...list.slice(i, i + 4096).map(whole));
    return out;
  };
  return taken.map(text);
})()
"""


def click_track(gain: float) -> np.ndarray:
    """Short bursts at the same moments in every stem, each stem as loud as it is."""
    samples = np.zeros((SECONDS * SAMPLE_RATE, 1), np.float32)
    burst = np.hanning(64)[:, None] * np.sin(np.arange(64) / 2)[:, None]
    for at in CLICKS:
        first = round(at * SAMPLE_RATE)
        samples[first : first + 64] = gain * burst
    return samples


def card(title: str, stems: tuple[str, ...] = STEMS) -> str:
    played = tuple(
        PlayedStem(
            stem, f"audio/{stem}.flac", SECONDS, -20.0, "ok", preview=make_preview(click_track(0.9 - n / 10))
        )
        for n, stem in enumerate(stems)
    )
    track = PlayedTrack(title, "Nina", ("120 bpm",), played, preview_start=12.0, preview_seconds=SECONDS)
    return track_player(track, AudioPlace("s3://bucket/stems", None))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browser_page(tmp_path_factory.mktemp("chromium")) as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=RECORDER)
        yield page


@pytest.fixture
def page(browser, tmp_path: Path):
    file = tmp_path / "page.html"
    file.write_text(html_page("Songs", [card("First"), card("Second", ("vocals", "drums"))]))
    browser.console.clear()
    browser.open(f"file://{file}")
    yield browser
    assert [line for line in browser.console if "ScriptProcessorNode is deprecated" not in line] == []  # ours


def press(page, selector: str, number: int = 0) -> None:
    page.ask(f"document.querySelectorAll('{selector}')[{number}].click()")


def play(page, number: int = 0) -> None:
    """Start a card and wait until its clock runs."""
    press(page, ".play", number)
    page.wait(f"Number(document.querySelectorAll('.deck input')[{number}].value) > 0.1")


def position(page, number: int = 0) -> float:
    return float(page.ask(f"document.querySelectorAll('.deck input')[{number}].value"))


def seek(page, at: float) -> None:
    page.ask(f"(() => {{ const s = document.querySelector('.deck input'); s.value = {at};"
             " s.dispatchEvent(new Event('input')); })()")  # fmt: skip


def recorded(page) -> np.ndarray:
    """What each stem sent to the speaker since the last look: (channels, samples)."""
    channels = [
        np.frombuffer(text.encode("utf-16-le"), np.uint16).astype(np.float64) for text in page.ask(TAKE)
    ]
    return (np.stack(channels) - 32768) / 16000


def lag_seconds(page, one: np.ndarray, other: np.ndarray) -> float:
    """By how much one channel is later than another, to a sample of the browser's clock."""
    size = 1 << (2 * len(one) - 1).bit_length()
    product = np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size))
    best = int(np.argmax(np.fft.irfft(product, size)))
    return (best - size if best > size // 2 else best) / page.ask("window.recorder.context.sampleRate")


def test_stems_stay_together_to_the_sample_through_solo_mute_and_seek(page):
    play(page)
    press(page, ".lane[data-stem=drums] .solo")
    page.wait("Number(document.querySelector('.deck input').value) > 0.8")
    press(page, ".lane[data-stem=drums] .solo")
    press(page, ".lane[data-stem=bass] .mute")
    page.wait("Number(document.querySelector('.deck input').value) > 1.1")
    press(page, ".lane[data-stem=bass] .mute")
    recorded(page)
    seek(page, 1.15)
    page.wait("Number(document.querySelector('.deck input').value) > 3.3")
    sound = recorded(page)
    assert [np.abs(channel).max() > 0.2 for channel in sound] == [True, True, True, False]
    for channel in sound[1:3]:
        assert abs(lag_seconds(page, sound[0], channel)) < 0.001
    press(page, ".play")


def test_solo_and_mute_silence_what_they_say(page):
    press(page, ".lane[data-stem=vocals] .mute")
    play(page)
    page.wait("Number(document.querySelector('.deck input').value) > 1.5")
    vocals, drums, bass, original = recorded(page)
    assert np.abs(vocals).max() == pytest.approx(0, abs=1e-3)
    assert np.abs(drums).max() > 0.2
    assert np.abs(bass).max() > 0.2
    assert np.abs(original).max() == pytest.approx(0, abs=1e-3)
    press(page, ".lane[data-stem=mix] .solo")
    page.wait("Number(document.querySelector('.deck input').value) > 1.7")
    recorded(page)
    page.wait("Number(document.querySelector('.deck input').value) > 3.2")
    vocals, drums, bass, original = recorded(page)
    assert np.abs(original).max() > 0.2
    assert max(np.abs(each).max() for each in (vocals, drums, bass)) == pytest.approx(0, abs=1e-3)
    press(page, ".lane[data-stem=bass] .solo")
    pressed = (
        "[...document.querySelectorAll('.deck:first-child .solo')].map((b) => b.getAttribute('aria-pressed'))"
    )
    assert page.ask(pressed) == ["false", "false", "true", "false"]
    press(page, ".play")


def test_one_card_plays_at_a_time_and_goes_on_where_it_was_left(page):
    play(page, 0)
    play(page, 1)
    assert page.ask("[...document.querySelectorAll('.play')].map((b) => b.textContent)") == ["Play", "Pause"]
    stood = position(page, 0)
    page.wait("Number(document.querySelectorAll('.deck input')[1].value) > 0.4")
    assert position(page, 0) == stood > 0
    play(page, 0)
    assert position(page, 0) >= stood
    press(page, ".play", 0)
    assert page.ask("document.querySelectorAll('.playing').length") == 0


def test_a_card_that_ends_begins_again_from_its_start(page):
    play(page)
    seek(page, SECONDS - 0.3)
    page.wait("document.querySelector('.play').textContent === 'Play'")
    assert position(page) == 0


def test_a_click_into_a_waveform_goes_there(page):
    page.ask(
        "(() => { const wave = document.querySelector('.wave'), box = wave.getBoundingClientRect();"
        " const at = {clientX: box.left + box.width / 2, clientY: box.top + 5};"
        " wave.dispatchEvent(new MouseEvent('click', at)); })()"
    )
    assert position(page) == pytest.approx(SECONDS / 2, abs=0.05)


def test_all_of_it_is_done_with_the_keyboard(page):
    named = page.ask(
        "[...document.querySelectorAll('.deck:first-child :is(button, input)')].map((b) => b.ariaLabel)"
    )
    assert named[:3] == ["Play First", "Position in First", "Mute vocals"]
    assert named[-1] == "Solo original"
    page.press("Tab", 9)
    assert page.ask("document.activeElement.ariaLabel") == "Play First"
    page.press("Enter", 13, "\r")
    page.wait("document.activeElement.ariaLabel === 'Pause First'")
    page.press("Enter", 13, "\r")
    page.wait("document.activeElement.ariaLabel === 'Play First'")
    page.press("Tab", 9)
    before = position(page)
    page.press("ArrowRight", 39)
    assert position(page) == pytest.approx(before + 1, abs=0.01)
    assert page.ask("document.activeElement.getAttribute('aria-valuetext')").endswith("of 0:12 to 0:16")
    page.press("Tab", 9)
    page.press(" ", 32, " ")
    assert page.ask("document.activeElement.getAttribute('aria-pressed')") == "true"


def test_without_a_script_each_stem_has_a_player_of_the_browsers_own(page):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.call("Page.reload")
    page.wait(
        "document.readyState === 'complete' && !document.documentElement.classList.contains('scripted')"
    )
    shown = "getComputedStyle(document.querySelector('{}')).display"
    assert page.ask(shown.format("audio")) != "none"
    assert page.ask(shown.format(".transport")) == "none"
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    page.ask(
        "new Promise((go) => { const a = document.querySelector('audio'); a.oncanplay = go; a.load(); })"
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_never_wider_than_its_screen(page, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    page.call("Emulation.setDeviceMetricsOverride", **size)
    assert page.ask("document.documentElement.scrollWidth") <= width
    page.call("Emulation.clearDeviceMetricsOverride")
