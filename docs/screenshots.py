"""Takes the pictures that the documentation shows, from the page of a real run: `make screenshots`.

Drives a headless Chromium over its DevTools protocol, https://chromedevtools.github.io/devtools-protocol/, which writes
WebP itself. `--page FILE` takes them of a page that is there, rather than of a new demo's.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.chromium import NAMES, BrowserPage, browser_page, chromium_path

IMAGES = Path(__file__).with_name("images")
MOST_BYTES = 300_000
QUALITY = 72


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


def take(page: BrowserPage, picture: Picture) -> bytes:
    """Give a picture as WebP."""
    size = {"width": picture.width, "height": picture.height}
    page.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=picture.width < 600)
    scheme = {"name": "prefers-color-scheme", "value": picture.scheme}
    page.call("Emulation.setEmulatedMedia", features=[scheme])
    page.ask("new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
    place = f"document.querySelector({json.dumps(picture.begins_at)}).getBoundingClientRect().top + scrollY"
    top = max(0.0, page.ask(place) - (20 if picture.begins_at != "main" else 0))
    clip = {"x": 0, "y": top, **size, "scale": 1}
    asked = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True}
    return base64.b64decode(page.call("Page.captureScreenshot", clip=clip, **asked)["data"])


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
    if chromium_path() is None:
        print(f"There is no browser here. Install Chromium: one of {', '.join(NAMES)} on the path.")
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stemline-demo-") as folder:
        report = given.page or make_demo(Path(folder))
        with browser_page(Path(folder)) as page:
            page.open(report.resolve().as_uri())
            taken = {picture.name: take(page, picture) for picture in PICTURES}
    for name, content in taken.items():
        (given.out / name).write_bytes(content)
        print(f"{len(content):>8,}  {given.out / name}")
    total = sum(map(len, taken.values()))
    print(f"{total:>8,}  bytes in all, of at most {MOST_BYTES:,}")
    return 0 if total <= MOST_BYTES else 3


if __name__ == "__main__":
    sys.exit(main())
