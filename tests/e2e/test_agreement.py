"""All real clips as cameras of one run agree with what an independent script found in them."""
import json
import subprocess
import sys
import unittest

import framemill
from framemill import TESTDATA, FramemillTest

COMPARE = TESTDATA.parent / "tools/agreement.py"


@unittest.skipUnless(TESTDATA.is_dir() and COMPARE.is_file(), "needs the shared test data and its comparison")
@unittest.skipIf(framemill.IS_SLOW_BUILD, "takes too long with sanitizers")
class AgreementTest(FramemillTest):
    ANSWERS = 40  # of each clip; the whole of them takes minutes and agrees as well

    def test_every_clip_agrees_with_the_reference(self):
        steps = json.loads((TESTDATA / "reference/steps.json").read_text())
        sources = [part for name, step in steps.items() for part in ("--source", f"{TESTDATA}/clips/{name}.mp4,every={step['every']}")]
        done = self.run_engine(*sources, "--model", TESTDATA / "models/openvino/yolo11n_640_int8_yassim.xml", "--labels", "coco", "--score", "0.2",
                               "--pace", "fast", "--policy", "full", "--max-answers", self.ANSWERS, timeout=600)
        self.assertEqual(done.summary["total"]["inferred"], self.ANSWERS * len(steps))
        compared = subprocess.run([sys.executable, COMPARE, TESTDATA / "reference/yolo11n_640_int8_10hz.jsonl", self.folder / "results.jsonl", "--by-camera",
                                   "--allow-missing", "--recall", "0.995", "--sure", "0.995", "--precision", "0.98", "--mean-iou", "0.95"],
                                  capture_output=True, text=True)
        self.assertEqual(compared.returncode, 0, compared.stdout + compared.stderr)


if __name__ == "__main__":
    unittest.main()
