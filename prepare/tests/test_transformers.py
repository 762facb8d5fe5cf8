"""RT-DETR and D-FINE as Transformers (Apache-2.0) builds and PyTorch exports them: the published architectures, small and with random weights. Skipped where the two are not
installed: neither is needed to run or build anything here. With a venv that has torch and transformers: PYTHONPATH=VENV/lib/python3.11/site-packages."""
import os
import pathlib
import tempfile
import unittest
import warnings

import packages

packages.need("numpy", "onnx", "onnxruntime")
try:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is downloaded: models come from their configuration alone
    import torch
    import transformers
    MISSING = ""
except ImportError as problem:
    MISSING = f"{problem}: torch and transformers are not installed, see docs/prepare.md"

import numpy as np
import onnx

from framemill_prepare import batch_axis, float_head, half_graph, proof, query_head, rectangle
from test_rectangle import picture

SIZE = (320, 320)
CLASSES, QUERIES = 7, 40
DETECTOR = dict(encoder_hidden_dim=64, encoder_ffn_dim=128, encoder_attention_heads=4, d_model=64, num_queries=QUERIES, decoder_in_channels=[64, 64, 64], decoder_ffn_dim=128,
                decoder_layers=3, decoder_attention_heads=4, num_labels=CLASSES, hidden_expansion=0.5, freeze_backbone_batch_norms=False, encoder_in_channels=[32, 64, 128])
STAGES = ["stage2", "stage3", "stage4"]


def make(name):
    """With random weights; classes and boxes as far apart as trained ones."""
    torch.manual_seed(7)
    if name == "dfine":
        backbone = transformers.HGNetV2Config(stem_channels=[3, 8, 16], stage_in_channels=[16, 16, 32, 64], stage_mid_channels=[8, 16, 16, 32], stage_out_channels=[16, 32, 64, 128],
                                              hidden_sizes=[16, 32, 64, 128], stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[2, 2, 2, 2], use_learnable_affine_block=True,
                                              out_features=STAGES)
        model = transformers.DFineForObjectDetection(transformers.DFineConfig(backbone_config=backbone, **DETECTOR))
    else:
        backbone = transformers.RTDetrResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1], layer_type="basic", out_features=STAGES)
        config, kind = {"rtdetr": (transformers.RTDetrConfig, transformers.RTDetrForObjectDetection), "rtdetrv2": (transformers.RTDetrV2Config, transformers.RTDetrV2ForObjectDetection)}[name]
        model = kind(config(backbone_config=backbone, **DETECTOR))
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "class_embed" in key or "enc_score_head" in key:
                value.normal_(std=0.3) if key.endswith("weight") else value.fill_(-1.0)
            elif "bbox" in key and key.endswith("weight"):
                value.normal_(std=0.1)
    # Norms as training leaves them: without, random features vanish on their way, and all places score alike.
    for norm in (part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        norm.momentum = None
    model.train()
    with torch.no_grad():
        for seed in range(3):
            model(torch.from_numpy(np.concatenate([picture(SIZE, seed=2 * seed + each) for each in range(2)])))
    return model.eval()


def export(model, path):
    """As docs/prepare.md says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.rand(1, 3, SIZE[1], SIZE[0]), str(path), input_names=["pixel_values"], output_names=["logits", "pred_boxes"],
                          dynamic_axes={"pixel_values": {0: "batch"}}, opset_version=17, dynamo=False)
    return onnx.load(path)


def rows_of(model, pictures, size=SIZE):
    """What PyTorch answers, as Transformers reads it, for the best class of each query: corners in pixels, score, class."""
    with torch.no_grad():
        answer = model(torch.from_numpy(pictures))
    middle, extent = answer.pred_boxes[..., :2], answer.pred_boxes[..., 2:]
    corners = torch.cat([middle - extent / 2, middle + extent / 2], -1) * torch.tensor([*size, *size])
    score, label = answer.logits.sigmoid().max(-1)
    return torch.cat([corners, score[..., None], label[..., None].float()], -1).numpy()


@unittest.skipIf(MISSING, MISSING)
class TransformersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.models = {}
        for name in ("rtdetr", "rtdetrv2", "dfine"):
            model = make(name)
            cls.models[name] = model, export(model, pathlib.Path(cls.folder.name) / f"{name}.onnx")

    def opened(self, name):
        """Joined, and with an open batch, as prepare does it."""
        adapted, note = query_head.adapt(self.models[name][1])
        self.assertRegex(note, rf"became one of \[batch, {QUERIES}, 6\]")
        onnx.checker.check_model(adapted, full_check=True)
        float_head.name_nodes(adapted)
        opened, why = batch_axis.with_open_batch(adapted, SIZE)
        self.assertEqual(why, "")
        return opened

    def test_joined_rows_are_what_pytorch_answers(self):
        for name, (model, _) in self.models.items():
            with self.subTest(model=name):
                opened = self.opened(name)
                pair = np.concatenate([picture(SIZE), picture(SIZE, seed=12)])
                wanted = rows_of(model, pair)
                self.assertGreater(np.ptp(wanted[..., 4]), 0.2, "scores that are all alike prove nothing")
                self.assertGreater(len(np.unique(wanted[..., 5])), 2)
                np.testing.assert_allclose(proof.run(proof.session(opened), pair), wanted, atol=0.05)
                proof.check_batch(opened, picture(SIZE), "end2end")

    def test_another_size_is_what_pytorch_answers_at_that_size(self):
        """Their code makes anchors and position tables of what it gets, and the export keeps that."""
        for name, (model, _) in self.models.items():
            for size in ((512, 288), (320, 192)):
                with self.subTest(model=name, size=size):
                    resized = rectangle.with_size(self.opened(name), SIZE, size)
                    np.testing.assert_allclose(proof.run(proof.session(resized), picture(size)), rows_of(model, picture(size), size), atol=0.05)

    def test_half_precision_follows_and_the_decoder_stays_float(self):
        for name, (model, _) in self.models.items():
            with self.subTest(model=name):
                opened = self.opened(name)
                names = set(float_head.head_nodes(opened, SIZE))
                self.assertIn("TopK", {node.op_type for node in opened.graph.node if node.name in names})
                self.assertIn("Conv", {node.op_type for node in opened.graph.node if node.name not in names})
                # Queries of nearly equal scores change places, so rows are looked for.
                away, score_away = proof.sorted_distance(rows_of(model, picture(SIZE))[0], proof.run(proof.session(half_graph.to_half(opened, SIZE)), picture(SIZE))[0])
                self.assertLess(away, 2)
                self.assertLess(score_away, 0.05)


if __name__ == "__main__":
    unittest.main()
