"""What a second run keeps: nothing that was made of other weights, pictures or labels, or measured by another program."""
import pathlib
import tempfile
import types
import unittest

import packages

packages.need("numpy", "cv2", "onnx")

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from framemill_prepare import calibration, weights, worker
from framemill_prepare.journal import Journal, hash_of
from framemill_prepare.pipeline import Pipeline, data_hash
from framemill_prepare.variants import plan_variants

DETECTOR = {"color": "rgb", "range": "0..1", "letterbox": "center", "head": "v8", "size": [64, 64]}


class KeptTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="framemill-prepare-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def model(self, weight=1.0):
        """A graph with its weights in a file beside it."""
        values = [numpy_helper.from_array(np.full(1000, weight, np.float32), name) for name in "wk"]
        inside = helper.make_graph([helper.make_node("Constant", [], ["k"], value=values[1])], "inside", [],
                                   [helper.make_tensor_value_info("k", TensorProto.FLOAT, [1000])])
        nodes = [helper.make_node("Add", ["x", "w"], ["y"]), helper.make_node("If", ["c"], ["z"], then_branch=inside, else_branch=inside)]
        graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000]), helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])], values[:1])
        path = self.folder / "model.onnx"
        path.with_name("model.onnx.data").unlink(missing_ok=True)  # it would be written on at its end
        onnx.save(helper.make_model(graph), path, save_as_external_data=True, location="model.onnx.data", size_threshold=0, convert_attribute=True)
        return path

    def test_weights_beside_the_graph_count(self):
        path = self.model()
        graph, before = path.read_bytes(), weights.model_hash(path)
        self.assertEqual([file.name for file in weights.weight_files(path)], ["model.onnx.data"])
        self.assertEqual(weights.model_hash(self.model()), before)
        self.model(weight=2.0)
        self.assertEqual(path.read_bytes(), graph, "the graph alone does not tell")
        self.assertNotEqual(weights.model_hash(path), before)
        self.assertEqual(weights.weight_files(self.write("text.onnx", "no model")), [])

    def test_space_is_wanted_for_weights_beside_the_graph(self):
        request = {"model": str(self.model()), "sizes": []}
        whole = worker.space_wanted(request)
        (self.folder / "model.onnx.data").unlink()
        self.assertGreater(whole, worker.space_wanted(request) + 4000)

    def test_labels_and_pictures_elsewhere_count(self):
        files = {"pictures": [self.write("elsewhere/images/a.jpg", "picture")], "clips": [self.write("elsewhere/a.mp4", "clip")],
                 "labels": [self.write("elsewhere/labels/a.txt", "0 0.5 0.5 0.1 0.1")], "classes": ["car"]}
        before = data_hash(files)
        self.assertEqual(data_hash(files), before)
        seen = {before, data_hash({**files, "classes": ["bus"]})}
        for name, text in (("labels/a.txt", "0 0.5 0.5 0.2 0.1"), ("images/a.jpg", "another"), ("a.mp4", "other clip")):
            self.write(f"elsewhere/{name}", text)
            seen.add(data_hash(files))
        self.assertEqual(len(seen), 5)
        self.assertEqual(data_hash(None), "")

    def pipeline(self, footage="frame", program="program", options=()):
        """One that has gathered and made, from what is in the folder."""
        request = {"out": str(self.folder), "detector": DETECTOR, "program": self.write("framemill", program), "model_options": list(options), "framemill": "1", "pins": "", "worker": "",
                   "model": "m.onnx", "source": str(self.model()), "data": "", "data_files": None, "data_options": [], "evaluate": 0, "conditions": ["clean"], "limits": [],
                   "sizes": [], "precisions": [], "forms": []}
        journal = Journal(self.folder / "out")
        name = "footage/0000_gate_000100.jpg"

        def gather(scratch):
            (scratch / "footage").mkdir()
            (scratch / name).write_text(footage)
            return {"footage": [name], "calibration": [name]}, [name]
        pipeline = Pipeline(request, journal, types.SimpleNamespace(note=lambda text: None))
        pipeline.gathered = journal.step("calibration", footage, gather)
        pipeline.variants = plan_variants("m", [(64, 64)], [], [])
        pipeline.original_size, pipeline.footage, pipeline.model_hash, pipeline.data_hash = (64, 64), "footage", weights.model_hash(request["source"]), ""
        pipeline.judged_by = pipeline.find_judge()
        journal.entries["make m_64x64_fp32"] = {"files": {"models/m_64x64_fp32.onnx": "made"}}
        return pipeline

    def test_frames_of_other_recordings_go(self):
        """footage/ is judged by as a whole: what an earlier --calibrate left there would count along."""
        older = [self.write(name, "older") for name in ("footage/0000_gate_000100.jpg", "footage/0001_gate_000200.jpg", "calibration/0000_gate_000010.jpg")]
        kept = [self.write(name, "kept") for name in ("footage/0000_hall_000100.jpg", "footage/mine.jpg", "calibration/0000_hall_000010.jpg")]
        calibration.drop_older(self.folder, {"footage/0000_hall_000100.jpg", "calibration/0000_hall_000010.jpg", "/elsewhere/a.jpg"})
        self.assertEqual([pathlib.Path(file).exists() for file in older + kept], [False] * 3 + [True] * 3)
        calibration.drop_older(self.folder / "nothing yet", set())

    def test_models_of_an_earlier_run_are_told(self):
        said = []
        pipeline = self.pipeline()
        pipeline.console.note = said.append
        self.write("models/m_64x64_fp32.onnx", "of this set")
        pipeline._note_older()
        self.assertEqual(said, [])
        self.write("models/m_32x32_int8.xml", "older")
        self.write("models/m_32x32_int8.bin", "older")
        pipeline._note_older()
        self.assertEqual(len(said), 1)
        self.assertIn("1 of an earlier run as well, which are not part of this set: m_32x32_int8.xml", said[0])

    def test_only_what_was_disturbed_is_measured_again(self):
        pipeline = self.pipeline()
        pipeline.variants = plan_variants("m", [(64, 64), (32, 32)], ["int8"], ["openvino"])
        pipeline.rows = [{"name": variant.name, "verdict": "consistent"} for variant in pipeline.variants]
        pipeline.request["bench"], pipeline.console.total, rounds = "quick", 0, []

        def bench_one(variant, number):
            rounds.append((variant.name, number))
            return {"frames_per_s": 10.0 * number, "other_load_cores": 0.5 if variant.name == "m_32x32_int8" else 0.0}
        pipeline._bench_one = bench_one
        pipeline._bench()
        self.assertEqual([name for name, number in rounds if number == 2], ["m_32x32_int8"])
        self.assertEqual({row["name"]: row["frames_per_s"] for row in pipeline.rows}, {"m_64x64_fp32": 10, "m_64x64_int8": 10, "m_32x32_fp32": 10, "m_32x32_int8": 20})
        self.assertEqual(pipeline.console.total, 1)

    def evaluated_from(self, **options):
        pipeline = self.pipeline(**options)
        variant = pipeline.variants[0]
        return hash_of(pipeline._evaluated_from(variant, pipeline._jobs(variant)))

    def test_figures_hang_on_what_is_in_the_footage_and_on_the_program(self):
        seen = [self.evaluated_from(**options) for options in ({}, {"footage": "other pixels"}, {"program": "rebuilt"}, {"options": ["--head", "v8"]})]
        self.assertEqual(len(set(seen)), 4)
        self.assertEqual(self.evaluated_from(), seen[0])


if __name__ == "__main__":
    unittest.main()
