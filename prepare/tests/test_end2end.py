"""Heads that answer with N rows: YOLOv10's sorted ones follow batch and size; those of RT-DETR and D-FINE become one output of the same form."""
import pathlib
import tempfile
import unittest

import packages

packages.need("numpy", "onnx", "onnxruntime")

import numpy as np
import onnx

import graphs
from framemill_prepare import batch_axis, float_head, half_graph, proof, query_head, rectangle
from framemill_prepare.errors import PrepareError
from test_rectangle import SQUARE, WIDE, picture

SIZE = (320, 192)
FORMS = ("labels", "logits", "joined")


def feed_of(model, pictures, size=SIZE):
    names = {value.name for value in model.graph.input}
    return {"images": pictures, **({"orig_target_sizes": np.array([size] * len(pictures), np.int64)} if "orig_target_sizes" in names else {})}


class SortedTest(unittest.TestCase):
    """YOLOv10 as it is exported."""

    def test_each_picture_of_a_batch_gets_its_own_rows(self):
        model = graphs.v10(SIZE)
        opened, why = batch_axis.with_open_batch(model, SIZE)
        self.assertEqual(why, "")
        pair = np.concatenate([picture(SIZE), picture(SIZE, seed=2)])
        alone = [proof.run(proof.session(model), each[None])[0] for each in pair]
        both = proof.run(proof.session(opened), pair)
        for one, other in zip(alone, both):
            np.testing.assert_allclose(other, one, atol=1e-3)
        proof.check_batch(opened, picture(SIZE), "end2end")

    def test_the_proof_catches_rows_of_another_picture(self):
        """What the open batch would be without the rewriting of Gather: boxes of the first picture under scores of the second."""
        model = graphs.v10(SIZE)
        for node in model.graph.node:
            if node.op_type == "Reshape":
                constant = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
                constant.CopyFrom(onnx.numpy_helper.from_array(graphs.numbers(0, 4 + graphs.CLASSES, -1), constant.name))
        rectangle.set_input_dims(model, batch="batch")
        model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
        with self.assertRaisesRegex(PrepareError, "two pictures at once differ from each alone: boxes by"):
            proof.check_batch(model, picture(SIZE), "end2end")

    def test_sizes_follow_and_are_proven(self):
        model = graphs.v10()
        for size in WIDE:
            resized = rectangle.with_size(model, SQUARE, size)
            proof.check_rectangle(model, resized, SQUARE, size, picture(size), "end2end", graphs.CLASSES)
            same = proof.run(proof.session(graphs.v10(size)), picture(size))
            np.testing.assert_allclose(proof.run(proof.session(resized), picture(size)), same, atol=1e-3)

    def test_the_proof_catches_boxes_of_another_grid(self):
        wrong = graphs.v10(SIZE)
        for tensor in wrong.graph.initializer:
            if list(tensor.dims) == [1, 2, graphs.points_of(SIZE)]:
                tensor.CopyFrom(onnx.numpy_helper.from_array(graphs.anchors(SQUARE)[0][None, :, :graphs.points_of(SIZE)].copy(), tensor.name))
        with self.assertRaisesRegex(PrepareError, r"boxes lie (\d+\.\d|inf) px"):
            proof.check_rectangle(graphs.v10(), wrong, SQUARE, SIZE, picture(SIZE), "end2end", graphs.CLASSES)

    def test_fewer_cells_than_rows_are_named(self):
        with self.assertRaisesRegex(PrepareError, r"\(TopK\) does not fit"):
            rectangle.with_size(graphs.v10(count=400), SQUARE, (128, 96))


class QueryTest(unittest.TestCase):
    """RT-DETR and D-FINE, in each way that exporters write their outputs."""

    def test_rows_are_those_of_the_outputs(self):
        pictures = np.concatenate([picture(SIZE), picture(SIZE, seed=2)])
        for form in FORMS:
            with self.subTest(form=form):
                model = graphs.queries(form)
                adapted, note = query_head.adapt(model)
                onnx.checker.check_model(adapted, full_check=True)
                self.assertEqual([value.name for value in adapted.graph.input], ["images"])
                rows = proof.run(proof.session(adapted), pictures)
                self.assertEqual(rows.shape, (2, 20, 6))
                outputs = proof.session(model).run(None, feed_of(model, pictures))
                if form == "labels":
                    labels, boxes, scores = outputs
                else:
                    boxes = outputs[1] if form == "logits" else outputs[0][..., :4]
                    values = 1 / (1 + np.exp(-outputs[0])) if form == "logits" else outputs[0][..., 4:]
                    scores, labels = values.max(-1), values.argmax(-1)
                    boxes = np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1) * np.array([*SIZE, *SIZE])
                np.testing.assert_allclose(rows[..., :4], boxes, atol=1e-2)
                np.testing.assert_allclose(rows[..., 4], scores, atol=1e-5)
                self.assertTrue((rows[..., 5] == labels).all())
                self.assertRegex(note, r"became one of \[batch, 20, 6\]")
                self.assertEqual("orig_target_sizes" in note, form == "labels")

    def test_four_classes_are_told_from_boxes_by_name(self):
        adapted, _ = query_head.adapt(graphs.queries("logits", classes=4))
        self.assertTrue((proof.run(proof.session(adapted), picture(SIZE))[..., 2:4] > 4).any(), "boxes in pixels")

    def test_batch_size_and_precision_follow(self):
        for form in FORMS:
            with self.subTest(form=form):
                adapted, _ = query_head.adapt(graphs.queries(form))
                float_head.name_nodes(adapted)
                opened, why = batch_axis.with_open_batch(adapted, SIZE)
                self.assertEqual(why, "")
                proof.check_batch(opened, picture(SIZE), "end2end")
                # Boxes are in pixels of whatever size it gets: nothing of the old one is left in what was added.
                wide = rectangle.with_size(opened, SIZE, (512, 288))
                rows = proof.run(proof.session(wide), picture((512, 288)))[0]
                self.assertGreater(rows[:, 2].max(), 0.6 * 512)
                self.assertLessEqual(rows[:, [0, 2]].max() / 512, 1.5)
                single = proof.run(proof.session(opened), picture(SIZE))
                half = proof.run(proof.session(half_graph.to_half(opened, SIZE)), picture(SIZE))
                away, score_away = proof.sorted_distance(single[0], half[0])
                self.assertLess(away, 2)
                self.assertLess(score_away, 0.01)

    def test_the_decoder_stays_float(self):
        adapted, _ = query_head.adapt(graphs.queries("labels"))
        float_head.name_nodes(adapted)
        names = set(float_head.head_nodes(adapted, SIZE))
        kinds = {node.op_type for node in adapted.graph.node if node.name in names}
        self.assertTrue({"MatMul", "Softmax", "TopK", "GatherElements"} <= kinds)
        left = {node.op_type for node in adapted.graph.node if node.name not in names}
        self.assertEqual(left, {"Conv", "Relu"}, "the backbone, and nothing else, is made INT8")

    def test_a_table_of_the_cells_keeps_its_size_and_is_named(self):
        adapted, _ = query_head.adapt(graphs.queries("logits", has_anchors=True))
        with self.assertRaisesRegex(PrepareError, r'its constant "query_anchors" \(1x60x4\) belongs to the positions of 320x192'):
            rectangle.with_size(adapted, SIZE, (512, 288))

    def test_what_is_something_else_is_left_alone(self):
        for model in (graphs.v8(SIZE), graphs.v5(SIZE)):
            self.assertIsNone(query_head.adapt(model))
        masks = graphs.queries("labels")
        masks.graph.output.append(onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["batch", 3, SIZE[1], SIZE[0]]))
        self.assertIsNone(query_head.adapt(masks))

    def test_states_beside_logits_and_boxes_are_left_out(self):
        """A model of Transformers hands out what it computed on the way."""
        model = graphs.queries("logits")
        for node in [node for node in model.graph.node if node.op_type == "Softmax"]:
            model.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, ["batch", 20, 60]))
        adapted, _ = query_head.adapt(model)
        np.testing.assert_array_equal(proof.run(proof.session(adapted), picture(SIZE)), proof.run(proof.session(query_head.adapt(graphs.queries("logits"))[0]), picture(SIZE)))

    def test_values_that_mean_something_else_are_refused(self):
        model = graphs.queries("logits")
        for node in model.graph.node:
            if node.name == "to_pred_boxes":  # pixels in place of shares
                node.op_type = "Mul"
                node.input.append("hundred")
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(100), "hundred"))
        with self.assertRaisesRegex(PrepareError, r'"pred_boxes" is taken for boxes in shares of the picture, but its values reach \d'):
            query_head.adapt(model)
        joined = graphs.queries("joined")
        next(node for node in joined.graph.node if node.name == "to_output0").op_type = "Neg"
        with self.assertRaisesRegex(PrepareError, r'"output0" is taken for boxes and scores, but its scores go from -'):
            query_head.adapt(joined)

    def test_the_file_remembers_what_was_done(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder) / "rtdetr.onnx", pathlib.Path(folder) / "adapted/rtdetr.onnx"
            onnx.save(graphs.queries("labels"), source)
            self.assertTrue(query_head.adapt_file(source, target))
            props = {prop.key: prop.value for prop in onnx.load(target).metadata_props}
            self.assertIn("end2end", props["framemill.adapted"])
            onnx.save(graphs.v8(SIZE), source)
            self.assertFalse(query_head.adapt_file(source, target))
            source.write_text("no model")
            self.assertFalse(query_head.adapt_file(source, target))


if __name__ == "__main__":
    unittest.main()
