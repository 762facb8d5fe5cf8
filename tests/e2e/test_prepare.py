"""`framemill prepare`: from the demo's FP32 export to a set that runs; interrupted and continued; wrong input is named before anything is made."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import framemill
from eval_worlds import NAMES, LineData
from framemill import BINARY, DEMO_CLIP, DEMO_MODEL, TESTDATA, FramemillTest, run

FLOAT_MODEL = DEMO_MODEL.with_name("line_fp32.onnx")
VENV = framemill.ROOT / ".deps/prepare"
MISSING = "" if (VENV / "framemill-prepare.pin").is_file() else f"{VENV} is missing: run scripts/setup.sh"
PATIENCE = 300


def with_packages(code, *arguments):
    """Runs Python in the worker's venv: the tests' own Python may have other releases of the same packages loaded."""
    subprocess.run([VENV / "bin/python", "-c", code, *map(str, arguments)], check=True)


SCRAMBLE = """
import sys, numpy as np, onnx
from onnx import numpy_helper
model = onnx.load(sys.argv[1])
for node in model.graph.node:
    if node.op_type == "Constant" and list(node.attribute[0].t.dims) == [1, 2, 3840]:
        table = numpy_helper.to_array(node.attribute[0].t)
        node.attribute[0].t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(table[:, :, np.random.default_rng(1).permutation(3840)])))
onnx.save(model, sys.argv[2])
"""

NO_DETECTOR = """
import sys, onnx
from onnx import TensorProto, helper
graph = helper.make_graph([helper.make_node("GlobalAveragePool", ["images"], ["out"])], "g",
                          [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 1, 1])])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
"""


QUERIES = """
import sys
sys.path.insert(0, sys.argv[1])
import graphs, onnx
model = graphs.queries(sys.argv[2])
if len(sys.argv) > 4:  # the boxes in pixels, which no exporter of this kind writes
    model.graph.initializer.append(onnx.numpy_helper.from_array(graphs.np.float32(100), "hundred"))
    boxes = next(node for node in model.graph.node if node.name == "to_pred_boxes")
    boxes.op_type = "Mul"
    boxes.input.append("hundred")
onnx.save(model, sys.argv[3])
"""

TRANSFORMERS = """
import sys
sys.path.insert(0, sys.argv[1])
import unittest
try:
    import test_transformers
except unittest.SkipTest as problem:
    print(problem)
    sys.exit(77)
if test_transformers.MISSING:
    print(test_transformers.MISSING)
    sys.exit(77)
test_transformers.export(test_transformers.make(sys.argv[2]), sys.argv[3])
"""

FLOAT_FORM = """
import sys
sys.path.insert(0, sys.argv[1])
import onnx
from float_form import float_form
onnx.save(float_form(onnx.load(sys.argv[2])), sys.argv[3])
"""


@unittest.skipIf(MISSING, MISSING)
class PrepareTest(FramemillTest):
    def prepare(self, *arguments, model=FLOAT_MODEL, expect=0, says=(), env=None, venv=VENV):
        done = run("prepare", model, "--venv", venv, *arguments, timeout=PATIENCE, env=env)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        for text in says:
            self.assertRegex(done.stderr, text)
        return done

    def refused(self, *arguments, model=FLOAT_MODEL, says=()):
        """Exit 2, nothing on standard output, no model made."""
        out = self.folder / "refused"
        done = self.prepare(*arguments, "--out", out, model=model, expect=2, says=says)
        self.assertEqual(done.stdout, "")
        self.assertEqual([p for p in out.rglob("*") if p.is_file() and "models" in p.parts], [])
        self.assertEqual(list(out.glob(".prepare/request*")), [], "a request may hold passwords")
        return done

    # A set, interrupted on the way.

    def test_interrupted_continued_and_deployed(self):
        out = self.folder / "line"
        arguments = ["--calibrate", DEMO_CLIP, "--out", out, "--pictures", "24", "--sizes", "none", "--forms", "openvino", "--precisions", "int8", "--conditions", "clean,noise"]
        made = self.interrupt_after(r"fp32 for OpenVINO: .* s$", arguments)
        self.assertIn("calibration pictures: 24 of", made)
        self.assertEqual(list(out.rglob("scratch")), [])
        self.assertFalse((out / "MODEL_CARD.md").exists())
        self.assertTrue((out / "models/line_640x384_fp32.onnx").is_file())

        done = self.prepare(*arguments, says=[r"calibration pictures: .*kept from before", r"640x384 fp32 for OpenVINO: .*kept from before", r"640x384 int8 for OpenVINO: \S+ MB, \d"])
        self.check_set(out, done)
        again = self.prepare(*arguments, "--json")
        self.assertEqual(len(re.findall("kept from before", again.stderr)), len(re.findall(r"^\[ *\d+/", again.stderr, re.M)), again.stderr)
        document = json.loads(again.stdout)
        self.assertEqual(document["steps"]["made"], 0)
        # A file that was changed by hand is made again, and nothing else but what follows from it.
        with open(out / "models/line_640x384_int8.bin", "ab") as file:
            file.write(b"x")
        self.assertRegex(self.prepare(*arguments, "--bench", "off").stderr, r"fp32 for OpenVINO: .*kept[\s\S]*int8 for OpenVINO: \S+ MB, \d")

    def test_other_recordings_are_judged_by_alone(self):
        """The same folder with another --calibrate: nothing of the first recordings is left in what the variants are judged by."""
        other, out = self.folder / "other.mp4", self.folder / "set"
        subprocess.run(["ffmpeg", "-v", "error", "-ss", "6", "-i", DEMO_CLIP, "-t", "8", other], check=True)
        options = ["--out", out, "--pictures", "16", "--sizes", "none", "--bench", "off", "--json"]
        self.prepare("--calibrate", DEMO_CLIP, "--precisions", "int8", "--forms", "openvino", "--conditions", "clean", *options)
        self.assertGreater(len(list((out / "footage").glob("*_line_*"))), 10)
        document = json.loads(self.prepare("--calibrate", other, "--precisions", "fp32", *options, says=["holds 1 of an earlier run as well.*line_640x384_int8.xml"]).stdout)
        footage = list((out / "footage").iterdir())
        self.assertTrue(footage and all("_other_" in file.name for file in footage), footage)
        self.assertEqual((document["variants"][0]["footage"]["pictures"], document["evaluation"]["footage"]), (len(footage), len(footage)))

    def interrupt_after(self, pattern, arguments):
        """Starts it, sends SIGINT when a line like `pattern` was seen, and returns what it said."""
        log = self.folder / "log"
        with open(log, "wb") as file:
            process = subprocess.Popen([BINARY, "prepare", str(FLOAT_MODEL), "--venv", str(VENV), *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=file)
        self.addCleanup(self.end, process)
        limit = time.monotonic() + PATIENCE
        while not re.search(pattern, log.read_text(), re.M):
            self.assertIsNone(process.poll(), log.read_text())
            self.assertLess(time.monotonic(), limit, log.read_text())
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 1)
        said = log.read_text()
        self.assertRegex(said, r"stopped; \d+ finished steps are kept, and the same command continues")
        self.assertNotIn("Traceback", said)
        return said

    def check_set(self, out, done):
        document = json.loads((out / "prepare.json").read_text())
        self.assertEqual(document["schema"], "framemill.prepare/1")
        rows = {row["precision"]: row for row in document["variants"]}
        self.assertEqual(set(rows), {"fp32", "int8"})
        self.assertEqual(rows["fp32"]["footage"]["agreement"], 1)
        self.assertGreater(rows["int8"]["footage"]["agreement"], 0.97)
        self.assertGreater(rows["int8"]["degraded"]["agreements"]["noise"], 0.9)
        self.assertEqual(rows["int8"]["degraded_agreement"], rows["int8"]["degraded"]["agreements"]["noise"])
        self.assertLess(rows["int8"]["bytes"], rows["fp32"]["bytes"])
        if not framemill.IS_SLOW_BUILD:
            self.assertGreater(rows["int8"]["speedup"], 1)
        self.assertIn("line_640x384_int8", done.stdout)
        card = (out / "MODEL_CARD.md").read_text()
        for text in ("| licence | Apache-2.0 |", "product, dent, scratch, stain, missing_cap", "24 pictures of", document["source"]["sha256"]):
            self.assertIn(text, card)
        self.assertEqual(document["ladder"]["path"], "models/line_640x384_int8.xml")
        # What is to be pasted holds, and runs with the classes' names, without a word about the model.
        site = out / "site.yaml"
        site.write_text((out / "deploy.yaml").read_text() + f"cameras:\n  - {{id: line, url: {DEMO_CLIP}, every: 50, policy: full}}\n")
        self.assertEqual(run("config", "check", site).returncode, 0)
        ran = self.run_engine(site, "--pace", "fast")
        self.assertTrue({d["label"] for line in ran.results for d in line["detections"]} <= set(NAMES))
        self.assertGreater(sum(len(line["detections"]) for line in ran.results), 10)
        self.assertEqual(ran.results[0]["variant"], "line_640x384_int8")

    def test_sizes_and_files_for_gpus(self):
        """Another size and the forms for ONNX Runtime, judged on labelled pictures."""
        line = LineData(self.folder / "data", every=25)
        line.write_yolo()
        out = self.folder / "set"
        done = self.prepare("--calibrate", DEMO_CLIP, "--data", line.folder, "--out", out, "--pictures", "16", "--sizes", "512x288", "--conditions", "clean", "--bench", "off", "--json")
        document = json.loads(done.stdout)
        rows = {row["name"]: row for row in document["variants"]}
        self.assertEqual(set(rows), {f"line_{size}_{kind}" for size in ("640x384", "512x288") for kind in ("fp32", "fp16", "fp16_onnx", "int8", "int8_qdq")})
        for name, row in rows.items():
            self.assertNotEqual(row["verdict"], "refused", f"{name}: {row['reason']}")
            self.assertIsNone(row["speed"])
            if row["precision"] == "fp16":
                self.assertGreater(row["rounding"]["agreement"], 0.99, name)
            else:
                self.assertGreater(row["data"]["ap"], 0.4, name)
        self.assertEqual((document["ladder"]["path"], document["ladder"]["rungs"]), ("models/line_640x384_fp32.onnx", []))
        self.assertIn("no speeds were measured", (out / "deploy.yaml").read_text())
        site = out / "site.yaml"
        site.write_text((out / "deploy.yaml").read_text() + f"cameras:\n  - {{id: line, url: {DEMO_CLIP}}}\n")
        self.assertEqual(run("config", "check", site).returncode, 0)
        for name in ("line_640x384_int8", "line_640x384_int8_qdq"):
            self.assertLess(rows[name]["data"]["ap_loss"], 0.03, name)
        # The wide one answers what the exported one answers, and takes several pictures at once.
        self.assertGreater(rows["line_512x288_fp32"]["footage"]["agreement"], 0.9)
        batch = run("bench", out / "models/line_512x288_fp32.onnx", "--quick", "--json")
        self.assertGreater(max(point["batch"] for point in json.loads(batch.stdout)["points"]), 1)
        # The head is float, all else is not, in both forms.
        with_packages("""
import sys, openvino
network = openvino.Core().read_model(sys.argv[1])
convs = [node for node in network.get_ordered_ops() if node.get_type_name() == "Convolution"]
exact = [node.get_friendly_name() for node in convs if node.input_value(1).get_node().get_type_name() == "Constant"]
rounded = [node for node in network.get_ordered_ops() if node.get_type_name() == "FakeQuantize"]
assert len(rounded) <= len(convs) + 6, f"{len(rounded)} places are rounded: within a SiLU as well?"
assert len(convs) == 34 and len(exact) == 6 and all("heads" in name and ".2/Conv" in name for name in exact), (len(convs), exact)
""", out / "models/line_640x384_int8.xml")
        with_packages("""
import sys, onnx
graph = onnx.load(sys.argv[1]).graph
makers = {name: node for node in graph.node for name in node.output}
convs = [node for node in graph.node if node.op_type == "Conv"]
quantized = [node.name for node in convs if node.input[1] in makers and makers[node.input[1]].op_type == "DequantizeLinear"]
assert len(quantized) == len(convs) - 6, (len(quantized), len(convs))
assert not any("heads" in name and name.endswith(".2/Conv") for name in quantized), quantized
zeros = {t.name: t for t in graph.initializer}
kinds = {zeros[node.input[2]].data_type for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2}
assert kinds <= {onnx.TensorProto.INT8, onnx.TensorProto.INT32}, kinds
""", out / "models/line_640x384_int8_qdq.onnx")

    def test_head_and_name_reach_what_is_to_be_pasted(self):
        model, out = self.folder / "gate, v2 #1 ${HOME}.onnx", self.folder / "set"
        model.write_bytes(FLOAT_MODEL.read_bytes())
        self.prepare("--head", "v8", "--calibrate", DEMO_CLIP, "--out", out, "--pictures", "16", "--sizes", "none", "--forms", "onnx", "--precisions", "fp32", model=model)
        text = (out / "deploy.yaml").read_text()
        self.assertIn('    path: "models/gate, v2 #1 $${HOME}_640x384_fp32.onnx"\n    head: v8\n', text)
        site = out / "site.yaml"
        site.write_text(text + f"cameras:\n  - {{id: line, url: {DEMO_CLIP}, every: 100, policy: full}}\n")
        self.assertGreater(sum(len(line["detections"]) for line in self.run_engine(site, "--pace", "fast").results), 5)

    # Heads that answer with rows.

    @unittest.skipUnless((TESTDATA / "models").is_dir(), f"{TESTDATA} is not there")
    def test_yolov10_gets_an_open_batch_a_wide_size_and_int8(self):
        """YOLOv10 as it is exported, for one picture: each picture of a batch gets its own boxes, and the set is held against it."""
        model = self.folder / "yolov10n.onnx"
        with_packages(FLOAT_FORM, framemill.ROOT / "tests/agree", TESTDATA / "models/yolov10n_640_int8_dynamic_s8_gaotong.onnx", model)
        out, clip = self.folder / "set", TESTDATA / "clips/street_vehicles_ahmetozlu.mp4"
        done = self.prepare("--calibrate", clip, "--out", out, "--pictures", "16", "--sizes", "640x384", "--forms", "openvino", "--precisions", "int8", "--conditions", "clean",
                            "--bench", "off", "--json", model=model)
        document = json.loads(done.stdout)
        self.assertEqual((document["source"]["head"], document["source"]["batch"]), ("end2end", "any"))
        self.assertEqual(document["source"]["labels"][2], "car")
        rows = {row["name"]: row for row in document["variants"]}
        self.assertEqual(rows["yolov10n_640x640_fp32"]["footage"]["agreement"], 1)
        self.assertGreater(rows["yolov10n_640x384_fp32"]["footage"]["agreement"], 0.97)
        for size in ("640x640", "640x384"):
            self.assertGreater(rows[f"yolov10n_{size}_int8"]["footage"]["agreement"], 0.9, rows[f"yolov10n_{size}_int8"])
            self.assertLess(rows[f"yolov10n_{size}_int8"]["bytes"], 0.5 * rows[f"yolov10n_{size}_fp32"]["bytes"])
        # Two cameras in one call: the same answers as by themselves.
        two = [self.answers(out, "yolov10n_640x384_fp32", batch) for batch in (1, 2)]
        self.assertGreater(len(two[0]), 20)
        self.assertEqual(two[0], two[1])

    def answers(self, out, name, batch):
        """Rounded detections of two cameras by that variant, with batches of so many."""
        clips = [TESTDATA / f"clips/{clip}.mp4" for clip in ("street_vehicles_ahmetozlu", "reception_hall_ahsan")]
        sources = [part for clip in clips for part in ("--source", f"{clip},every=40")]
        done = self.run_engine(*sources, "--model", out / f"models/{name}.onnx", "--policy", "full", "--pace", "fast", "--batch", str(batch), "--max-frames", "200")
        return sorted((line["camera"], line["seq"], detection["label"], *(round(side / 4) for side in detection["box"])) for line in done.results for detection in line["detections"]
                      if detection["score"] > 0.5)

    def test_the_outputs_of_rt_detr_become_one(self):
        """labels, boxes and scores with the picture's size as a second input: what run refuses, prepare makes a set of that runs."""
        model, names, out = self.folder / "rtdetr.onnx", self.folder / "names.txt", self.folder / "set"
        with_packages(QUERIES, framemill.ROOT / "prepare/tests", "labels", model)
        names.write_text("car\nbus\nperson\n")
        refused = run("run", "--source", DEMO_CLIP, "--model", model, "--labels", names, "--listen", "off")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("2 inputs", refused.stderr)
        arguments = ["--labels", names, "--calibrate", DEMO_CLIP, "--out", out, "--pictures", "16", "--conditions", "clean", "--bench", "off"]
        done = self.prepare(*arguments, "--json", model=model,
                            says=[r'outputs "labels", "boxes", "scores" became one of \[batch, 20, 6\].*orig_target_sizes', r"no 256x160: made 256x160, the model's boxes lie"])
        document = json.loads(done.stdout)
        self.assertEqual((document["source"]["file"], document["source"]["head"], document["source"]["batch"]), ("rtdetr.onnx", "end2end", "any"))
        rows = {row["name"]: row for row in document["variants"]}
        self.assertEqual(set(rows), {f"rtdetr_320x192_{kind}" for kind in ("fp32", "fp16", "fp16_onnx", "int8", "int8_qdq")})
        self.assertEqual(rows["rtdetr_320x192_fp32"]["footage"]["agreement"], 1)
        self.assertGreater(rows["rtdetr_320x192_fp16_onnx"]["rounding"]["agreement"], 0.99)
        with_packages("""
import sys, openvino
operations = openvino.Core().read_model(sys.argv[1]).get_ordered_ops()
products = [node for node in operations if node.get_type_name() == "MatMul"]
assert products, "the decoder has gone"
for node in products:  # of two tensors, or with weights that are stored as they were
    assert not any(node.input_value(i).get_node().get_type_name() == "FakeQuantize" for i in (0, 1)), node.get_friendly_name()
assert any(node.get_type_name() == "FakeQuantize" for node in operations), "nothing was made INT8"
""", out / "models/rtdetr_320x192_int8.xml")
        ran = self.run_engine("--source", f"{DEMO_CLIP},every=50", "--model", out / "models/rtdetr_320x192_int8.xml", "--pace", "fast", "--policy", "full")
        self.assertTrue({d["label"] for line in ran.results for d in line["detections"]} <= {"car", "bus", "person"})
        self.assertGreater(sum(len(line["detections"]) for line in ran.results), 0)
        again = self.prepare(*arguments, "--json", model=model)
        self.assertEqual(json.loads(again.stdout)["steps"]["made"], 0)

    def test_rt_detr_and_d_fine_of_transformers_go_the_whole_way(self):
        """As PyTorch exports them, small and with random weights: where torch and transformers are installed, see prepare/tests/test_transformers.py."""
        for name in ("rtdetr", "dfine"):
            model, out = self.folder / f"{name}.onnx", self.folder / name
            exported = subprocess.run([sys.executable, "-c", TRANSFORMERS, framemill.ROOT / "prepare/tests", name, model], capture_output=True, text=True)
            if exported.returncode == 77:
                self.skipTest(exported.stdout.strip())
            self.assertEqual(exported.returncode, 0, exported.stderr)
            names = self.folder / "names.txt"
            names.write_text("".join(f"kind {i}\n" for i in range(7)))
            arguments = ["--labels", names, "--calibrate", DEMO_CLIP, "--out", out, "--pictures", "16", "--conditions", "clean", "--sizes", "none",
                         "--bench", "off"]
            document = json.loads(self.prepare(*arguments, "--json", model=model, says=[r'outputs "logits", "pred_boxes" became one of \[batch, 40, 6\]']).stdout)
            self.assertEqual((document["source"]["head"], document["source"]["batch"]), ("end2end", "any"))
            rows = {row["name"]: row for row in document["variants"]}
            self.assertEqual(set(rows), {f"{name}_320x320_{kind}" for kind in ("fp32", "fp16", "fp16_onnx", "int8", "int8_qdq")})
            for row in rows.values():
                self.assertNotEqual(row["verdict"], "refused", row)
            self.assertEqual(rows[f"{name}_320x320_fp32"]["footage"]["agreement"], 1)
            ran = self.run_engine("--source", f"{DEMO_CLIP},every=50", "--model", out / f"models/{name}_320x320_int8.xml", "--pace", "fast", "--policy", "full")
            self.assertGreater(len(ran.results), 3)

    def test_outputs_that_mean_something_else_are_named(self):
        model, names = self.folder / "pixels.onnx", self.folder / "names.txt"
        with_packages(QUERIES, framemill.ROOT / "prepare/tests", "logits", model, "pixels")
        names.write_text("car\nbus\nperson\n")
        self.refused("--labels", names, "--calibrate", DEMO_CLIP, model=model, says=[r'pixels.onnx: output "pred_boxes" is taken for boxes in shares of the picture, but'])

    # Bad input.

    def test_wrong_input_is_refused_with_place_and_remedy(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused("--calibrate", empty, says=[r"empty: the folder has no picture and no clip; it is empty; name one"])
        self.refused("--calibrate", DEMO_CLIP, "--sizes", "500x300", says=["500x300: both sides have to be multiples of 32"])
        self.refused("--calibrate", DEMO_CLIP, model=DEMO_MODEL, says=["is quantised already.*FP32 export"])
        text = self.folder / "text.onnx"
        text.write_text("this is no model")
        self.refused("--calibrate", DEMO_CLIP, model=text, says=["text.onnx"])
        pool = self.folder / "pool.onnx"
        with_packages(NO_DETECTOR, pool)
        self.refused("--calibrate", DEMO_CLIP, model=pool, says=["pool.onnx.*head"])
        done = run("prepare", FLOAT_MODEL, "--calibrate", DEMO_CLIP, "--out", "/dev/null/set")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("name another one", done.stderr)

    def test_a_constant_that_cannot_follow_is_named(self):
        scrambled = self.folder / "scrambled.onnx"
        with_packages(SCRAMBLE, FLOAT_MODEL, scrambled)
        self.refused("--calibrate", DEMO_CLIP, "--sizes", "512x288", model=scrambled, says=[r'node "/Add_2" \(Add\): its constant "/Constant_17_output_0" \(1x2x3840\).*export it at that size'])

    @unittest.skipUnless((TESTDATA / "models").is_dir(), f"{TESTDATA} is not there")
    def test_a_model_that_detects_nothing_is_refused(self):
        self.refused("--calibrate", DEMO_CLIP, "--labels", "coco", model=TESTDATA / "models/yolov8n_640_int8_qdq_BROKENHEAD_aditya.onnx", says=[r"\(class scores\) are all 0"])

    def test_another_domain_is_warned_of(self):
        gray = self.folder / "gray"
        gray.mkdir()
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=5:duration=6,hue=s=0,eq=brightness=-0.4", gray / "%03d.png"], check=True)
        line = LineData(self.folder / "data", every=25)
        line.write_yolo()
        self.prepare("--calibrate", gray, "--data", line.folder, "--out", self.folder / "out", "--sizes", "none", "--precisions", "fp32", "--bench", "off",
                     says=["warning: calibration pictures do not look like the evaluation's: .*saturation"])

    def test_data_in_the_layouts_of_its_makers(self):
        """A YAML elsewhere alone, and COCO's annotations beside the pictures' folder."""
        line = LineData(self.folder / "data", every=25)
        line.write_yolo()
        config = self.folder / "cfg/mine.yaml"
        config.parent.mkdir()
        config.write_text(json.dumps({"path": str(line.folder), "val": "images", "names": NAMES}))
        options = ["--sizes", "none", "--precisions", "fp32", "--bench", "off", "--json"]
        alone = json.loads(self.prepare("--data", config, "--out", self.folder / "alone", *options, says=["calibrated on pictures that it is evaluated on"]).stdout)
        pictures = len(list((line.folder / "images").iterdir()))
        self.assertEqual((alone["calibration"]["candidates"], alone["variants"][0]["data"]["pictures"]), (pictures, pictures))
        self.assertTrue(alone["evaluation"]["is_labelled"])
        coco = self.folder / "coco"
        (coco / "annotations").mkdir(parents=True)
        (line.folder / "images").rename(coco / "val2017")
        (coco / "annotations/instances_val2017.json").write_text(json.dumps(line.coco()))
        both = json.loads(self.prepare("--calibrate", DEMO_CLIP, "--data", coco / "annotations/instances_val2017.json", "--out", self.folder / "both", *options).stdout)
        self.assertEqual((both["variants"][0]["data"]["format"], both["variants"][0]["data"]["pictures"]), ("COCO", pictures))
        self.refused("--data", coco / "annotations", "--format", "voc", says=["--data.*has no VOC labels"])

    def test_packages_that_cannot_be_had(self):
        venv = self.folder / "venv"
        arguments = ["--calibrate", DEMO_CLIP, "--out", self.folder / "out"]
        alone = {"PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0", "PIP_TIMEOUT": "2"}
        self.prepare(*arguments, venv=venv, expect=1, env={**alone, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}, says=["pip cannot reach its package index.*PIP_INDEX_URL.*--venv"])
        self.assertFalse(venv.exists(), "a half-made venv is no venv")
        self.prepare(*arguments, venv=venv, expect=1, env={**alone, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder)}, says=["a wheel is missing: .*ml-dtypes.*PIP_FIND_LINKS"])
        self.assertEqual(list(self.folder.glob("out/models")), [])

    def test_a_signal_while_it_checks_the_model(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([BINARY, "prepare", str(FLOAT_MODEL), "--venv", str(VENV), "--calibrate", str(DEMO_CLIP), "--out", str(self.folder / "out")],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(self.end, process)
            self.assertIn(b"checking", process.stderr.readline())
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=60)
            self.assertEqual((process.returncode, stdout), (1, b""), stderr.decode())
            self.assertIn("framemill prepare: stopped; ", stderr.decode())

    def test_no_space_left(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True).returncode:
            self.skipTest("a small disk takes root and mount")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)])
        out = disk / "set"
        arguments = ["--calibrate", DEMO_CLIP, "--out", out, "--pictures", "16", "--sizes", "none", "--bench", "off", "--precisions", "fp32"]
        self.prepare(*arguments, expect=2, says=[r"no space left: about \d+ MB are needed, \d+ MB are free"])
        # It fills up on the way: what is finished stays, and nothing half is left.
        (out / ".prepare").mkdir(parents=True, exist_ok=True)
        (out / ".prepare/journal.json").write_text("{}")
        self.prepare(*arguments, expect=1, says=["set: no space left; free some .* run the same command again"])
        self.assertFalse((out / ".prepare/scratch").exists())
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        self.prepare(*arguments)
        self.assertTrue((out / "MODEL_CARD.md").is_file())


if __name__ == "__main__":
    unittest.main()
