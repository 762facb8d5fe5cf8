"""`framemill eval` on real labelled pictures: the figures of an independent script, and of pycocotools on framemill's own detections."""
import json
import pathlib
import unittest

import eval_worlds
import framemill
from framemill import TESTDATA, FramemillTest, run

COCO = TESTDATA / "images/coco/val2017"
STEEL = TESTDATA / "images/neu-det"
# AP50 and AP by tests/agree/onnx_ap.py (ONNX Runtime, OpenCV, numpy, pycocotools) on the pictures that are here: 64 of the 128
# that the table of the test data's README was measured on, hence other figures than there.
COCO_FIGURES = {
    "yolov8n_640_fp32.onnx": (0.6201, 0.4479),
    "yolo11n_640_fp32.onnx": (0.6399, 0.4812),
    "yolov5n_640_fp32.onnx": (0.5245, 0.3358),
    "yolo11n_640_int8_qdq_nncf_dynbatch.onnx": (0.6279, 0.4672),
    "yolov8n_640_int8_qdq_nncf_dynbatch.onnx": (0.6111, 0.4442),
    "yolov8n_640_int8_qdq_entropy_aditya.onnx": (0.5702, 0.4120),
    "yolov10n_640_int8_dynamic_s8_gaotong.onnx": (0.6341, 0.4590),
    "yolox_nano_416_fp32_kazuhito00.onnx": (0.5129, 0.3466),
}
STEEL_FIGURES = ("steel_neu_yolov8n_640_int8_dynamic_alizay.onnx", 0.7321, 0.4336)


@unittest.skipUnless(TESTDATA.is_dir(), "needs the shared test data")
@unittest.skipIf(framemill.IS_SLOW_BUILD, "takes too long with sanitizers")
class EvalTestdataTest(FramemillTest):
    def eval(self, model, *arguments, expect=0):
        done = run("eval", TESTDATA / "models" / model, *arguments, "--json", timeout=600)
        self.assertEqual(done.returncode, expect, done.stderr)
        return json.loads(done.stdout) if done.stdout else done

    def test_average_precision_is_that_of_an_independent_script(self):
        for model, (ap50, ap) in COCO_FIGURES.items():
            # Runtimes and processors round INT8 at different places: ONNX Runtime itself comes to .404 on a processor with VNNI in place of .412.
            most = 0.008 if "int8_qdq" in model else 0.005
            with self.subTest(model):
                document = self.eval(model, "--data", COCO, "--labels", "coco", "--resamples", "10")
                quality = document["conditions"][0]["model"]
                self.assertEqual(document["data"]["pictures"], 64)
                self.assertAlmostEqual(quality["ap"], ap, delta=most)
                # One threshold is a tenth of what `ap` averages: where runtimes differ in the last digit, it moves further.
                self.assertAlmostEqual(quality["ap50"], ap50, delta=0.01)

    def test_steel_defects(self):
        model, ap50, ap = STEEL_FIGURES
        document = self.eval(model, "--data", STEEL, "--resamples", "10")
        quality = document["conditions"][0]["model"]
        self.assertAlmostEqual(quality["ap50"], ap50, delta=0.01)  # rounds its activations anew for each picture
        self.assertAlmostEqual(quality["ap"], ap, delta=0.01)
        voc = self.eval(model, "--data", STEEL, "--format", "voc", "--resamples", "10")
        self.assertEqual((voc["data"]["format"], voc["data"]["pictures"]), ("VOC", 75))
        self.assertAlmostEqual(voc["conditions"][0]["model"]["ap50"], quality["ap50"], delta=0.005)  # its boxes are in whole pixels of 200 x 200

    @unittest.skipIf(eval_worlds.MISSING, eval_worlds.MISSING)
    def test_pycocotools_agrees_on_the_same_detections(self):
        found = self.folder / "found.json"
        document = self.eval("yolov8n_640_fp32.onnx", "--data", COCO, "--labels", "coco", "--detections", found, "--resamples", "10")
        results = json.loads(found.read_text())
        names = [line.split(": ")[1] for line in (COCO.parent / "config.yaml").read_text().splitlines() if line.startswith("  ")]
        annotations = {"images": [], "annotations": [], "categories": [{"id": i, "name": name} for i, name in enumerate(names)]}
        sizes = self.sizes_of_pictures()
        for path in sorted((COCO / "images").iterdir()):
            width, height = sizes[path.stem]
            annotations["images"].append({"id": int(path.stem), "width": width, "height": height})
            for line in (COCO / f"labels/{path.stem}.txt").read_text().splitlines():
                c, x, y, w, h = map(float, line.split())
                annotations["annotations"].append({"id": len(annotations["annotations"]) + 1, "image_id": int(path.stem), "category_id": int(c), "iscrowd": 0,
                                                   "bbox": [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height], "area": w * width * h * height})
        for result in results:
            result["image_id"] = int(result["image_id"])
        theirs = eval_worlds.judge(annotations, results)
        ours = eval_worlds.figures_of(document)
        for key in ("ap", "ap50", "ap75", "small", "medium", "large", "recall_max"):
            self.assertAlmostEqual(ours[key], theirs[key], delta=1e-3, msg=key)
        for name, value in theirs["classes"].items():
            self.assertAlmostEqual(ours["classes"][name], value, delta=1e-3, msg=name)

    @staticmethod
    def sizes_of_pictures():
        """Width and height from the JPEG's frame header; no picture library is needed."""
        sizes = {}
        for path in (COCO / "images").iterdir():
            data, at = path.read_bytes(), 2
            while not 0xC0 <= data[at + 1] <= 0xC2:
                at += 2 + int.from_bytes(data[at + 2:at + 4], "big")
            sizes[path.stem] = (int.from_bytes(data[at + 7:at + 9], "big"), int.from_bytes(data[at + 5:at + 7], "big"))
        return sizes

    def test_a_published_model_that_detects_nothing_is_refused_with_the_reason(self):
        broken = "yolov8n_640_int8_qdq_BROKENHEAD_aditya.onnx"
        sound = "yolov8n_640_fp32.onnx"
        done = self.eval(broken, "--data", COCO, "--labels", "coco", "--against", TESTDATA / "models" / sound, expect=2)
        for text in ("BROKENHEAD", "score", "0"):
            self.assertIn(text, done.stderr)
        self.assertIn("--against", self.eval(sound, "--data", COCO, "--labels", "coco", "--against", TESTDATA / "models" / broken, expect=2).stderr)

    def test_a_careless_quantisation_is_told_from_a_careful_one(self):
        arguments = ("--data", COCO, "--labels", "coco", "--against", TESTDATA / "models/yolov8n_640_fp32.onnx", "--conditions", "clean", "--resamples", "200")
        careless = self.eval("yolov8n_640_int8_qdq_entropy_aditya.onnx", *arguments, expect=1)
        self.assertEqual(careless["verdict"], "not consistent")
        self.assertIn("ap_loss", [each["what"] for each in careless["violations"]])
        careful = self.eval("openvino/yolov8n_640_int8_nghieu.xml", *arguments)
        self.assertEqual(careful["verdict"], "consistent", careful["violations"])


if __name__ == "__main__":
    unittest.main()
