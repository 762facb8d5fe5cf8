"""Data sets, spoiled models and COCO's own judgement, for the tests of `framemill eval`."""
import contextlib
import io
import json
import pathlib
import random
import subprocess
import sys

import framemill
from framemill import DEMO_CLIP, DEMO_MODEL

PEERS = framemill.ROOT / ".deps/eval_peers"
sys.path.append(str(PEERS))
try:
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
except ImportError as problem:
    MISSING = f"{problem}: run scripts/setup.sh"
else:
    MISSING = ""

FLOAT_MODEL = DEMO_MODEL.with_name("line_fp32.onnx")
NAMES = ["product", "dent", "scratch", "stain", "missing_cap"]
WIDTH, HEIGHT = 640, 360


# Data sets.

class LineData:
    """Frames of the demo clip as pictures with its truth, in each of the three formats."""

    def __init__(self, folder, every=10, picture_format="jpg"):
        self.folder = pathlib.Path(folder)
        images = self.folder / "images"
        images.mkdir(parents=True)
        subprocess.run(["ffmpeg", "-v", "error", "-i", DEMO_CLIP, "-vf", f"select=not(mod(n\\,{every}))", "-vsync", "0", "-q:v", "2",
                        images / f"%03d.{picture_format}"], check=True)
        truth = {}
        for line in (DEMO_CLIP.parent / "line_truth.jsonl").read_text().splitlines():
            frame = json.loads(line)
            truth[frame["frame_index"]] = [(each["class"], each["box"]) for each in frame["detections"]]
        self.pictures = sorted(images.iterdir())
        self.objects = [truth.get(i * every, []) for i in range(len(self.pictures))]
        assert len(self.pictures) >= 10 and sum(map(len, self.objects)) > 50

    def write_yolo(self, names=NAMES):
        labels = self.folder / "labels"
        labels.mkdir(exist_ok=True)
        for picture, objects in zip(self.pictures, self.objects):
            lines = [f"{c} {(x1 + x2) / 2 / WIDTH:.7f} {(y1 + y2) / 2 / HEIGHT:.7f} {(x2 - x1) / WIDTH:.7f} {(y2 - y1) / HEIGHT:.7f}\n"
                     for c, (x1, y1, x2, y2) in objects]
            (labels / f"{picture.stem}.txt").write_text("".join(lines))
        (self.folder / "data.yaml").write_text(json.dumps({"path": ".", "val": "images", "names": names}))
        return self.folder

    def write_voc(self):
        labels = self.folder / "Annotations"
        labels.mkdir(exist_ok=True)
        for picture, objects in zip(self.pictures, self.objects):
            body = "".join(f"<object><name>{NAMES[c]}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
                           f"<ymax>{y2}</ymax></bndbox></object>\n" for c, (x1, y1, x2, y2) in objects)
            (labels / f"{picture.stem}.xml").write_text(
                f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>\n{body}</annotation>")
        return self.folder

    def coco(self):
        """The truth as COCO annotations; the first categories' ids have gaps, as COCO's own."""
        document = {"images": [], "annotations": [], "categories": [{"id": 3 * i + 1, "name": name} for i, name in enumerate(NAMES)]}
        for i, (picture, objects) in enumerate(zip(self.pictures, self.objects)):
            document["images"].append({"id": 100 - i, "file_name": picture.name, "width": WIDTH, "height": HEIGHT})
            for c, (x1, y1, x2, y2) in objects:
                document["annotations"].append({"id": len(document["annotations"]) + 1, "image_id": 100 - i, "category_id": 3 * c + 1,
                                                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0})
        return document

    def write_coco(self):
        path = self.folder / "annotations.json"
        path.write_text(json.dumps(self.coco()))
        return path


def random_world(seed, is_fine=False):
    """(annotations, results) with crowds, empty pictures, ties, doubles, misses and boxes of all sizes. is_fine: corners in tenths of a pixel and scores that differ in the ninth
    digit, so that sizes at a limit, overlaps and the order hang on the last digits."""
    draw = random.Random(seed)
    categories = draw.randint(1, 6)
    annotations = {"images": [], "annotations": [], "categories": [{"id": i * 7 + 2, "name": f"c{i}"} for i in range(categories)]}
    results = []

    def box():
        side = draw.choice((6, 20, 32, 60, 96, 200))
        width, height = side + draw.randint(0, 3), max(2, side - draw.randint(0, 4))
        corner = [draw.randint(0, 6000) / 10, draw.randint(0, 4000) / 10] if is_fine else [draw.randint(0, 600), draw.randint(0, 400)]
        return [*corner, width, height]

    def score():
        # Few different ones, so that many are equal.
        return draw.randint(1, 12) / 16 + (draw.choice((0, 1e-9, 2e-9)) if is_fine else 0)

    for image_id in draw.sample(range(1, 1000), draw.randint(1, 30)):
        annotations["images"].append({"id": image_id, "file_name": f"{image_id}.jpg", "width": 640, "height": 480})
        for _ in range(draw.choice((0, 0, 1, 3, 8, 20))):
            category = 7 * draw.randrange(categories) + 2
            truth = box()
            is_crowd = draw.random() < 0.15
            annotations["annotations"].append({"id": len(annotations["annotations"]) + 1, "image_id": image_id, "category_id": category, "bbox": truth,
                                               "area": truth[2] * truth[3] * draw.choice((1, 1, 0.6)), "iscrowd": int(is_crowd)})
            for _ in range(draw.choice((0, 1, 1, 1, 2, 4 if is_crowd else 1))):
                shift = draw.choice((0, 1, 2, 5, 12))
                found = [truth[0] + shift, truth[1] - shift, truth[2], truth[3] + shift]
                results.append({"image_id": image_id, "category_id": category, "bbox": found, "score": score()})
        for _ in range(draw.choice((0, 1, 4, 130 if draw.random() < 0.05 else 2))):
            results.append({"image_id": image_id, "category_id": 7 * draw.randrange(categories) + 2, "bbox": box(), "score": score()})
    draw.shuffle(results)
    return annotations, results


# COCO's judgement.

def judge(annotations, results):
    """What pycocotools says, in the places of framemill's document."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(annotations))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = [None if value < 0 else float(value) for value in evaluation.stats]
    precision = evaluation.eval["precision"]  # overlap, recall, category, size, detections
    classes = {}
    for i, category in enumerate(sorted(truth.getCatIds())):
        values = precision[:, :, i, 0, 2]
        if (values > -1).any():
            classes[truth.cats[category]["name"]] = float(values[values > -1].mean())
    return {"ap": stats[0], "ap50": stats[1], "ap75": stats[2], "small": stats[3], "medium": stats[4], "large": stats[5], "recall_max": stats[8],
            "classes": classes}


def figures_of(document, condition=0, role="model"):
    """framemill's, in the same form."""
    quality = document["conditions"][condition][role]
    figures = {key: quality[key] for key in ("ap", "ap50", "ap75", "recall_max")}
    figures.update({size: quality["by_size"][size]["ap"] for size in ("small", "medium", "large")})
    figures["classes"] = {each["label"]: each["ap"] for each in quality["classes"] if each["ap"] is not None}
    return figures


# Spoiled models.

def spoil(target, class_scale=None, small_side=None):
    """The demo's float model with the scores of a class scaled, or with boxes below a side dropped.

    class_scale: (class, factor); small_side: in pixels of the model's input.
    """
    model = onnx.load(str(FLOAT_MODEL))
    graph = model.graph
    name = graph.output[0].name
    for node in graph.node:
        for i, output in enumerate(node.output):
            if output == name:
                node.output[i] = "whole"
    factors = np.ones((1, 9, 1), np.float32)
    if class_scale:
        factors[0, 4 + class_scale[0], 0] = class_scale[1]
    graph.initializer.append(numpy_helper.from_array(factors, "factors"))
    last = "whole"
    graph.node.append(helper.make_node("Mul", [last, "factors"], ["scaled"], name="scaled"))
    last = "scaled"
    if small_side:
        # Scores times 0 where the height of the box is below the limit; box rows times 1.
        graph.initializer.extend([numpy_helper.from_array(np.array([3], np.int64), "row"), numpy_helper.from_array(np.array([4], np.int64), "from"),
                                  numpy_helper.from_array(np.array([1], np.int64), "axis"), numpy_helper.from_array(np.array([0], np.int64), "zero"),
                                  numpy_helper.from_array(np.array([9], np.int64), "to"),
                                  numpy_helper.from_array(np.array([small_side], np.float32), "side")])
        graph.node.extend([
            helper.make_node("Slice", [last, "row", "from", "axis"], ["height"]),
            helper.make_node("Greater", ["height", "side"], ["is_tall"]),
            helper.make_node("Cast", ["is_tall"], ["keep"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Slice", [last, "zero", "from", "axis"], ["boxes"]),
            helper.make_node("Slice", [last, "from", "to", "axis"], ["scores"]),
            helper.make_node("Mul", ["scores", "keep"], ["kept"]),
            helper.make_node("Concat", ["boxes", "kept"], ["joined"], axis=1)])
        last = "joined"
    graph.node.append(helper.make_node("Identity", [last], [name]))
    onnx.save(model, str(target))
    return target
