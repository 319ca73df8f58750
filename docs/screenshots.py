"""Takes the pictures that the documentation shows, from the page of a real run: `make screenshots`.

Drives a headless Chromium over its DevTools protocol, https://chromedevtools.github.io/devtools-protocol/, which writes
WebP itself. `--page FILE` takes them of a page that is there, rather than of a new demo's.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

IMAGES = Path(__file__).with_name("images")
MOST_BYTES = 300_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUALITY = 72
WAIT_SECONDS = 30


@dataclass(frozen=True)
class Picture:
    """What is taken: a piece of the page, from where an element begins."""

    name: str
    width: int
    height: int
    scheme: str = "light"
    begins_at: str = "main"


PICTURES = (
    Picture("run.webp", 1280, 900),
    Picture("run-dark.webp", 1280, 900, "dark"),
    Picture("run-phone.webp", 390, 844),
    Picture("run-tracks.webp", 1280, 620, begins_at="#tracks"),
)


class Tab:
    """A tab of the browser, asked one thing after the other."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Give the answer to a command; raises RuntimeError where the browser refuses it."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(WAIT_SECONDS))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def value(self, expression: str) -> Any:  # noqa: ANN401 - whatever a script gives
        """Give what a script, or its promise, gives."""
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        return self.ask("Runtime.evaluate", **asked)["result"].get("value")


def find_browser() -> str | None:
    """Give the Chromium of this machine; None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def browser_tab(browser: str, page: Path) -> Iterator[Tab]:
    """Give a tab that has loaded a page."""
    with tempfile.TemporaryDirectory(prefix="stemline-screenshots-", ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-sandbox",
            "--hide-scrollbars",
            "--no-first-run",
        ]
        command += [f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            address = next(
                m[1] for line in child.stderr if (m := re.search(r"listening on (ws://\S+)", line))
            )
            with connect(address, max_size=None) as socket:
                target = Tab(socket).ask("Target.createTarget", url=page.resolve().as_uri())["targetId"]
            base = address.partition("/devtools/")[0]
            with connect(f"{base}/devtools/page/{target}", max_size=None) as socket:
                yield Tab(socket)
        finally:
            child.terminate()
            child.wait(WAIT_SECONDS)


def take(tab: Tab, picture: Picture) -> bytes:
    """Give a picture as WebP."""
    size = {"width": picture.width, "height": picture.height}
    tab.ask("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=picture.width < 600)
    tab.ask(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": picture.scheme}]
    )
    tab.value("new Promise(go => document.readyState === 'complete' ? go() : addEventListener('load', go))")
    tab.value("new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
    place = f"document.querySelector({json.dumps(picture.begins_at)}).getBoundingClientRect().top + scrollY"
    top = max(0.0, tab.value(place) - (20 if picture.begins_at != "main" else 0))
    clip = {"x": 0, "y": top, **size, "scale": 1}
    asked = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True}
    return base64.b64decode(tab.ask("Page.captureScreenshot", clip=clip, **asked)["data"])


def make_demo(folder: Path) -> Path:
    """Run the demo, and give its page."""
    command = [Path(sys.executable).with_name("stemline"), "demo", "--folder", folder / "demo", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return Path(json.loads(done.stdout)["report"])


def main() -> int:
    """Take them all; 2 where there is no browser, 3 where they are too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="a run's page; else a demo is run")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder they are written to")
    given = parser.parse_args()
    browser = find_browser()
    if browser is None:
        print(f"There is no browser here. Install Chromium: one of {', '.join(BROWSERS)} on the path.")
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stemline-demo-") as folder:
        page = given.page or make_demo(Path(folder))
        with browser_tab(browser, page) as tab:
            taken = {picture.name: take(tab, picture) for picture in PICTURES}
    for name, content in taken.items():
        (given.out / name).write_bytes(content)
        print(f"{len(content):>8,}  {given.out / name}")
    total = sum(map(len, taken.values()))
    print(f"{total:>8,}  bytes in all, of at most {MOST_BYTES:,}")
    return 0 if total <= MOST_BYTES else 3


if __name__ == "__main__":
    sys.exit(main())
