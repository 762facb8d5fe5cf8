"""scripts/gpu_check.sh and the ways that fall back where there is no GPU.

Promises: without a GPU the check runs from end to end with the processor and the emulated device (tests/cuda_emulator), and says of
everything that it is right; a device that computes something else, and a run without any, are told apart from that. A configuration
that asks for a device's letterbox and decoder runs without one, with one line for each in the log, and gives the same answers.
"""
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import framemill
from framemill import BINARY, ROOT

HAS_GPU = os.path.exists("/dev/nvidiactl")
MODEL, CLIP = ROOT / "demo/models/line_fp32.onnx", ROOT / "demo/clips/line.mp4"


def run_engine(folder, name, letterbox_on, decode, cuda):
    """(log, answers) of a run of a few frames with ONNX Runtime."""
    config, results = Path(folder) / f"{name}.yaml", Path(folder) / f"{name}.jsonl"
    config.write_text(json.dumps({
        "models": {"objects": {"path": str(MODEL), "runtime": "onnxruntime", "device": "CPU", "letterbox_on": letterbox_on}},
        "cameras": [{"id": "a", "url": str(CLIP), "every": 25, "decode": decode}, {"id": "b", "url": str(CLIP), "every": 40, "decode": decode}],
        "engine": {"policy": "full", "pace": "fast"}}))
    ran = subprocess.run([BINARY, "run", config, "--results", results, "--max-answers", "8", "--listen", "off"], capture_output=True, text=True,
                         env={**os.environ, "FRAMEMILL_CUDA": cuda}, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    answers = [json.loads(line) for line in results.read_text().splitlines()]
    return ran.stderr, sorted(((a["camera"], a["frame_index"], a["detections"]) for a in answers), key=lambda a: a[:2])


def load_check():
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "scripts/gpu_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class GpuCheckTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.emulator = str(Path(BINARY).parent / "cuda_emulator")

    def check(self, *arguments):
        ran = subprocess.run([ROOT / "scripts/gpu_check.sh", "--demo", "--quick", "--out", self.folder.name, *arguments], capture_output=True,
                             text=True, env={**os.environ, "FRAMEMILL_BUILT": "1", "FRAMEMILL_BIN": BINARY}, timeout=400, check=False)
        return ran, json.loads((Path(self.folder.name) / "gpu_check.json").read_text())

    def test_runs_from_end_to_end_without_a_gpu(self):
        ran, report = self.check("--cpu")
        self.assertEqual(0, ran.returncode, ran.stderr)
        self.assertTrue(report["is_right"])
        self.assertFalse(report["is_gpu"])
        steps = {s["step"]: s for s in report["steps"]}
        self.assertEqual({"right"}, {s["outcome"] for s in report["steps"]}, ran.stderr)
        answers = steps["answers of line_fp32.onnx"]
        self.assertEqual("device", answers["letterbox"])
        self.assertEqual(1., answers["agreement"])
        self.assertGreater(answers["detections"], 20)
        self.assertEqual("processor", steps["answers with the device's decoder"]["decoder"])
        bare = steps["engine, line_fp32.onnx"]
        self.assertGreater(bare["best_frames_per_s"], 1)
        self.assertEqual({"infer", "letterbox", "detect"}, {p["what"] for p in bare["engine_points"]})
        pipeline = next(s for name, s in steps.items() if name.startswith("pipeline, full"))
        self.assertEqual(pipeline["engine_share"], report["figures"]["whole program / bare engine"])
        if not framemill.IS_SLOW_BUILD:
            self.assertGreater(pipeline["inferences_per_s"], 1)
            self.assertGreater(pipeline["engine_share"], .1)
        for kind in ("generated", "clips", "clips by the device's decoder"):
            self.assertTrue(any(name.startswith(f"live, full, {kind}, ") for name in steps), kind)
        for run in ("live, full", "live, adaptive at .2"):
            self.assertTrue(steps[f"{run}, its end"]["conserved"])
            self.assertEqual(0, steps[f"{run}, its end"]["outages"])
        page = (Path(self.folder.name) / "gpu_check.md").read_text()
        for step in steps:
            self.assertIn(f"| {step} | right |", page)

    @unittest.skipIf(HAS_GPU, "here is one")
    def test_a_machine_without_a_gpu_is_not_called_right(self):
        ran, report = self.check("--budget", "60")
        self.assertEqual(1, ran.returncode)
        self.assertFalse(report["is_right"])
        self.assertEqual("failed", report["steps"][1]["outcome"])
        self.assertRegex(report["steps"][1]["reason"], "cuda:0")

    def test_code_of_other_devices_is_cut_out_and_nothing_else(self):
        def entry(kind, device, content):
            return struct.pack("<HHIQ", kind, 1, 64, len(content)) + bytes(12) + struct.pack("<I", device) + bytes(32) + content
        entries = entry(2, 90, b"hopper" * 8) + entry(2, 80, b"ampere" * 8) + entry(1, 90, b"text to compile" * 4)
        fat = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(entries)) + entries + bytes(8)
        fat += struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 112) + entry(2, 75, b"turing" * 8)
        names = b"\0.nv_fatbin\0.shstrtab\0"
        begin = 64
        sections = [(0,) * 10, (1, 1, 0, 0, begin, len(fat), 0, 0, 1, 0), (12, 3, 0, 0, begin + len(fat), len(names), 0, 0, 1, 0)]
        header = bytearray(b"\x7fELF" + bytes(60))
        struct.pack_into("<Q", header, 0x28, begin + len(fat) + len(names))
        struct.pack_into("<HHH", header, 0x3A, 64, 3, 2)
        library = Path(self.folder.name) / "library.so"
        whole = bytes(header) + fat + names + b"".join(struct.pack("<IIQQQQIIQQ", *section) for section in sections)
        library.write_bytes(whole)
        script = Path(__file__).resolve().parents[2] / "scripts/trim_fatbin.py"
        subprocess.run([sys.executable, script, library, "90"], check=True, capture_output=True)
        trimmed = library.read_bytes()
        for gone in (b"ampere" * 8, b"text to compile" * 4, b"turing" * 8):
            whole = whole.replace(gone, bytes(len(gone)))
        self.assertEqual(whole, trimmed)
        self.assertIn(b"hopper" * 8, trimmed)
        again = subprocess.run([sys.executable, script, library, "7"], check=False, capture_output=True, text=True)
        self.assertEqual(0, again.returncode)
        self.assertNotIn(b"hopper", library.read_bytes())

    def test_answers_that_differ_are_seen(self):
        module = load_check()
        answer = {"camera": "a", "frame_index": 0, "detections": [{"class": 1, "score": .8, "box": [10, 10, 50, 50]},
                                                                  {"class": 0, "score": .5, "box": [60, 10, 90, 50]}]}

        def changed(**values):
            other = json.loads(json.dumps(answer))
            other["detections"][0].update(values)
            return module.agreement([answer], [other])["agreement"]
        self.assertEqual(1., changed())
        self.assertEqual(1., changed(score=.77, box=[10, 11, 50, 50]))
        for values in ({"class": 2}, {"score": .7}, {"box": [20, 10, 60, 50]}, {"score": .1}):
            self.assertLess(changed(**values), .8, values)
        self.assertEqual(0., module.agreement([answer], [{**answer, "frame_index": 1}])["agreement"])
        self.assertEqual(0., module.agreement([{**answer, "detections": []}], [{**answer, "detections": []}])["agreement"])

    @unittest.skipIf(HAS_GPU, "nothing is missing")
    def test_what_is_missing_costs_one_line_each(self):
        host_log, wanted = run_engine(self.folder.name, "host", "host", "cpu", "/nowhere")
        self.assertNotIn("warn", host_log)
        log, answers = run_engine(self.folder.name, "fallback", "device", "auto", "/nowhere")
        warnings = [line for line in log.splitlines() if " warning " in line]
        self.assertEqual(2, len(warnings), log)
        self.assertIn("pictures are letterboxed on the host: NVIDIA's driver is not there", warnings[0])
        self.assertIn("decode: auto: the processor decodes: NVIDIA's decoder is not there", warnings[1])
        self.assertEqual(wanted, answers)
        log, answers = run_engine(self.folder.name, "device", "device", "cpu", self.emulator)
        self.assertIn("pictures are letterboxed on cuda:0", log)
        self.assertNotIn("warn", log)
        self.assertEqual([a[:2] for a in wanted], [a[:2] for a in answers])
        self.assertEqual([len(a[2]) for a in wanted], [len(a[2]) for a in answers])

    def stage_pack(self, what, size):
        """Packs a program that notes `what` when it runs, in pieces of 1,000 bytes, and stages them."""
        folder = Path(self.folder.name)
        bundle = folder / "pack" / "bundle"
        (bundle / "site" / "nvidia").mkdir(parents=True, exist_ok=True)
        (bundle / "framemill").write_text(f"#!/bin/sh\necho {what} >> {folder / 'ran'}\n")
        (bundle / "framemill").chmod(0o755)
        (bundle / "filling").write_bytes(os.urandom(size))
        packed = subprocess.run(["tar", "-C", folder / "pack", "-czf", "-", "bundle"], capture_output=True, check=True).stdout
        pieces = [folder / "pieces" / f"piece-{i:03}" for i in range((len(packed) + 999) // 1000)]
        for i, piece in enumerate(pieces):
            piece.mkdir(parents=True, exist_ok=True)
            (piece / "part").write_bytes(packed[1000 * i:1000 * i + 1000])
        sums = subprocess.run(["sha256sum", *(f"{piece.name}/part" for piece in pieces)], cwd=folder / "pieces", capture_output=True, check=True).stdout
        for piece in pieces:
            (piece / "sums").write_bytes(sums)
            self.script("stage", piece)
        return len(pieces)

    def script(self, *arguments):
        return subprocess.run([ROOT / "scripts/gpu_check.sh", *arguments], capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, "FRAMEMILL_GPU_STAGE": str(Path(self.folder.name) / "stage")})

    def what_ran(self):
        ran = self.script("--bundle", "--out", self.folder.name, "--budget", "5.5")  # the first steps alone
        path = Path(self.folder.name) / "ran"
        lines = set(path.read_text().split()) if path.exists() else set()
        path.unlink(missing_ok=True)
        return ran, lines

    def test_the_bundle_that_runs_is_that_of_the_pieces(self):
        larger = self.stage_pack("older", 5000)
        self.assertEqual({"older"}, self.what_ran()[1])
        self.assertLess(self.stage_pack("newer", 1500), larger)  # pieces of the older one stay beside it
        ran, lines = self.what_ran()
        self.assertEqual({"newer"}, lines, ran.stderr)
        self.assertEqual(1, ran.returncode, ran.stderr)  # that program is no framemill
        self.assertEqual({"newer"}, self.what_ran()[1])
        stage = Path(self.folder.name) / "stage"
        for bundle in stage.glob("bundle-*"):  # as if it had been stopped while it unpacked
            bundle.rename(stage / "unpacking")
            (stage / "unpacking" / "framemill").unlink()
        self.assertEqual({"newer"}, self.what_ran()[1])
        (stage / "piece-001" / "part").write_bytes(b"something else")
        ran, lines = self.what_ran()
        self.assertEqual((2, set()), (ran.returncode, lines))
        self.assertIn("a piece is missing or damaged", ran.stderr)

    def test_engines_of_other_providers_are_checked_for_right_answers(self):
        module = load_check()
        reference = [{"camera": "a", "frame_index": 0, "detections": [{"class": 0, "score": .8, "box": [0, 0, 50, 50]}]}]

        class Check:
            options = type("Options", (), {"cpu": False})
            clips = [CLIP]

            def __init__(self, box):
                self.references, self.models, self.box = {}, [], box

            def run(self, name, model, cameras, engine, most_s=120, arguments=()):
                self.models.append(model)
                if name == "device" and self.box is None:
                    raise RuntimeError("run ended with status 2: tensorrt:0 is not there")
                answers = reference if name == "reference" else [{**reference[0], "detections": [{"class": 0, "score": .8, "box": self.box}]}]
                return {"conserved": True, "models": [{"runtime": "x"}]}, answers, "pictures are letterboxed on cuda:0"

        for box, wanted in (([0, 0, 50, 51], True), ([0, 0, 25, 50], False)):
            check = Check(box)
            is_right, figures = module.check_answers(check, MODEL, "tensorrt:0", "fp16", 8, setting="fp16", is_optional=True)()
            self.assertEqual(wanted, is_right, figures)
            self.assertEqual([None, "fp16"], [model.get("precision") for model in check.models])
        with self.assertRaises(module.Skip):
            module.check_answers(Check(None), MODEL, "tensorrt:0", "fp16", 8, is_optional=True)()
        with self.assertRaises(RuntimeError):
            module.check_answers(Check(None), MODEL, "cuda:0", "fp16", 8)()

    def test_a_window_counts_the_frames_that_were_captured_in_it(self):
        live = load_check().gpu_live

        def line(at, origin, latency, on_time, **more):
            return json.dumps({"camera": "a", "captured_at": live.time_text(at).decode(), "origin": origin, **more, "latency_ms": latency,
                               "reorder_ms": 0, "deadline_ms": 200, "on_time": on_time, "detections": []}, separators=(",", ":"))
        lines = [line(9.999, "inferred", 5., True), line(10., "inferred", 20., True), line(10.5, "propagated", 1., True),
                 line(11., "none", None, False, reason="superseded"), line(11.9, "inferred", 250., False), line(12., "inferred", 5., True),
                 line(11.99, "inferred", 30., True)[:40]]  # the end of a file that is being written
        counts = live.count_window("\n".join(lines).encode(), 10, 12)
        self.assertEqual({"sampled": 4, "inferred": 2, "lost": 1, "overdue": 1}, {key: counts[key] for key in ("sampled", "inferred", "lost", "overdue")})
        self.assertEqual({"p50": 250., "p95": 250., "p99": 250., "max": 250.}, counts["latency_ms"])
        self.assertIsNone(live.count_window(b"", 10, 12)["latency_ms"]["p99"])

    def test_the_most_cameras_are_found_in_a_few_looks(self):
        module = load_check()

        class Check:
            options = type("Options", (), {"window_s": 0, "settle_s": 0})

            def step(self, name, work):
                is_right, figures = work()
                return {"outcome": "right" if is_right else "wrong", **figures}

        class Run:
            """Serves so many cameras; with more it loses what is too much, or half of all."""
            def __init__(self, most, is_collapsing):
                self.most, self.is_collapsing, self.looks = most, is_collapsing, []

            def set_cameras(self, cameras):
                self.count = len(cameras)

            def look(self, *_):
                self.looks.append(self.count)
                holds = self.count <= self.most
                served = self.count if holds else .5 * self.count if self.is_collapsing else self.most
                return {"cameras": self.count, "holds": holds, "in_time_per_s": 10 * served}
        for most, first, is_collapsing in ((700, 900, False), (700, 700, False), (700, 1000, True), (3, 4, False), (1, 1, False)):
            run = Run(most, is_collapsing)
            found = module.find_most(Check(), "x", run, lambda count: [None] * count, first)
            self.assertLessEqual(len(run.looks), module.LOOKS_MOST)
            self.assertTrue(.6 * most <= found["cameras"] <= most, (most, run.looks))
        self.assertIsNone(module.find_most(Check(), "x", Run(0, False), lambda count: [None] * count, 1))

    def test_one_that_is_stopped_leaves_a_whole_report_and_no_process(self):
        with subprocess.Popen([ROOT / "scripts/gpu_check.sh", "--cpu", "--demo", "--quick", "--only", "adaptive", "--out", self.folder.name],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "FRAMEMILL_BUILT": "1", "FRAMEMILL_BIN": BINARY}) as check:
            for line in check.stderr:
                if "live, adaptive at .2, start" in line:  # its run is up
                    break
            check.terminate()
            self.assertEqual("", "".join(line for line in check.stderr if "Traceback" in line))
            self.assertEqual(143, check.wait(60))
        report = json.loads((Path(self.folder.name) / "gpu_check.json").read_text())
        self.assertEqual(["facts", "live, adaptive at .2, start"], [s["step"] for s in report["steps"]][:2])
        of_it = [pid for pid in os.listdir("/proc") if pid.isdigit() and self.is_run_of(pid, check.pid)]
        self.assertEqual([], of_it)

    @staticmethod
    def is_run_of(pid, parent):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1] == str(parent)
        except OSError:
            return False

    def test_usage_is_checked(self):
        for arguments in (["pack"], ["stage", "/nowhere"], ["--bundle"]):
            ran = subprocess.run([ROOT / "scripts/gpu_check.sh", *arguments], capture_output=True, text=True, check=False,
                                 env={**os.environ, "FRAMEMILL_GPU_STAGE": self.folder.name})
            self.assertEqual(2, ran.returncode, ran.stderr)
            self.assertIn("gpu_check:", ran.stderr)


if __name__ == "__main__":
    unittest.main()
