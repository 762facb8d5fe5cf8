#!/usr/bin/env python3
"""Cameras over real RTSP for some time: answer rate, latency, fairness, memory.

live.py --build build/release --testdata DIR --count 4 --seconds 60          in time
live.py --build build/release --testdata DIR --count 20 --seconds 600        under overload

The cameras are played by tests/camera_sim on the same machine, which takes its share of the processor. Prints the figures beside
their bars; exit status 1 where a bar is missed.
"""
import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/camera_sim"))
import sim_client


def seconds(line):
    return datetime.datetime.fromisoformat(line["captured_at"].replace("Z", "+00:00")).timestamp()


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(p * len(values)))] if values else float("nan")


def rss_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--testdata", type=pathlib.Path, required=True)
    parser.add_argument("--clips", default="motorway_svincolo_federico,motorway_tunnel_federico")
    parser.add_argument("--model", default="rect/yolo11n_640x384_int8.onnx")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--slo", default="200ms")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--policy", default="full")
    parser.add_argument("--out", type=pathlib.Path)
    a = parser.parse_args()
    clips = [a.testdata / f"clips/{name}.mp4" for name in a.clips.split(",")]
    cameras = [part for i in range(a.count) for part in ("--camera", f"cam-{i + 1}={clips[i % len(clips)]},start={1.7 * i % 12:.1f}")]
    with tempfile.TemporaryDirectory() as folder, sim_client.CameraSim(*cameras) as sim:
        results, summary = pathlib.Path(folder) / "results.jsonl", pathlib.Path(folder) / "summary.json"
        sources = [part for i, url in enumerate(sim.urls) for part in ("--source", f"{url},id=cam-{i + 1}")]
        process = subprocess.Popen([a.build / "framemill", "run", *sources, "--model", a.testdata / "models" / a.model, "--labels", "coco",
                                    "--rate", str(a.rate), "--slo", a.slo, "--policy", a.policy, "--for", f"{a.seconds}s", "--results", results,
                                    "--summary", summary, "--listen", "off"], stderr=subprocess.PIPE, text=True)
        memory = []
        started = time.monotonic()
        while process.poll() is None and time.monotonic() < started + a.seconds + 30:
            time.sleep(1)
            if process.poll() is None:
                memory.append((time.monotonic() - started, rss_mb(process.pid)))
        _, log = process.communicate()
        sim_cpu = sim.cpu_seconds()
        done = json.loads(summary.read_text())
        lines = [json.loads(line) for line in results.read_text().splitlines()]
    total = done["total"]
    first = min(seconds(l) for l in lines)
    by_camera = {c["camera"]: [l for l in lines if l["camera"] == c["camera"]] for c in done["cameras"]}
    # The first two seconds are start-up: cameras connect one after the other.
    begin, end = first + 2, first + a.seconds - 1
    rates = {c: sum(l["origin"] != "none" and begin <= seconds(l) < end for l in ls) / (end - begin) for c, ls in by_camera.items()}
    inferred = {c: [seconds(l) for l in ls if l["origin"] == "inferred" and begin <= seconds(l) < end] for c, ls in by_camera.items()}
    gaps = [gap / statistics.mean(steps) for times in inferred.values() if (steps := [b - a_ for a_, b in zip(times, times[1:])]) for gap in steps]
    latencies = [l["latency_ms"] for l in lines if l["origin"] != "none" and begin <= seconds(l) < end]
    answered = sum(l["origin"] != "none" for l in lines)
    steady = [mb for at, mb in memory if at >= 60]
    mean_inferred = statistics.mean(len(t) for t in inferred.values())
    rows = {
        "conserved": done["conserved"],
        "cameras": a.count,
        "answers/s, worst camera": round(min(rates.values()), 3),
        "answers/s, all": round(sum(rates.values()), 2),
        "inferences/s": round(sum(map(len, inferred.values())) / (end - begin), 2),
        "latency p50 ms": round(percentile(latencies, .5), 1),
        "latency p95 ms": round(percentile(latencies, .95), 1),
        "latency p99 ms": round(percentile(latencies, .99), 1),
        "reorder ms, mean": total["reorder_ms"],
        "answers after their slo, share": round(total["overdue"] / max(1, answered), 5),
        "least share of a camera / mean": round(min(len(t) for t in inferred.values()) / mean_inferred, 3),
        "gap p99.9 / mean": round(percentile(gaps, .999), 2),
        "RSS MB after 60 s": round(steady[0], 1) if steady else None,
        "RSS growth after 60 s": round(max(steady[-10:]) / steady[0] - 1, 4) if steady else None,
        "peak RSS MB a camera": round(done["peak_rss_bytes"] / 1e6 / a.count, 1),
        "cores busy": round(done["cpu_s"] / done["wall_s"], 2),
        "cores of the camera simulator": round(sim_cpu / done["wall_s"], 2),
        "outcomes": {o: total[o] for o in ("sampled_out", "inferred", "reused", "superseded", "late", "failed")},
        "reconnects": sum(c["reconnects"] for c in done["cameras"]),
    }
    for name, value in rows.items():
        print(f"{name:34} {value}")
    if a.out:
        a.out.write_text(json.dumps(rows, indent=1) + "\n")
    if process.returncode != 0:
        print(log, file=sys.stderr)
    return 0 if process.returncode == 0 and done["conserved"] else 1


if __name__ == "__main__":
    sys.exit(main())
