"""`framemill run` with the policies that save inference: what is inferred, what is carried, what comes out the same again."""
import json
import math
import re
import subprocess
import sys
import unittest

import framemill
from framemill import DEMO_CLIP, DEMO_MODEL, TESTDATA, FramemillTest, make_clip

AGREEMENT = TESTDATA.parent / "tools/agreement.py"
DEMO = ("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--every", "3")


def timeless(done):
    """The lines of a run without what differs from run to run."""
    lines = [{k: v for k, v in line.items() if k not in ("run", "captured_at", "latency_ms", "on_time")} for line in done.results]
    return sorted(lines, key=lambda line: (line["camera"], line["seq"]))


class PolicyTest(FramemillTest):
    def check_origins(self, done):
        """Each line says where its boxes come from, and that frame was inferred."""
        inferred = {}
        for line in done.results:
            if line["origin"] == "inferred":
                self.assertEqual(line["source_frame_index"], line["frame_index"])
                inferred[line["camera"]] = line
            elif line["origin"] in ("propagated", "reused"):
                key = inferred[line["camera"]]
                self.assertEqual(line["source_frame_index"], key["frame_index"])
                if line["origin"] == "reused":
                    self.assertEqual(line["detections"], key["detections"])

    def check_budget(self, camera, share):
        """Token bucket: share x frames, one token kept, one brought by the start."""
        spent = sum(camera["inferences"].values())
        self.assertLessEqual(spent, math.floor(share * camera["sampled"] + 1e-6) + 2, camera["inferences"])
        self.assertGreaterEqual(spent, 0.9 * share * camera["sampled"] - 1, camera["inferences"])

    def test_adaptive_holds_its_budget_and_answers_every_frame(self):
        for budget in (0.2, 0.1):
            with self.subTest(budget=budget):
                done = self.run_engine(*DEMO, "--policy", "adaptive", "--budget", budget)
                camera = done.summary["cameras"][0]
                self.assertEqual(camera["policy"], "adaptive")
                self.assertEqual(camera["sampled"], 167)
                self.assertEqual(camera["inferred"] + camera["propagated"], 167)
                self.assertEqual(done.results[0]["origin"], "inferred")
                self.assertEqual(camera["inferences"]["forced"], 1)
                self.check_budget(camera, budget)
                self.check_origins(done)
                self.assertGreater(camera["motion_s"], 0)

    def test_propagated_boxes_move_with_the_objects(self):
        done = self.run_engine(*DEMO, "--policy", "adaptive", "--budget", "0.2", "--audit", "0")
        score = subprocess.run([sys.executable, framemill.ROOT / "demo/score.py", framemill.ROOT / "demo/clips/line_truth.jsonl",
                                self.folder / "results.jsonl", "--recall", "0.8", "--precision", "0.8"], capture_output=True, text=True)
        self.assertEqual(score.returncode, 0, score.stdout + score.stderr)
        before = {}
        moved = 0
        for line in done.results:
            now = {d["track"]: d["box"] for d in line["detections"] if d.get("track") is not None}
            if line["origin"] == "propagated":
                moved += sum(track in before and before[track] != box for track, box in now.items())
            before = now
        self.assertGreater(moved, 50)

    def test_adaptive_gives_the_same_lines_again(self):
        clips = ["--source", make_clip(self.folder / "a.mp4", seconds=4), "--source", make_clip(self.folder / "b.mp4", seconds=4, rate=30),
                 "--source", DEMO_CLIP]
        for delay in ("0s", "150ms", "400ms"):
            runs = []
            for how in ((), ("--threads", "1", "--streams", "1"), ("--streams", "2")):
                done = self.run_engine(*clips, "--model", DEMO_MODEL, "--rate", "10", "--max-answers", "40", "--policy", "adaptive", "--budget", "0.2",
                                       "--answer-delay", delay, *how)
                self.assertEqual(done.summary["total"]["superseded"], 0)
                runs.append(timeless(done))
            with self.subTest(delay=delay):
                self.assertEqual(runs[0], runs[1])
                self.assertEqual(runs[0], runs[2])

    def test_results_behind_the_slo_correct_later_answers(self):
        done = self.run_engine(*DEMO, "--policy", "adaptive", "--budget", "0.3", "--answer-delay", "400ms", "--slo", "200ms", "--audit", "0")
        camera = done.summary["cameras"][0]
        self.assertEqual(camera["inferred"], 0, "no result is there in time")
        self.assertGreater(camera["propagated"], 150)
        self.assertEqual(camera["inferences"]["discarded"], 0)
        keys = [line["source_frame_index"] for line in done.results if line["origin"] == "propagated"]
        self.assertEqual(keys, sorted(keys))
        self.assertGreater(len(set(keys)), 20)
        for line in done.results:
            if line["origin"] == "propagated":  # an answer waits for 200 ms at most, a result comes after 400: 5 frames
                self.assertGreaterEqual(line["frame_index"] - line["source_frame_index"], 5)

    def test_adaptive_without_a_budget_equals_full(self):
        base = ("--source", DEMO_CLIP, "--source", make_clip(self.folder / "a.mp4"), "--model", DEMO_MODEL, "--every", "5")
        full = self.run_engine(*base, "--policy", "full")
        adaptive = self.run_engine(*base, "--policy", "adaptive")
        self.assertEqual(adaptive.summary["total"]["inferred"], adaptive.summary["total"]["sampled"])
        self.assertEqual(timeless(full), timeless(adaptive))

    def test_similarity_reuses_what_is_alike(self):
        shares = []
        for threshold in ("0", "0.9", "0.99", "1"):
            done = self.run_engine(*DEMO, "--policy", "similarity", "--similarity", threshold)
            camera = done.summary["cameras"][0]
            self.assertEqual(camera["inferred"] + camera["reused"], camera["sampled"])
            self.check_origins(done)
            shares.append(camera["inferred"])
        self.assertEqual(shares, sorted(shares))
        self.assertEqual(shares[0], 1, "every picture is more alike than that")
        self.assertEqual(shares[-1], 167, "none is more alike than equal")
        again = self.run_engine(*DEMO, "--policy", "similarity", "--similarity", "1")
        self.assertEqual(timeless(done), timeless(again))

    def test_policies_of_single_cameras(self):
        path = self.folder / "site.yaml"
        path.write_text(f"""
models: {{m: {{path: {DEMO_MODEL}}}}}
defaults: {{every: 5}}
cameras:
  - {{id: all, url: {DEMO_CLIP}, policy: full}}
  - {{id: held, url: {DEMO_CLIP}, policy: hold}}
  - {{id: alike, url: {DEMO_CLIP}, policy: similarity}}
  - {{id: carried, url: {DEMO_CLIP}, motion: flow}}
engine: {{policy: adaptive, budget: 0.25, audit: 0}}
""")
        done = self.run_engine(path)
        cameras = {camera["camera"]: camera for camera in done.summary["cameras"]}
        self.assertEqual({name: camera["policy"] for name, camera in cameras.items()},
                         {"all": "full", "held": "hold", "alike": "similarity", "carried": "adaptive"})
        self.assertEqual(cameras["all"]["inferred"], 100)
        self.assertEqual(cameras["held"]["inferred"], 25)
        self.assertEqual(cameras["held"]["reused"], 75)
        self.assertEqual(cameras["alike"]["inferred"] + cameras["alike"]["reused"], 100)
        self.assertEqual(cameras["carried"]["inferred"] + cameras["carried"]["propagated"], 100)
        self.check_budget(cameras["carried"], 0.25)
        self.check_origins(done)

    def test_adaptive_at_live_pace_answers_every_frame(self):
        done = self.run_engine("--source", DEMO_CLIP, "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--pace", "live", "--rate", "10", "--for", "4s",
                               "--policy", "adaptive", "--budget", "0.3", "--slo", "500ms")
        total = done.summary["total"]
        self.assertGreaterEqual(total["sampled"], 50)
        self.assertEqual(total["superseded"] + total["failed"], 0)
        self.assertEqual(total["inferred"] + total["propagated"] + total["late"], total["sampled"])
        # Two cameras start, one token is kept; at the end one more may be on its way.
        self.assertLessEqual(sum(total["inferences"].values()), 0.3 * total["sampled"] + 4)
        if not framemill.IS_SLOW_BUILD:
            self.assertGreater(total["propagated"], 0.5 * total["sampled"])

    def test_audits_tell_the_fidelity(self):
        done = self.run_engine(*DEMO, "--policy", "adaptive", "--budget", "0.3", "--audit", "0.3")
        total = done.summary["total"]
        self.assertGreater(total["inferences"]["audit"], 3)
        self.assertEqual(total["fidelity"]["audits"], total["inferences"]["audit"])
        self.assertTrue(0.5 < total["fidelity"]["value"] <= 1, total["fidelity"])
        self.assertLessEqual(total["fidelity"]["low"], total["fidelity"]["value"])
        self.assertGreaterEqual(total["fidelity"]["high"], total["fidelity"]["value"])
        self.check_budget(done.summary["cameras"][0], 0.3)
        without = self.run_engine(*DEMO, "--policy", "adaptive", "--budget", "0.3", "--audit", "0")
        self.assertEqual(without.summary["total"]["inferences"]["audit"], 0)
        self.assertIsNone(without.summary["total"]["fidelity"]["value"])
        self.assertIsNone(self.run_engine(*DEMO, "--policy", "full").summary["total"]["fidelity"])

    def test_a_clip_without_a_single_object(self):
        clip = self.folder / "grey.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=gray:size=320x180:rate=25:duration=4", "-pix_fmt", "yuv420p", str(clip)],
                       check=True)
        for policy in ("adaptive", "hold", "similarity"):
            budget = () if policy == "similarity" else ("--budget", "0.2")
            done = self.run_engine("--source", clip, "--model", DEMO_MODEL, "--rate", "10", "--policy", policy, *budget)
            with self.subTest(policy=policy):
                self.assertTrue(all(line["detections"] == [] for line in done.results))
                self.assertLess(done.summary["total"]["inferred"], 12)


@unittest.skipUnless((TESTDATA / "clips").is_dir() and AGREEMENT.is_file(), "needs the shared test data and its comparison")
@unittest.skipIf(framemill.IS_SLOW_BUILD, "takes too long with sanitizers")
class RealClipTest(FramemillTest):
    """A few real clips: a check of the whole path; `framemill compare` and all clips tell how good it is."""

    CLIPS = ("motorway_svincolo_federico", "street_vehicles_ahmetozlu", "industrial_bottles_shelf_intel", "reception_hall_ahsan")
    ANSWERS = 50

    def test_carried_boxes_agree_with_the_reference_better_than_held_ones(self):
        steps = json.loads((TESTDATA / "reference/steps.json").read_text())
        sources = [part for name in self.CLIPS for part in ("--source", f"{TESTDATA}/clips/{name}.mp4,every={steps[name]['every']}")]
        found = {}
        for policy in ("adaptive", "hold"):
            audit = ("--audit", "0") if policy == "adaptive" else ()
            done = self.run_engine(*sources, "--model", TESTDATA / "models/openvino/yolo11n_640_int8_yassim.xml", "--labels", "coco", "--score", "0.2",
                                   "--pace", "fast", "--policy", policy, "--budget", "0.2", *audit, "--max-answers", self.ANSWERS, timeout=600)
            total = done.summary["total"]
            self.assertEqual(total["sampled"], self.ANSWERS * len(self.CLIPS))
            self.assertEqual(total["late"] + total["failed"] + total["superseded"], 0)
            self.assertLessEqual(sum(total["inferences"].values()), 0.2 * total["sampled"] + 1 + len(self.CLIPS))
            compared = subprocess.run([sys.executable, AGREEMENT, TESTDATA / "reference/yolo11n_640_int8_10hz.jsonl", self.folder / "results.jsonl",
                                       "--allow-missing"], capture_output=True, text=True)
            total = next(line for line in compared.stdout.splitlines() if line.startswith("all: "))
            found[policy] = {name: float(value) for name, value in re.findall(r"(recall|precision|sure) ([0-9.]+)", total)}
        for figure in ("recall", "sure"):  # errors of hold's
            self.assertLess(1 - found["adaptive"][figure], 0.5 * (1 - found["hold"][figure]) + 0.01, found)
        self.assertGreater(found["adaptive"]["precision"], found["hold"]["precision"], found)


if __name__ == "__main__":
    unittest.main()
