"""Tests of demo/score.py on hand-made files; standard library only."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCORE = Path(__file__).resolve().parents[1] / "score.py"


def line(frame_index, detections, camera="line"):
    row = {"camera": camera, "frame_index": frame_index}
    if detections is not None:
        row["detections"] = [{"class": c, "score": s, "box": b} for c, s, b in detections]
    return json.dumps(row)


class ScoreTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.truth = [line(0, [(0, 1.0, [0, 0, 10, 10]), (1, 1.0, [20, 20, 30, 30])]),
                      line(1, [(0, 1.0, [5, 5, 15, 15])]), line(2, [(0, 1.0, [9, 9, 19, 19])])]

    def run_score(self, results, *options, truth=None):
        truth_path, results_path = self.folder / "truth.jsonl", self.folder / "results.jsonl"
        truth_path.write_text("\n".join(self.truth if truth is None else truth) + "\n", encoding="utf-8")
        results_path.write_text("\n".join(results) + "\n", encoding="utf-8")
        done = subprocess.run([sys.executable, str(SCORE), str(truth_path), str(results_path), *options],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def total(self, output):
        """objects, found, claimed, recall, precision of the last row."""
        return [float(word) for word in output.strip().splitlines()[-1].split()[1:]]

    def test_truth_against_itself_is_perfect(self):
        status, output, _ = self.run_score(self.truth, "--recall", "1", "--precision", "1")
        self.assertEqual(status, 0)
        self.assertEqual(self.total(output), [4, 4, 4, 1, 1])

    def test_counts_by_hand(self):
        results = [line(0, [(0, 0.9, [0, 0, 10, 9]), (0, 0.8, [0, 0, 10, 10]), (1, 0.7, [26, 26, 36, 36])]),
                   line(1, None)]
        # frame 0: one of two claims on the product is right, the dent is off; frame 1 has no answer;
        # frame 2 is not in the results
        status, output, _ = self.run_score(results)
        self.assertEqual(status, 0)
        self.assertEqual(self.total(output), [3, 1, 3, 0.3333, 0.3333])
        self.assertIn("frames judged 2 of 3, without an answer 1", output)

    def test_a_wrong_class_is_wrong(self):
        _, output, _ = self.run_score([line(1, [(1, 0.9, [5, 5, 15, 15])])])
        self.assertEqual(self.total(output)[1], 0)

    def test_bars(self):
        results = [line(0, [(0, 0.9, [0, 0, 10, 10])])]
        self.assertEqual(self.run_score(results, "--precision", "1")[0], 0)
        status, _, error = self.run_score(results, "--recall", "0.6")
        self.assertEqual(status, 1)
        self.assertIn("recall 0.5000 is below the bar", error)

    def test_an_empty_answer_misses_all_and_claims_nothing(self):
        _, output, _ = self.run_score([line(0, [])])
        self.assertEqual(self.total(output), [2, 0, 0, 0, 1])

    def test_camera_option_maps_one_camera_to_the_truth(self):
        results = [line(1, [(0, 0.9, [5, 5, 15, 15])], "left"), line(1, [], "right")]
        self.assertEqual(self.total(self.run_score(results, "--camera", "left")[1]), [1, 1, 1, 1, 1])

    def test_unreadable_files_say_where_and_what(self):
        cases = [
            (["{"], "results.jsonl:1: not JSON"),
            (["[]"], "not a JSON object"),
            (['{"camera": "line"}'], '"frame_index"'),
            ([line(0, []), line(0, [])], "second time"),
            ([line(0, [(0, float("nan"), [0, 0, 1, 1])])], '"score"'),
            ([line(0, [(0, 0.5, [0, 0, 1])])], '"box"'),
            ([line(0, [(0.5, 0.5, [0, 0, 1, 1])])], '"class"'),
            ([line(0, [], "other")], "no frame in common"),
            ([line(99, [])], "no frame in common"),
        ]
        for results, message in cases:
            status, _, error = self.run_score(results)
            self.assertEqual(status, 2, message)
            self.assertIn(message, error)

    def test_a_missing_file(self):
        done = subprocess.run([sys.executable, str(SCORE), "none.jsonl", "none.jsonl"], capture_output=True, text=True,
                              check=False, cwd=self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("none.jsonl: cannot read", done.stderr)


if __name__ == "__main__":
    unittest.main()
