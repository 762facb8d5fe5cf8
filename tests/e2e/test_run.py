"""`framemill run` on files: what is sampled, answered and counted."""
import json
import re
import subprocess
import sys
import unittest

import framemill
from framemill import DEMO_CLIP, DEMO_MODEL, ROOT, FramemillTest, free_port, make_clip, run
from peers import wait_until


class RunTest(FramemillTest):
    def test_the_demo_clip_is_answered_and_right(self):
        done = self.run_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--every", "3")
        camera = done.summary["cameras"][0]
        self.assertEqual(camera["camera"], "line")
        self.assertEqual(camera["captured"], 500)
        self.assertEqual(camera["inferred"], 167)
        self.assertEqual([line["frame_index"] for line in done.results], list(range(0, 500, 3)))
        score = subprocess.run([sys.executable, ROOT / "demo/score.py", ROOT / "demo/clips/line_truth.jsonl", self.folder / "results.jsonl",
                                "--recall", "0.85", "--precision", "0.85"], capture_output=True, text=True)
        self.assertEqual(score.returncode, 0, score.stdout + score.stderr)

    def test_sampling_by_rate_is_a_fixed_grid(self):
        clip = make_clip(self.folder / "c.mp4", seconds=4)
        done = self.run_engine("--source", clip, "--model", DEMO_MODEL, "--rate", "10")
        self.assertEqual(len(done.results), 40)
        seconds = [int(line["pts_s"] + 1e-6) for line in done.results]
        self.assertEqual([seconds.count(s) for s in range(4)], [10, 10, 10, 10])

    def test_pace_fast_gives_the_same_lines_again(self):
        clips = ["--source", make_clip(self.folder / "a.mp4"), "--source", make_clip(self.folder / "b.mp4", rate=30), "--source", DEMO_CLIP]
        answers = []
        for _ in range(2):
            done = self.run_engine(*clips, "--model", DEMO_MODEL, "--rate", "10", "--max-answers", "20", "--policy", "hold", "--budget", "0.25")
            answers.append([{k: v for k, v in line.items() if k not in ("run", "captured_at")} for line in sorted(done.results, key=lambda l: (l["camera"], l["seq"]))])
        self.assertEqual(answers[0], answers[1])

    def test_hold_infers_its_share_and_repeats_the_boxes(self):
        done = self.run_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--rate", "12.5", "--policy", "hold", "--budget", "0.2")
        camera = done.summary["cameras"][0]
        self.assertLessEqual(camera["inferred"], 0.2 * camera["sampled"] + 1)
        self.assertGreaterEqual(camera["inferred"], 0.19 * camera["sampled"])
        self.assertEqual(camera["inferred"] + camera["reused"], camera["sampled"])
        key = {}
        for line in done.results:
            if line["origin"] == "inferred":
                key[line["frame_index"]] = line["detections"]
            else:
                self.assertEqual(line["detections"], key[line["source_frame_index"]])

    def test_one_file_twice_gives_two_cameras(self):
        done = self.run_engine("--source", DEMO_CLIP, "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--every", "25")
        self.assertEqual([c["camera"] for c in done.summary["cameras"]], ["line", "line-2"])
        by_camera = {c: [l["detections"] for l in done.results if l["camera"] == c] for c in ("line", "line-2")}
        self.assertEqual(by_camera["line"], by_camera["line-2"])

    def test_limits_of_frames_answers_and_time(self):
        base = ("--source", DEMO_CLIP, "--model", DEMO_MODEL)
        self.assertEqual(self.run_engine(*base, "--every", "5", "--max-frames", "50").summary["total"]["captured"], 50)
        self.assertEqual(self.run_engine(*base, "--every", "5", "--max-answers", "7").summary["total"]["sampled"], 7)
        live = self.run_engine(*base, "--rate", "10", "--pace", "live", "--for", "2s")
        self.assertTrue(15 <= live.summary["total"]["sampled"] <= 21, live.summary["total"])

    def test_a_looped_file_names_the_frame_in_the_file(self):
        clip = make_clip(self.folder / "c.mp4", seconds=1)
        done = self.run_engine("--source", clip, "--model", DEMO_MODEL, "--every", "5", "--loop", "--pace", "fast", "--max-answers", "12")
        self.assertEqual([line["frame_index"] for line in done.results], list(range(0, 60, 5)))
        self.assertEqual([line["file_frame_index"] for line in done.results], [0, 5, 10, 15, 20] * 2 + [0, 5])

    def test_live_pace_measures_latency(self):
        done = self.run_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--pace", "live", "--rate", "5", "--for", "3s", "--slo", "1s")
        self.assertTrue(all(line["latency_ms"] > 0 for line in done.results))
        latency = done.summary["total"]["latency_ms"]["inferred"]
        self.assertLessEqual(latency["p50"], latency["p95"])
        if not framemill.IS_SLOW_BUILD:
            self.assertLess(latency["p95"], 1000)

    def test_snapshots(self):
        done = self.run_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--every", "50", "--snapshot", f"{self.folder}/pictures,every=0.01s")
        picture = self.folder / "pictures/line.jpg"
        self.assertTrue(picture.read_bytes().startswith(b"\xff\xd8"))
        self.assertIn(str(picture), done.stderr)

    def test_snapshots_of_a_file_go_by_its_own_time(self):
        """And no file is that of another camera, though one's id is `line-125`."""
        done = self.run_engine("--source", DEMO_CLIP, "--source", f"{DEMO_CLIP},id=line-125", "--model", DEMO_MODEL, "--every", "25", "--snapshot", f"{self.folder}/pictures,every=5s")
        wanted = {f"{camera}{frame}.jpg" for camera in ("line", "line-125") for frame in ("", "@0", "@125", "@250", "@375")}
        self.assertEqual({path.name for path in (self.folder / "pictures").iterdir()}, wanted)
        self.assertEqual(done.stderr.count("picture: "), 2)
        counts = [(sink["unit"], sink["written"], sink["lost"]) for sink in done.summary["sinks"]]
        self.assertEqual(counts, [("answers", 40, 0), ("pictures", 8, 0)])

    def test_the_state_at_the_end_is_that_when_the_run_was_asked_to_end(self):
        nobody = ("--source", f"rtsp://viewer:s3cret@127.0.0.1:{free_port()}/x,id=nobody", "--model", DEMO_MODEL, "--rate", "2")
        others = ("--source", "synthetic://?size=320x180&rate=10,id=good", "--source", f"{DEMO_CLIP},id=file")
        engine = self.start_engine(*nobody, *others)
        wait_until(lambda: self.results.exists() and all(f'"{camera}"' in self.results.read_text() for camera in ("good", "file")), 60, "answers")
        stopped = self.finish_engine(engine)
        for done in (stopped, self.run_engine(*nobody, *others, "--for", "3s"), self.run_engine(*nobody, "--for", "2s")):
            states = {camera["camera"]: camera["state"] for camera in done.summary["cameras"]}
            self.assertEqual(states, {"nobody": "down", "good": "up", "file": "up"} if len(states) > 1 else {"nobody": "down"})
            self.assertRegex(done.stderr, r"\nnobody: never gave a picture: .*refused")
            self.assertEqual(done.stderr.count("never gave a picture"), 1)
            self.assertNotIn("s3cret", done.stderr)

    def test_a_camera_that_has_come_to_its_own_end_has_ended(self):
        done = self.run_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--pace", "live", "--max-frames", "20", "--for", "20s")
        self.assertEqual(done.summary["cameras"][0]["state"], "ended")
        self.assertLess(done.summary["wall_s"], 10)

    def test_results_to_standard_output(self):
        done = run("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--every", "100", "--results", "-", "--listen", "off")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([json.loads(line)["seq"] for line in done.stdout.splitlines()], list(range(5)))

    def test_the_synthetic_source(self):
        done = self.run_engine("--source", "synthetic://?rate=25&frames=100,id=made", "--model", DEMO_MODEL, "--pace", "fast", "--rate", "5")
        self.assertEqual(done.summary["total"]["captured"], 100)
        self.assertEqual(done.summary["total"]["inferred"], 20)

    def test_help_everywhere(self):
        for arguments in (["--help"], ["run", "--help"], ["config", "--help"]):
            done = run(*arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("usage", (done.stdout + done.stderr).lower())
        commands = re.findall(r"^  ([a-z]+) ", run("--help").stdout, re.M)
        self.assertGreaterEqual(len(commands), 10)
        for command in commands:
            with self.subTest(command):
                told = run(command, "--help")
                self.assertEqual(told.returncode, 0, told.stderr)
                self.assertIn("Exit status:", told.stdout)
                self.assertEqual(run("help", command).stdout, told.stdout)
        self.assertEqual(run("help", "config", "check").stdout, run("config", "check", "--help").stdout)
        self.assertEqual(run("-V").stdout, run("--version").stdout)
        done = run("help", "rnu")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn('there is no command "rnu"; did you mean "run"?', done.stderr)


class CodecTest(FramemillTest):
    """Each kind of stream is decoded and answered; ffmpeg makes them here."""

    KINDS = {
        "h264_bframes": ("mp4", ["-c:v", "libx264", "-bf", "3", "-g", "25", "-pix_fmt", "yuv420p"]),
        "h264_422": ("mp4", ["-c:v", "libx264", "-pix_fmt", "yuv422p"]),
        "h264_444": ("mp4", ["-c:v", "libx264", "-pix_fmt", "yuv444p"]),
        "h264_gray": ("mp4", ["-c:v", "libx264", "-pix_fmt", "gray"]),
        "h264_full_range": ("mp4", ["-c:v", "libx264", "-pix_fmt", "yuvj420p"]),
        "h264_10bit": ("mp4", ["-c:v", "libx264", "-pix_fmt", "yuv420p10le"]),
        "h265": ("mp4", ["-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p"]),
        "mjpeg": ("avi", ["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"]),
        "mpeg4": ("avi", ["-c:v", "mpeg4", "-bf", "2"]),
    }

    def test_codecs_and_pixel_formats(self):
        for kind, (container, options) in self.KINDS.items():
            with self.subTest(kind=kind):
                clip = make_clip(self.folder / f"{kind}.{container}", options=options)
                done = self.run_engine("--source", clip, "--model", DEMO_MODEL, "--every", "3")
                self.assertEqual(done.summary["total"]["captured"], 50)
                self.assertEqual(done.summary["total"]["inferred"], 17)

    def test_odd_sizes(self):
        clip = make_clip(self.folder / "odd.mp4", size="640x360", options=["-vf", "scale=627:351,format=yuv444p", "-c:v", "libx264"])
        done = self.run_engine("--source", clip, "--model", DEMO_MODEL, "--every", "10")
        self.assertEqual((done.results[0]["width"], done.results[0]["height"]), (627, 351))


if __name__ == "__main__":
    unittest.main()
