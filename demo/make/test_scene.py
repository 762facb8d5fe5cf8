"""Tests of the scene generator; need numpy and OpenCV only."""

import unittest

import numpy as np

from product import CLASS_NAMES, MISSING_CAP
from scene import HELD_OUT, PICTURE_HEIGHT, PICTURE_WIDTH, TRAINING, VISIBLE_SHARE_MIN, Look, Scene


class SceneTest(unittest.TestCase):
    def test_labels_lie_inside_the_picture_and_are_visible(self):
        for seed in range(6):
            for style in (TRAINING, HELD_OUT):
                frame = Scene(seed, style, Look(has_arm=True, has_post=True)).render(1.7 * seed)
                self.assertTrue(frame.labels)
                for label in frame.labels:
                    x1, y1, x2, y2 = label.box
                    self.assertTrue(0 <= x1 < x2 <= PICTURE_WIDTH and 0 <= y1 < y2 <= PICTURE_HEIGHT, label)
                    self.assertGreaterEqual(label.visible_share, VISIBLE_SHARE_MIN)
                    self.assertIn(label.class_index, range(len(CLASS_NAMES)))
                for label in frame.unsure:
                    self.assertLess(label.visible_share, VISIBLE_SHARE_MIN)

    def test_same_seed_same_frame_whatever_was_rendered_before(self):
        first = Scene(3, HELD_OUT)
        first.render(0.0)
        first.render(5.0)
        one, other = first.render(2.0), Scene(3, HELD_OUT).render(2.0)
        np.testing.assert_array_equal(one.picture, other.picture)
        self.assertEqual(one.labels, other.labels)

    def test_other_seed_other_frame(self):
        self.assertFalse(np.array_equal(Scene(3, TRAINING).render(0).picture, Scene(4, TRAINING).render(0).picture))

    def test_picture_is_8_bit_rgb_of_the_promised_size(self):
        picture = Scene(1, TRAINING).render(0.0).picture
        self.assertEqual((picture.shape, picture.dtype), ((PICTURE_HEIGHT, PICTURE_WIDTH, 3), np.dtype(np.uint8)))

    def test_products_move_with_the_belt(self):
        scene = Scene(5, TRAINING, Look(speed=100.0, has_arm=False, has_post=False, has_rail=False))
        before, after = scene.render(1.0), scene.render(1.2)

        def inner(frame):  # products clear of the picture's edges
            return [label.box[0] for label in frame.labels
                    if label.class_index == 0 and label.box[0] > 0 and label.box[2] < PICTURE_WIDTH]

        moved = [any(abs(x + 20.0 - y) < 1e-6 for y in inner(after)) for x in inner(before) if x + 140 < PICTURE_WIDTH]
        self.assertTrue(moved and all(moved))

    def test_defects_lie_on_their_product(self):
        frame = Scene(8, TRAINING, Look(defect_share=1.0, has_arm=False, has_post=False)).render(0.0)
        products = [label.box for label in frame.labels + frame.unsure if label.class_index == 0]
        defects = [label for label in frame.labels if label.class_index not in (0, MISSING_CAP)]
        self.assertTrue(defects)
        for defect in defects:
            x, y = (defect.box[0] + defect.box[2]) / 2, (defect.box[1] + defect.box[3]) / 2
            self.assertTrue(any(b[0] <= x <= b[2] and b[1] <= y <= b[3] for b in products), defect)

    def test_styles_share_no_belt_and_no_wall(self):
        self.assertFalse(set(TRAINING.belts) & set(HELD_OUT.belts))
        self.assertFalse(set(TRAINING.walls) & set(HELD_OUT.walls))
        for low, high in TRAINING.hue_ranges:
            self.assertFalse(any(low < h and l < high for l, h in HELD_OUT.hue_ranges))


if __name__ == "__main__":
    unittest.main()
