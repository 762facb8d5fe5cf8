"""`framemill verify`: a workload is played here, and what was predicted stands beside what was measured."""
import json
import shutil
import subprocess
import unittest

import framemill
from framemill import DEMO_MODEL, FramemillTest

SITE = """
cameras:
  - {name: gates, count: 2, resolution: 640x360, fps: 10, rate: 5, slo: 500ms, model: line_int8.onnx, priority: critical}
  - {name: yard, count: 2, resolution: 640x360, fps: 10, rate: 5, slo: 500ms, model: line_int8.onnx, policy: adaptive}
"""


class VerifyTest(FramemillTest):
    def setUp(self):
        super().setUp()
        self.models = self.folder / "models"
        self.models.mkdir()
        shutil.copy(DEMO_MODEL, self.models / "line_int8.onnx")
        self.site = self.folder / "site.yaml"
        self.site.write_text(SITE)

    def framemill(self, *arguments, timeout=240):
        return subprocess.run([framemill.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)

    def bench(self):
        profile = self.folder / "profile.json"
        done = self.framemill("bench", self.models / "line_int8.onnx", "--quick", "--out", profile)
        self.assertEqual(done.returncode, 0, done.stderr)
        return profile

    def test_predicted_beside_measured(self):
        profile = self.bench()
        done = self.framemill("verify", self.site, "--profile", profile, "--models", self.models, "--for", "6s", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertTrue(report["conserved"])
        self.assertEqual([c["priority"] for c in report["classes"]], ["critical", "normal"])
        for group in report["classes"]:
            self.assertEqual(group["cameras"], 2)
            self.assertAlmostEqual(group["predicted"]["sampled_per_s"], 10, delta=.5)
            self.assertGreater(report["speed"], 0)
            if not framemill.IS_SLOW_BUILD:
                self.assertAlmostEqual(group["measured"]["sampled_per_s"], 10, delta=1)
                self.assertGreater(group["measured"]["share_inferred"], .5)
        # What is predicted alone: no cameras, no drift, the same figures.
        alone = self.framemill("verify", self.site, "--profile", profile, "--models", self.models, "--predict", "--json")
        self.assertEqual(alone.returncode, 0, alone.stderr)
        for before, group in zip(report["classes"], json.loads(alone.stdout)["classes"]):
            self.assertIsNone(group["measured"])
            self.assertEqual(group["predicted"]["sampled_per_s"], before["predicted"]["sampled_per_s"])
        # The model was exchanged since.
        with open(self.models / "line_int8.onnx", "ab") as model:
            model.write(b"\0")
        done = self.framemill("verify", self.site, "--profile", profile, "--models", self.models)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is not the file that the profile", done.stderr)

    def test_wrong_input_starts_nothing(self):
        for arguments, message in (
                (("verify",), "WORKLOAD"),
                (("verify", self.site), "--profile"),
                (("verify", self.site, "--profile", self.folder / "none.json"), "none.json"),
                (("verify", self.folder / "none.yaml", "--profile", "p.json"), "none.yaml"),
                (("verify", self.site, "--profile", "p.json", "--for", "1ms"), "--for")):
            with self.subTest(arguments=arguments):
                done = self.framemill(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(message, done.stderr)
                self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
