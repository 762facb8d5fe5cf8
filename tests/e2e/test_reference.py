"""docs/reference/results.md names every key that a run writes, and none that it does not."""
import json
import pathlib
import re
import unittest

from framemill import DEMO_CLIP, DEMO_MODEL, ROOT
from peers import wait_until
from plant import PlantTest

# Needs a frame without an answer, or a person: shown by other tests.
RARE = {"reason", "by"}


def documented(heading):
    """Keys in the first column of the tables of one section."""
    section = (ROOT / "docs/reference/results.md").read_text().split(f"## `{heading}`")[1].split("\n## ")[0]
    tables, keys = section.split("| key |")[1:], []
    for table in tables:
        keys.append({key for line in table.splitlines()[2:] if line.startswith("|") for key in re.findall(r"`(\w+)`", line.split("|")[1])})
    return keys


class ReferenceTest(PlantTest):
    def test_results_and_alarms(self):
        engine = self.start_engine(self.config("  - {type: jsonl, path: alarms.jsonl, send: alarms}\n"))
        alarms = pathlib.Path(self.folder / "alarms.jsonl")
        wait_until(lambda: alarms.exists() and '"cleared"' in alarms.read_text(), 120, "an alarm is raised and cleared")
        done = self.finish_engine(engine)
        of_line, of_detection = documented("framemill.result/1")
        self.assertEqual(set().union(*done.results), of_line - RARE)
        self.assertEqual(set().union(*(d for line in done.results for d in line.get("detections", []))), of_detection)
        (of_alarm,) = documented("framemill.alarm/1")
        self.assertEqual(set().union(*map(json.loads, alarms.read_text().splitlines())), of_alarm - RARE)

    def test_summary(self):
        done = self.run_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--policy", "adaptive", "--budget", ".2")
        of_run, of_camera = documented("framemill.summary/1")
        self.assertEqual(set(done.summary), of_run)
        (camera,) = done.summary["cameras"]
        self.assertEqual(set(camera), of_camera)
        self.assertEqual(set(done.summary["total"]) - of_camera, {"inference_s", "decode_s"})


if __name__ == "__main__":
    unittest.main()
