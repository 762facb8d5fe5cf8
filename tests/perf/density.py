#!/usr/bin/env python3
"""Many looped cameras on this machine under policy adaptive: are all answered in time, and how well?

density.py --testdata DIR --count 50 --seconds 120

Clips are read as live sources, each at its own frame rate, from random offsets. Afterwards every frame of the clips is inferred
once, and the answers are compared with that: agreement.py's figures beside the fidelity that the run's own audits say. Prints the
figures beside their bars; exit status 1 where a bar is missed. Latency counts from the first packet of a frame, so that it holds the
reorder delay of clips with B frames; "own" figures leave that out, and "least possible" ones are what the packets' time stamps
alone allow (reorder_floor.py).

--critical N makes N cameras critical, of clips without B frames, with an slo of their own (--critical-slo).
"""
import argparse
import datetime
import importlib.util
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import reorder_floor

ROOT = pathlib.Path(__file__).resolve().parents[2]
AGREEMENT = ROOT.parent / "shared/tools/agreement.py"  # not part of the repository
CLIPS = ["street_vehicles_ahmetozlu", "reception_hall_ahsan", "industrial_bottles_shelf_intel", "motorway_svincolo_federico",
         "room_one_by_one_person_intel"]
WITHOUT_B_FRAMES = ["street_vehicles_ahmetozlu", "motorway_svincolo_federico"]


def load_agreement(path):
    spec = importlib.util.spec_from_file_location("agreement", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def captured_at(line):
    return datetime.datetime.fromisoformat(line["captured_at"].replace("Z", "+00:00")).timestamp()


def seconds_of(clip):
    text = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", clip], check=True, capture_output=True,
                          text=True).stdout
    return float(text)


def full_inference(a, clips, folder):
    """detections by (clip, file frame index): every frame of every clip, by the same model."""
    found = {}
    for clip in clips:
        out = pathlib.Path(folder) / f"full-{clip.stem}.jsonl"
        subprocess.run([a.build / "framemill", "run", "--source", f"{clip},every=1,id={clip.stem}", "--model", a.testdata / "models" / a.model, "--labels",
                        "coco", "--score", str(a.score), "--policy", "full", "--pace", "fast", "--results", out, "--listen", "off", "--log-level", "warning"],
                       check=True, stderr=subprocess.DEVNULL)
        with open(out, encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                found[clip.stem, line["frame_index"]] = line.get("detections", [])
    return found


def add_agreement(agreement, wanted, given, sums):
    """One frame more in agreement.py's counts."""
    found = agreement.matches(agreement.above(wanted, .5), agreement.above(given, .25), .5)
    sums["found"] += len(found)
    sums["overlap"] += sum(found)
    sums["wanted"] += len(agreement.above(wanted, .5))
    sums["right"] += len(agreement.matches(agreement.above(given, .25), agreement.above(wanted, .2), .5))
    sums["given"] += len(agreement.above(given, .25))
    sums["sure_right"] += len(agreement.matches(agreement.above(given, .5), agreement.above(wanted, .2), .5))
    sums["sure_given"] += len(agreement.above(given, .5))
    sums["frames"] += 1


def harmonic(figures):
    """Fidelity: the harmonic mean of recall and sure precision."""
    return 2 * figures["recall"] * figures["sure"] / max(1e-9, figures["recall"] + figures["sure"])


def compare(agreement, full, results, clip_of, since_s=0.0):
    """agreement.py's figures over all sampled frames; a frame without answer has none."""
    sums = dict.fromkeys(agreement.FIELDS, 0)
    with open(results, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if line["pts_s"] < since_s:
                continue
            wanted = full.get((clip_of[line["camera"]], line["file_frame_index"]))
            if wanted is None:
                continue
            add_agreement(agreement, wanted, line.get("detections", []), sums)
    return agreement.figures(sums)


quantile = reorder_floor.quantile


def floors_ms(a, cameras):
    """By what has to be waited for, the least latency of each frame to be sampled, and the share of them over the slo."""
    packets = {camera["url"]: reorder_floor.packets_of(camera["url"]) for camera in cameras}
    floors = [reorder_floor.floors_of(packets[camera["url"]], 10, float(camera["start"][:-1]), a.seconds) for camera in cameras]
    slo_ms = float(a.slo.removesuffix("ms"))
    every = [[floor for camera in floors for floor in getattr(camera, kind)] for kind in ("order", "count", "decoder")]
    return [(round(quantile(f, .95), 1), round(sum(x > slo_ms for x in f) / len(f), 4)) for f in every]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--testdata", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="rect/yolo11n_512x288_int8.onnx")
    parser.add_argument("--ladder", default="")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--slo", default="200ms")
    parser.add_argument("--policy", default="adaptive")
    parser.add_argument("--score", type=float, default=.2)
    parser.add_argument("--critical", type=int, default=0)
    parser.add_argument("--critical-slo", default="100ms")
    parser.add_argument("--agreement", type=pathlib.Path, default=AGREEMENT, help="the tool that counts agreement: matches(), above(), figures(), FIELDS")
    parser.add_argument("--no-comparison", action="store_true", help="leave out full inference of the clips afterwards")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the run's files")
    a = parser.parse_args()
    if not a.no_comparison and not a.agreement.is_file():
        print(f"{a.agreement} is not there: no comparison with full inference (--agreement FILE)", file=sys.stderr)
        a.no_comparison = True
    draw = random.Random(a.seed)
    clips = [a.testdata.resolve() / f"clips/{name}.mp4" for name in CLIPS]
    lengths = {clip: seconds_of(clip) for clip in clips}
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        cameras, clip_of = [], {}
        for i in range(a.count):
            clip = clips[i % len(clips)]
            cameras.append({"id": f"cam-{i + 1}", "url": str(clip), "loop": True, "start": f"{draw.uniform(0, .9 * lengths[clip]):.2f}s"})
            clip_of[f"cam-{i + 1}"] = clip.stem
        for camera in [c for c in cameras if clip_of[c["id"]] in WITHOUT_B_FRAMES][:a.critical]:
            camera |= {"priority": "critical", "slo": a.critical_slo}
        model = {"path": str(a.testdata.resolve() / "models" / a.model), "labels": "coco", "score": a.score}
        if a.ladder:
            model["ladder"] = [str(a.testdata.resolve() / "models" / rung) for rung in a.ladder.split(",")]
        config = {"models": {"objects": model}, "defaults": {"rate": 10, "slo": a.slo}, "cameras": cameras, "engine": {"policy": a.policy, "pace": "live"},
                  "server": {"listen": "off"}}
        (folder / "site.yaml").write_text(json.dumps(config))
        results, summary = folder / "results.jsonl", folder / "summary.json"
        subprocess.run([a.build / "framemill", "run", folder / "site.yaml", "--for", f"{a.seconds}s", "--results", results, "--summary", summary,
                        "--log-level", "warning"], check=True, stderr=subprocess.DEVNULL)
        s = json.loads(summary.read_text())
        total = s["total"]
        with open(results, encoding="utf-8") as lines:
            answers = [line for line in map(json.loads, lines) if line["origin"] != "none"]
        figures = None
        if not a.no_comparison:
            figures = compare(load_agreement(a.agreement), full_inference(a, clips, folder), results, clip_of)
    floors = floors_ms(a, cameras)
    own = [line["latency_ms"] - line["reorder_ms"] for line in answers]
    own_bad = total["late"] + total["failed"] + sum(line["latency_ms"] - line["reorder_ms"] > line["deadline_ms"] for line in answers)
    critical = {camera["id"] for camera in cameras if camera.get("priority") == "critical"}
    by_model = sorted(line["latency_ms"] if line["origin"] == "inferred" else float("inf") for line in answers if line["camera"] in critical)
    rates = [camera["sampled"] and (camera["inferred"] + camera["propagated"] + camera["reused"]) / s["wall_s"] for camera in s["cameras"]]
    worst_p95 = max(max((camera["latency_ms"][o] or {}).get("p95", 0) for o in ("inferred", "propagated", "reused")) for camera in s["cameras"])
    p95_by_origin = max((total["latency_ms"][o] or {}).get("p95", 0) for o in ("inferred", "propagated", "reused"))
    p95 = quantile([line["latency_ms"] for line in answers], .95)
    bad = (total["late"] + total["failed"] + total["overdue"]) / total["sampled"]
    audited = total["fidelity"] or {}
    rows = [
        ("conserved", s["conserved"], s["conserved"]),
        ("cameras", a.count, None),
        ("answers/s, worst camera", round(min(rates), 2), min(rates) >= 9.5),
        ("latency p95 ms", round(p95, 1), p95 <= 200),
        ("  worse origin", p95_by_origin, None),
        ("  least possible: order, count, decoder", tuple(p95 for p95, _ in floors), None),
        ("  worst camera", worst_p95, None),
        ("  own p50, p95, p99", tuple(round(quantile(own, q), 1) for q in (.5, .95, .99)), None),
        ("late, failed, overdue, share", round(bad, 4), bad <= .01),
        ("  least possible: order, count, decoder", tuple(share for _, share in floors), None),
        ("  own", round(own_bad / total["sampled"], 4), None),
        ("share inferred", total["share_inferred"], None),
        ("inferences", total["inferences"], None),
        ("fidelity, audited", audited.get("value"), (audited.get("value") or 0) >= .93),
        ("  interval, audits", (audited.get("low"), audited.get("high"), audited.get("audits")), None),
    ]
    if figures:
        true_fidelity = harmonic(figures)
        rows += [
            ("fidelity by full inference", round(true_fidelity, 4), audited.get("value") and abs(true_fidelity - audited["value"]) <= .02),
            ("  recall, sure, precision", tuple(round(figures[k], 4) for k in ("recall", "sure", "precision")), None),
        ]
    if by_model:
        slo = next(line["deadline_ms"] for line in answers if line["camera"] in critical)
        in_time = sum(latency <= slo for latency in by_model) / len(by_model)
        began = min(captured_at(line) for line in answers)
        steady = [line["origin"] == "inferred" and line["latency_ms"] <= slo for line in answers if line["camera"] in critical and captured_at(line) >= began + 2]
        rows += [
            (f"critical: by the model in {slo:g} ms", round(in_time, 4), in_time >= .99),
            ("  after the first 2 s", round(sum(steady) / len(steady), 4), None),
            ("  latency p50, p95, p99, max", tuple(round(quantile(by_model, q), 1) for q in (.5, .95, .99, 1)), None),
        ]
    rows += [
        ("cores busy", round(s["cpu_s"] / s["wall_s"], 2), None),
        ("decode, motion, inference s", (total["decode_s"], total["motion_s"], total["inference_s"]), None),
        ("peak RSS MB a camera", round(s["peak_rss_bytes"] / 2**20 / a.count, 1), None),
    ]
    for name, value, holds in rows:
        print(f"{name:40} {value!s:50} {'' if holds is None else 'holds' if holds else 'MISSED'}")
    return 0 if all(holds is None or holds for _, _, holds in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
