#!/usr/bin/env python3
"""CPU cost of `framemill run --pace fast` beside its parts alone, in alternating pairs on one machine.

fast.py --build build/release --testdata DIR [--pairs 5] [--answers 100] [--out FILE.json]

A: framemill run (decode, letterbox, inference, head, NMS, tracks, JSON lines), CPU-seconds from its summary.
B: the bare inference loop of the same model and streams + `ffmpeg -threads 1 -i CLIP -fps_mode passthrough -f null -` of
   the same frames. Both without loading the model. The ratio A / B is taken pair by pair; the median is the figure.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

CLIPS = ("street_vehicles_ahmetozlu", "reception_hall_ahsan", "industrial_bottles_shelf_intel", "motorway_svincolo_federico",
         "room_one_by_one_person_intel")
MODELS = ("openvino/yolo11n_640_int8_yassim.xml", "rect/yolo11n_512x288_int8.onnx")


def cpu_of(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--testdata", type=pathlib.Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--out", type=pathlib.Path)
    a = parser.parse_args()
    steps = json.loads((a.testdata / "reference/steps.json").read_text())
    rows = []
    for model in MODELS:
        for name in CLIPS:
            clip, every = a.testdata / f"clips/{name}.mp4", steps[name]["every"]
            pairs = []
            for _ in range(a.pairs):
                with tempfile.TemporaryDirectory() as folder:
                    summary = pathlib.Path(folder) / "summary.json"
                    subprocess.run([a.build / "framemill", "run", "--source", f"{clip},every={every}", "--model", a.testdata / "models" / model,
                                    "--labels", "coco", "--pace", "fast", "--max-answers", str(a.answers), "--results", f"{folder}/results.jsonl",
                                    "--summary", summary, "--listen", "off"], check=True, stderr=subprocess.DEVNULL)
                    done = json.loads(summary.read_text())
                total = done["total"]
                bare = json.loads(subprocess.run([a.build / "tests/perf/bare_inference", a.testdata / "models" / model, "2", str(total["inferred"])],
                                                 check=True, capture_output=True).stdout)
                decode = cpu_of(["ffmpeg", "-v", "error", "-threads", "1", "-i", str(clip), "-frames:v", str(total["captured"]), "-fps_mode", "passthrough",
                                 "-f", "null", "-"])
                pairs.append({"ours": done["cpu_s"], "bare": bare["cpu_s"], "ffmpeg": decode, "our_decode": total["decode_s"],
                              "skipped": total["source"]["packets_skipped"], "captured": total["captured"], "inferred": total["inferred"],
                              "wall": done["wall_s"], "bare_wall": bare["wall_s"], "ratio": done["cpu_s"] / (bare["cpu_s"] + decode)})
            middle = {key: statistics.median(p[key] for p in pairs) for key in pairs[0]}
            rows.append({"model": model, "clip": name, **middle, "least": min(p["ratio"] for p in pairs), "most": max(p["ratio"] for p in pairs)})
            r = rows[-1]
            print(f"{model.split('/')[-1]:32} {name:32} ours {r['ours']:.2f} s, bare {r['bare']:.2f} + ffmpeg {r['ffmpeg']:.2f} s: "
                  f"ratio {r['ratio']:.3f} ({r['least']:.3f}-{r['most']:.3f}); throughput {r['bare_wall'] / r['wall']:.3f} of the bare loop", flush=True)
    for model in MODELS:
        print(f"{model}: median ratio {statistics.median(r['ratio'] for r in rows if r['model'] == model):.3f}")
    if a.out:
        a.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
