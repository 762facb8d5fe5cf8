"""Tests of reading the model's output and of AP; need numpy only."""

import unittest

import numpy as np

from answers import average_precision, counts_at, read_output


def output_of(rows):
    """Model output of two classes from rows centre x, centre y, width, height, score 0, score 1."""
    return np.array(rows, np.float32).T


class AnswersTest(unittest.TestCase):
    def test_reads_boxes_and_suppresses_within_a_class_only(self):
        output = output_of([(50, 50, 20, 20, 0.9, 0.0), (51, 50, 20, 20, 0.8, 0.7), (150, 50, 20, 20, 0.2, 0.1)])
        rows = read_output(output, score_min=0.15, nms_iou=0.6)
        self.assertEqual([(r[0], round(float(r[1]), 2)) for r in rows], [(0, 0.9), (1, 0.7), (0, 0.2)])
        np.testing.assert_allclose(rows[0, 2:], (40, 40, 60, 60), atol=1e-4)

    def test_average_precision_by_hand(self):
        truth = [np.array([[0, 0, 0, 10, 10, 1], [0, 50, 50, 60, 60, 1]], float)]
        right, wrong = [0, 0.9, 0, 0, 10, 10], [0, 0.8, 90, 90, 99, 99]
        late = [0, 0.7, 50, 50, 60, 60]
        # recall 0.5 at precision 1, recall 1 at precision 2/3: 51 points at 1 and 50 at 2/3
        self.assertAlmostEqual(average_precision([np.array([right, wrong, late])], truth, 0, 0.5),
                               (51 + 50 * 2 / 3) / 101)
        self.assertEqual(average_precision([np.zeros((0, 6))], truth, 0, 0.5), 0.0)

    def test_unsure_objects_count_neither_way(self):
        truth = [np.array([[0, 0, 0, 10, 10, 1], [0, 50, 50, 60, 60, 0]], float)]
        answer = [np.array([[0, 0.9, 50, 50, 60, 60], [0, 0.8, 0, 0, 10, 10]])]
        self.assertEqual(average_precision(answer, truth, 0, 0.5), 1.0)
        self.assertEqual(counts_at(answer, truth, 0.5), (1, 1, 1))


if __name__ == "__main__":
    unittest.main()
