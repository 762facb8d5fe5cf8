#!/usr/bin/env python3
"""Two models on one machine: what the critical cameras of one wait while the other one is at full load.

two_models.py --testdata DIR [--seconds 20] [--pairs 3] [--slo 200ms] [--critical-slot always]

Alone and with the other model, by turns; the median of the pairs' ratios counts, since the machines drift. The critical
cameras are clips looped at their own pace, answered 10 times a second by `--model`; the others' model gets three times the pictures
that it can take. Exit status 1 where the median ratio of p95 is above 1.3, or more than 1 % of the critical cameras' frames were not inferred.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BAR = 1.3


def run(a, folder, others):
    clips = ("motorway_svincolo_federico", "motorway_tunnel_federico")  # without B frames, which wait for others
    cameras = [{"id": f"critical-{i}", "url": str(a.testdata / f"clips/{clips[i % 2]}.mp4"), "loop": True, "rate": 10, "model": "objects",
                "priority": "critical", "slo": a.slo} for i in range(a.critical)]
    cameras += [{"id": f"other-{i}", "url": f"synthetic://?size=640x360&rate=10&seed={i}", "rate": 10, "model": "defects", "priority": "normal"}
                for i in range(others)]
    models = {"objects": {"path": str(a.testdata / a.model)}}
    if others:
        models["defects"] = {"path": str(a.testdata / a.other)}
    config, results, summary = (folder / f"run.{ending}" for ending in ("yaml", "jsonl", "json"))
    config.write_text(json.dumps({"models": models, "cameras": cameras, "engine": {"policy": "full", "pace": "live", "critical_slot": a.critical_slot}}))
    subprocess.run([a.framemill, "run", config, "--results", results, "--summary", summary, "--for", f"{a.seconds}s", "--listen", "off"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    waits, counts = [], {}
    for line in map(json.loads, results.read_text().splitlines()):
        kind = line["camera"].split("-")[0]
        counts.setdefault(kind, {}).setdefault(line["origin"], 0)
        counts[kind][line["origin"]] += 1
        if kind == "critical" and line["origin"] == "inferred":
            waits.append(line["latency_ms"])
    waits.sort()
    document = json.loads(summary.read_text())
    return {"p50": waits[len(waits) // 2], "p95": waits[len(waits) * 95 // 100], "counts": counts, "conserved": document["conserved"],
            "wall_s": document["wall_s"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--framemill", type=pathlib.Path, default=ROOT / "build/release/framemill")
    parser.add_argument("--testdata", type=pathlib.Path, default=ROOT.parent / "shared/testdata")
    parser.add_argument("--model", default="models/rect/yolo11n_320x192_int8.onnx", help="of the critical cameras, in the test data")
    parser.add_argument("--other", default="models/steel_neu_yolov8n_640_int8_dynamic_alizay.onnx")
    parser.add_argument("--critical", type=int, default=2, help="critical cameras")
    parser.add_argument("--others", type=int, default=4, help="cameras of the other model")
    parser.add_argument("--slo", default="200ms")
    parser.add_argument("--critical-slot", default="auto", choices=("auto", "always"))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    a = parser.parse_args()
    a.testdata = a.testdata.resolve()
    ratios, is_all_there = [], True
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(a.pairs):
            alone, both = (run(a, pathlib.Path(folder), others) for others in (0, a.others))
            ratios.append(both["p95"] / alone["p95"])
            for ran in (alone, both):
                of_critical = ran["counts"]["critical"]
                is_all_there &= ran["conserved"] and of_critical["inferred"] >= .99 * sum(of_critical.values())
            print(f"pair {pair + 1}: critical p50/p95 alone {alone['p50']:.1f}/{alone['p95']:.1f} ms, with the other {both['p50']:.1f}/{both['p95']:.1f} ms: "
                  f"{ratios[-1]:.2f}; {both['counts']}", flush=True)
    median = statistics.median(ratios)
    print(f"p95 with the other model at full load: {median:.2f} of alone (bar {BAR})")
    return 0 if median <= BAR and is_all_there else 1


if __name__ == "__main__":
    sys.exit(main())
