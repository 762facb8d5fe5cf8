"""A graph of another input size computes what the exported one does; what cannot follow is named."""
import unittest

import packages

packages.need("numpy", "onnx", "onnxruntime")

import numpy as np
import onnx

import graphs
from framemill_prepare import batch_axis, float_head, fused_attention, half_graph, int8, position_table, proof, rectangle, reshape_dims
from framemill_prepare.errors import PrepareError

SQUARE = (640, 640)
WIDE = [(640, 384), (512, 288), (320, 192)]


def picture(size, seed=0):
    """Smooth, so that a crop of it looks like the whole."""
    y, x = np.mgrid[0:size[1], 0:size[0]]
    wave = np.stack([np.sin(x / 17 + seed), np.cos(y / 23), np.sin((x + y) / 31)])
    return (0.5 + 0.4 * wave)[None].astype(np.float32)


class SizeTest(unittest.TestCase):
    def assert_same_answers(self, model, size):
        resized = rectangle.with_size(model, SQUARE, size)
        proof.check_rectangle(model, resized, SQUARE, size, picture(size))
        return proof.run(proof.session(resized), picture(size))

    def test_anchors_strides_and_reshapes_follow(self):
        for size in WIDE:
            output = self.assert_same_answers(graphs.v8(), size)
            self.assertEqual(output.shape, (1, 7, graphs.points_of(size)))
            # The table is the one that an export of that size has, so the answers are, too.
            self.assertTrue(np.allclose(output, proof.run(proof.session(graphs.v8(size)), picture(size)), atol=1e-4))

    def test_anchors_of_three_and_shares_of_the_picture_follow(self):
        for size in WIDE:
            output = self.assert_same_answers(graphs.v5(), size)
            self.assertTrue(np.allclose(output, proof.run(proof.session(graphs.v5(size)), picture(size)), atol=1e-5))

    def test_attention_follows(self):
        for kind in ("plain", "area"):
            for size in WIDE:
                model = graphs.v8(attention=kind)
                resized = rectangle.with_size(model, SQUARE, size)
                same = proof.run(proof.session(graphs.v8(size, attention=kind)), picture(size))
                self.assertTrue(np.allclose(proof.run(proof.session(resized), picture(size)), same, atol=1e-4), (kind, size))

    def test_grids_of_yolox_follow_with_the_batch(self):
        old, new = (416, 416), (416, 256)
        model = graphs.yolox_decoded(old)
        opened, why = batch_axis.with_open_batch(model, old)
        self.assertEqual(why, "")
        resized = rectangle.with_size(opened, old, new)
        proof.check_rectangle(model, resized, old, new, picture(new), "yolox_decoded")
        proof.check_batch(resized, picture(new))
        self.assertTrue(np.allclose(proof.run(proof.session(resized), picture(new)), proof.run(proof.session(graphs.yolox_decoded(new)), picture(new)), atol=1e-4))

    def test_an_unknown_table_is_named(self):
        points, _ = graphs.anchors(SQUARE)
        scrambled = points[:, np.random.default_rng(1).permutation(points.shape[1])]
        with self.assertRaisesRegex(PrepareError, r'node "Sub_\d+" \(Sub\): its constant "anchor_points" \(1x2x8400\).*640x384.*imgsz') as caught:
            rectangle.with_size(graphs.v8(table=scrambled), SQUARE, (640, 384))
        self.assertEqual(caught.exception.status, 2)

    def test_weights_for_each_position_are_named(self):
        with self.assertRaisesRegex(PrepareError, r'\(MatMul\): its constant "dense_weights" \(400x6\) weighs each of 400 positions'):
            rectangle.with_size(graphs.with_dense_layer(), SQUARE, (640, 384))

    def test_the_proof_catches_a_table_that_was_left(self):
        """The check is worth something: the first rows of the old table are a table for another grid."""
        points, _ = graphs.anchors(SQUARE)
        size = (320, 192)
        wrong = graphs.v8(size, table=points[:, :graphs.points_of(size)])
        with self.assertRaisesRegex(PrepareError, r"boxes lie \d+\.\d px"):
            proof.check_rectangle(graphs.v8(), wrong, SQUARE, size, picture(size))

    def test_the_exported_model_is_left_alone(self):
        model = graphs.v8()
        before = model.SerializeToString()
        rectangle.with_size(model, SQUARE, (640, 384))
        batch_axis.with_open_batch(model, SQUARE)
        self.assertEqual(model.SerializeToString(), before)


class BatchTest(unittest.TestCase):
    def test_a_fixed_batch_is_opened(self):
        for attention in (None, "plain", "area"):
            model = graphs.v8((320, 192), batch=1, attention=attention)
            opened, why = batch_axis.with_open_batch(model, (320, 192))
            self.assertEqual(why, "")
            self.assertTrue(batch_axis.is_open(opened))
            proof.check_batch(opened, picture((320, 192)))
            alone = proof.run(proof.session(model), picture((320, 192)))
            self.assertTrue(np.allclose(proof.run(proof.session(opened), picture((320, 192))), alone, atol=1e-5))

    def test_opened_and_resized(self):
        opened, _ = batch_axis.with_open_batch(graphs.v8(batch=1), SQUARE)
        resized = rectangle.with_size(opened, SQUARE, (640, 384))
        proof.check_batch(resized, picture((640, 384)))

    def test_a_batch_that_is_mixed_in_stays_closed_with_the_reason(self):
        graph = graphs.Graph()
        feature = graphs.backbone(graph)[2]
        graph.node("Reshape", feature, graph.constant(np.array([8, 60], np.int64)))
        model = graph.model(graph.nodes[-1].output[0], [1, 3, 192, 320], [8, 60])
        fixed, why = batch_axis.with_open_batch(model, (320, 192))
        self.assertIn("output0", why)
        self.assertEqual(rectangle.input_dims(fixed), [1, 3, 192, 320])


class ReshapeDimsTest(unittest.TestCase):
    GRIDS = {(40, 40): (24, 40), (80, 80): (48, 80)}

    def test_groups(self):
        for data, target, groups in (((1, 64, 80, 80), (1, 64, 6400), [([0], [0]), ([1], [1]), ([2, 3], [2])]), ((1, 1600, 64), (4, 400, 64), [([0, 1], [0, 1]), ([2], [2])]),
                                     ((4, 400, 2, 32), (1, 40, 40, 64), [([0, 1], [0, 1, 2]), ([2, 3], [3])])):
            self.assertEqual(reshape_dims.align(data, target), groups)
        self.assertIsNone(reshape_dims.align((1, 6), (1, 7)))

    def test_new_dimensions(self):
        for old, new, target, wanted in (((1, 64, 80, 80), (1, 64, 48, 80), (1, 64, 6400), [1, 64, 3840]), ((1, 1600, 64), (1, 960, 64), (4, 400, 64), [4, 240, 64]),
                                         ((4, 400, 2, 32), (4, 240, 2, 32), (1, 40, 40, 64), [1, 24, 40, 64]), ((1, 144, 8400), (1, 144, 5040), (1, 9, 16, 8400), [1, 9, 16, 5040])):
            self.assertEqual(reshape_dims.reshaped(old, new, target, self.GRIDS), wanted)

    def test_open_batch(self):
        self.assertEqual(batch_axis.open_dims([1, 85, -1], (2, 85, 52, 52), (1, 85, 2704), (2, 85, 2704)), [0, 85, -1])
        self.assertEqual(batch_axis.open_dims([4, 400, 64], (2, 1600, 64), (4, 400, 64), (8, 400, 64)), [-1, 400, 64])
        self.assertEqual(batch_axis.open_dims([4, -1, 64], (2, 1600, 64), (4, 400, 64), (8, 400, 64)), [-1, 400, 64])
        self.assertIsNone(batch_axis.open_dims([1, 8], (2, 8), (1, 8), (2, 16)))


class TableTest(unittest.TestCase):
    def test_random_tables_are_not_taken_for_positions(self):
        table = np.random.default_rng(3).random((1, 2, 8400)).astype(np.float32)
        self.assertIsNone(position_table.resize_flat_table(table, 2, SQUARE, (640, 384), 5040))

    def test_constants_of_a_level(self):
        _, strides = graphs.anchors(SQUARE)
        _, wanted = graphs.anchors((512, 288))
        self.assertTrue(np.array_equal(position_table.resize_flat_table(strides[None], 1, SQUARE, (512, 288), 3024), wanted[None]))


class HeadTest(unittest.TestCase):
    def test_the_last_convolutions_and_what_follows(self):
        model = graphs.v8()
        names = float_head.head_nodes(model, SQUARE)
        convs = [name for name in names if name.startswith("Conv_")]
        all_convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
        self.assertEqual(sorted(convs), sorted(all_convs[-3:]))
        self.assertTrue(any(name.startswith("Sigmoid") for name in names))
        self.assertFalse(set(names) & set(all_convs[:-3]))

    def test_attention_is_found(self):
        kinds = {name.split("_")[0] for name in float_head.attention_nodes(graphs.v8(attention="plain"))}
        self.assertEqual(kinds, {"MatMul", "Softmax"})
        self.assertEqual(float_head.attention_nodes(graphs.v8()), [])

    def test_half_precision_keeps_head_and_answers(self):
        size = (320, 192)
        for model in (graphs.v8(size), graphs.v5(size), graphs.v8(size, attention="area")):
            single = proof.run(proof.session(model), picture(size))
            half = half_graph.to_half(model, size)
            other = proof.run(proof.session(half), picture(size))
            self.assertEqual(other.dtype, np.float32)
            self.assertLess(np.abs(other - single).max(), 0.02 * max(1, np.abs(single).max()))
            self.assertIn(10, {tensor.data_type for tensor in half.graph.initializer})  # FLOAT16


class FusedAttentionTest(unittest.TestCase):
    SIZE = (320, 192)

    def fused(self, model, count):
        before = proof.run(proof.session(model), picture(self.SIZE))
        self.assertEqual(fused_attention.fuse(model, self.SIZE), count)
        self.assertEqual([n.op_type for n in model.graph.node].count("MultiHeadAttention"), count)
        after = proof.run(proof.session(model), picture(self.SIZE))
        self.assertLess(np.abs(after - before).max(), 1e-3 * max(1, np.abs(before).max()))
        return model

    def test_both_forms_compute_what_they_did(self):
        for kind in ("heads", "heads turned"):
            model = self.fused(graphs.v8(self.SIZE, attention=kind), 1)
            self.assertEqual([n.op_type for n in model.graph.node].count("Softmax"), 0)

    def test_an_open_batch_stays_open(self):
        model = self.fused(graphs.v8(self.SIZE, attention="heads turned"), 1)
        two = proof.run(proof.session(model), np.concatenate([picture(self.SIZE), picture(self.SIZE, 2)]))
        self.assertTrue(np.allclose(two[1:], proof.run(proof.session(model), picture(self.SIZE, 2)), atol=1e-3))

    def test_it_follows_in_half_precision(self):
        model = graphs.v8(self.SIZE, attention="heads turned")
        before = proof.run(proof.session(model), picture(self.SIZE))
        half = half_graph.to_half(model, self.SIZE)
        self.assertEqual(fused_attention.fuse(half, self.SIZE), 1)
        after = proof.run(proof.session(half), picture(self.SIZE))
        self.assertLess(np.abs(after - before).max(), 0.02 * max(1, np.abs(before).max()))

    def test_other_forms_and_graphs_without_stay_as_they_are(self):
        for model in (graphs.v8(self.SIZE), graphs.v8(self.SIZE, attention="plain"), graphs.v8(self.SIZE, attention="area"), graphs.v5(self.SIZE)):
            before = model.SerializeToString()
            self.assertEqual(fused_attention.fuse(model, self.SIZE), 0)
            self.assertEqual(model.SerializeToString(), before)

    def test_weights_that_others_read_are_not_fused_away(self):
        model = graphs.v8(self.SIZE, attention="heads")
        weights = next(n for n in model.graph.node if n.op_type == "Softmax").output[0]
        model.graph.output.append(onnx.helper.make_tensor_value_info(weights, onnx.TensorProto.FLOAT, None))
        self.assertEqual(fused_attention.fuse(model, self.SIZE), 0)


class SignedTest(unittest.TestCase):
    def test_unsigned_ranges_become_signed_ones_of_the_same_reach(self):
        graph = graphs.Graph()
        scale, zero = graph.constant(np.float32(1 / 255)), graph.constant(np.uint8(0))
        output = graph.node("DequantizeLinear", graph.node("QuantizeLinear", "images", scale, zero), scale, zero)
        model = graph.model(output, [1, 3, 8, 8], [1, 3, 8, 8])
        int8.make_signed(model)
        onnx.checker.check_model(model, full_check=True)
        values = np.linspace(0, 1, 192, dtype=np.float32).reshape(1, 3, 8, 8)
        self.assertLessEqual(np.abs(proof.run(proof.session(model), values) - values).max(), 0.5 / 127 + 1e-6)
        self.assertEqual({tensor.data_type for tensor in model.graph.initializer}, {onnx.TensorProto.FLOAT, onnx.TensorProto.INT8})


if __name__ == "__main__":
    unittest.main()
