"""`framemill doctor` from outside: what it says of this machine, of a good configuration and of broken ones; secrets never show."""
import json
import socket
import threading
import time
import unittest

from framemill import DEMO_CLIP, DEMO_MODEL, FramemillTest, run

SECRET = "p4ss-w0rd-x"


class DoctorTest(FramemillTest):
    def doctor(self, *arguments, expect=0, **kwargs):
        done = run("doctor", *arguments, timeout=120, **kwargs)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        return done

    def config(self, cameras, model=DEMO_MODEL, more="", engine="{policy: adaptive}"):
        path = self.folder / "site.yaml"
        lines = "\n".join(f"  - {{{camera}}}" for camera in cameras)
        path.write_text(f"models:\n  objects: {{path: {model}{more}}}\nengine: {engine}\ncameras:\n{lines}\n")
        return path

    def test_the_machine_alone(self):
        document = json.loads(self.doctor("--json").stdout)
        self.assertEqual(document["schema"], "framemill.doctor/1")
        self.assertTrue(document["ok"])
        self.assertGreaterEqual(document["machine"]["cores"], 1)
        self.assertGreater(document["machine"]["memory_bytes"], 0)
        self.assertTrue(document["runtimes"][0]["name"].startswith("OpenVINO"))
        self.assertTrue(document["runtimes"][0]["devices"])
        self.assertIn("h264", document["decoding"]["decoders"])
        self.assertIsNone(document["config"])
        text = self.doctor().stdout
        for part in ("cpu", "memory", "runtime", "decoders"):
            self.assertIn(part, text)

    def test_a_good_configuration(self):
        path = self.config([f"id: a, url: {DEMO_CLIP}, loop: true", f"id: b, url: {DEMO_CLIP}, loop: true"])
        document = json.loads(self.doctor(path, "--json").stdout)
        self.assertTrue(document["ok"], document["findings"])
        self.assertEqual([camera["camera"] for camera in document["cameras"]], ["a", "b"])
        for camera in document["cameras"]:
            self.assertEqual((camera["codec"], camera["width"], camera["height"]), ("h264", 640, 360))
        self.assertTrue(document["models"][0]["ok"])
        self.assertGreater(document["models"][0]["frames_per_s"], 0)
        self.assertTrue(document["load"]["complete"])
        self.assertTrue(document["memory"]["complete"])
        self.assertGreater(document["memory"]["models_bytes"], 1e6)
        self.assertLess(document["memory"]["total_bytes"], document["memory"]["limit_bytes"])
        self.assertEqual([(plan["device"], plan["needed"]) for plan in document["plan"]], [("CPU", 1)])
        self.assertIsNone(document["hardware_decoder"])
        text = self.doctor(path).stdout
        self.assertIn("load", text)
        self.assertIn("by `plan`, CPU: 1 needed", text)

    def test_what_is_broken_is_named_with_a_remedy_and_no_secret(self):
        broken = self.folder / "broken.onnx"
        broken.write_bytes(DEMO_MODEL.read_bytes()[:1000])
        text = self.folder / "text.mp4"
        text.write_text("no video\n" * 1000)
        path = self.config([f"id: good, url: {DEMO_CLIP}, loop: true", f"id: gone, url: {self.folder}/gone.mp4", f"id: text, url: {text}",
                            f'id: refused, url: "rtsp://127.0.0.1:9/1?token={SECRET}", username: viewer, password: "{SECRET}"'], model=broken)
        document = json.loads(self.doctor(path, "--json", expect=1).stdout)
        self.assertFalse(document["ok"])
        self.assertEqual([camera["ok"] for camera in document["cameras"]], [True, False, False, False])
        self.assertIn("model objects", document["findings"][0]["text"])
        for camera in ("gone", "text", "refused"):
            self.assertTrue(any(finding["text"].startswith(camera) and finding["remedy"] for finding in document["findings"]), camera)
        self.assertIn("FIX", self.doctor(path, expect=1).stdout)

    def test_a_class_that_the_model_does_not_know(self):
        path = self.config([f"id: a, url: {DEMO_CLIP}, classes: [unicorn]"])
        self.assertIn('"unicorn" is no label', self.doctor(path, expect=1).stdout)

    def test_each_device_of_a_model_is_tried(self):
        path = self.config([f"id: a, url: {DEMO_CLIP}, loop: true"], more=", device: [CPU, CPU]")
        self.assertTrue(json.loads(self.doctor(path, "--json").stdout)["models"][0]["ok"])
        path = self.config([f"id: a, url: {DEMO_CLIP}, loop: true"], more=", device: [CPU, NOPE]")
        done = self.doctor(path, "--json", expect=1)
        self.assertFalse(json.loads(done.stdout)["models"][0]["ok"])
        self.assertIn('device \\"NOPE\\" is not there', done.stdout)

    def test_a_decoder_that_is_asked_for_is_tried(self):
        """Where NVIDIA's is not there, an advice says so before a run does."""
        path = self.config([f"id: a, url: {DEMO_CLIP}, loop: true, decode: auto", f"id: b, url: {DEMO_CLIP}, loop: true"])
        document = json.loads(self.doctor(path, "--json").stdout)
        self.assertEqual(document["hardware_decoder"]["cameras"], ["a"])
        self.assertTrue(document["cameras"][0]["ok"])
        said = [finding for finding in document["findings"] if finding["text"] == "a: `decode: auto`, but the processor decodes"]
        self.assertEqual([finding["kind"] for finding in said], [] if document["hardware_decoder"]["ok"] else ["advice"])

    def test_cameras_that_never_answer_cost_their_time_once(self):
        """Servers that accept and then say nothing: all are looked at side by side, and given up."""
        server = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.addCleanup(server.close)
        held = []

        def accept():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        port = server.getsockname()[1]
        path = self.config([f'id: c{i}, url: "rtsp://127.0.0.1:{port}/{i}", username: viewer, password: "{SECRET}"' for i in range(12)])
        began = time.monotonic()
        document = json.loads(self.doctor(path, "--json", expect=1).stdout)
        self.assertLess(time.monotonic() - began, 60)  # one after the other they would take 96 s
        self.assertEqual([camera["ok"] for camera in document["cameras"]], [False] * 12)
        for connection in held:
            connection.close()

    def test_a_workload_that_does_not_fit(self):
        """With a speed from a profile that is edited nowhere, but asked for by many cameras."""
        cameras = [f"id: c{i}, url: {DEMO_CLIP}, loop: true, rate: 25" for i in range(2000)]
        document = json.loads(self.doctor(self.config(cameras, engine="{policy: full}"), "--json", expect=1).stdout)
        self.assertGreater(document["load"]["total"], 1)
        self.assertTrue(any("% of this machine" in finding["text"] for finding in document["findings"]))

    def test_speeds_come_from_a_profile_of_the_same_model(self):
        profile = self.folder / "profile.json"
        done = run("bench", DEMO_MODEL, "--quick", "--clip", DEMO_CLIP, "--out", profile)
        self.assertEqual(done.returncode, 0, done.stderr)
        path = self.config([f"id: a, url: {DEMO_CLIP}, loop: true"])
        document = json.loads(self.doctor(path, "--profile", profile, "--json").stdout)
        self.assertEqual(document["models"][0]["measured"], "profile")
        self.assertEqual(document["profile_notes"], [])
        exact = self.config([f"id: a, url: {DEMO_CLIP}, loop: true"], more=", precision: fp32")
        document = json.loads(self.doctor(exact, "--profile", profile, "--json").stdout)
        self.assertEqual(document["models"][0]["measured"], "now")
        self.assertIn("arithmetic: auto there, fp32 here", document["profile_notes"][0])
        other = self.config([f"id: a, url: {DEMO_CLIP}, loop: true"], model=DEMO_MODEL.with_name("line_fp32.onnx"))
        document = json.loads(self.doctor(other, "--profile", profile, "--json").stdout)
        self.assertEqual(document["models"][0]["measured"], "now")
        self.assertIn("none of these models", document["profile_notes"][0])
        profile.write_text(profile.read_text()[:500])
        self.assertIn("cut off", self.doctor(path, "--profile", profile, expect=2).stderr)

    def test_wrong_usage(self):
        self.assertIn("site.yaml", self.doctor(self.folder / "site.yaml", expect=2).stderr)
        bad = self.folder / "bad.yaml"
        bad.write_text("cameras: [{id: a, ulr: x}]\n")
        self.assertIn("ulr", self.doctor(bad, expect=2).stderr)
        self.doctor("--spede", expect=2)
        self.doctor("--profile", "p.json", expect=2)
        self.assertIn("--profile", self.doctor("--help").stdout)


if __name__ == "__main__":
    unittest.main()
