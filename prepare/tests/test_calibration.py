"""Pictures are chosen by how they differ, and pictures of another kind are told."""
import pathlib
import tempfile
import unittest

import packages

packages.need("numpy", "cv2", "onnx")

import cv2
import numpy as np

from framemill_prepare import calibration, diversity, domain, features, int8, sources, split
from framemill_prepare.errors import PrepareError
from framemill_prepare.letterbox import InputStyle, letterbox


def street(seed, light=1.0, is_gray=False):
    """A made-up scene: sky, ground, boxes."""
    draw = np.random.default_rng(seed)
    picture = np.zeros((180, 320, 3), np.float32)
    picture[:90] = (200, 170, 120)
    picture[90:] = (70, 80, 90)
    for _ in range(6):
        x, y, w, h = draw.integers(0, 280), draw.integers(60, 150), draw.integers(10, 60), draw.integers(10, 40)
        picture[y:y + h, x:x + w] = draw.integers(0, 255, 3)
    picture = picture * light + draw.normal(0, 4, picture.shape)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) if is_gray else picture


class DiversityTest(unittest.TestCase):
    def test_the_rare_is_chosen_and_copies_are_not(self):
        # 200 times one scene, 5 nights, 3 snow: what the first ones and even spacing miss.
        pictures = [street(0)] * 200 + [street(i, light=0.15) for i in range(5)] + [street(i, is_gray=True) for i in range(3)]
        order = np.random.default_rng(5).permutation(len(pictures))
        rows = features.weighted([features.describe(pictures[i]) for i in order])
        chosen = [int(order[i]) for i in diversity.choose(rows, 16)]
        self.assertEqual(len(set(chosen)), 16)
        self.assertEqual(len([i for i in chosen if 200 <= i < 205]), 5)
        self.assertEqual(len([i for i in chosen if i >= 205]), 3)

    def test_it_covers_more_than_the_first(self):
        # A camera from noon to night.
        rows = features.weighted([features.describe(street(i, light=1 - i / 130)) for i in range(120)])
        chosen = diversity.choose(rows, 20)
        self.assertLess(diversity.coverage(rows, chosen), 0.7 * diversity.coverage(rows, list(range(20))))

    def test_deterministic_and_within_bounds(self):
        rows = np.random.default_rng(0).random((50, 8))
        self.assertEqual(diversity.choose(rows, 10), diversity.choose(rows, 10))
        self.assertEqual(diversity.choose(rows, 50), list(range(50)))
        self.assertEqual(diversity.choose(rows, 80), list(range(50)))
        self.assertEqual(sorted(set(diversity.choose(rows, 49))), sorted(diversity.choose(rows, 49)))


class SplitTest(unittest.TestCase):
    @staticmethod
    def frames(source, count, rate=1.0):
        return [sources.Candidate(f"{source}_{i}", packed=b"x", source=source, at_s=i / rate) for i in range(count)]

    def test_stretches_are_seconds_apart(self):
        for count, rate in ((1200, 25), (100, 2), (300, 0.5), (60, 10)):
            times = [i / rate for i in range(count)]
            pool, judged = split.split_one(count, times)
            gap = min(abs(times[i] - times[k]) for i in judged for k in pool)
            self.assertGreaterEqual(gap, min(2.0, times[-1] / 13), (count, rate))
            self.assertGreater(len(judged), count / 8)
            self.assertGreater(len(pool), count / 2)
            self.assertEqual((pool[0], pool[-1]), (0, count - 1))

    def test_each_recording_is_split_by_itself(self):
        candidates = self.frames("a.mp4", 40) + self.frames("b.mp4", 40)
        pool, judged = split.split(candidates, False)
        for side in (pool, judged):
            self.assertEqual({candidates[i].source for i in side}, {"a.mp4", "b.mp4"})
        self.assertFalse(set(pool) & set(judged))

    def test_pictures_are_split_where_there_is_nothing_else(self):
        pictures = [sources.Candidate(f"{i}.jpg", path=f"{i}.jpg") for i in range(20)]
        self.assertEqual(split.split(pictures, False), (list(range(20)), []))
        pool, judged = split.split(pictures, True)
        self.assertEqual((judged, len(pool)), ([4, 5, 6, 7, 12, 13, 14, 15], 12))
        self.assertEqual(split.split(pictures[:3], True), ([0, 1, 2], []))
        self.assertEqual(split.split(pictures[:4], True), ([0, 2, 3], [1]))

    def test_a_sequence_of_unknown_length_is_taken_evenly(self):
        for count, total, told in ((10, 10, 0), (10, 19, 19), (10, 19, 0), (10, 1234, 0), (10, 1234, 1234), (10, 1234, 200), (10, 100, 5000)):
            taker = sources.EvenTaker(count, told)
            for i in range(total):
                if taker.is_next():
                    taker.add(i)
            taken = taker.result()
            self.assertLessEqual(len(taken), count)
            if told <= total:
                self.assertEqual(len(taken), count)
                self.assertTrue(taken[0] <= total / count and taken[-1] >= total - 1 - 2 * total / count, (total, told, taken))
                self.assertLessEqual(max(np.diff(taken)), 2.1 * total / count + 1, (total, told, taken))


class QdqTest(unittest.TestCase):
    def test_its_fewer_pictures_have_a_quarter_of_the_common_too(self):
        rows = np.random.default_rng(0).random((1000, 8))
        chosen = diversity.choose(rows, 200)
        common = set(chosen[-50:])
        few = int8.few_of(chosen)
        self.assertEqual((len(few), len(set(few))), (96, 96))
        self.assertTrue(22 <= len(common & set(few)) <= 26)
        self.assertEqual(int8.few_of([1, 2, 3]), [1, 2, 3])


class DomainTest(unittest.TestCase):
    @staticmethod
    def rows(**kind):
        return [features.statistics(street(i, **kind)) for i in range(30)]

    def test_the_same_kind_is_not_told(self):
        even, odd = self.rows()[::2], self.rows()[1::2]
        self.assertEqual(domain.compare(even, odd).warning, "")

    def test_another_kind_is_told_with_what_differs(self):
        self.assertIn("brightness", domain.compare(self.rows(light=0.2), self.rows()).warning)
        self.assertIn("saturation", domain.compare(self.rows(is_gray=True), self.rows()).warning)

    def test_a_wide_calibration_that_covers_is_not_told(self):
        wide = self.rows() + self.rows(light=0.2) + self.rows(is_gray=True)
        self.assertEqual(domain.compare(wide, self.rows(light=0.2)).warning, "")

    def test_too_few_say_nothing(self):
        self.assertEqual(domain.compare(self.rows(light=0.2)[:3], self.rows()).warning, "")


class GatherTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="framemill-prepare-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()

    def pictures(self, count):
        place = self.folder / "pictures"
        place.mkdir()
        for i in range(count):
            cv2.imwrite(str(place / f"{i:03d}.jpg"), street(i))
        return place

    def clip(self, frames=60, size=(320, 180)):
        path = self.folder / "clip.avi"
        video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, size)
        for i in range(frames):
            video.write(cv2.resize(street(i), size))
        video.release()
        return path

    def gather(self, names, count, is_split=False):
        return calibration.gather(sources.find_sources([str(name) for name in names]), count, is_split, self.scratch, lambda share, text: None)

    def test_frames_of_clips_are_shared_out(self):
        result, files = self.gather([self.clip()], 12)
        self.assertEqual((result["count"], len(result["calibration"])), (12, 12))
        self.assertGreater(len(result["footage"]), 8)
        judged = sorted(int(name[-10:-4]) for name in result["footage"])
        used = [int(name[-10:-4]) for name in result["calibration"]]
        self.assertGreaterEqual(min(abs(i - k) for i in judged for k in used), 4, "they lie apart in time")
        self.assertTrue(min(used) < judged[0] and judged[-1] < max(used), "calibration sees both ends")
        self.assertEqual(set(files), set(result["calibration"]) | set(result["footage"]))
        names = [name.split("_", 1)[1] for name in files]
        self.assertEqual(len(names), len(set(names)), "no frame is both calibrated on and judged by")
        for file in files:
            self.assertEqual(calibration.read(self.scratch / file).shape, (180, 320, 3))

    def test_frames_come_from_the_whole_clip(self):
        clip = self.clip(frames=150, size=(64, 48))
        for count in (8, 80, 100, 149, 200):
            frames = [int(frame.name[-6:]) for frame in sources.clip_frames(str(clip), count)]
            self.assertEqual(len(frames), min(count, 150))
            self.assertTrue(frames[0] < 150 / count and frames[-1] >= 149 - 150 / count, (count, frames[0], frames[-1]))
            self.assertLessEqual(max(np.diff(frames)), -(-150 // count) + 1, count)
        self.assertAlmostEqual(sources.clip_frames(str(clip), 200)[149].at_s, 14.9)

    def test_pictures_stay_where_they_are_unless_they_are_judged_by(self):
        place = self.pictures(20)
        result, files = self.gather([place], 8)
        self.assertEqual((len(result["calibration"]), result["footage"], files), (8, [], []))
        self.assertTrue(all(pathlib.Path(name).is_file() for name in result["calibration"]))
        result, files = self.gather([place], 8, is_split=True)
        self.assertEqual(len(result["footage"]), 8)
        used = {pathlib.Path(name).name for name in result["calibration"]}
        self.assertFalse(used & {name.split("_", 1)[1] for name in result["footage"]})

    def test_files_of_data_lie_where_framemill_found_them(self):
        place = self.pictures(20)
        request = {"data": "cfg/mine.yaml", "data_files": {"pictures": sorted(map(str, place.iterdir())) + [str(place / "gone.jpg")], "clips": [], "labels": [], "classes": []}}
        result, _ = calibration.gather(sources.of_data(request), 8, False, self.scratch, lambda share, text: None)
        self.assertEqual((result["count"], result["candidates"], result["sources"]), (8, 20, ["cfg/mine.yaml"]))
        self.assertEqual(calibration.check_domain(result["statistics"], sources.of_data(request)), "")
        dark = [features.statistics(street(i, light=0.1)) for i in range(20)]
        self.assertIn("brightness", calibration.check_domain(dark, sources.of_data(request)))

    def test_what_cannot_be_read_is_named_and_left_out(self):
        place = self.pictures(10)
        (place / "broken.jpg").write_bytes(b"no picture")
        (place / "empty.png").write_bytes(b"")
        result, _ = self.gather([place], 20)
        self.assertEqual(result["count"], 10)
        self.assertEqual(len([p for p in result["problems"] if "broken.jpg" in p or "empty.png" in p]), 2)

    def test_nothing_of_use_is_refused(self):
        empty = self.folder / "empty"
        empty.mkdir()
        (self.folder / "notes.txt").write_text("hello")
        for name, says in ((empty, "it is empty"), (self.folder / "notes.txt", "neither a picture"), (self.folder / "gone", "no such file")):
            with self.assertRaisesRegex(PrepareError, says) as caught:
                self.gather([name], 8)
            self.assertEqual(caught.exception.status, 2)
        (empty / "a.txt").write_text("x")
        with self.assertRaisesRegex(PrepareError, r"no picture and no clip \(it has \.txt\)"):
            self.gather([empty], 8)

    def test_passwords_are_not_shown(self):
        self.assertEqual(sources.without_password("rtsp://me:secret@10.0.0.7/1"), "rtsp://***@10.0.0.7/1")


class LetterboxTest(unittest.TestCase):
    def test_place_border_and_style(self):
        picture = np.zeros((100, 200, 3), np.uint8)
        picture[:] = (10, 20, 30)
        centred = letterbox(picture, (64, 64), InputStyle())
        self.assertEqual(centred.shape, (1, 3, 64, 64))
        self.assertTrue(np.allclose(centred[0, :, 32, 32] * 255, (30, 20, 10)))
        self.assertTrue(np.allclose(centred[0, :, 15, 0] * 255, 114) and np.allclose(centred[0, :, 16, 0] * 255, (30, 20, 10)))
        corner = letterbox(picture, (64, 64), InputStyle(is_bgr=True, is_byte=True, is_top_left=True))
        self.assertTrue(np.allclose(corner[0, :, 0, 0], (10, 20, 30)) and np.allclose(corner[0, :, 32, 0], 114))


if __name__ == "__main__":
    unittest.main()
