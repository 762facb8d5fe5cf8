#!/usr/bin/env python3
"""What scripts/gpu_check.sh runs once there is a program: correctness, speed and whole runs on a GPU, as one JSON and one Markdown.

The processor's results (ONNX Runtime's CPU provider, letterbox and decoder of the host) are the reference. The report is written
anew after each step, so that one which is stopped leaves what it has. A step without time left, or without what it needs, says so.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SURE, IOU_LEAST, SCORE_MOST = .3, .9, .05
AGREEMENT_LEAST = {"fp32": .99, "fp16": .97}
ENGINE_SHARE_AIM = .95  # said, and no reason to call a step wrong: it is speed


class Check:
    def __init__(self, options):
        self.options = options
        self.begin = time.monotonic()
        self.work = Path(tempfile.mkdtemp(prefix="framemill_gpu_check_"))
        self.report = {"schema": "framemill.gpu_check/1", "is_gpu": not options.cpu, "steps": []}
        self.environment = dict(os.environ)
        if options.libraries:
            # The driver may lie in a folder that only this variable names.
            self.environment["LD_LIBRARY_PATH"] = ":".join(filter(None, (options.libraries, os.environ.get("LD_LIBRARY_PATH"))))
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
        print(f"gpu_check: {name}: {entry['outcome']}" + (f" ({entry['reason']})" if "reason" in entry else ""), file=sys.stderr)
        self.write()
        return entry

    def write(self):
        self.report["seconds"] = round(time.monotonic() - self.begin, 1)
        self.report["is_right"] = all(s["outcome"] in ("right", "skipped") for s in self.report["steps"])
        self.options.out.mkdir(parents=True, exist_ok=True)
        (self.options.out / "gpu_check.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (self.options.out / "gpu_check.md").write_text(markdown(self.report))


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
        key = (model.name, decode != "cpu")
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
            seconds = .5 if check.options.quick else 1.
            ran = subprocess.run([program, model, device, batches, str(count), str(seconds), *whats],
                                 capture_output=True, text=True, env=check.environment, timeout=max(5, min(most_s, check.left_s())), check=False)
            if ran.returncode != 0:
                raise RuntimeError(f"device_inference ended with status {ran.returncode}: {last_words(ran.stderr)}")
            points += [json.loads(line) for line in ran.stdout.splitlines()]
        best = {what: max((p for p in points if p["what"] == what), key=lambda p: p["frames_per_s"]) for what in whats}
        return True, {"model": model.name, "best_frames_per_s": best["infer"]["frames_per_s"], "best": best, "engine_points": points}
    return work


def gpu_memory_bytes():
    try:
        ran = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], capture_output=True, text=True,
                             timeout=10, check=False)
        return int(ran.stdout.split()[0]) << 20
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return 0


class MemoryWatch:
    """The most of the GPU's memory that was in use meanwhile, above what was before."""
    def __enter__(self):
        self.before = self.most = gpu_memory_bytes()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ended.wait(1):
            self.most = max(self.most, gpu_memory_bytes())

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def bytes(self):
        return self.most - self.before


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


def live(check, model, device, count, policy, budget=None, clips=None, decode="cpu", engine_rate=None):
    """So many cameras of 640x360 at 10 answers a second, live; generated pictures where there are no clips."""
    def work():
        cameras = [{"id": f"c{i}", "url": f"synthetic://?size=640x360&rate=10&seed={i}", "rate": 10} for i in range(count)]
        if clips:
            cameras = [{"id": f"c{i}", "url": str(clips[i % len(clips)]), "loop": True, "rate": 10, "decode": decode} for i in range(count)]
        engine = {"policy": policy, "pace": "live", **({"budget": budget} if budget else {})}
        with MemoryWatch() as memory:
            summary, _, log = check.run("live", {"path": str(model), "runtime": "onnxruntime", "device": device, "letterbox_on": "device"}, cameras,
                                      engine, arguments=("--for", f"{check.options.run_s}s"))
        total = summary["total"]
        lost = total["superseded"] + total["late"] + total["overdue"]
        share = round(total["inferred"] / summary["wall_s"] / engine_rate, 3) if engine_rate else None
        return summary["conserved"], {"model": model.name, "policy": policy, "cameras": count, "answers_per_s": total["answers_per_s"], "inferences_per_s": round(total["inferred"] / summary["wall_s"], 1),
                                      "engine_share": share, "reaches_aim": share >= ENGINE_SHARE_AIM if engine_rate else None,
                                      "share_inferred": total["share_inferred"], "lost_or_late_share": round(lost / max(1, total["sampled"]), 4),
                                      "latency_ms": total["latency_ms"]["inferred"], "peak_rss_bytes": summary["peak_rss_bytes"],
                                      "cores_busy": round(summary["cpu_s"] / summary["wall_s"], 2), "mean_batch": summary["batch"]["mean"],
                                      "gpu_memory_bytes": memory.bytes(),
                                      "notes": [line.split("] ")[-1][:200] for line in log.splitlines() if " made ready " in line or " warning " in line][:5]}
    return work


# ---- report

def markdown(report):
    facts_ = report.get("facts", {})
    lines = ["# GPU check", "",
             f"{facts_.get('gpu') or 'no GPU: the processor and an emulated device in its place'}; {facts_.get('cpu', '')}, {facts_.get('cores', '?')} "
             f"cores; {facts_.get('measured_at', '')}; {report.get('seconds', 0)} s; {'all right' if report.get('is_right') else 'NOT all right'}", "",
             "| step | outcome | what came out |", "|---|---|---|"]
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
    parser.add_argument("--quick", action="store_true", help="a few frames and seconds of everything: is the script right?")
    options = parser.parse_args()
    options.framemill = options.framemill.resolve()
    options.frames = 8 if options.quick else 40 if options.cpu else 150
    options.run_s = 3 if options.quick else 8
    options.bench_s = 170
    return options


def chosen(folder, names, ending):
    return [path for name in names if (path := folder / f"{name}{ending}").exists()]


def main():
    options = parse()
    check = Check(options)
    check.references = {}
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
    main_model = models[0]
    # What one would deploy: FP16, wide.
    deployed = next((path for path in halves if "640x384" in path.name), halves[0] if halves else main_model)
    wide = next((path for path in models if "640x384" in path.name), main_model)
    attentive = sorted(options.models.glob("yolov12*fp16*.onnx"))
    models = [path for path in models if "rmcar" not in path.name]  # it finds nothing on these clips
    small = chosen(options.clips, ("motorway_tunnel_federico", "motorway_svincolo_federico"), ".mp4") or check.clips

    check.step("facts", lambda: facts(check))
    check.step(f"answers of {wide.name}", check_answers(check, wide, device, "fp32", options.frames))
    check.step("answers with the device's decoder", check_answers(check, wide, device, "fp32", options.frames, decode="auto"))
    if deployed in halves:
        check.step(f"answers of {deployed.name}", check_answers(check, deployed, device, "fp16", options.frames))
    best = check.step(f"engine, {deployed.name}", engine(check, deployed, device, (2,) if options.cpu else (3,), "1,2" if options.cpu else "8,32")
                      ).get("best_frames_per_s") or 10
    room = max(1, int(best / 10))
    # Too many cameras, to see what the whole program gets out of the device.
    check.step(f"pipeline, full, {int(1.3 * room)} cameras", live(check, deployed, device, max(1, int(1.3 * room)), "full", engine_rate=best))
    for what, clips in (("generated pictures", None), ("clips", small)):
        for share in (.5,) if options.cpu else (.9, .75, .6, .45, .3):
            count = max(1, int(share * room))
            entry = check.step(f"live, full, {what}, {count} cameras", live(check, deployed, device, count, "full", clips=clips))
            if entry.get("lost_or_late_share", 1) <= .01:
                count = max(1, int(.9 * count))
                check.step(f"live, full, {what}, {count} cameras (.9 of that)", live(check, deployed, device, count, "full", clips=clips))
                break
    for count in (5 * room,) if options.cpu else (1000, 700, 400):
        entry = check.step(f"live, adaptive at .2, {count} cameras", live(check, deployed, device, count, "adaptive", .2, clips=small))
        if entry.get("lost_or_late_share", 1) <= .01:
            break
    if not options.cpu:  # what takes longest and says least comes last
        for model in attentive:
            check.step(f"engine, {model.name}", engine(check, model, device, (2,), "32"))
        check.step("live, full, the device's decoder, 200 cameras", live(check, deployed, device, 200, "full", clips=small, decode="auto"))
        check.step(f"engine, {wide.name}", engine(check, wide, device, (3,), "1,8,32"))
        for model in [m for m in models if m != wide] + [m for m in halves if m != deployed]:
            check.step(f"answers of {model.name}", check_answers(check, model, device, "fp16" if model in halves else "fp32", options.frames))
        check.step(f"engine, {deployed.name}, batches at once", engine(check, deployed, device, whats=("infer",)))
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
