"""The steps of `framemill prepare`, in their order: what is made, from what, and what is remembered of it."""
import datetime
import json
import os
import pathlib

import numpy as np
import onnx

from . import batch_axis, calibration, card, float_head, fused_attention, half_graph, int8, ir, ladder, proof, rectangle, sources, stop, variants, verdict, weights
from .errors import PrepareError, refused
from .journal import file_hash, folder_hash, hash_of, write_whole
from .judge import Judge
from .letterbox import InputStyle, letterbox

SCHEMA = "framemill.prepare/1"
FEW_PICTURES = 24   # tell rounding from harm, and degradations from each other
BUSY_CORES = 0.1    # of other work
METADATA = {"color": lambda d: d["color"], "range": lambda d: d["range"], "letterbox": lambda d: d["letterbox"], "score": lambda d: f"{d['score']:g}",
            "nms_iou": lambda d: f"{d['nms_iou']:g}"}


class Pipeline:
    """request: what the command was asked for, with what framemill found out about the model (`detector`)."""

    def __init__(self, request, journal, console):
        self.request, self.journal, self.console = request, journal, console
        self.out = pathlib.Path(request["out"])
        self.detector = request["detector"]
        self.style = InputStyle(self.detector["color"] == "bgr", self.detector["range"] == "0..255", self.detector["letterbox"] == "top_left")
        self.judge = Judge(request["program"], request["model_options"])
        self.notes, self.rows, self.networks = [], [], {}
        self.base = {"version": request["framemill"], "pins": request["pins"], "worker": request["worker"]}

    # What is to be made.

    def plan(self):
        """Loads the model and finds out which sizes it can have. Raises PrepareError for what is wrong usage: nothing was made yet."""
        model = rectangle.load(self.request["model"])
        float_head.name_nodes(model)
        self.exported = model
        self.source_hash = file_hash(self.request["source"])
        self.model_hash = weights.model_hash(self.request["source"])
        self.original_size = tuple(self.detector["size"])
        stem = variants.stem_of(pathlib.Path(self.request["source"]).name)
        if "framemill.adapted" in {prop.key for prop in model.metadata_props}:
            self._note(next(prop.value for prop in model.metadata_props if prop.key == "framemill.adapted"))
        opened, why = self._open_batch(model)
        if why:
            self._note(f"the batch stays 1: {why}")
        self.batch = "any" if not why else "1"
        self._write_metadata(opened)
        sizes = [self.original_size]
        self.networks = {self.original_size: opened}
        wanted = [tuple(size) for size in self.request["sizes"]] if self.request["sizes"] is not None else None
        for size in wanted if wanted is not None else variants.wide_sizes(self.original_size, self.detector["stride"]):
            if size in sizes:
                continue
            if wanted is not None and (size[0] % self.detector["stride"] or size[1] % self.detector["stride"]):
                raise refused(f"--sizes {size[0]}x{size[1]}: both sides have to be multiples of {self.detector['stride']}, the model's largest stride")
            try:
                self.networks[size] = rectangle.with_size(opened, self.original_size, size)
            except PrepareError as problem:
                if wanted is not None:
                    raise
                self._note(f"no {size[0]}x{size[1]}: {problem}")
                continue
            sizes.append(size)
        self.variants = variants.plan_variants(stem, sizes, self.request["precisions"], self.request["forms"])
        self.stem = stem
        self.data_hash = data_hash(self.request["data_files"])
        self.judged_by = self.find_judge()
        self.console.total = self._step_count()

    def find_judge(self):
        """What measures: a program that was built anew may measure otherwise."""
        return {"program": file_hash(self.request["program"]), "options": self.request["model_options"]}

    def _open_batch(self, model):
        """As with_open_batch(), and proven for heads that sort their answers: exporters write those for one picture."""
        opened, why = batch_axis.with_open_batch(model, self.original_size)
        if why or self.detector["head"] != "end2end":
            return opened, why
        noise = np.random.default_rng(5).uniform(0, 255 if self.style.is_byte else 1, (1, 3, self.original_size[1], self.original_size[0])).astype(np.float32)
        try:
            proof.check_batch(opened, noise, "end2end")
        except PrepareError as problem:
            return batch_axis.for_single_pictures(model, self.original_size), str(problem)
        return opened, ""

    def _note(self, text):
        self.notes.append(text)
        self.console.note(text)

    def _write_metadata(self, model):
        """What framemill knows of the input and the classes goes into every variant, so that none needs options."""
        props = {prop.key: prop.value for prop in model.metadata_props}
        if self.detector["are_labels_known"]:
            props["names"] = json.dumps({str(i): name for i, name in enumerate(self.detector["labels"])})
        for key, of in METADATA.items():
            props.setdefault(f"framemill.{key}", of(self.detector))
        self.metadata = props
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, props)

    def _openvino_metadata(self):
        return {key: value for key, value in self.metadata.items() if key in ("names", "stride", "task") or key.startswith("framemill.")}

    # The steps.

    def run(self):
        self._gather()
        self._prove_sizes()
        for variant in self.variants:
            self._make(variant)
        for variant in self.variants:
            self._evaluate(variant)
        self._fill_in()
        self._bench()
        self._note_older()
        return self._write()

    def _step(self, name, text, inputs, work, say):
        stop.check()
        self.console.begin(text)
        kept = self.journal.kept
        result = self.journal.step(name, {**self.base, **inputs}, work)
        self.console.end(say(result), self.journal.kept > kept)
        return result

    def _gather(self):
        found = sources.find_sources(self.request["calibrate"]) if self.request["calibrate"] else sources.of_data(self.request)
        files = found.pictures + found.clips
        inputs = {"files": folder_hash(files), "cameras": found.cameras, "count": self.request["pictures"], "split": not self.request["data"]}

        def work(scratch):
            return calibration.gather(found, self.request["pictures"], not self.request["data"], scratch, lambda share, text: self.console.show(text))
        self.gathered = self._step("calibration", "calibration pictures", inputs, work, lambda r: f"{r['count']} of {r['candidates']}")
        calibration.drop_older(self.out, {*self.gathered["calibration"], *self.gathered["footage"]})
        for problem in self.gathered["problems"]:
            self._note(problem)
        if self.gathered["count"] < calibration.FEW and "int8" in self.request["precisions"]:
            self._warn(f"only {self.gathered['count']} calibration pictures: INT8 needs about a hundred that differ; name more by --calibrate")
        if not self.request["calibrate"]:
            self._warn("calibrated on pictures that it is evaluated on, so the figures flatter INT8; name recordings of your cameras by --calibrate")
        self.warning = ""
        if self.request["data"] and self.request["calibrate"]:
            self.warning = calibration.check_domain(self.gathered["statistics"], sources.of_data(self.request))
            if self.warning:
                self._warn(self.warning)
        self.footage = str(self.out / "footage") if self.gathered["footage"] else ""
        if not self.footage and not self.request["data"]:
            raise refused("there is nothing to judge the variants by: the calibration has too few pictures; name more, or pictures by --data")

    def _prove_sizes(self):
        """Leaves out the sizes whose graph does not compute what the exported one does; those that were asked for by name end the work."""
        for size in [size for size in self.networks if size != self.original_size]:
            picture = self._a_picture(size)
            try:
                proof.check_rectangle(self.networks[self.original_size], self.networks[size], self.original_size, size, picture, self.detector["head"],
                                      len(self.detector["labels"]))
            except PrepareError as problem:
                if self.request["sizes"] is not None:
                    raise
                self._note(f"no {size[0]}x{size[1]}: {problem}")
                del self.networks[size]
        self.variants = [variant for variant in self.variants if variant.size in self.networks]
        self.console.total = self._step_count()

    def _a_picture(self, size):
        return letterbox(calibration.read(self._calibration_files()[0]), size, self.style)

    def _step_count(self):
        return 1 + len(self.variants) * 2 + sum(map(self._is_measured, self.variants))

    def _warn(self, text):
        self.notes.append(text)
        self.console.warn(text)

    def _calibration_files(self):
        return [file if os.path.isabs(file) else self.out / file for file in self.gathered["calibration"]]

    def _make(self, variant):
        text = f"{variant.size[0]}x{variant.size[1]} {variant.precision} for {'OpenVINO' if variant.runtime == 'openvino' else 'ONNX Runtime'}"
        inputs = {"model": self.model_hash, "variant": [variant.name, variant.size], "metadata": self.metadata, "head": self.detector["head"]}
        if variant.precision == "int8":
            inputs["calibration"] = [self._contents(self.gathered["calibration"]), self.request["attention"]]

        def work(scratch):
            target = scratch / variant.file
            target.parent.mkdir(parents=True, exist_ok=True)
            getattr(self, f"_make_{variant.precision}")(variant, target)
            files = [variant.file] + ([variant.file[:-4] + ".bin"] if variant.file.endswith(".xml") else [])
            return {"bytes": sum((scratch / file).stat().st_size for file in files)}, files
        result = self._step(f"make {variant.name}", text, inputs, work, lambda r: f"{card.megabytes(r['bytes'])} MB")
        self.rows.append({"name": variant.name, "file": variant.file, "size": list(variant.size), "precision": variant.precision, "runtime": variant.runtime,
                          "bytes": result["bytes"], "is_original": variant.precision == "fp32" and variant.size == self.original_size})

    def _make_fp32(self, variant, target):
        network = self.networks[variant.size]
        if self.batch == "any":
            proof.check_batch(network, self._a_picture(variant.size), self.detector["head"])
        save_onnx(network, target)

    def _make_fp16(self, variant, target):
        source = self.out / self._fp32(variant.size).file
        if variant.runtime == "openvino":
            ir.save_openvino(source, target, self._openvino_metadata())
        else:
            model = half_graph.to_half(onnx.load(source), variant.size)
            fused_attention.fuse(model, variant.size)
            save_onnx(model, target)

    def _make_int8(self, variant, target):
        source = self.out / self._fp32(variant.size).file
        model = onnx.load(source)
        files = self._calibration_files()
        inputs = calibration.Tensors(files, variant.size, self.style, lambda i: self.console.show(f"picture {i + 1} of {len(files)}"))
        is_attention_float = self.request["attention"] == "float"
        if variant.runtime == "openvino":
            int8.quantize_openvino(source, model, variant.size, inputs, target, self._openvino_metadata(), is_attention_float)
        else:
            save_onnx(int8.quantize_qdq(model, variant.size, inputs, is_attention_float), target)

    def _contents(self, pictures):
        """Names with what is in them: another recording of the same name gives frames of the same names."""
        return [[picture, file_hash(picture) if os.path.isabs(picture) else self.journal.hash_of_file("calibration", picture)] for picture in pictures]

    def _hashes(self, variant):
        return self.journal.hash_of_file(f"make {variant.name}", variant.file)

    def _row(self, variant):
        return next(row for row in self.rows if row["name"] == variant.name)

    def _fp32(self, size):
        return next(v for v in self.variants if v.size == size and v.precision == "fp32")

    def _jobs(self, variant):
        """{what: (reference, data, conditions, pictures at most, options)}. No more than tells, since this is where the time goes.

        data: what the precision costs, against FP32 of the same size; where there is no footage, against the original, so that the size counts as well.
        footage: what both cost, against the original. rounding: FP16 against FP32, few pictures; QDQ likewise where there are no data. degraded: INT8 against FP32 in the dark, blurred, noisy.
        """
        original, own = self.request["model"], self.out / self._fp32(variant.size).file
        on_data = (self.request["data"], self.request["data_options"])
        on_footage = (self.footage, ["--format", "none"])
        best = on_data if self.request["data"] else on_footage
        every, few = self.request["evaluate"] if self.request["data"] else 0, FEW_PICTURES
        if variant.precision == "fp16":
            return {"rounding": (own, best[0], ["clean"], few, best[1])}
        if variant.is_for_gpu:
            return {"data" if self.request["data"] else "rounding": (own, best[0], ["clean"], every, best[1])}
        jobs = {}
        is_exported_size = variant.size == self.original_size
        if self.request["data"] and (is_exported_size or variant.precision == "int8" or not self.footage):
            jobs["data"] = (own if self.footage and variant.precision == "int8" else original, on_data[0], ["clean"], self.request["evaluate"], on_data[1])
        if self.footage and not (jobs and variant.precision == "fp32"):
            jobs["footage"] = (original, on_footage[0], ["clean"], 0, on_footage[1])
        if variant.precision == "int8" and len(self.request["conditions"]) > 1:
            jobs["degraded"] = (own, best[0], self.request["conditions"], few, best[1])
        return jobs

    def _evaluate(self, variant):
        row, jobs = self._row(variant), self._jobs(variant)
        fp32 = self._fp32(variant.size)

        def work(scratch):
            result = {}
            for name, (reference, data, which, count, options) in jobs.items():
                self.console.show(f"on {name}")
                result[name] = self.judge.evaluate(self.out / variant.file, reference, data, which, count, variant.runtime, self.request["limits"], options)
            return result, []
        try:
            result = self._step(f"evaluate {variant.name}", f"evaluating {variant.name}", self._evaluated_from(variant, jobs), work, say_quality)
        except PrepareError as problem:  # not remembered: the next run tries again
            stop.check()  # the program was stopped along with us
            self.console.end("REFUSED", False)
            self._warn(f"{variant.name}: {problem}")
            row.update(is_consistent=False, is_shown=False, verdict="refused", reason=str(problem), agreement=None)
            return
        row.update(result)
        row.update(verdict.of(result, self._row(fp32) if variant.precision != "fp32" else None, variant.precision == "fp16" or variant.is_for_gpu, self.request["degraded_agreement"]))

    def _evaluated_from(self, variant, jobs):
        """All that an evaluation's figures hang on."""
        return {"file": self._hashes(variant), "model": self.model_hash, "own": self._hashes(self._fp32(variant.size)),
                "jobs": {name: [str(part) for part in job] for name, job in jobs.items()}, "limits": self.request["limits"], "data": self.data_hash,
                "footage": self._contents(self.gathered["footage"]), "by": self.judged_by}

    def _fill_in(self):
        """AP of FP32 in sizes that were judged on footage: INT8 was held against it on the data."""
        for variant in self.variants:
            row = self._row(variant)
            if variant.precision != "fp32" or row.get("data"):
                continue
            beside = [other["data"]["reference_ap"] for other in self.rows if other["size"] == row["size"] and other["precision"] == "int8" and other.get("data")]
            if beside and beside[0] is not None:
                row["data"] = {"ap": beside[0]}

    def _note_older(self):
        """Models of an earlier run with other options stay (who asks for them again has them at once), but nothing here says how good they are."""
        ours = {variant.file for variant in self.variants} | {f"{variant.file[:-4]}.bin" for variant in self.variants if variant.file.endswith(".xml")}
        older = sorted(file.name for file in (self.out / "models").glob("*.*") if f"models/{file.name}" not in ours and file.suffix in (".onnx", ".xml"))
        if older:
            self._note(f"models/ holds {len(older)} of an earlier run as well, which are not part of this set: {', '.join(older[:4])}{', ..' if len(older) > 4 else ''}")

    def _bench(self):
        """Speed of what runs on this machine, one after another. What other work disturbed is measured once more, and the better of both counts: to repeat all of them takes minutes."""
        measured = [v for v in self.variants if self._is_measured(v) and self._row(v)["verdict"] != "refused"]
        speeds = {variant.name: self._bench_one(variant, 1) for variant in measured}
        disturbed = [variant for variant in measured if speeds[variant.name]["other_load_cores"] > BUSY_CORES]
        self.console.total += len(disturbed)
        for variant in disturbed:
            again = self._bench_one(variant, 2)
            if again["frames_per_s"] > speeds[variant.name]["frames_per_s"]:
                speeds[variant.name] = again
        base = speeds.get(self._fp32(self.original_size).name)
        for row in self.rows:
            row["speed"] = speeds.get(row["name"])
            row["frames_per_s"] = row["speed"]["frames_per_s"] if row["speed"] else None
            row["speedup"] = row["frames_per_s"] / base["frames_per_s"] if row["speed"] and base else None

    def _is_measured(self, variant):
        return variant.is_measured and self.request["bench"] != "off"

    def _bench_one(self, variant, round_number):
        inputs = {"file": self._hashes(variant), "machine": self.request["machine"], "bench": self.request["bench"], "by": self.judged_by}

        def work(scratch):
            return self.judge.bench(self.out / variant.file, self.request["bench"] == "quick"), []
        again = " once more" if round_number == 2 else ""
        return self._step(f"bench {variant.name} {round_number}", f"speed of {variant.name}{again}", inputs, work, lambda r: f"{r['frames_per_s']:.1f} frames/s")

    # What is written in the end.

    def _write(self):
        document = self._document()
        write_whole(self.out / "prepare.json", json.dumps(document, indent=1) + "\n")
        write_whole(self.out / "MODEL_CARD.md", card.to_markdown(document))
        write_whole(self.out / "deploy.yaml", document["ladder"]["yaml"])
        return document

    def _document(self):
        first, rungs = ladder.choose([row for row in self.rows if row["speed"]])
        why, yaml = "", "# Nothing was measured, and the original was refused.\n"
        if not first:
            first = next((row for row in self.rows if row["is_original"] and row["verdict"] != "refused"), None)
        if first:
            why = ladder.reason(first) if first["speed"] else "no speeds were measured, so it is the original in FP32."
            yaml = ladder.to_yaml(first, rungs, self.request["head_option"], f"{first['name']}: {why}")
        speeds = [row["speed"] for row in self.rows if row["speed"]]
        load = max((speed["other_load_cores"] for speed in speeds), default=0)
        machine = {"cpu": speeds[0]["cpu"] if speeds else "", "cores": os.cpu_count(), "runtime": speeds[0]["runtime"] if speeds else "",
                   "note": f"Other work took up to {load:.1f} cores meanwhile, so speeds are lower bounds and their ratios rough." if load > 0.1 else ""}
        gathered = {key: self.gathered[key] for key in ("count", "candidates", "sources", "coverage", "coverage_first", "calibration")}
        return {"schema": SCHEMA, "framemill": self.request["framemill"], "command": self.request["command"], "stem": self.stem,
                "made_at": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "source": {"file": pathlib.Path(self.request["source"]).name, "sha256": self.source_hash, "head": self.detector["head"], "size": list(self.original_size),
                           "labels": self.detector["labels"], "batch": self.batch, "license": self.metadata.get("license", "")},
                "evaluation": {"data": self.request["data"], "is_labelled": any((row.get("data") or {}).get("ap") is not None for row in self.rows),
                               "footage": len(self.gathered["footage"]), "degraded_agreement": self.request["degraded_agreement"]},
                "calibration": {**gathered, "warning": self.warning}, "variants": self.rows, "machine": machine, "notes": self.notes,
                "ladder": {"path": first["file"] if first else "", "why": why, "rungs": [row["file"] for row in rungs], "yaml": yaml},
                "steps": {"made": self.journal.made, "kept": self.journal.kept}}


def data_hash(files):
    """What tells that the evaluation's pictures or labels changed, wherever they lie. files: as framemill found them; None: there are none."""
    if not files:
        return ""
    return hash_of([folder_hash(files["pictures"] + files["clips"]), [[file, file_hash(file)] for file in files["labels"]], files["classes"]])


def save_onnx(model, path):
    """With a whole file or none: a full disk is an error here."""
    data = model.SerializeToString()
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def say_quality(result):
    parts = []
    for name, each in result.items():
        loss = f"AP loss {each['ap_loss']:+.3f}, " if each["ap_loss"] is not None else ""
        agreements = [value for value in each["agreements"].values() if value is not None]
        parts.append(f"{name}: {loss}agreement {min(agreements):.3f}" if agreements else f"{name}: nothing sure to compare")
    return "; ".join(parts)
