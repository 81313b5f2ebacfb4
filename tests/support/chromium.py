"""Headless Chromium, driven over its pipe of the DevTools protocol: what a page looks like at a width.

Source: https://chromedevtools.github.io/devtools-protocol/ (Emulation, Page, DOMSnapshot).
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
).split()


class Box(NamedTuple):
    """An element as it is laid out, in CSS pixels of the page."""

    tag: str
    of: str
    """Its class or id, or ""."""
    inside: str
    """Tags and classes of what it stands in, the outermost first."""
    x: float
    y: float
    width: float
    height: float


class Look(NamedTuple):
    """A page at one width."""

    boxes: list[Box]
    width: float
    """Of all that there is: more than the window's where it scrolls sideways."""
    height: float
    picture: bytes
    """PNG of the window."""
    complaints: list[str]
    """Of the console, and requests for anything but the page."""


class Browser:
    """One process; used as a context."""

    def __init__(self, folder: Path) -> None:
        self._profile = folder
        self._numbers = itertools.count(1)
        self._read = b""

    def __enter__(self) -> "Browser":
        to_browser, self._write_end = os.pipe()
        self._read_end, from_browser = os.pipe()
        line = [str(CHROMIUM), *FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        shell = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "chromium", *line]
        self._process = subprocess.Popen(
            shell, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._write_end)  # it ends with its pipe
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read_end)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._read_end, 1 << 20)
            if not more:
                raise EOFError("Chromium has ended")
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; events that come meanwhile are kept."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        if hasattr(self, "_session"):
            command["sessionId"] = self._session
        os.write(self._write_end, json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._events.append(message)

    _events: list[dict[str, Any]] = []

    def look(self, address: str, width: int, height: int = 900, *, phone: bool = False) -> Look:
        """Open a page in a window of this size."""
        self._events = []
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.ask(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        self.ask("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message())
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        picture = base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])
        snapshot = self.ask("DOMSnapshot.captureSnapshot", computedStyles=[])
        return Look(_boxes(snapshot), size["width"], size["height"], picture, self._complaints(address))

    def _complaints(self, address: str) -> list[str]:
        told = []
        for event in self._events:
            method, more = event.get("method"), event.get("params", {})
            if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                told.append(json.dumps(more)[:300])
            if method == "Network.requestWillBeSent" and more["request"]["url"].partition("#")[0] != address:
                told.append(more["request"]["url"])
        return told


def _boxes(snapshot: dict[str, Any]) -> list[Box]:
    """Every element that is drawn, in the order of the document."""
    strings, (document, *_) = snapshot["strings"], snapshot["documents"]
    nodes, layout = document["nodes"], document["layout"]

    def named(node: int) -> tuple[str, str]:
        attributes = nodes["attributes"][node]
        given = {strings[k]: strings[v] for k, v in zip(attributes[::2], attributes[1::2], strict=True)}
        return strings[nodes["nodeName"][node]].lower(), given.get("class") or given.get("id") or ""

    boxes = []
    for node, bounds in zip(layout["nodeIndex"], layout["bounds"], strict=True):
        tag, of = named(node)
        if tag.startswith(("#", "::")):
            continue
        parents, at = [], nodes["parentIndex"][node]
        while at >= 0:
            parents.append(".".join(named(at)))
            at = nodes["parentIndex"][at]
        boxes.append(Box(tag, of, " ".join(reversed(parents)), *bounds))
    return boxes
