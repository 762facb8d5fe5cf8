#!/usr/bin/env python3
"""What scripts/gpu_check.sh runs once there is a program: correctness, speed and whole runs on a GPU, as one JSON and one Markdown.

The processor's results (ONNX Runtime's CPU provider, letterbox and decoder of the host) are the reference. The report is written
anew after each step, whole or not at all, so that one which is stopped leaves what it has. A step without time left, or without what
it needs, says so. --only takes one part up again where time was too short for all: answers, engine, live, adaptive, more, engines.
"""
import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import gpu_live
SURE, IOU_LEAST, SCORE_MOST = .3, .9, .05
AGREEMENT_LEAST = {"fp32": .99, "fp16": .97}
ENGINE_SHARE_AIM = .95  # said, and no reason to call a step wrong: it is speed
PARTS = ("answers", "engine", "live", "adaptive", "more", "engines")
SAID = ("reason", "agreement", "best_frames_per_s", "start_s", "inferences_per_s", "engine_share", "lost_or_late_share", "holds")
RATE = 10  # answers a second of each camera
LOOKS_MOST = 5  # at one kind of cameras, to find how many there may be


class Check:
    def __init__(self, options):
        self.options = options
        self.begin = time.monotonic()
        # A run at full load writes 20 MB of results a second, which are not to wait for a disk.
        shared = Path("/dev/shm")
        roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 12 << 30
        self.work = Path(tempfile.mkdtemp(prefix="framemill_gpu_check_", dir=shared if roomy else None))
        self.report = {"schema": "framemill.gpu_check/2", "is_gpu": not options.cpu, "figures": {}, "steps": []}
        self.card = gpu_live.Card(0 if options.cpu else int(options.device.partition(":")[2] or 0))
        self.environment = dict(os.environ)
        # The driver may lie in a folder that only this variable names; TensorRT loads parts of its own by their names alone.
        folders = [options.libraries, *sorted(str(folder) for folder in Path(os.environ.get("FRAMEMILL_ONNXRUNTIME", "/nowhere")).glob("nvidia/*/lib")),
                   os.environ.get("LD_LIBRARY_PATH")]
        self.environment["LD_LIBRARY_PATH"] = ":".join(filter(None, folders))
        if options.cpu:
            self.environment["FRAMEMILL_CUDA"] = str(options.framemill.parent / "cuda_emulator")

    def left_s(self):
        return self.options.budget - (time.monotonic() - self.begin)

    def framemill(self, *arguments, most_s=120):
        """(exit status, stdout, stderr); status 124 where it took too long."""
        try:
            ran = subprocess.run([self.options.framemill, *map(str, arguments)], capture_output=True, text=True, env=self.environment,
                                 timeout=max(1, min(most_s, self.left_s())), check=False)
            return ran.returncode, ran.stdout, ran.stderr
        except subprocess.TimeoutExpired as late:
            text = late.stderr or b""
            return 124, "", text.decode() if isinstance(text, bytes) else text

    def run(self, name, model, cameras, engine, most_s=120, arguments=()):
        """One run of the engine: its summary, its answers, its log. `model`: settings beside the path."""
        config, results, summary = (self.work / f"{name}.{kind}" for kind in ("yaml", "jsonl", "json"))
        config.write_text(json.dumps({"models": {"objects": model}, "cameras": cameras, "engine": engine}))  # JSON is YAML
        status, _, log = self.framemill("run", config, "--results", results, "--summary", summary, "--listen", "off", *arguments, most_s=most_s)
        if status != 0 or not summary.exists():
            raise RuntimeError(f"run ended with status {status}: {last_words(log)}")
        return json.loads(summary.read_text()), [json.loads(line) for line in results.read_text().splitlines()], log

    def step(self, name, work):
        """Runs `work`, which returns (is it right, figures); what it raises is the reason of a failure."""
        entry = {"step": name}
        begin = time.monotonic()
        if self.left_s() < 5:
            entry.update(outcome="skipped", reason="no time left")
        else:
            try:
                is_right, figures = work()
                entry.update(outcome="right" if is_right else "wrong", **figures)
            except Skip as why:
                entry.update(outcome="skipped", reason=str(why))
            except (RuntimeError, OSError, ValueError, KeyError, subprocess.SubprocessError) as why:
                entry.update(outcome="failed", reason=str(why))
        entry["seconds"] = round(time.monotonic() - begin, 1)
        self.report["steps"].append(entry)
        self.report["figures"].update(entry.pop("told", {}))
        said = [f"{key} {entry[key]}" for key in SAID if entry.get(key) is not None]
        print(f"gpu_check: {name}: {entry['outcome']} in {entry['seconds']} s" + (f" ({', '.join(said)})" if said else ""), file=sys.stderr, flush=True)
        self.write()
        return entry

    def write(self):
        self.report["seconds"] = round(time.monotonic() - self.begin, 1)
        self.report["is_right"] = all(s["outcome"] in ("right", "skipped") for s in self.report["steps"])
        self.options.out.mkdir(parents=True, exist_ok=True)
        for name, text in (("gpu_check.json", json.dumps(self.report, indent=1) + "\n"), ("gpu_check.md", markdown(self.report))):
            beside = self.options.out / f".{name}.new"
            beside.write_text(text)
            os.replace(beside, self.options.out / name)


class Skip(Exception):
    """The step cannot be done here."""


def last_words(log):
    lines = [line for line in log.strip().splitlines() if line]
    return lines[-1][:400] if lines else "it said nothing"


# ---- facts

def facts(check):
    def said(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
        except OSError:
            return ""
    figures = {"machine": platform.machine(), "kernel": platform.release(), "cores": os.cpu_count(),
               "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
               "gpu": said("nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader"),
               "cpu": next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                            if line.startswith("model name")), "")}
    status, out, log = check.framemill("doctor", "--json")
    if not out:
        raise RuntimeError(f"doctor ended with status {status}: {last_words(log)}")
    figures["doctor"] = json.loads(out)
    check.report["facts"] = figures
    if not check.options.cpu and not figures["gpu"]:
        raise RuntimeError("nvidia-smi names no GPU")
    return True, {}


# ---- correctness

def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.
    inside = width * height
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def agreement(reference, other):
    """Of the sure detections of either side, the share that the other side has with nearly the same box and score."""
    def by_frame(answers):
        return {(a["camera"], a["frame_index"]): a.get("detections", []) for a in answers}
    sides = by_frame(reference), by_frame(other)
    if sides[0].keys() != sides[1].keys():
        return {"agreement": 0., "detections": 0, "reason": "other frames were answered"}
    wanted = found = 0
    for one, two in (sides, sides[::-1]):
        for frame, detections in one.items():
            for d in detections:
                if d["score"] < SURE:
                    continue
                wanted += 1
                found += any(d["class"] == e["class"] and iou(d["box"], e["box"]) >= IOU_LEAST and abs(d["score"] - e["score"]) <= SCORE_MOST
                             for e in two[frame])
    return {"agreement": round(found / wanted, 4) if wanted else 0., "detections": wanted}


def cameras_of(clips, **settings):
    return [{"id": clip.stem, "url": str(clip), **settings} for clip in clips]


def check_answers(check, model, device, precision, frames, decode="cpu", setting=None, is_optional=False):
    """The whole way of a picture on the device beside the host's. `precision`: of the model, or of the engine made of it by `setting`;
    `is_optional`: what does not run, for want of a library or of time to build its engine, is skipped."""
    def work():
        clips = check.clips
        engine = {"policy": "full", "pace": "fast"}
        # Low scores on both sides, so that one which wavers around the limit has its partner.
        settings = {"path": str(model), "runtime": "onnxruntime", "score": .2}
        most = ("--max-answers", frames)
        key = model.name  # whatever decodes on the other side
        if key not in check.references:
            check.references[key] = check.run("reference", {**settings, "device": "CPU", "letterbox_on": "host"}, cameras_of(clips, every=10),
                                              engine, arguments=most)[1]
        if setting:
            settings["precision"] = setting
        try:
            summary, answers, log = check.run("device", {**settings, "device": device, "letterbox_on": "device"},
                                              cameras_of(clips, every=10, decode=decode), engine, most_s=240, arguments=most)
        except RuntimeError as why:
            if is_optional:
                raise Skip(str(why)) from why
            raise
        figures = agreement(check.references[key], answers)
        figures.update(model=model.name, device=device, decode=decode, frames=len(answers), runtime=summary["models"][0]["runtime"],
                       letterbox="device" if "letterboxed on cuda:" in log else "host", precision=precision,
                       notes=[line.split(" warning ", 1)[1] for line in log.splitlines() if " warning " in line])
        is_right = figures["agreement"] >= AGREEMENT_LEAST[precision] and figures["letterbox"] == "device" and summary["conserved"]
        if decode != "cpu":
            has_fallen_back = any("the processor decodes" in note for note in figures["notes"])
            figures["decoder"] = "processor" if has_fallen_back else "device where it takes the stream"
            is_right = is_right and has_fallen_back == check.options.cpu
        return is_right, figures
    return work


# ---- speed

def engine(check, model, device, streams=(1, 2, 3, 4), batches="1,2,4,8,16,32", most_s=150, whats=("infer", "letterbox", "detect")):
    """What the device does by itself: tests/perf/device_inference, with nothing around the batches."""
    def work():
        program = next((path for path in (check.options.framemill.parent / "device_inference",
                                          check.options.framemill.parent / "tests/perf/device_inference") if path.exists()), None)
        if program is None:
            raise Skip("device_inference was not built")
        points = []
        for count in streams:
            seconds = .3 if check.options.quick else .7
            ran = subprocess.run([program, model, device, batches, str(count), str(seconds), *whats],
                                 capture_output=True, text=True, env=check.environment, timeout=max(5, min(most_s, check.left_s())), check=False)
            if ran.returncode != 0:
                raise RuntimeError(f"device_inference ended with status {ran.returncode}: {last_words(ran.stderr)}")
            points += [json.loads(line) for line in ran.stdout.splitlines()]
        best = {what: max((p for p in points if p["what"] == what), key=lambda p: p["frames_per_s"]) for what in whats}
        return True, {"model": model.name, "best_frames_per_s": best["infer"]["frames_per_s"], "best": best, "engine_points": points}
    return work


def bench(check, model, device, precision, arguments=("--quick",), is_optional=False):
    """`is_optional`: what does not run, for want of a library or of time to build its engines, is skipped."""
    def work():
        status, out, log = check.framemill("bench", model, "--runtime", "onnxruntime", "--device", device, "--precision", precision, "--json",
                                           *arguments, most_s=check.options.bench_s)
        if status != 0:
            raise (Skip if is_optional else RuntimeError)(f"bench ended with status {status}: {last_words(log)}")
        profile = json.loads(out)
        points = [{key: p.get(key) for key in ("batch", "streams", "frames_per_s", "device_bytes", "power_w", "temperature_c")}
                  | {"p50_ms": p["service_ms"][len(p["service_ms"]) // 2], "p95_ms": p["service_ms"][len(p["service_ms"]) * 95 // 100]}
                  for p in profile["points"]]
        best = max(p["frames_per_s"] for p in points)
        return True, {"model": model.name, "device": device, "precision": profile["precision"], "setting": precision,
                      "knee_batch": profile["knee_batch"], "best_frames_per_s": round(best, 1), "points": points}
    return work


def generated(count):
    """Cameras whose pictures cost next to nothing: what limits is the device and what lies behind it, not the decoder."""
    return [{"id": f"g{i}", "url": f"synthetic://?size=640x360&rate={RATE}&seed={i}", "rate": RATE} for i in range(count)]


def played(count, clips, decode="cpu"):
    """Clips as cameras, each from a place of its own."""
    return [{"id": f"{decode}{i}", "url": str(clips[i % len(clips)]), "loop": True, "rate": RATE, "decode": decode, "start": f"{(.37 * i) % 9:.2f}s"}
            for i in range(count)]


def open_run(check, name, model, device, policy, budget=None, streams=None):
    engine_settings = {"policy": policy, "pace": "live", **({"budget": budget} if budget else {}), **({"streams": streams} if streams else {})}
    model_settings = {"path": str(model), "runtime": "onnxruntime", "device": device, "letterbox_on": "device"}
    return gpu_live.LiveRun(check.options.framemill, check.environment, check.work, name,
                            {"models": {"objects": model_settings}, "engine": engine_settings}, check.card, start_most_s=max(20, min(180, check.left_s() - 20)))


@contextlib.contextmanager
def ended(check, name, run):
    """The run, which is ended afterwards; what its summary says is a step."""
    try:
        yield run
    except BaseException:  # stopped from outside: no time to wait for a summary
        run.kill()
        raise
    status, summary = run.end()
    if status is None:
        return

    def work():
        if summary is None:
            raise RuntimeError(f"the run ended with status {status}, without a summary: {run.last_words()}")
        on = summary["devices"][0]
        return status == 0 and summary["conserved"], {
            "status": status, "conserved": summary["conserved"], "batch_frames": summary["batch"]["frames"], "mean_batch": summary["batch"]["mean"],
            "in_parallel": on["in_parallel"], "outages": on["outages"], "last_error": on.get("last_error"), "failed": summary["total"]["failed"],
            "peak_rss_bytes": summary["peak_rss_bytes"]}
    check.step(f"{name}, its end", work)


def look(check, name, run, cameras, extra=None):
    """A step that has the run serve `cameras`, and looks. Its figures; `extra` adds some to them."""
    def work():
        run.set_cameras(cameras)
        figures = run.look(check.options.window_s, check.options.settle_s, RATE)
        return True, {**figures, **(extra(figures) if extra else {})}
    return check.step(f"{name}, {len(cameras)} cameras", work)


def find_most(check, name, run, make_cameras, first):
    """The most cameras that are served (LOSS_MOST), looked for from above: each look says how many there could be. The entry, or None."""
    count = max(1, first)
    for _ in range(LOOKS_MOST):
        entry = look(check, name, run, make_cameras(count))
        if entry["outcome"] != "right":
            return None
        if entry["holds"]:
            return entry
        if count == 1:
            return None
        count = max(1, min(int(.9 * count), max(count // 2, int(.97 * entry["in_time_per_s"] / RATE))))
    return None


def at_nine_tenths(check, name, run, make_cameras, most):
    """p99 of the latency, and what is used, at .9 of the most."""
    def tell(figures):
        told = {f"{name}: cameras": most["cameras"], f"{name}: p99 ms at .9 of that": figures["latency_ms"]["p99"],
                f"{name}: cores busy at .9 of that": figures["cores_busy"],
                f"{name}: resident MB a camera": round(figures["resident_bytes"] / figures["cameras"] / 2**20, 2)}
        return {"told": told}
    return look(check, f"{name} (.9 of the most)", run, make_cameras(max(1, int(.9 * most["cameras"]))), tell)


def tell_post_processing(check, bare):
    """Of the bare engine's steps: what letterbox, and heads and NMS, cost where they are in the same loop as the batches."""
    best = bare.get("best", {})
    if {"infer", "letterbox", "detect"} <= best.keys():
        check.report["figures"].update({"bare engine, inferences/s": bare["best_frames_per_s"], "bare engine with letterbox": best["letterbox"]["frames_per_s"],
                                        "with letterbox, heads and NMS in its loop": best["detect"]["frames_per_s"]})


def bare_rate(bare, batch):
    """Of the engine by itself at the batch that a run uses, or the nearest one that was measured."""
    points = [p for p in bare.get("engine_points", []) if p["what"] == "infer"]
    return min(points, key=lambda p: abs(p["batch"] - batch))["frames_per_s"] if points else None


def full_load(check, model, device, bare, room, clips, streams=None):
    """One run under policy full: more cameras than the device can serve, then as many as it can, generated and played. Without `clips`
    the first alone."""
    name = f"live, full{f', {streams} at once' if streams else ''}"
    with ended(check, name, open_run(check, "full" if streams is None else f"full{streams}", model, device, "full", streams=streams)) as run:
        too_many = max(1, int(1.3 * room))
        start = check.step(f"{name}, start", lambda: (True, run.start(generated(too_many))))
        if start["outcome"] != "right":
            return
        engine_rate = bare_rate(bare, start["knee"])

        def share(figures):
            if engine_rate is None:
                return {}
            ratio = round(figures["inferences_per_s"] / engine_rate, 3)
            told = {f"whole program / bare engine{f', {streams} at once' if streams else ''}": ratio,
                    f"whole program{f', {streams} at once' if streams else ''}, inferences/s": figures["inferences_per_s"]}
            return {"engine_share": ratio, "bare_engine_at_knee": engine_rate, "knee": start["knee"], "reaches_aim": ratio >= ENGINE_SHARE_AIM, "told": told}
        # Too many cameras, to see what the whole program gets out of the device.
        over = look(check, f"pipeline, full{f', {streams} at once' if streams else ''}", run, generated(too_many), share)
        if clips is None or over["outcome"] != "right":
            return
        most = find_most(check, f"{name}, generated", run, generated, int(.97 * over["inferences_per_s"] / RATE))
        before = None
        if most:
            before = at_nine_tenths(check, f"{name}, generated", run, generated, most)
        first = most["cameras"] if most else room
        for what, decode in (("clips", "cpu"), ("clips by the device's decoder", "auto")):
            def cameras(count, decode=decode):
                return played(count, clips, decode)
            # The processor decodes some 2,000 frames/s of 640x360 on a core, and has other things to do.
            guess = first if decode == "auto" else min(first, max(1, 60 * (os.cpu_count() or 1)))
            most = find_most(check, f"{name}, {what}", run, cameras, guess)
            if not most:
                continue
            after = at_nine_tenths(check, f"{name}, {what}", run, cameras, most)
            if decode == "auto" and before and "gpu_memory_bytes" in before and "gpu_memory_bytes" in after:
                each = (after["gpu_memory_bytes"] - before["gpu_memory_bytes"]) / after["cameras"]
                check.report["figures"].update({"GPU memory of a run that decodes elsewhere, MB": round(before["gpu_memory_bytes"] / 2**20),
                                                "GPU memory a camera that the device decodes, MB": round(each / 2**20, 1)})


def adaptive_load(check, model, device, room, clips):
    """Policy adaptive, a fifth of the frames inferred at most."""
    name = "live, adaptive at .2"
    with ended(check, name, open_run(check, "adaptive", model, device, "adaptive", budget=.2)) as run:
        first = 2 if check.options.cpu else max(1, min(5 * room, 60 * (os.cpu_count() or 1)))
        start = check.step(f"{name}, start", lambda: (True, run.start(played(first, clips))))
        if start["outcome"] != "right":
            return
        most = find_most(check, name, run, lambda count: played(count, clips), first)
        if most:
            at_nine_tenths(check, name, run, lambda count: played(count, clips), most)


# ---- report

def markdown(report):
    facts_ = report.get("facts", {})
    lines = ["# GPU check", "",
             f"{facts_.get('gpu') or 'no GPU: the processor and an emulated device in its place'}; {facts_.get('cpu', '')}, {facts_.get('cores', '?')} "
             f"cores; {facts_.get('measured_at', '')}; {report.get('seconds', 0)} s; {'all right' if report.get('is_right') else 'NOT all right'}", ""]
    if report.get("figures"):
        lines += ["| asked | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in report["figures"].items()), ""]
    lines += ["| step | outcome | what came out |", "|---|---|---|"]
    for step in report["steps"]:
        hidden = ("step", "outcome", "points", "engine_points", "best", "seconds")
        told = "; ".join(f"{key} {value}" for key, value in step.items() if key not in hidden and value not in (None, [], ""))
        lines.append(f"| {step['step']} | {step['outcome']} | {told.replace('|', '/')} |")
    for step in report["steps"]:
        if "points" not in step:
            continue
        lines += ["", f"{step['step']}:", "", "| batch | batches at once | frames/s | p50 ms | p95 ms |", "|---|---|---|---|---|"]
        lines += [f"| {p['batch']} | {p['streams']} | {p['frames_per_s']:.1f} | {p['p50_ms']:.2f} | {p['p95_ms']:.2f} |" for p in step["points"]]
    for step in report["steps"]:
        if "engine_points" not in step:
            continue
        lines += ["", f"{step['step']}, nothing around it:", "", "| batch | batches at once | what | frames/s | ms a batch | cores |", "|---|---|---|---|---|---|"]
        lines += [f"| {p['batch']} | {p['streams']} | {p['what']} | {p['frames_per_s']:.1f} | {p['batch_ms']:.2f} | {p['cores']:.2f} |"
                  for p in step["engine_points"]]
    return "\n".join(lines) + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = ROOT.parent / "shared" / "testdata"
    parser.add_argument("--framemill", type=Path, required=True)
    parser.add_argument("--libraries", default="", help="folder of the shared libraries that the program needs")
    parser.add_argument("--models", type=Path, default=data / "models")
    parser.add_argument("--clips", type=Path, default=data / "clips")
    parser.add_argument("--demo", action="store_true", help="the shipped model and clip, also where there is test data")
    parser.add_argument("--out", type=Path, default=Path("out/gpu_check"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--cpu", action="store_true", help="the processor and an emulated device in the GPU's place")
    parser.add_argument("--budget", type=float, default=500, help="seconds for all")
    parser.add_argument("--only", default="", help=f"parts to do, with commas between them: {', '.join(PARTS)}; all")
    parser.add_argument("--quick", action="store_true", help="a few frames and seconds of everything: is the script right?")
    options = parser.parse_args()
    options.framemill = options.framemill.resolve()
    options.frames = 8 if options.quick else 40 if options.cpu else 150
    options.window_s, options.settle_s = (1.5, .5) if options.quick else (6, 3)
    options.bench_s = 170
    options.only = [part for part in options.only.split(",") if part]
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"--only: \"{', '.join(sorted(unknown))}\" is none of {', '.join(PARTS)}")
    return options


def chosen(folder, names, ending):
    return [path for name in names if (path := folder / f"{name}{ending}").exists()]


def main():
    options = parse()
    # A thousand clips are a thousand open files; children inherit the limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # What is stopped ends what it has started: `finally` and `with` do that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    check = Check(options)
    check.references = {}
    try:
        return run_checks(check)
    finally:
        shutil.rmtree(check.work, ignore_errors=True)


def run_checks(check):
    options = check.options
    if not os.access(options.framemill, os.X_OK):
        print(f"gpu_check: {options.framemill} is not there; build it first", file=sys.stderr)
        return 2
    demo_models, demo_clips = ROOT / "demo/models", ROOT / "demo/clips"
    models = [] if options.demo else chosen(options.models, ("yolo11n_640_fp32", "rect/yolo11n_640x384_fp32", "yolo11n_640x384_fp32",
                                                             "yolov12n_rmcar_640_fp32"), ".onnx")
    models = models or chosen(options.models, ("line_fp32",), ".onnx") or [demo_models / "line_fp32.onnx"]
    clips = [] if options.demo else chosen(options.clips, ("industrial_bottles_shelf_intel", "motorway_tunnel_federico", "crossing_1080p_thanglm20"),
                                           ".mp4")
    check.clips = clips or chosen(options.clips, ("line",), ".mp4") or [demo_clips / "line.mp4"]
    halves = [path for path in sorted(options.models.glob("*fp16*.onnx")) if "rmcar" not in path.name and "fused" not in path.name]
    device = "CPU" if options.cpu else options.device
    index = device.partition(":")[2] or "0"
    wide = next((path for path in models if "640x384" in path.name), models[0])
    # What one would deploy: FP16, wide.
    deployed = next((path for path in halves if "640x384" in path.name), halves[0] if halves else wide)
    attentive = sorted(options.models.glob("yolov12*fp16*.onnx"))
    models = [path for path in models if "rmcar" not in path.name]  # it finds nothing on these clips
    small = chosen(options.clips, ("motorway_tunnel_federico", "motorway_svincolo_federico"), ".mp4") or check.clips

    def does(part):
        return not options.only or part in options.only

    check.step("facts", lambda: facts(check))
    if does("answers"):
        check.step(f"answers of {wide.name}", check_answers(check, wide, device, "fp32", options.frames))
        check.step("answers with the device's decoder", check_answers(check, wide, device, "fp32", options.frames, decode="auto"))
        if deployed in halves:
            check.step(f"answers of {deployed.name}", check_answers(check, deployed, device, "fp16", options.frames))
    bare = {}
    if does("engine") or does("live"):
        bare = check.step(f"engine, {deployed.name}", engine(check, deployed, device, (2,) if options.cpu else (3,), "1,2" if options.cpu else "1,8,16,32"))
        tell_post_processing(check, bare)
    room = max(1, int((bare.get("best_frames_per_s") or (10 if options.cpu else 8000)) / RATE))
    if does("live"):
        full_load(check, deployed, device, bare, room, small)
    if does("adaptive"):
        adaptive_load(check, deployed, device, room, small)
    if not options.cpu and does("more"):  # what takes longest and says least comes last
        for model in attentive:
            check.step(f"engine, {model.name}", engine(check, model, device, (2,), "32"))
        share = check.report["figures"].get("whole program / bare engine")
        if share is not None and share < ENGINE_SHARE_AIM:
            full_load(check, deployed, device, bare, room, None, streams=4)
        check.step(f"engine, {wide.name}", engine(check, wide, device, (3,), "1,8,32"))
        for model in [m for m in models if m != wide] + [m for m in halves if m != deployed]:
            check.step(f"answers of {model.name}", check_answers(check, model, device, "fp16" if model in halves else "fp32", options.frames))
        check.step(f"engine, {deployed.name}, batches at once", engine(check, deployed, device, whats=("infer",)))
    if not options.cpu and does("engines"):
        # An engine of its own computes in its own way: right answers first, in the model's precision and in the engine's.
        for other, model, precision, setting in (("rtx", deployed, "fp16" if deployed in halves else "fp32", None),
                                                 ("tensorrt", wide, "fp16", "fp16")):
            check.step(f"answers on {other}", check_answers(check, model, f"{other}:{index}", precision, options.frames, setting=setting,
                                                            is_optional=True))
            check.step(f"speed on {other}", bench(check, model, f"{other}:{index}", setting or "auto", is_optional=True))
        check.step(f"speed of {deployed.name}", bench(check, deployed, device, "auto"))
    print(f"gpu_check: {'all right' if check.report['is_right'] else 'NOT all right'}; {options.out}/gpu_check.md", file=sys.stderr)
    return 0 if check.report["is_right"] else 1


if __name__ == "__main__":
    sys.exit(main())
