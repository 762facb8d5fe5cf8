"""`framemill compare` says the same as run and agreement.py do apart, says it again, and refuses what makes no comparison."""
import html.parser
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import framemill
from framemill import BINARY, DEMO_CLIP, DEMO_MODEL, TESTDATA, FramemillTest, make_clip, run

AGREEMENT = TESTDATA.parent / "tools/agreement.py"
MEASURED = ("made_at", "inference_ms_per_frame", "motion_ms_per_frame")


def without_times(document):
    """`document` without what is measured anew each time."""
    if isinstance(document, dict):
        return {key: without_times(value) for key, value in document.items() if key not in MEASURED}
    return [without_times(value) for value in document] if isinstance(document, list) else document


class References(html.parser.HTMLParser):
    """Everything in a page that a browser would load, and its pictures."""

    def __init__(self):
        super().__init__()
        self.outside, self.pictures = [], 0

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name not in ("src", "href", "srcset", "xlink:href", "data", "action", "poster") or value is None:
                continue
            if value.startswith("data:image/"):
                self.pictures += 1
            elif not value.startswith("#"):
                self.outside.append(f"{tag} {name}={value}")


class CompareTest(FramemillTest):
    SAMPLED = 60
    ENGINE = ("--model", DEMO_MODEL, "--max-answers", SAMPLED)
    CLIP = ("--source", f"{DEMO_CLIP},every=4", *ENGINE)

    def compare(self, *arguments, expect=0, **kwargs):
        done = run("compare", *arguments, timeout=300, **kwargs)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def document(self, *arguments):
        return json.loads(self.compare(*arguments, "--json").stdout)

    def refused(self, *arguments, status=2, says=()):
        done = self.compare(*arguments, expect=status)
        self.assertEqual(done.stdout, "")
        for text in says:
            self.assertIn(text, done.stderr)
        return done

    def results_of(self, name, *arguments):
        path = self.folder / f"{name}.jsonl"
        done = run("run", *self.CLIP, "--score", "0.2", "--pace", "fast", "--results", path, "--listen", "off", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    @unittest.skipUnless(AGREEMENT.is_file(), "needs the independent comparison")
    def test_figures_are_those_of_run_and_agreement(self):
        document = self.document(*self.CLIP, "--policies", "hold,adaptive", "--budgets", "0.2")
        full = self.results_of("full", "--policy", "full")
        for figures, policy in zip(document["runs"], ("hold", "adaptive")):
            self.assertEqual((figures["policy"], figures["setting"]), (policy, "budget 0.2"))
            results = self.results_of(policy, "--policy", policy, "--budget", "0.2", "--audit", "0")
            compared = subprocess.run([sys.executable, AGREEMENT, full, results, "--by-camera"], capture_output=True, text=True, check=True).stdout
            line = next(line for line in compared.splitlines() if line.startswith("line:"))
            said = {name: float(value) for name, value in re.findall(r"(recall|precision|sure|mean IoU|mean_iou) ([0-9.]+)", line)}
            self.assertAlmostEqual(said["recall"], figures["pooled"]["recall"], delta=6e-5, msg=line)
            self.assertAlmostEqual(said["precision"], figures["pooled"]["precision"], delta=6e-5, msg=line)
            self.assertAlmostEqual(said["sure"], figures["pooled"]["sure_precision"], delta=6e-5, msg=line)
            self.assertIn(f"{figures['counts']['wanted']} wanted, {figures['counts']['given']} given, {figures['frames']} frames", line)
            self.assertEqual((figures["frames"], figures["missing"]), (self.SAMPLED, 0))
            inferred = sum(json.loads(each)["origin"] == "inferred" for each in results.read_text().splitlines())
            self.assertAlmostEqual(figures["share_inferred"], inferred / self.SAMPLED, places=6)

    def test_the_same_again_but_for_times(self):
        arguments = (*self.CLIP, "--policies", "hold,similarity,adaptive", "--budgets", "0.3", "--similarities", "0.98")
        self.assertEqual(without_times(self.document(*arguments)), without_times(self.document(*arguments)))

    def test_page_and_document_are_whole(self):
        out = self.folder / "new/report"
        done = self.compare(*self.CLIP, "--policies", "hold,similarity,adaptive", "--budgets", "0.2,0.05", "--similarities", "0.9", "--out", out)
        self.assertEqual(sorted(os.listdir(out)), ["compare.html", "compare.json"])
        document = json.loads((out / "compare.json").read_text())
        self.assertEqual(document["schema"], "framemill.compare/1")
        self.assertEqual([(each["policy"], each["setting"]) for each in document["runs"]],
                         [("hold", "budget 0.2"), ("hold", "budget 0.05"), ("similarity", "threshold 0.9"), ("adaptive", "budget 0.2"), ("adaptive", "budget 0.05")])
        self.assertIn("--budgets 0.2,0.05", document["command"])
        self.assertEqual(document["cameras"], [{"camera": "line", "width": 640, "height": 360}])
        page = References()
        page.feed((out / "compare.html").read_text())
        self.assertEqual(page.outside, [])
        self.assertGreater(len(document["worst_misses"]), 0)
        self.assertGreaterEqual(page.pictures, 1)
        for text in ("hold", "similarity", "adaptive", "share", "recall"):
            self.assertIn(text, done.stdout)
        self.assertIn(str(out / "compare.html"), done.stderr)
        self.assertIn("adaptive budget 0.05 (5 of 5)", done.stderr)
        self.assertNotIn("\x1b", done.stderr)

    def test_without_a_folder_it_tells_of_the_page(self):
        done = self.compare(*self.CLIP, "--policies", "hold", "--budgets", "1")
        self.assertIn("--out", done.stderr)
        self.assertIn("1.0000", done.stdout)  # a budget of everything loses nothing

    def test_a_configuration_counts_as_in_operation(self):
        config = self.folder / "site.yaml"
        config.write_text(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: one, url: {DEMO_CLIP}, every: 10, classes: [product]}}\n"
                          f"  - {{id: two, url: {DEMO_CLIP}, every: 5, policy: full, start: 2s, motion: flow}}\n")
        document = self.document(config, "--policies", "hold,adaptive", "--budgets", "0.2", "--max-answers", "20")
        for figures in document["runs"]:
            one, two = figures["clips"]
            self.assertLess(one["share_inferred"], 0.5)
            self.assertEqual((two["share_inferred"], two["recall"]), (1, 1))
        self.assertEqual(document["settings"]["motion"], "auto, flow for two")

    def test_clips_of_different_lengths_and_without_objects(self):
        empty = make_clip(self.folder / "empty.mp4", seconds=1)
        document = self.document("--source", f"{DEMO_CLIP},every=10", "--source", empty, "--model", DEMO_MODEL, "--max-answers", "20", "--policies", "adaptive,hold",
                                 "--budgets", "0.2", "--score", "0.99")
        self.assertEqual([clip["frames"] for clip in document["runs"][0]["clips"]], [20, 10])
        self.assertEqual([clip["recall"] for clip in document["runs"][0]["clips"]][1], 1)
        self.assertEqual(document["worst_misses"], [])

    def test_an_answer_delay_costs_something(self):
        common = (*self.CLIP, "--policies", "adaptive", "--budgets", "0.2")
        at_once, delayed = self.document(*common), self.document(*common, "--answer-delay", "300ms")
        self.assertEqual(delayed["settings"]["answer_delay_ms"], 300)
        self.assertLess(delayed["runs"][0]["pooled"]["recall"], at_once["runs"][0]["pooled"]["recall"])

    # What makes no comparison.

    def test_wrong_usage_starts_nothing(self):
        for budget in ("0", "1.5", "-1", "x", "0.2,0.20"):
            self.refused(*self.CLIP, "--budgets", budget, says=["--budgets", budget.split(",")[-1]])
        self.refused(*self.CLIP, "--policies", "full", says=["--policies", "full"])
        self.refused(*self.CLIP, "--policy", "hold", says=["--policy"])
        self.refused("--source", "rtsp://joe:s3cret@127.0.0.1:9/x", *self.ENGINE, says=["not a file"])
        self.refused(*self.CLIP[:2], "--model", self.folder / "none.onnx", says=["none.onnx"])
        config = self.folder / "site.yaml"
        config.write_text(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: a, url: {DEMO_CLIP}, loop: true}}\n")
        self.refused(config, says=["a:", "loop"])

    def test_a_folder_that_cannot_be_written(self):
        file = self.folder / "file"
        file.write_text("")
        self.refused(*self.CLIP, "--out", file / "report", says=["--out", "report"])
        (self.folder / "report/compare.html").mkdir(parents=True)
        self.refused(*self.CLIP, "--out", self.folder / "report", says=["compare.html"])

    def test_a_report_overwrites_nothing_that_is_read(self):
        clip = self.folder / "compare.html"
        clip.write_bytes(DEMO_CLIP.read_bytes())
        self.refused("--source", clip, *self.ENGINE, "--out", self.folder, says=["--out: ", "compare.html\" is read as --source", "name another folder"])
        self.assertEqual(clip.read_bytes(), DEMO_CLIP.read_bytes())
        self.assertEqual(os.listdir(self.folder), ["compare.html"])

    def test_a_clip_that_fails_is_named_and_ends_it(self):
        out = self.folder / "report"
        cut = self.folder / "cut.mp4"
        cut.write_bytes(DEMO_CLIP.read_bytes()[:5000])
        done = self.refused(*self.CLIP, "--source", self.folder / "none.mp4", "--source", cut, "--out", out, status=1, says=["none", "cut"])
        self.assertNotIn("full inference", done.stderr)
        self.assertEqual(os.listdir(out), [])

    def test_a_clip_that_is_cut_off_is_pointed_at(self):
        cut = self.folder / "cut.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-i", DEMO_CLIP, "-c", "copy", "-movflags", "+faststart", cut], check=True)
        cut.write_bytes(cut.read_bytes()[:cut.stat().st_size // 2])
        done = self.compare("--source", f"{cut},every=10", "--model", DEMO_MODEL, "--policies", "hold", "--budgets", "0.5")
        self.assertIn("note: cut: ended after", done.stderr)
        self.assertNotIn("note:", self.compare(*self.CLIP, "--policies", "hold", "--budgets", "0.5").stderr)

    def test_a_full_standard_output_fails(self):
        with open("/dev/full", "wb") as full:
            done = run("compare", *self.CLIP, "--policies", "hold", "--budgets", "0.5", stdout=full)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("standard output", done.stderr)

    def test_a_signal_stops_it_and_nothing_is_half_written(self):
        out = self.folder / "report"
        process = subprocess.Popen([BINARY, "compare", "--source", f"{DEMO_CLIP},every=1", "--model", str(DEMO_MODEL), "--out", str(out)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end, process)
        for line in process.stderr:
            if b"full inference" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1, stderr.decode())
        self.assertIn("stopped", stderr.decode())
        self.assertEqual(stdout, b"")
        self.assertEqual(os.listdir(out), [])


if __name__ == "__main__":
    unittest.main()
