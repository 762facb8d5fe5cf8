"""The threads of a run have the names that docs/architecture.md gives them, so that `top -H` says who is busy."""
import contextlib
import pathlib
import re
import subprocess
import time
import unittest

from framemill import BINARY, DEMO_CLIP, DEMO_MODEL, ROOT, FramemillTest
from peers import free_port


def documented_kinds():
    """First words of the names in the table, and how they go on."""
    table = (ROOT / "docs/architecture.md").read_text().split("## Threads")[1].split("##")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")]
    return {match[1] for row in rows if (match := re.fullmatch(r"`([a-z]+)( [A-Za-z]+)?`", row[1]))}


class ThreadsTest(FramemillTest):
    def test_threads_are_named_as_documented(self):
        config = self.folder / "site.yaml"
        config.write_text(f"""
models: {{objects: {{path: {DEMO_MODEL}}}}}
cameras: [{{id: gate-1, url: {DEMO_CLIP}, loop: true, rate: 5}}]
engine: {{pace: live, data: {self.folder}/data}}
server: {{listen: "127.0.0.1:{free_port()}"}}
sinks:
  - {{type: sqlite, path: events.db}}
  - {{type: jsonl, path: a-file-with-a-long-name.jsonl}}
  - {{type: webhook, url: "http://127.0.0.1:{free_port()}/"}}
  - {{type: modbus, listen: "127.0.0.1:{free_port()}"}}
""")
        process = subprocess.Popen([BINARY, "run", str(config), "--for", "60s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, process)
        wanted = {"cam gate-1", "scheduler", "pool", "alarms", "sink events.db", "sink a-file-wit", "sink webhook", "send webhook", "serve modbus", "network",
                  "worker", "stream", "events", "meter", "reloader", "signals", "housekeeper", "file watch"}
        names = set()
        end = time.monotonic() + 60
        while wanted - names and time.monotonic() < end:
            names = set()
            for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    names.add((task / "comm").read_text().strip())
            time.sleep(.1)
        self.assertEqual(wanted - names, set(), names)
        kinds = documented_kinds()
        self.assertGreater(len(kinds), 15)
        # A thread that a library starts has the name of the one that started it.
        self.assertEqual({name for name in names if name.split(" ")[0] not in kinds | {"framemill"}}, set())


if __name__ == "__main__":
    unittest.main()
