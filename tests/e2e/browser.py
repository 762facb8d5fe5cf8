"""A real browser (Debian's chromium) before a real run's dashboard."""
import contextlib
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

import framemill
from framemill import BINARY, DEMO_CLIP, DEMO_MODEL, FramemillTest, free_port

sys.path.append(str(framemill.ROOT / ".deps/playwright"))
try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    expect = sync_playwright = None

CHROMIUM = pathlib.Path("/usr/bin/chromium")
WAIT_MS = 30_000 * (4 if framemill.IS_SLOW_BUILD else 1)


def why_unavailable():
    if sync_playwright is None:
        return "Playwright is missing; scripts/setup.sh installs it"
    if not CHROMIUM.exists():
        return f"{CHROMIUM} is missing; scripts/setup.sh installs it"
    return None


class BrowserTest(FramemillTest):
    """A test is skipped by why_unavailable() where there is no browser."""

    SITE = f"""
models:
  objects: {{path: {DEMO_MODEL}}}
defaults: {{rate: 5, slo: 500ms}}
cameras:
  - {{id: line-1, url: {DEMO_CLIP}, loop: true}}
engine: {{policy: full, pace: live}}
"""

    def setUp(self):
        super().setUp()
        playwright = sync_playwright().start()
        self.addCleanup(playwright.stop)
        self.browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        self.addCleanup(self.browser.close)
        self.port = free_port()
        self.problems = []

    def start_server(self, server="", site=SITE):
        config = self.folder / "site.yaml"
        config.write_text(f"{site}server: {{{server}}}\n")
        log = open(self.folder / "log.txt", "ab")
        self.addCleanup(log.close)
        process = subprocess.Popen([BINARY, "run", str(config), "--results", str(self.folder / "results.jsonl"), "--listen", f"127.0.0.1:{self.port}"],
                                   stdout=subprocess.DEVNULL, stderr=log, cwd=self.folder)
        self.addCleanup(self.end, process)
        end = time.monotonic() + WAIT_MS / 1000
        while time.monotonic() < end:
            self.assertIsNone(process.poll(), (self.folder / "log.txt").read_text())
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.address("/readyz"), timeout=5).close()
                return process
            time.sleep(0.05)
        raise AssertionError((self.folder / "log.txt").read_text())

    def address(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path):
        with urllib.request.urlopen(self.address(path), timeout=30) as answer:
            return json.load(answer)

    def patch(self, path, body):
        request = urllib.request.Request(self.address(path), json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PATCH")
        urllib.request.urlopen(request, timeout=30).close()

    def open_page(self, path="/", **options):
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.addCleanup(context.close)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        # The page's own policy: a script or style from elsewhere would be told here.
        page.on("console", lambda line: self.problems.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto(self.address(path))
        return page

    def tearDown(self):
        self.assertEqual(self.problems, [])

    def boxes_on(self, page, selector):
        page.wait_for_function("selector => Number(document.querySelector(selector)?.dataset.boxes) > 0 && document.querySelector(selector).dataset.picture", arg=selector)
        return page.locator(selector)
