"""`framemill eval`: the figures are those of pycocotools, models that differ are caught, wrong input is named with its place."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from html.parser import HTMLParser

import eval_worlds
from eval_worlds import FLOAT_MODEL, NAMES, LineData, figures_of, judge, random_world, spoil
from framemill import BINARY, DEMO_CLIP, DEMO_MODEL, FramemillTest, run


class References(HTMLParser):
    """What a page would load from elsewhere, its tags and pictures."""

    def __init__(self):
        super().__init__()
        self.outside, self.pictures, self.charts = [], 0, 0

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "srcset", "action", "data") and value:
                if value.startswith("data:image/jpeg;base64,"):
                    self.pictures += 1
                elif not value.startswith("#"):
                    self.outside.append(f"<{tag} {name}={value[:60]}>")
            self.charts += name == "class" and value == "chart"


@unittest.skipIf(eval_worlds.MISSING, eval_worlds.MISSING)
class EvalTest(FramemillTest):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="framemill-eval-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.line = LineData(cls.shared / "line")
        cls.line.write_yolo()

    def eval(self, *arguments, expect=0, says=(), stdout=subprocess.PIPE):
        done = run("eval", *arguments, stdout=stdout)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        for text in says:
            self.assertIn(text, done.stderr)
        return done

    def document(self, *arguments, expect=0):
        done = self.eval(*arguments, "--json", expect=expect)
        document = json.loads(done.stdout)
        self.assertEqual(document["schema"], "framemill.eval/1")
        return document

    def refused(self, *arguments, says=()):
        """Exit 2, nothing on standard output, each of `says` in the message."""
        done = self.eval(*arguments, expect=2, says=says)
        self.assertEqual(done.stdout, "")
        return done

    def assert_same(self, ours, theirs, context=""):
        for key, value in theirs.items():
            if key == "classes":
                self.assertEqual(set(ours[key]), set(value), context)
                for name in value:
                    self.assertAlmostEqual(ours[key][name], value[name], delta=1e-3, msg=f"{context} class {name}")
            elif value is None:
                self.assertIsNone(ours[key], f"{context} {key}")
            else:
                self.assertAlmostEqual(ours[key], value, delta=1e-3, msg=f"{context} {key}")

    # The figures.

    def test_random_worlds_are_judged_as_pycocotools_does(self):
        data, results = self.folder / "truth.json", self.folder / "results.json"
        judged = 0
        for seed in range(60):
            annotations, found = random_world(seed, is_fine=seed >= 40)
            if not found:
                continue
            data.write_text(json.dumps(annotations))
            results.write_text(json.dumps(found))
            self.assert_same(figures_of(self.document(results, "--data", data, "--resamples", "10")), judge(annotations, found), f"seed {seed}")
            judged += 1
        self.assertGreater(judged, 45)

    def test_a_model_is_judged_as_pycocotools_does(self):
        annotations = self.line.coco()
        data = self.line.write_coco()
        for model in (FLOAT_MODEL, DEMO_MODEL):
            found = self.folder / "found.json"
            document = self.document(model, "--data", data, "--detections", found)
            results = json.loads(found.read_text())
            self.assertGreater(len(results), 500)
            self.assert_same(figures_of(document), judge(annotations, results), model.name)
            self.assertGreater(document["conditions"][0]["model"]["ap50"], 0.8)

    def test_all_formats_of_the_same_labels_give_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            other = LineData(pathlib.Path(folder) / "voc")
            by_format = {"YOLO": self.document(FLOAT_MODEL, "--data", self.line.folder),
                         "VOC": self.document(FLOAT_MODEL, "--data", other.write_voc()),
                         "COCO": self.document(FLOAT_MODEL, "--data", self.line.write_coco())}
        for name, document in by_format.items():
            self.assertEqual(document["data"]["format"], name)
            self.assert_same(figures_of(document), figures_of(by_format["YOLO"]), name)
        quality = by_format["YOLO"]["conditions"][0]["model"]
        self.assertEqual(quality["operating"]["score"], 0.55)  # the model's own
        low, high = quality["ap_interval"]
        self.assertTrue(low < quality["ap"] < high)
        self.assertGreater(by_format["YOLO"]["models"][0]["speed"]["median_ms"], 0)

    def test_recall_and_precision_are_counted_by_hand(self):
        found = self.folder / "found.json"
        document = self.document(FLOAT_MODEL, "--data", self.line.write_coco(), "--detections", found, "--score", "0.6")
        annotations, right, given = self.line.coco(), 0, 0
        results = json.loads(found.read_text())
        for image in annotations["images"]:
            objects = [a for a in annotations["annotations"] if a["image_id"] == image["id"]]
            for one in sorted((r for r in results if r["image_id"] == image["id"] and r["score"] >= 0.6), key=lambda r: -r["score"]):
                given += 1
                near = [(iou(one["bbox"], o["bbox"]), o) for o in objects if o["category_id"] == one["category_id"]]
                best = max(near, key=lambda pair: pair[0], default=(0, None))
                if best[0] >= 0.5:
                    right += 1
                    objects.remove(best[1])
        operating = document["conditions"][0]["model"]["operating"]
        self.assertEqual((operating["found"], operating["given"], operating["wanted"]), (right, given, len(annotations["annotations"])))

    def test_the_same_again_but_for_times(self):
        def figures():
            document = self.document(DEMO_MODEL, "--data", self.line.folder, "--against", FLOAT_MODEL, "--pictures", "12", "--conditions",
                                     "clean,noise,motion_blur", expect=self.status_of_demo)
            return json.dumps([document["conditions"], document["violations"]])
        self.assertEqual(figures(), figures())
    status_of_demo = 0

    # Two models.

    def test_a_model_is_consistent_with_itself_everywhere(self):
        document = self.document(FLOAT_MODEL, "--data", self.line.folder, "--against", FLOAT_MODEL, "--pictures", "15")
        self.assertEqual(document["verdict"], "consistent")
        self.assertEqual([each["condition"] for each in document["conditions"]], ["clean", "low_light", "motion_blur", "noise", "jpeg", "defocus"])
        for each in document["conditions"]:
            self.assertEqual(each["agreement"]["agreement"], 1)
            self.assertEqual(each["ap_loss"]["all"], {"value": 0, "interval": [0, 0]})

    def test_a_model_that_fails_for_one_class_is_caught_with_the_class(self):
        model = spoil(self.folder / "deaf.onnx", class_scale=(2, 0.1))
        out = self.folder / "report"
        done = self.eval(model, "--data", self.line.folder, "--against", FLOAT_MODEL, "--conditions", "clean", "--out", out, expect=1,
                         says=["deaf is not consistent with line_fp32"])
        document = json.loads((out / "eval.json").read_text())
        self.assertEqual(document["verdict"], "not consistent")
        self.assertIn(("class_agreement", 'class "scratch"'), [(each["what"], each["part"]) for each in document["violations"]])
        self.assertIn('class "scratch"', done.stdout)
        agreement = {each["label"]: each["agreement"] for each in document["conditions"][0]["agreement"]["classes"]}
        self.assertLess(agreement["scratch"], 0.5)
        self.assertGreater(agreement["product"], 0.99)

    def test_a_model_that_drops_small_objects_is_caught_with_the_size(self):
        model = spoil(self.folder / "blind.onnx", small_side=32)
        document = self.document(model, "--data", self.line.folder, "--against", FLOAT_MODEL, "--conditions", "clean", expect=1)
        broken = {each["what"] for each in document["violations"]}
        self.assertIn("small_ap_loss", broken)
        self.assertIn("size_agreement", broken)
        self.assertGreater(document["conditions"][0]["ap_loss"]["small"]["value"], 0.3)
        self.assertLess(abs(document["conditions"][0]["ap_loss"]["large"]["value"]), 0.01)

    def test_without_labels_agreement_alone_decides(self):
        model = spoil(self.folder / "deaf.onnx", class_scale=(0, 0.1))
        for data in (DEMO_CLIP, self.line.folder / "images"):
            arguments = ("--data", data, "--format", "none") if data != DEMO_CLIP else ("--data", data, "--frames", "12")
            same = self.document(FLOAT_MODEL, *arguments, "--against", FLOAT_MODEL, "--conditions", "clean")
            self.assertEqual(same["verdict"], "consistent")
            self.assertIsNone(same["conditions"][0]["ap_loss"])
            self.assertGreaterEqual(same["data"]["pictures"], 12)
            spoiled = self.document(model, *arguments, "--against", FLOAT_MODEL, "--conditions", "clean", expect=1)
            self.assertIn("agreement", [each["what"] for each in spoiled["violations"]])

    def test_nothing_to_compare_is_not_consistent(self):
        empty = self.folder / "empty.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=gray:size=320x192:rate=10:duration=2", empty], check=True)
        deaf = spoil(self.folder / "deaf.onnx", class_scale=(0, 0.1))
        arguments = (deaf, "--data", empty, "--against", FLOAT_MODEL, "--conditions", "clean")
        done = self.eval(*arguments, expect=1, says=["deaf is not shown to be consistent with line_fp32: 0 sure detections were compared, fewer than 20"])
        self.assertIn("not shown: 0 sure detections", done.stdout)
        document = self.document(*arguments, expect=1)
        self.assertEqual((document["verdict"], document["compared"]), ("not shown", 0))
        self.assertIsNone(document["conditions"][0]["agreement"]["agreement"])
        fullest = max(range(len(self.line.objects)), key=lambda i: len(self.line.objects[i]))
        one = ("--data", self.line.pictures[fullest], "--against", FLOAT_MODEL, "--conditions", "clean")
        few = self.document(FLOAT_MODEL, *one, expect=1)
        self.assertTrue(0 < few["compared"] < 20, few["compared"])
        self.document(FLOAT_MODEL, *one, "--sure-least", few["compared"])

    def test_limits_are_settings(self):
        model = spoil(self.folder / "deaf.onnx", class_scale=(2, 0.1))
        self.eval(model, "--data", self.line.folder, "--against", FLOAT_MODEL, "--conditions", "clean", "--ap-loss", "1", "--small-ap-loss", "1",
                  "--agreement", "0", "--part-agreement", "0")

    def test_degraded_pictures_are_harder(self):
        document = self.document(FLOAT_MODEL, "--data", self.line.folder, "--conditions", "low_light,motion_blur,noise,jpeg,defocus")
        ap = {each["condition"]: each["model"]["ap"] for each in document["conditions"]}
        self.assertEqual(max(ap, key=ap.get), "clean")
        self.assertGreater(min(ap.values()), 0.02)  # and yet not hopeless

    # What is written.

    def test_page_and_document_are_whole(self):
        out = self.folder / "new/report"
        deaf = spoil(self.folder / "deaf.onnx", class_scale=(2, 0.1))
        done = self.eval(deaf, "--data", self.line.folder, "--against", FLOAT_MODEL, "--pictures", "20", "--conditions", "clean,low_light", "--out", out,
                         "--ap-loss", "1", "--small-ap-loss", "1", "--agreement", "0", "--part-agreement", "0")
        self.assertEqual(sorted(os.listdir(out)), ["eval.html", "eval.json"])
        page = References()
        page.feed((out / "eval.html").read_text())
        self.assertEqual(page.outside, [])
        document = json.loads((out / "eval.json").read_text())
        self.assertEqual(page.pictures, len(document["worst_pictures"]))
        self.assertGreater(page.pictures, 1)
        self.assertGreaterEqual(page.charts, 5)
        self.assertIn("low_light", done.stdout)
        self.assertIn(str(out / "eval.html"), done.stderr)
        single = self.folder / "single"
        self.eval(FLOAT_MODEL, "--data", self.line.folder, "--pictures", "20", "--out", single)
        page = References()
        page.feed((single / "eval.html").read_text())
        self.assertEqual(page.outside, [])

    def test_a_full_standard_output_fails(self):
        with open("/dev/full", "wb") as full:
            done = run("eval", FLOAT_MODEL, "--data", self.line.folder, "--pictures", "3", stdout=full)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("standard output", done.stderr)

    def test_the_table_is_printed_where_the_report_cannot_be_written(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], capture_output=True).returncode:
            self.skipTest("a small disk takes root and mount")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)])
        done = self.eval(FLOAT_MODEL, "--data", self.line.folder, "--pictures", "12", "--out", disk / "report", expect=1, says=["No space left"])
        self.assertIn("line_fp32: AP 0.", done.stdout)

    def test_frames_come_from_the_whole_clip(self):
        """Also where little more is there than is wanted, and of a stream that has no length."""
        short, raw = self.folder / "short.mp4", self.folder / "raw.mjpeg"
        subprocess.run(["ffmpeg", "-v", "error", "-i", DEMO_CLIP, "-frames:v", "30", short], check=True)
        subprocess.run(["ffmpeg", "-v", "error", "-i", DEMO_CLIP, "-frames:v", "60", "-c:v", "mjpeg", "-q:v", "3", "-f", "mjpeg", raw], check=True)
        for clip, last in ((short, 27), (raw, 54)):
            out = self.folder / f"found_{clip.suffix[1:]}.json"
            self.eval(FLOAT_MODEL, "--data", clip, "--against", FLOAT_MODEL, "--frames", "20", "--conditions", "clean", "--detections", out)
            frames = sorted({int(each["image_id"].split()[-1]) for each in json.loads(out.read_text())})
            self.assertLessEqual(len(frames), 20)
            self.assertGreaterEqual(frames[-1], last, frames)

    def test_a_signal_stops_it_and_nothing_is_written(self):
        out = self.folder / "report"
        process = subprocess.Popen([BINARY, "eval", str(FLOAT_MODEL), "--data", str(DEMO_CLIP), "--frames", "500", "--against", str(DEMO_MODEL),
                                    "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end, process)
        for line in process.stderr:
            if b"pictures" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1, stderr.decode())
        self.assertIn("stopped", stderr.decode())
        self.assertEqual((stdout, os.listdir(out)), (b"", []))

    # Bad input.

    def copy_of_line(self):
        folder = self.folder / "line"
        shutil.copytree(self.line.folder, folder)
        return folder

    def test_wrong_usage_starts_nothing(self):
        data = self.line.folder
        self.refused(FLOAT_MODEL, says=["--data"])
        self.refused(self.folder / "none.onnx", "--data", data, says=["none.onnx"])
        self.refused(FLOAT_MODEL, "--data", data, "--against", self.folder / "none.onnx", says=["--against", "none.onnx"])
        self.refused(FLOAT_MODEL, "--data", self.folder / "nowhere", says=["nowhere"])
        self.refused(FLOAT_MODEL, "--data", data, "--conditions", "fog", says=["fog", "low_light"])
        self.refused(FLOAT_MODEL, "--data", data, "--score", "2", says=["--score"])
        self.refused(FLOAT_MODEL, "--data", data, "--classes", "cat", says=["cat"])
        self.refused(FLOAT_MODEL, "--data", data, "--format", "voc", says=["VOC"])
        self.refused(FLOAT_MODEL, "--data", data, "--split", "test", says=["test"])

    def test_an_empty_folder_and_pictures_without_labels(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused(FLOAT_MODEL, "--data", empty, says=["holds no pictures"])
        shutil.copy(self.line.pictures[0], empty)
        self.refused(FLOAT_MODEL, "--data", empty, says=["has no labels", "--against"])

    def test_broken_labels_are_named_by_file_and_line(self):
        folder = self.copy_of_line()
        with open(folder / "labels/003.txt", "a") as labels:
            labels.write("0 0.5 0.5\n9 0.5 0.5 0.1 0.1\n0 0.5 0.5 64 32\n")
        lines = len((folder / "labels/003.txt").read_text().splitlines())
        self.refused(FLOAT_MODEL, "--data", folder, says=[f"003.txt:{lines - 2}: 3 values", f"003.txt:{lines - 1}: class 9", f"003.txt:{lines}: ",
                                                          "outside 0..1"])

    def test_classes_that_do_not_match_are_listed(self):
        folder = self.copy_of_line()
        (folder / "data.yaml").write_text(json.dumps({"val": "images", "names": ["product", "dent", "unicorn", "stain", "missing_cap"]}))
        self.refused(FLOAT_MODEL, "--data", folder, says=["unicorn", "scratch", "--labels"])
        document = self.document(FLOAT_MODEL, "--data", folder, "--classes", "product,dent", "--pictures", "5")
        self.assertEqual({each["label"] for each in document["conditions"][0]["model"]["classes"]} - {"product", "dent"}, set())
        self.refused(FLOAT_MODEL, "--data", folder, "--classes", "scratch", says=["--classes: the data set has no class \"scratch\"", "unicorn"])

    def test_broken_pictures_among_good_ones_are_told_and_left_out(self):
        folder = self.copy_of_line()
        cut = folder / "images/005.jpg"
        cut.write_bytes(cut.read_bytes()[:900])
        (folder / "images/006.jpg").write_text("no picture")
        done = self.eval(FLOAT_MODEL, "--data", folder, says=["not read: ", "005.jpg", "006.jpg"])
        self.assertIn("2 could not be read", done.stdout)
        for picture in (folder / "images").iterdir():
            picture.write_text("no picture")
        self.refused(FLOAT_MODEL, "--data", folder, says=["none of", "could be read"])

    def test_pictures_without_a_label_file_are_told(self):
        folder = self.copy_of_line()
        (folder / "labels/001.txt").unlink()
        self.eval(FLOAT_MODEL, "--data", folder, "--pictures", "5", says=["have no file of labels, such as images/001.jpg"])

    def test_a_report_that_cannot_be_written_starts_nothing(self):
        file = self.folder / "file"
        file.write_text("")
        self.refused(FLOAT_MODEL, "--data", self.line.folder, "--out", file / "report", says=["--out", "report"])
        (self.folder / "report/eval.html").mkdir(parents=True)
        self.refused(FLOAT_MODEL, "--data", self.line.folder, "--out", self.folder / "report", says=["eval.html"])
        self.refused(FLOAT_MODEL, "--data", self.line.folder, "--detections", self.folder / "no/d.json", says=["--detections"])

    def test_no_output_overwrites_what_is_read(self):
        folder = self.copy_of_line()
        label = folder / "labels/001.txt"
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.refused(FLOAT_MODEL, "--data", folder, "--detections", label, says=["--detections: ", "001.txt\" is read as --data", "name another file"])
        names = folder / "eval.json"
        names.write_text("a\n")
        before[names] = b"a\n"
        self.refused(FLOAT_MODEL, "--data", folder, "--labels", names, "--out", folder,
                     says=["--out: ", "eval.json\" is read as --labels", "name another folder"])
        model = folder / "eval.html"
        model.symlink_to(FLOAT_MODEL)
        self.refused(FLOAT_MODEL, "--data", folder, "--out", folder, says=["--out: ", "is read as MODEL"])
        self.refused(DEMO_MODEL, "--data", folder, "--against", FLOAT_MODEL, "--out", folder, says=["--out: ", "is read as --against"])
        model.unlink()
        self.assertEqual({path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}, before)

    def test_results_of_other_pictures_are_refused(self):
        data = self.line.write_coco()
        for entry, says in (({"image_id": 7777}, "7777"), ({"category_id": 2}, "category_id"), ({"bbox": [1, 2]}, "[0].bbox")):
            results = self.folder / "results.json"
            results.write_text(json.dumps([{"image_id": 100, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5, **entry}]))
            self.refused(results, "--data", data, says=[says])


def iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


if __name__ == "__main__":
    unittest.main()
