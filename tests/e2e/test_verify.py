"""`framemill verify`: a workload is played here, and what was predicted stands beside what was measured."""
import contextlib
import http.server
import json
import shutil
import subprocess
import threading
import unittest

import framemill
from framemill import DEMO_MODEL, FramemillTest
from test_simulate import profile as made_up, signed

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
        # One of two machines gets half of the cameras; models are named as for the plan.
        self.site.write_text(SITE.replace("line_int8.onnx", "LINE_int8"))
        half = self.framemill("verify", self.site, "--profile", profile, "--models", self.models, "--devices", "2", "--predict", "--json")
        self.assertEqual(half.returncode, 0, half.stderr)
        self.assertEqual([c["cameras"] for c in json.loads(half.stdout)["classes"]], [1, 1])
        done = self.framemill("verify", self.site, "--profile", profile, "--models", self.models, "--devices", "5")
        self.assertEqual(done.returncode, 2)
        self.assertIn("give 1 to 4", done.stderr)
        # What a clip is, not what the workload says of it, is predicted.
        clip = self.folder / "clip.mp4"
        framemill.make_clip(clip, rate=4)
        done = self.framemill("verify", self.site, "--profile", profile, "--models", self.models, "--clip", clip, "--predict")
        self.assertEqual(done.returncode, 2)
        self.assertIn("has 4", done.stderr)
        self.check_that_silent_cameras_are_named(profile)
        # A made-up profile of this very file and machine, of another one, and of another kernel.
        real = json.loads(profile.read_text())
        content = {**made_up("line_int8.onnx"), **{key: real[key] for key in ("device_name", "model_sha256", "environment")}}
        other = self.folder / "other.json"
        for change, status, message in (
                ({}, 0, ""),
                ({"device_name": "another CPU"}, 2, "was measured on another CPU, and this is"),
                ({"environment": {**real["environment"], "cores": "3000"}}, 2, "was measured on 3000 cores"),
                ({"environment": {**real["environment"], "kernel": "Linux 0.1"}}, 0, "another kernel Linux 0.1 (here: Linux")):
            with self.subTest(change=list(change)):
                other.write_text(json.dumps(signed({**content, **change})))
                done = self.framemill("verify", self.site, "--profile", other, "--models", self.models, "--predict")
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(message, done.stderr)
                self.assertTrue(message or not done.stderr, done.stderr)
        # The model was exchanged since.
        with open(self.models / "line_int8.onnx", "ab") as model:
            model.write(b"\0")
        done = self.framemill("verify", self.site, "--profile", profile, "--models", self.models)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is not the file that the profile", done.stderr)

    def check_that_silent_cameras_are_named(self, profile):
        """The clip's server answers while it is looked at, and never again: its cameras connect until the end."""
        clip = framemill.make_clip(self.folder / "clip.ts", rate=10)
        asked, is_over = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                if len(asked) > 1:
                    is_over.wait(120)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(clip.stat().st_size))
                self.end_headers()
                with contextlib.suppress(OSError):  # it reads as much as it needs to know the clip
                    self.wfile.write(clip.read_bytes())

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(is_over.set)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = self.framemill("verify", self.site, "--profile", profile, "--models", self.models, "--for", "5s",
                              "--clip", f"http://127.0.0.1:{server.server_port}/clip.ts")
        self.assertEqual(done.returncode, 0, done.stderr)
        for camera in ("gates-1", "gates-2", "yard-1", "yard-2"):
            self.assertRegex(done.stderr, rf"(?m)^{camera}: never gave a picture: ")

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
