"""Each example runs as its README says."""
import contextlib
import json
import os
import sqlite3
import subprocess
import unittest
import unittest.mock

import framemill
from framemill import ROOT, FramemillTest, Finished, free_port, read_lines


class ExamplesTest(FramemillTest):
    def example(self, name):
        done = subprocess.run([ROOT / "examples" / name / "run.sh", framemill.BINARY, str(self.folder)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        finished = Finished(0, done.stdout, done.stderr, read_lines(self.folder / "results.jsonl"), json.loads((self.folder / "summary.json").read_text()))
        self.check_promises(finished)
        return finished

    def test_all_are_covered(self):
        self.assertEqual({path.name for path in (ROOT / "examples").iterdir()}, {"compare-before-buying", "loading-dock", "plan-a-site", "production-line", "recorded-files"})

    def test_readme_configuration(self):
        text = (ROOT / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
        site = self.folder / "site.yaml"
        site.write_text(text)
        done = subprocess.run([framemill.BINARY, "config", "check", site], capture_output=True, text=True, timeout=60, env=os.environ | {"GATE1_PASSWORD": "secret"})
        self.assertEqual((done.returncode, done.stdout), (0, "ok: 2 cameras, 1 model\n"), done.stderr)

    def test_production_line(self):
        done = self.example("production-line")
        filler, packing = done.summary["cameras"]
        self.assertAlmostEqual(filler["sampled"], 80, delta=3)
        self.assertAlmostEqual(packing["sampled"], 40, delta=3)
        if not framemill.IS_SLOW_BUILD:
            self.assertGreaterEqual(filler["inferred"], 75)
        labels = {d["label"] for line in done.results if line["camera"] == "filler-out" for d in line.get("detections", [])}
        self.assertLessEqual(labels, {"product", "missing_cap"})
        for line in done.results:
            if line["camera"] == "packing":
                for d in line.get("detections", []):
                    self.assertGreaterEqual((d["box"][1] + d["box"][3]) / 2, 0.2 * line["height"])
        for name in ("filler-out", "packing"):
            self.assertTrue((self.folder / f"{name}.jpg").exists())

    def test_loading_dock(self):
        with unittest.mock.patch.dict(os.environ, {"MODBUS_PORT": str(free_port())}):
            done = self.example("loading-dock")
        alarms = [json.loads(line) for line in (self.folder / "alarms.jsonl").read_text().splitlines()]
        self.assertIn(("occupied", "raised"), {(a["rule"], a["state"]) for a in alarms}, done.stderr)
        self.assertTrue(list((self.folder / "data/pictures").glob("*.jpg")))
        with contextlib.closing(sqlite3.connect(self.folder / "events.db")) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM alarm_events").fetchone(), (len(alarms),))
        self.assertIn("`dock-2` `damaged` (defect, critical)", (self.folder / "register-map.md").read_text())

    def test_compare_before_buying(self):
        done = subprocess.run([ROOT / "examples/compare-before-buying/run.sh", framemill.BINARY, str(self.folder)], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads((self.folder / "compare.json").read_text())
        self.assertEqual([run["policy"] for run in document["runs"]], 3 * ["hold"] + 2 * ["similarity"] + 3 * ["adaptive"])
        self.assertEqual(document["runs"][0]["frames"], 250)
        self.assertIn("adaptive", done.stdout)
        self.assertIn("<svg", (self.folder / "compare.html").read_text())

    def test_plan_a_site(self):
        done = subprocess.run([ROOT / "examples/plan-a-site/run.sh", framemill.BINARY, str(self.folder)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("what would flip the choice", done.stdout)
        self.assertIn("### Resource list", (self.folder / "hardware.md").read_text())
        self.assertTrue((self.folder / "hardware.csv").read_text().startswith("device,choice,count"))

    def test_recorded_files(self):
        done = self.example("recorded-files")
        self.assertEqual((done.summary["total"]["inferred"], done.summary["total"]["reused"]), (50, 200))
        self.assertIn("recall", done.stdout.lower())


if __name__ == "__main__":
    unittest.main()
