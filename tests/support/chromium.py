"""A headless Chromium of this machine, driven by its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
_SECONDS = 60.0


def chromium_path() -> str | None:
    """Give the browser's program; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class BrowserPage:
    """One page: what is called by its names is DevTools', what is asked is JavaScript."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.console: list[str] = []
        """What the page has complained of: errors, warnings, violations of its policy."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Have DevTools do something, and give its answer."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(_SECONDS))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._hear(message)

    def open(self, url: str) -> None:
        """Load a page to its end."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def ask(self, expression: str) -> Any:
        """Give the value of an expression, of a promise what it comes to."""
        how = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        result = self.call("Runtime.evaluate", expression=expression, **how)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        """Return once an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.ask(condition):
            assert time.monotonic() < end, f"never became true: {condition}"
            time.sleep(0.02)

    def press(self, key: str, number: int, text: str = "") -> None:
        """Press a key as a person does; `number` is the virtual key code of Windows."""
        same = {"key": key, "code": key, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **same)
        self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    def screenshot(self, path: Path, width: int, *, height: int = 900, is_dark: bool = False) -> None:
        """Take a picture of the whole page."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))
        elif message["method"] == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.console.append(params["entry"]["text"])
        elif message["method"] == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.console.append(json.dumps(params["args"]))


@contextmanager
def browser_page(folder: Path) -> Iterator[BrowserPage]:
    """Start a browser with a profile of its own in a folder, and give an empty page; all of it ends with the block."""
    program = chromium_path()
    assert program is not None
    log = (folder / "chromium.log").open("wb")
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        address = _address(folder / "profile" / "DevToolsActivePort", process)
        with connect(address, max_size=None) as browser:
            target = _ask(browser, "Target.createTarget", url="about:blank")["targetId"]
            page_address = f"{address.partition('/devtools/')[0]}/devtools/page/{target}"
            with connect(page_address, max_size=None) as socket:
                yield BrowserPage(socket)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _address(port_file: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + _SECONDS
    while not (port_file.exists() and len(lines := port_file.read_text().splitlines()) == 2):
        assert process.poll() is None, "Chromium ended"
        assert time.monotonic() < end, "Chromium did not start"
        time.sleep(0.05)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"


def _ask(socket: ClientConnection, method: str, **params: Any) -> dict[str, Any]:
    socket.send(json.dumps({"id": 0, "method": method, "params": params}))
    while (message := json.loads(socket.recv(_SECONDS))).get("id") != 0:
        pass
    return message["result"]
