#!/usr/bin/env python3
"""Clients that ask the server for what a dashboard asks for, without the browser, whose own processor time would be mistaken for the server's.

What a real page of the wall sends is in dashboard_pattern.json: its subscription, and each request with its time. To record it anew:

dashboard_clients.py --record --build build/release

opens the wall in Debian's Chromium at 1920x1080 on 50 light cameras, lets it settle, and writes down 20 s of it. A browser on a busy machine asks
for fewer pictures than it would on one of its own, so the order is kept and the requests are spaced by 80 ms, the page's own least
(web/src/snapshots.ts): the most that a page ever asks for.
"""
import argparse
import http.client
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATTERN = pathlib.Path(__file__).with_name("dashboard_pattern.json")
IN_FLIGHT_MAX = 2  # as web/src/snapshots.ts
SPACING_S = .08  # likewise
sys.path.append(str(ROOT / "tests/e2e"))


class DashboardClient:
    """One page: a stream that is read and thrown away, and the pattern's requests over and over, at most two at a time."""

    def __init__(self, address, pattern):
        from stream_client import StreamClient
        self.address, self.pattern = address, pattern
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.next = 0
        self.shift_s = 0.0  # by which it lags behind the pattern: a page does not catch up on pictures that were slow
        self.begin = time.monotonic()
        self.statuses = {}
        self.stream_bytes = self.request_bytes = 0
        self.stream = StreamClient(address)
        self.stream.socket.settimeout(1)
        for message in pattern["sent"]:
            self.stream.send_text(message)
        self.threads = [threading.Thread(target=self.drain), *[threading.Thread(target=self.fetch) for _ in range(IN_FLIGHT_MAX)]]
        for thread in self.threads:
            thread.start()

    def drain(self):
        while not self.stopping.is_set():
            try:
                part = self.stream.socket.recv(1 << 18)
            except TimeoutError:
                continue
            if not part:
                return
            self.stream_bytes += len(part)
            time.sleep(.05)  # a few wake-ups are enough to read it all

    def take(self):
        """The next request and the moment it is due."""
        requests = self.pattern["requests"]
        with self.lock:
            round_, i = divmod(self.next, len(requests))
            self.next += 1
            due = self.begin + self.shift_s + round_ * self.pattern["seconds"] + requests[i]["at_s"]
            self.shift_s += max(0.0, time.monotonic() - due)
            return requests[i]["path"], due

    def fetch(self):
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        while not self.stopping.is_set():
            path, due = self.take()
            if self.stopping.wait(max(0.0, due - time.monotonic())):
                break
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                with self.lock:
                    self.statuses["none"] = self.statuses.get("none", 0) + 1
                continue
            with self.lock:
                self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                self.request_bytes += len(body)
        connection.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.stream.close()


def record(build, seconds=20, settle_s=6):
    sys.path.append(str(ROOT / ".deps/playwright"))
    from playwright.sync_api import sync_playwright
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "site.yaml"
        cameras = [{"id": f"cam-{i + 1}", "url": "synthetic://?size=160x90&rate=5", "rate": 2} for i in range(50)]
        config.write_text(json.dumps({"models": {"objects": {"path": str(ROOT / "demo/models/line_int8.onnx")}}, "cameras": cameras,
                                      "engine": {"policy": "adaptive", "budget": "2/s", "pace": "live"}}))
        log = open(pathlib.Path(folder) / "log", "w+", encoding="utf-8")
        engine = subprocess.Popen([build / "framemill", "run", config, "--listen", "127.0.0.1:0"], stderr=log, stdout=subprocess.DEVNULL)
        try:
            address = None
            while address is None:
                assert engine.poll() is None, pathlib.Path(log.name).read_text()
                time.sleep(.2)
                address = re.search(r"listening at (http://[^\s]+)", pathlib.Path(log.name).read_text())
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1920, "height": 1080})
                requests, sent = [], []
                page.on("request", lambda r: requests.append((time.monotonic(), r.method, r.url)))
                page.on("websocket", lambda s: s.on("framesent", lambda text: sent.append(text)))
                page.goto(address[1])
                page.wait_for_timeout(settle_s * 1000)
                begin = time.monotonic()
                page.wait_for_timeout(seconds * 1000)
                paths = ["/" + url.split("/", 3)[3] for at, method, url in requests if begin <= at < begin + seconds and method == "GET" and url.startswith("http")]
                browser.close()
        finally:
            engine.terminate()
            engine.wait()
    kept = [{"at_s": round(i * SPACING_S, 2), "path": path} for i, path in enumerate(paths)]
    PATTERN.write_text(json.dumps({"page": "wall, 1920x1080, 50 cameras", "seconds": len(kept) * SPACING_S, "sent": sent[-1:], "requests": kept}, indent=0) + "\n")
    print(f"{len(kept)} requests in {seconds} s, subscription: {sent[-1:]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", required=True)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    record(parser.parse_args().build)
