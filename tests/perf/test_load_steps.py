"""load_steps.py judges as it says: each bar is missed by a run that misses it, wherever in a phase that happens."""
import argparse
import contextlib
import datetime
import io
import pathlib
import sys
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import load_steps

PHASE = 20
BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp()


class Agreement(types.SimpleNamespace):
    """Detections are counted, not held against each other."""
    FIELDS = ["found", "overlap", "wanted", "right", "given", "sure_right", "sure_given", "frames"]

    def __init__(self):
        super().__init__(above=lambda detections, _: detections, matches=lambda wanted, given, _: [1.0] * min(len(wanted), len(given)),
                         figures=lambda s: {"recall": s["found"] / max(1, s["wanted"]), "sure": s["sure_right"] / max(1, s["sure_given"])})


def line(camera, at, **changed):
    stamp = datetime.datetime.fromtimestamp(BEGAN + at, datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    return {"camera": camera, "captured_at": stamp, "origin": "inferred", "variant": "best", "latency_ms": 50.0, "on_time": True, "file_frame_index": 0,
            "detections": [{}] * 50} | changed


def run_of(cameras=4, change=lambda camera, at: {}):
    """10 answers/s of each camera over a phase before the step and one after it; `change` returns None where a line is missing."""
    lines = []
    for i in range(cameras):
        for frame in range(2 * PHASE * 10):
            at = frame / 10 + .01
            changed = change(f"cam-{i + 1}", at - PHASE)  # since the step
            if changed is not None:
                lines.append(line(f"cam-{i + 1}", at, **changed))
    return lines


class LoadStepsTest(unittest.TestCase):
    def judge(self, lines, rtsp=False, full=True, cameras=4):
        a = argparse.Namespace(phase=PHASE, rtsp=rtsp)
        clips = {f"cam-{i + 1}": "clip" for i in range(cameras)}
        report = load_steps.Report(a, lines, [BEGAN], {("clip", 0): [{}] * 50} if full else None, clips, Agreement())
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            report.phase("many", PHASE, cameras)
        return report.holds, out.getvalue()

    def assert_missed(self, lines, bar, **options):
        holds, text = self.judge(lines, **options)
        missed = [row for row in text.splitlines() if row.endswith("MISSED")]
        self.assertFalse(holds, text)
        self.assertEqual(len([row for row in missed if bar in row]), 1, f"{bar}: {text}")

    def test_a_run_in_which_all_is_well_holds(self):
        holds, text = self.judge(run_of())
        self.assertTrue(holds, text)
        self.assertNotIn("not judged", text)

    def test_latency_counts_from_the_second_second_to_the_last(self):
        for begin, end in ((2, 3), (10, 11), (PHASE - 1, PHASE)):
            self.assert_missed(run_of(change=lambda _, at: {"latency_ms": 250.0} if begin <= at < end else {}), "p95 <= 200 ms")
        self.assertTrue(self.judge(run_of(change=lambda _, at: {"latency_ms": 250.0} if 0 <= at < 2 else {}))[0], "two seconds are its own")

    def test_missing_answers_count_of_all_cameras_and_of_one(self):
        for begin, end in ((2, 3), (PHASE - 1, PHASE)):
            self.assert_missed(run_of(change=lambda _, at: {"origin": "none"} if begin <= at < end and round(at * 10) % 3 == 0 else {}), "p95 <= 200 ms")
        # One camera of 40, at 8 answers/s, does not show in the mean.
        lines = run_of(40, lambda camera, at: None if camera == "cam-7" and at >= 2 and round(at * 10) % 5 == 0 else {})
        holds, text = self.judge(lines, cameras=40)
        self.assertFalse(holds)
        self.assertIn("(out: never)", text)
        self.assert_missed(lines, "cam-7 has the least", cameras=40)

    def test_gaps_count_from_the_step_on_and_to_the_end(self):
        for begin, end in ((-.1, .5), (1, 1.5), (12, 12.5), (PHASE - .5, PHASE)):
            self.assert_missed(run_of(change=lambda _, at: {"on_time": False} if begin <= at < end else {}), "gap between on-time answers")

    def test_a_camera_that_is_silent_is_missed(self):
        lines = run_of(change=lambda camera, at: None if camera == "cam-2" and at >= 0 else {})
        self.assert_missed(lines, "cam-2 has the least")
        self.assertIn("most 200.90", self.judge(lines)[1], "from its last answer before the step to the end")

    def test_a_new_camera_has_no_gap_before_its_first_answer(self):
        lines = run_of(change=lambda camera, at: None if camera == "cam-2" and at < 1 else {})
        self.assertTrue(self.judge(lines)[0])

    def test_rung_changes_count_from_the_answer_before_the_step_on(self):
        def rungs(*changes):
            return lambda camera, at: {"variant": "cheap" if camera == "cam-3" and sum(at >= c for c in changes) % 2 else "best"}
        self.assertTrue(self.judge(run_of(change=rungs(0, 10)))[0])
        for changes in ((0, 5, 10), (PHASE - 3, PHASE - 2, PHASE - 1), (3, 3.1, 3.2)):
            self.assert_missed(run_of(change=rungs(*changes)), "rung changes a camera: most 3")

    def test_agreement_counts_in_each_window_after_twelve_seconds(self):
        def lost(begin, end):
            return lambda _, at: {"detections": [{}] * 45} if begin <= at < end else {}
        self.assertTrue(self.judge(run_of(change=lost(0, 12)))[0])
        for begin, end in ((12, 14), (14, 16), (PHASE - 2, PHASE)):
            self.assert_missed(run_of(change=lost(begin, end)), "windows after 12 s")

    def test_what_is_not_judged_is_said(self):
        holds, text = self.judge(run_of(), rtsp=True, full=False)
        self.assertTrue(holds)
        self.assertIn("not judged: agreement with full inference, since RTSP", text)
        _, text = self.judge(run_of(), full=False)
        self.assertIn("is not there", text)
        # A camera whose back-off ends 3 s after the step.
        lines = run_of(change=lambda camera, at: None if camera == "cam-2" and at < 3 else {})
        holds, text = self.judge(lines, rtsp=True, full=False)
        self.assertTrue(holds, text)
        self.assertIn("of 1 of 4 cameras", text)
        self.assertFalse(self.judge(lines)[0], "of files there is none")
        never = run_of(change=lambda camera, at: None if camera == "cam-2" else {})
        self.assertFalse(self.judge(never, rtsp=True, full=False)[0], "one that never comes is missed")


if __name__ == "__main__":
    unittest.main()
