"""Real RTSP cameras: every fault of one of them stays its own, and it comes back by itself."""
import datetime
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "camera_sim"))
import framemill
import sim_client
from framemill import DEMO_MODEL, FramemillTest

WHY_NOT = sim_client.why_unavailable()


def captured_at(line):
    return datetime.datetime.fromisoformat(line["captured_at"].replace("Z", "+00:00")).timestamp()


def wait_until(condition, timeout_s, what):
    end = time.monotonic() + timeout_s * (4 if framemill.IS_SLOW_BUILD else 1.5)  # the cameras share this machine
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")


@unittest.skipIf(WHY_NOT, WHY_NOT)
class CamerasTest(FramemillTest):
    def setUp(self):
        super().setUp()
        self.clip = framemill.make_camera_clip(self.folder / "camera.mp4")

    def simulate(self, *arguments):
        sim = sim_client.CameraSim(*arguments)
        sim.start()
        self.addCleanup(sim.stop)
        return sim

    def sources(self, urls):
        return [part for i, url in enumerate(urls, 1) for part in ("--source", f"{url},id=cam-{i}")]

    def lines(self):
        if not self.results.exists():
            return []
        text = self.results.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def has_answer_after(self, camera, when):
        return any(l["camera"] == camera and l["origin"] != "none" and captured_at(l) > when for l in self.lines()[-400:])

    def rate(self, lines, camera, begin, end):
        return sum(l["camera"] == camera and l["origin"] != "none" and begin <= captured_at(l) < end for l in lines) / (end - begin)

    def test_faults_stay_with_their_camera(self):
        sim = self.simulate("--clip", str(self.clip), "--count", "4")
        engine = self.start_engine(*self.sources(sim.urls), "--model", DEMO_MODEL, "--rate", "10", "--slo", "500ms")
        names = [f"cam-{i}" for i in range(1, 5)]
        wait_until(lambda: all(self.has_answer_after(n, 0) for n in names), 20, "first answers of all cameras")
        # fault, its arguments, seconds, seconds within which answers must come again once it is over
        faults = [
            ("refuse", {}, 3, 5),
            ("not_found", {}, 3, 6),
            ("drop", {}, 1, 5),
            ("stall", {}, 5, 6),
            ("slow", {"factor": 0.25}, 3, 5),
            ("garbage", {"share": 0.3}, 3, 5),
            ("loss", {"share": 0.1}, 3, 5),
            ("auth", {}, 3, 6),
            ("resolution", {"width": 320, "height": 180}, 3, 5),
            ("timestamp_jump", {"seconds": 3600}, 2, 5),
            ("timestamp_wrap", {}, 6, 6),
            ("burst", {"hold_s": 2}, 3, 5),
        ]
        windows = []
        for kind, arguments, lasts_s, recovers_s in faults:
            begin = time.time()
            sim.fault("cam-1", kind, **arguments)
            time.sleep(lasts_s)  # the length of the fault, not coordination
            sim.clear("cam-1")
            over = time.time()
            wait_until(lambda: self.has_answer_after("cam-1", over), recovers_s, f"answers after {kind}")
            windows.append((kind, begin, time.time()))
        done = self.finish_engine(engine)
        for kind, begin, end in windows:
            for name in names[1:]:
                with self.subTest(fault=kind, camera=name):
                    rate = self.rate(done.results, name, begin, end)
                    if not framemill.IS_SLOW_BUILD:
                        self.assertAlmostEqual(rate, 10, delta=10 * 0.03 + 1 / (end - begin))  # whole frames at both ends
        victim = next(c for c in done.summary["cameras"] if c["camera"] == "cam-1")
        self.assertGreaterEqual(victim["reconnects"], 4)
        self.assertEqual(max(l["epoch"] for l in done.results if l["camera"] == "cam-1"), victim["reconnects"])
        sizes = {(l["width"], l["height"]) for l in done.results if l["camera"] == "cam-1"}
        self.assertIn((320, 180), sizes, "the change of resolution was followed")
        log = done.stderr[: done.stderr.index("stopping")]
        self.assertNotIn("cam-2", log, "nothing was to be said of it")

    def test_a_frozen_picture_is_reported_not_reconnected(self):
        sim = self.simulate("--clip", str(self.clip), "--count", "1")
        config = self.folder / "site.yaml"
        config.write_text(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: cam-1, url: '{sim.urls[0]}', frozen_after: 2s, slo: 500ms}}\n")
        engine = self.start_engine(config)
        wait_until(lambda: self.has_answer_after("cam-1", 0), 20, "first answer")
        sim.fault("cam-1", "freeze")
        time.sleep(4)
        sim.clear("cam-1")
        time.sleep(1)
        done = self.finish_engine(engine)
        self.assertIn("frozen", done.stderr)
        self.assertEqual(done.summary["cameras"][0]["reconnects"], 0)

    def test_passwords(self):
        for kind in ("digest", "basic"):
            with self.subTest(auth=kind):
                sim = self.simulate("--clip", str(self.clip), "--count", "1", "--user", "viewer", "--password", "p@ss:w0rd", "--auth", kind)
                config = self.folder / f"{kind}.yaml"
                config.write_text(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: cam-1, url: '{sim.urls[0]}', username: viewer, password: '${{CAMERA_PASSWORD}}', slo: 500ms}}\n")
                engine = self.start_engine(config, "--for", "4s", env={**os.environ, "CAMERA_PASSWORD": "p@ss:w0rd"})
                engine.wait(timeout=120 if framemill.IS_SLOW_BUILD else 30)
                done = self.finish_engine(engine)
                self.assertGreater(done.summary["total"]["inferred"], 10)
                self.assertNotIn("p@ss", done.stderr)

    def test_a_wrong_password_is_told_and_tried_rarely(self):
        sim = self.simulate("--clip", str(self.clip), "--count", "1", "--user", "viewer", "--password", "right")
        url = sim.urls[0].replace("rtsp://", "rtsp://viewer:wr0ng@")
        engine = self.start_engine("--source", f"{url},id=cam-1", "--model", DEMO_MODEL, "--for", "6s")
        engine.wait(timeout=120 if framemill.IS_SLOW_BUILD else 30)
        attempts = len(sim.cameras()["cameras"]["cam-1"]["connects"]) if "cameras" in sim.cameras() else len(sim.cameras()["cam-1"]["connects"])
        done = self.finish_engine(engine)
        self.assertLessEqual(attempts, 8)
        self.assertNotIn("wr0ng", done.stderr)
        self.assertIn("cam-1", done.stderr)

    def test_a_peer_that_takes_the_connection_and_says_nothing(self):
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        port = silent.getsockname()[1]
        engine = self.start_engine("--source", f"rtsp://127.0.0.1:{port}/1,id=cam-1", "--source", "synthetic://?size=320x180&rate=10&objects=2,id=cam-2",
                                   "--model", DEMO_MODEL, "--for", "14s", "--slo", "500ms")
        engine.wait(timeout=120 if framemill.IS_SLOW_BUILD else 40)
        done = self.finish_engine(engine)
        self.assertIn("cam-1: ", done.stderr)
        self.assertIn("no answer within 10", done.stderr)
        silence, other = sorted(done.summary["cameras"], key=lambda c: c["camera"])
        self.assertEqual((silence["captured"], silence["state"]), (0, "down"))
        self.assertGreater(other["inferred"], 20 if framemill.IS_SLOW_BUILD else 100)

    def test_udp(self):
        sim = self.simulate("--clip", str(self.clip), "--count", "1")
        config = self.folder / "site.yaml"
        config.write_text(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: cam-1, url: '{sim.urls[0]}', transport: udp, slo: 500ms}}\n")
        engine = self.start_engine(config, "--for", "4s")
        engine.wait(timeout=120 if framemill.IS_SLOW_BUILD else 30)
        done = self.finish_engine(engine)
        self.assertGreater(done.summary["total"]["inferred"], 0 if framemill.IS_SLOW_BUILD else 15)

    def test_mpegts_over_udp(self):
        port = framemill.free_port()
        sender = subprocess.Popen(["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(self.clip), "-c", "copy", "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"])
        self.addCleanup(sender.wait)
        self.addCleanup(sender.kill)
        engine = self.start_engine("--source", f"udp://127.0.0.1:{port},id=cam-1", "--model", DEMO_MODEL, "--for", "6s", "--slo", "500ms")
        engine.wait(timeout=120 if framemill.IS_SLOW_BUILD else 30)
        done = self.finish_engine(engine)
        self.assertGreater(done.summary["total"]["inferred"], 0 if framemill.IS_SLOW_BUILD else 15)
        self.assertTrue(done.summary["conserved"])

    def test_http_mjpeg(self):
        sim = self.simulate("--clip", str(self.clip), "--count", "1", "--mjpeg")
        engine = self.start_engine("--source", f"{sim.mjpeg_urls[0]},id=cam-1", "--model", DEMO_MODEL, "--for", "4s", "--slo", "500ms")
        engine.wait(timeout=120 if framemill.IS_SLOW_BUILD else 30)
        done = self.finish_engine(engine)
        self.assertGreater(done.summary["total"]["inferred"], 0 if framemill.IS_SLOW_BUILD else 15)

    def test_h265(self):
        clip = self.folder / "h265.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(self.clip), "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25",
                        "-t", "4", str(clip)], check=True)
        sim = self.simulate("--clip", str(clip), "--count", "1")
        engine = self.start_engine("--source", f"{sim.urls[0]},id=cam-1", "--model", DEMO_MODEL, "--for", "4s", "--slo", "500ms")
        engine.wait(timeout=120 if framemill.IS_SLOW_BUILD else 30)
        done = self.finish_engine(engine)
        self.assertGreater(done.summary["total"]["inferred"], 0 if framemill.IS_SLOW_BUILD else 15)


if __name__ == "__main__":
    unittest.main()
