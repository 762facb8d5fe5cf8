#!/usr/bin/env python3
"""Load in steps over real RTSP: 10 cameras, then 50, then 10 again, under policy adaptive with a ladder. How soon is all in bound again?

load_steps.py --testdata DIR --phase 30

The cameras are played by tests/camera_sim on the same machine, which takes its share of the processor; those that are not needed
refuse. Says for each second and step: answers a camera, p95 of latency, and afterwards the gaps between on-time answers and how
often cameras changed their rung. Exit status 1 where a bar is missed.
"""
import argparse
import collections
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/camera_sim"))
import sim_client

CLIPS = ["street_vehicles_ahmetozlu", "motorway_svincolo_federico"]  # without B frames


def seconds(line):
    return datetime.datetime.fromisoformat(line["captured_at"].replace("Z", "+00:00")).timestamp()


def quantile(values, q):
    values = sorted(values)
    return values[round(q * (len(values) - 1))] if values else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--testdata", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="rect/yolo11n_512x288_int8.onnx")
    parser.add_argument("--ladder", default="rect/yolo11n_320x192_int8.onnx")
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=50)
    parser.add_argument("--phase", type=float, default=30, help="seconds of each of the three")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the run's files")
    a = parser.parse_args()
    models = a.testdata.resolve() / "models"
    cameras = [part for i in range(a.many)
               for part in ("--camera", f"cam-{i + 1}={a.testdata / 'clips' / CLIPS[i % len(CLIPS)]}.mp4,start={1.7 * i % 12:.1f}")]
    extra = [f"cam-{i + 1}" for i in range(a.few, a.many)]
    with tempfile.TemporaryDirectory() as temporary, sim_client.CameraSim(*cameras) as sim:
        folder = a.keep or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        model = {"path": str(models / a.model), "labels": "coco", "score": .2}
        if a.ladder:
            model["ladder"] = [str(models / rung) for rung in a.ladder.split(",")]
        config = {"models": {"objects": model}, "defaults": {"rate": 10, "slo": "200ms"}, "engine": {"policy": "adaptive", "pace": "live"},
                  "cameras": [{"id": f"cam-{i + 1}", "url": url} for i, url in enumerate(sim.urls)], "server": {"listen": "off"}}
        (folder / "site.yaml").write_text(json.dumps(config))
        for name in extra:
            sim.fault(name, "refuse")
        results, summary = folder / "results.jsonl", folder / "summary.json"
        process = subprocess.Popen([a.build / "framemill", "run", folder / "site.yaml", "--for", f"{3 * a.phase + 5}s", "--results", results,
                                    "--summary", summary, "--log-level", "error"], stderr=subprocess.DEVNULL)
        try:
            while not (results.exists() and results.stat().st_size):
                time.sleep(.05)
            marks = [time.time()]
            time.sleep(a.phase)
            for name in extra:
                sim.clear(name)
            marks.append(time.time())
            time.sleep(a.phase)
            for name in extra:
                sim.fault(name, "refuse")
            marks.append(time.time())
        finally:
            process.wait(timeout=3 * a.phase + 60)
        lines = [json.loads(line) for line in open(results, encoding="utf-8")]
        done = json.loads(summary.read_text())
    by_camera = collections.defaultdict(list)
    for line in lines:
        by_camera[line["camera"]].append((seconds(line) - marks[0], line))
    holds = done["conserved"]
    print(f"conserved {done['conserved']}, share inferred {done['total']['share_inferred']}, fidelity {done['total']['fidelity']}")
    steps = [("few", 0, a.few), ("many", marks[1] - marks[0], a.many), ("few again", marks[2] - marks[0], a.few)]
    for name, begin, count in steps:
        names = [f"cam-{i + 1}" for i in range(count)]
        print(f"\n{name}: {count} cameras\n{'second':>8} {'answers/s':>10} {'worst':>6} {'p95 ms':>8} {'late':>6} {'inferred':>9} {'rungs'}")
        for second in range(int(a.phase) - 1):
            window = [(camera, line) for camera in names for at, line in by_camera[camera] if begin + second <= at < begin + second + 1]
            answers = [(camera, line) for camera, line in window if line["origin"] != "none"]
            if not window:
                continue
            rates = collections.Counter(camera for camera, _ in answers)
            p95 = quantile([line["latency_ms"] for _, line in answers], .95)
            bad = len(window) - len(answers) + sum(not line["on_time"] for _, line in answers)
            inferred = [line["variant"] for _, line in answers if line["origin"] == "inferred"]
            rungs = ", ".join(f"{variant} {n}" for variant, n in sorted(collections.Counter(inferred).items()))
            if second < 5 or second % 5 == 0:
                print(f"{second:>8} {len(answers) / count:>10.2f} {min(rates[c] for c in names):>6} {p95:>8.1f} {bad:>6} {len(inferred):>9} {rungs}")
            # The extra cameras connect with back-off, so that the step up counts from then.
            if second >= (4 if name == "many" else 2) and (p95 > 200 or len(answers) / count < 9.5):
                print(f"{'':>8} out of bound in second {second}")
                holds = False
        gaps = []
        for camera in names:
            on_time = sorted(at for at, line in by_camera[camera] if line["origin"] != "none" and line["on_time"] and begin + 4 <= at < begin + a.phase - 1)
            gaps += [later - earlier for earlier, later in zip(on_time, on_time[1:])]
        worst = quantile(gaps, .999) / .1
        print(f"gap between on-time answers: p99.9 {worst:.2f} periods, most {max(gaps) / .1:.2f}")
        holds = holds and worst <= 3
    changes = [camera["rung_changes"] for camera in done["cameras"]]
    print(f"\nrung changes a camera: most {max(changes)}, sum {sum(changes)} (two steps; at most 2 a step)")
    return 0 if holds and max(changes) <= 4 else 1


if __name__ == "__main__":
    sys.exit(main())
