#!/usr/bin/env python3
"""How well `simulate` predicts this machine: bench, then verify over workloads from .3 to 1.5 of capacity, in one go.

prediction.py --models DIR --model yolo11n_512x288_int8.onnx [--model ...] [--clip FILE ...] [--keep DIR --minutes 4]

Each model is profiled before its workloads, again after each --reprofile of them, and at the end; a prediction is made from the newest profile.
Beside each workload stands how fast the model was right before it, over that profile: so far the machine had drifted, which no prediction
can know. Both are printed: predicted from the profile, and predicted at that speed. --search looks for the most cameras of policy full whose
frames are answered in time to 99 %, predicted and measured. --keep with --minutes makes it in pieces: what is done is kept there, each call goes on
where the last one ended and ends before the time is over (exit status 3: not done yet).
Prints a line a workload, medians and worst beside their bars; exit status 1 where a bar is missed.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

BELOW, ABOVE = "up to .9", "above .9"


class OutOfTime(Exception):
    """The next step would not end in time."""


class Notebook:
    """What was measured, by name; kept in a file, so that a later call need not measure it again."""

    def __init__(self, path, minutes):
        self.path = path
        self.known = json.loads(path.read_text()) if path.exists() else {}
        self.end = time.monotonic() + 60 * minutes if minutes else math.inf
        self.took = {}

    def get(self, name, kind, measure, seconds):
        """`seconds`: what such a step takes at first guess; then what the longest of its kind took."""
        if name not in self.known:
            begin = time.monotonic()
            if begin + self.took.get(kind, seconds) > self.end:
                raise OutOfTime(name)
            self.known[name] = measure()
            self.took[kind] = max(self.took.get(kind, 0), time.monotonic() - begin)
            self.path.write_text(json.dumps(self.known, indent=1))
        return self.known[name]


class Machine:
    def __init__(self, arguments, folder):
        self.a, self.folder = arguments, folder
        self.notes = Notebook(folder / "measured.json", arguments.minutes)
        self.clips = [part for clip in arguments.clip for part in ("--clip", clip)]

    def run(self, *command):
        done = subprocess.run([str(part) for part in (self.a.build / "framemill", *command)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
        return json.loads(done.stdout)

    def bench(self, model, turn):
        """The profile's file and the frames a second at its knee."""
        path = self.folder / f"{pathlib.Path(model).stem}-{turn}.json"
        quick = ["--quick"] if self.a.quick else []

        def measure():
            profile = self.run("bench", self.a.models / model, "--out", path, "--json", *self.clips[:2], *quick)
            return next(p for p in profile["points"] if p["batch"] == profile["knee_batch"] and p["streams"] == profile["run_streams"] and p["decoders"] == 0)["frames_per_s"]
        return path, self.notes.get(f"bench {model} {turn}", "bench", measure, 20 if quick else 100)

    def verify(self, model, profile, policy, rate, cameras, is_played=True):
        name = f"{'verify' if is_played else 'predict'} {profile.name} {policy} {rate:g}/s {cameras}"

        def measure():
            site = self.folder / "site.yaml"
            site.write_text(json.dumps({"cameras": [{"name": "all", "count": cameras, "resolution": self.a.resolution, "fps": 25, "rate": rate,
                                                     "slo": self.a.slo, "model": pathlib.Path(model).name, "policy": policy}]}))
            how = ["--for", f"{self.a.seconds}s"] if is_played else ["--predict"]
            report = self.run("verify", site, "--profile", profile, "--models", (self.a.models / model).parent, "--json", *how, *self.clips)
            return {key: report[key] for key in ("capacity_per_s", "speed", "classes", "cores_busy")}
        return self.notes.get(name, "verify" if is_played else "predict", measure, self.a.seconds + 15 if is_played else 5)


def cameras_for(machine, model, profile, knee, policy, rate, load):
    """So many that they ask for `load` of what the device can do beside them."""
    first = max(1, round(knee / rate))
    per_camera = (knee - machine.verify(model, profile, policy, rate, first, is_played=False)["capacity_per_s"]) / first
    return max(1, round(load * knee / (rate + load * per_camera)))


def search(machine, model, profile, knee, rate):
    """The most cameras with 99 % answered in time: predicted, found."""
    def holds(cameras, side):
        group = machine.verify(model, profile, "full", rate, cameras, is_played=side == "measured")["classes"][0][side]
        return group["in_time_per_s"] >= .99 * group["sampled_per_s"]
    low, high = 1, max(2, round(1.5 * knee / rate))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle, "predicted") else (low, middle)
    found, step = low, max(1, round(.03 * low))
    while found > step and not holds(found, "measured"):
        found -= step
    while holds(found, "measured") and holds(found + step, "measured"):
        found += step
    return low, found


def measure_all(machine):
    a = machine.a
    rows, most, drifts = [], [], []
    for model in a.model:
        plan = [(policy, float(load)) for load in a.loads.split(",") for policy in a.policies.split(",")]
        rates = [float(rate) for rate in a.rates.split(",")]
        profile, knee = machine.bench(model, 0)
        knees = [knee]
        for i, (policy, load) in enumerate(plan):
            if i > 0 and i % a.reprofile == 0:
                profile, knee = machine.bench(model, len(knees))
                knees.append(knee)
            rate = rates[i // len(a.policies.split(",")) % len(rates)]
            cameras = cameras_for(machine, model, profile, knee, policy, rate, load)
            done = machine.verify(model, profile, policy, rate, cameras)
            rows.append({"model": pathlib.Path(model).stem, "policy": policy, "rate": rate, "cameras": cameras, "load": cameras * rate / done["capacity_per_s"],
                         "speed": done["speed"], **{side: done["classes"][0][side] for side in ("predicted", "predicted_at_speed", "measured")}})
        if a.search:
            most.append((pathlib.Path(model).stem, *search(machine, model, profile, knee, rates[0])))
        knees.append(machine.bench(model, len(knees))[1])
        drifts.append((pathlib.Path(model).stem, knees))
    return rows, most, drifts


def error(row, side, key):
    return row["measured"][key] / row[side][key] - 1 if row[side][key] else float("nan")


def points(row, side):
    return row["measured"]["share_inferred"] - row[side]["share_inferred"]


def print_table(rows):
    print(f"{'model':24} {'policy':8} {'rate':>4} {'cameras':>7} {'load':>5} {'speed':>6} | {'p95 ms':>15} {'error':>7} {'at speed':>8} | "
          f"{'inferred/s':>15} {'error':>7} {'at speed':>8} | {'share':>11} {'points':>6} {'at speed':>8} | {'in time/s':>15} {'error':>7} {'at speed':>8}")
    for row in rows:
        predicted, measured = row["predicted"], row["measured"]
        line = f"{row['model']:24} {row['policy']:8} {row['rate']:>4g} {row['cameras']:>7} {row['load']:>5.2f} {row['speed']:>6.3f}"
        for key in ("p95_ms", "inferred_per_s", "share_inferred", "in_time_per_s"):
            if key == "share_inferred":
                line += (f" | {predicted[key]:>5.3f} {measured[key]:>5.3f} {100 * points(row, 'predicted'):>+6.1f} {100 * points(row, 'predicted_at_speed'):>+8.1f}")
            else:
                line += (f" | {predicted[key]:>7.1f} {measured[key]:>7.1f} {100 * error(row, 'predicted', key):>+6.1f}% "
                         f"{100 * error(row, 'predicted_at_speed', key):>+7.1f}%")
        print(line)


def verdict(rows, most, drifts):
    """Prints medians and worst; whether all bars hold."""
    below = [row for row in rows if row["load"] <= .9]
    above = [row for row in rows if row["load"] > .9]
    lines = []
    for where, group, what, of, bar in ((BELOW, below, "p95", lambda r, s: error(r, s, "p95_ms"), .10), (BELOW, below, "inferred/s", lambda r, s: error(r, s, "inferred_per_s"), .05),
                                        (ABOVE, above, "share inferred (points)", points, .02), (ABOVE, above, "goodput", lambda r, s: error(r, s, "in_time_per_s"), .05)):
        if group:
            of_profile = [abs(of(row, "predicted")) for row in group]
            at_speed = [abs(of(row, "predicted_at_speed")) for row in group]
            lines.append((f"{where}: {what}, {len(group)} workloads", of_profile, at_speed, bar))
    is_good = True
    print(f"\n{'':48} {'median':>7} {'worst':>7} {'at speed':>9} {'worst':>7} {'bar':>6}")
    for name, of_profile, at_speed, bar in lines:
        median = statistics.median(of_profile)
        is_good = is_good and median <= bar
        print(f"{name:48} {100 * median:>6.1f}% {100 * max(of_profile):>6.1f}% {100 * statistics.median(at_speed):>8.1f}% {100 * max(at_speed):>6.1f}% {100 * bar:>5.0f}%  "
              f"{'holds' if median <= bar else 'MISSED'}")
    for model, predicted, found in most:
        is_near = abs(predicted - found) <= max(1, .05 * found)
        is_good = is_good and is_near
        print(f"{model}: at most {predicted} cameras predicted, {found} found: {'holds' if is_near else 'MISSED'}")
    for model, knees in drifts:
        print(f"{model}: profiled at {', '.join(f'{knee:.1f}' for knee in knees)}/s: the machine drifted by {100 * (max(knees) / min(knees) - 1):.1f} %")
    return is_good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--clip", action="append", default=[])
    parser.add_argument("--resolution", default="640x360", help="of the cameras: that of the clips")
    parser.add_argument("--rates", default="10", help="by turns")
    parser.add_argument("--slo", default="200ms")
    parser.add_argument("--loads", default="0.3,0.6,0.85,1.2,1.5")
    parser.add_argument("--policies", default="full,adaptive")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--reprofile", type=int, default=5, help="a new profile after so many workloads")
    parser.add_argument("--search", action="store_true", help="the most cameras, predicted and found")
    parser.add_argument("--quick", action="store_true", help="quick profiles")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for profiles and what was measured")
    parser.add_argument("--minutes", type=float, help="ends before, to go on another time; with --keep")
    a = parser.parse_args()
    if a.minutes and not a.keep:
        parser.error("--minutes needs --keep")
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            rows, most, drifts = measure_all(Machine(a, folder))
        except OutOfTime as step:
            print(f"not done yet; the next step is {step}: run this again", file=sys.stderr)
            return 3
    print_table(rows)
    return 0 if verdict(rows, most, drifts) else 1


if __name__ == "__main__":
    sys.exit(main())
