"""OpenVINO and ONNX Runtime agree inside framemill on every ONNX model of the test data; see run_runtimes.py."""
import contextlib
import io
import os
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import run_runtimes
from detections import compare, mean_differences

TESTDATA = os.environ.get("FRAMEMILL_TESTDATA", "")
TOOL = Path(os.environ.get("FRAMEMILL_BIN", "framemill")).parent / "tests/agree/detect_pictures"
PICTURES = 2  # of each folder: what takes time is to load a model twice


class RuntimesTest(unittest.TestCase):
    @unittest.skipUnless(TESTDATA and run_runtimes.models_of(TESTDATA), "FRAMEMILL_TESTDATA names no folder with models")
    @unittest.skipIf(os.environ.get("FRAMEMILL_SLOW_BUILD"), "loads 17 models twice")
    def test_all_models_detect_the_same_with_both(self):
        models = run_runtimes.models_of(TESTDATA)
        self.assertGreaterEqual(len(models), 16)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), ThreadPoolExecutor(2) as pool:
            kept = list(pool.map(lambda model: run_runtimes.is_model_alike(str(TOOL), TESTDATA, model, PICTURES), models))
        print(said.getvalue())
        self.assertTrue(all(kept), said.getvalue())


class BarsTest(unittest.TestCase):
    """That the comparison can fail."""
    ONE = {"class": 0, "score": .8, "box": [0, 0, 100, 100]}

    def test_a_moved_box_another_score_or_class_is_missed(self):
        for change in ({"box": [6, 0, 106, 100]}, {"score": .77}, {"class": 1}):
            agreed, edge, missed, _, _ = compare([self.ONE], [dict(self.ONE, **change)])
            self.assertEqual((agreed, edge, len(missed)), (0, 0, 1), change)
        self.assertEqual(compare([self.ONE], [dict(self.ONE, score=.79)])[0], 1)

    def test_a_lost_detection_counts_whole(self):
        score, box, count = mean_differences([([self.ONE], [])])
        self.assertEqual((score, box, count), (.8, 1, 1))

    def test_one_that_only_one_side_refuses_is_missed(self):
        answers = iter([(None, "no"), ({}, "fine")])
        original, run_runtimes.detect = run_runtimes.detect, lambda *_: next(answers)
        pictures, run_runtimes.pictures_of = run_runtimes.pictures_of, lambda *_: []
        try:
            with contextlib.redirect_stdout(io.StringIO()) as said:
                self.assertFalse(run_runtimes.is_model_alike("tool", "/none", "m_BROKENHEAD.onnx", 1))
            self.assertIn("MISSED", said.getvalue())
        finally:
            run_runtimes.detect, run_runtimes.pictures_of = original, pictures


if __name__ == "__main__":
    unittest.main()
