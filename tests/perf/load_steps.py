#!/usr/bin/env python3
"""Load in steps: 10 cameras, then 50, then 10 again, under policy adaptive with a ladder. How soon is all in bound again?

load_steps.py --testdata DIR --phase 30

The cameras are looped clips at their own pace from random offsets; those of the step are added and removed while it runs, by a
changed configuration that is read again through the HTTP API. Afterwards each frame of the clips is inferred once, and the answers
are held against that in windows of 2 s. With --rtsp the cameras are played by tests/camera_sim on the same machine, which takes its
share of the processor; those that are not needed refuse, and nothing is compared.
Every moment from the step to the end of its phase is judged; what is not, is printed.
Says for each second and step: answers a camera, p95 of latency, agreement; then the gaps between on-time answers, and how often
cameras changed their rung. Exit status 1 where a bar is missed.
"""
import argparse
import collections
import datetime
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
sys.path.insert(0, str(ROOT / "tests/camera_sim"))
sys.path.insert(0, str(ROOT / "tests/perf"))
import density
import sim_client
from framemill import free_port

CLIPS = density.WITHOUT_B_FRAMES
WINDOW_S = 2
SOON_S = 2       # after a step rate and latency are to be in bound again
SETTLED_S = 12   # from here on after a step agreement is to be what it stays
TOLERANCE = .02
PERIOD_S = .1
RATE = 9.5
P95_MS = 200


def seconds(line):
    return datetime.datetime.fromisoformat(line["captured_at"].replace("Z", "+00:00")).timestamp()


class FileCameras:
    """Looped clips; the configuration names as many as there are to be."""

    def __init__(self, a, folder):
        draw = random.Random(a.seed)
        clips = [a.testdata.resolve() / f"clips/{name}.mp4" for name in CLIPS]
        lengths = {clip: density.seconds_of(clip) for clip in clips}
        self.clip_of, self.cameras = {}, []
        for i in range(a.many):
            clip = clips[i % len(clips)]
            self.clip_of[f"cam-{i + 1}"] = clip.stem
            self.cameras.append({"id": f"cam-{i + 1}", "url": str(clip), "loop": True, "start": f"{draw.uniform(0, .9 * lengths[clip]):.2f}s"})
        self.few, self.path = a.few, folder / "site.yaml"
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def configure(self, config):
        self.config = config | {"server": {"listen": self.address}}
        self.write(self.few)

    def write(self, count):
        self.path.write_text(json.dumps(self.config | {"cameras": self.cameras[:count]}))

    def step(self, count):
        self.write(count)
        request = urllib.request.Request(f"http://{self.address}/api/v1/config/reload", method="POST")
        with urllib.request.urlopen(request, timeout=30) as response:
            json.load(response)


class RtspCameras:
    """Played by the camera simulator; those that are not needed refuse."""

    def __init__(self, a, folder):
        cameras = [part for i in range(a.many)
                   for part in ("--camera", f"cam-{i + 1}={a.testdata / 'clips' / CLIPS[i % len(CLIPS)]}.mp4,start={1.7 * i % 12:.1f}")]
        self.extra = [f"cam-{i + 1}" for i in range(a.few, a.many)]
        self.few, self.path = a.few, folder / "site.yaml"
        self.sim = sim_client.CameraSim(*cameras)

    def __enter__(self):
        self.sim.start()
        return self

    def __exit__(self, *_):
        self.sim.stop()

    def configure(self, config):
        config = config | {"cameras": [{"id": f"cam-{i + 1}", "url": url} for i, url in enumerate(self.sim.urls)], "server": {"listen": "off"}}
        self.path.write_text(json.dumps(config))
        self.step(self.few)

    def step(self, count):
        for name in self.extra:
            if count == self.few:
                self.sim.fault(name, "refuse")
            else:
                self.sim.clear(name)


class Report:
    """Prints what became of a run, whether each bar holds, and what no bar looks at."""

    def __init__(self, a, lines, marks, full, clip_of, agreement=None):
        self.a, self.full, self.clip_of = a, full, clip_of
        self.agreement = agreement or (density.load_agreement(density.AGREEMENT) if full else None)
        self.by_camera = collections.defaultdict(list)
        for line in lines:
            self.by_camera[line["camera"]].append((seconds(line) - marks[0], line))
        self.holds = True

    def bar(self, text, holds):
        print(f"  {text:84} {'holds' if holds else 'MISSED'}")
        self.holds &= bool(holds)

    def not_judged(self, text):
        print(f"  not judged: {text}")

    def lines(self, names, begin, end):
        return [(camera, line) for camera in names for at, line in self.by_camera[camera] if begin <= at < end]

    def counts_from(self, names, begin):
        """Of each camera, from when on its answers count: SOON_S after the step. A camera that is played over RTSP refuses before the
        step, and comes when its back-off ends: it counts from SOON_S after its first frame."""
        since = dict.fromkeys(names, begin + SOON_S)
        if not self.a.rtsp:
            return since
        for camera in names:
            first = next((at for at, _ in self.by_camera[camera] if at >= begin), math.inf)
            was_there = any(begin - 1 <= at < begin for at, _ in self.by_camera[camera])
            if not was_there:
                since[camera] = first + SOON_S
        late = {camera: at for camera, at in since.items() if at > begin + SOON_S}
        if late:
            self.not_judged(f"answer rate and p95 of {len(late)} of {len(names)} cameras in the {SOON_S} s after their first frame, where that came later "
                            f"than the step, at most {max(late.values()) - begin - SOON_S:.1f} s: they refused until then")
        return since

    def phase(self, name, begin, count):
        print(f"\n{name}: {count} cameras\n{'second':>8} {'answers/s':>10} {'worst':>6} {'p95 ms':>8} {'late':>6} {'inferred':>9}  rungs")
        names = [f"cam-{i + 1}" for i in range(count)]
        end = begin + self.a.phase
        since = self.counts_from(names, begin)
        out_of_bound = []
        for second in range(int(self.a.phase)):
            judged = [camera for camera in names if since[camera] <= begin + second]
            shown = judged or names
            window = self.lines(shown, begin + second, begin + second + 1)
            answers = [(camera, line) for camera, line in window if line["origin"] != "none"]
            rates = collections.Counter(camera for camera, _ in answers)
            p95 = density.quantile([line["latency_ms"] for _, line in answers], .95) if answers else math.inf
            bad = len(window) - len(answers) + sum(not line["on_time"] for _, line in answers)
            inferred = [line["variant"] for _, line in answers if line["origin"] == "inferred"]
            rungs = ", ".join(f"{variant} {n}" for variant, n in sorted(collections.Counter(inferred).items()))
            is_out = p95 > P95_MS or len(answers) / len(shown) < RATE
            if second < 5 or second % 5 == 0 or is_out:
                print(f"{second:>8} {len(answers) / len(shown):>10.2f} {min(rates[c] for c in shown):>6} {p95:>8.1f} {bad:>6} {len(inferred):>9}  {rungs}")
            if judged and is_out:
                out_of_bound.append(second)
        self.bar(f"p95 <= {P95_MS} ms and >= {RATE} answers/s a camera from second {SOON_S} on (out: {out_of_bound or 'never'})", not out_of_bound)
        self.rates(since, end)
        self.gaps(names, begin, end)
        self.rungs(names, begin, end)
        if self.full:
            self.windows(names, begin)
        else:
            self.not_judged("agreement with full inference, " + (
                "since RTSP cameras say nothing of the file's frame: once more without --rtsp" if self.a.rtsp else f"since {density.AGREEMENT} is not there"))

    def rates(self, since, end):
        def rate(camera):
            begin = since[camera]
            answers = [line for _, line in self.lines([camera], begin, end) if line["origin"] != "none"]
            return len(answers) / (end - begin) if end - begin >= 1 else 0
        worst = min(since, key=rate)
        self.bar(f"each camera from then on: {worst} has the least, {rate(worst):.2f} answers/s (>= {RATE})", rate(worst) >= RATE)

    def gaps(self, names, begin, end):
        """From the step on: a camera that was there before begins with its last answer before it, another one with its first. The time
        from the last answer to the end of the phase is one, too."""
        gaps = []
        for camera in names:
            on_time = sorted(at for at, line in self.by_camera[camera] if at < end and line["origin"] != "none" and line["on_time"])
            before = [at for at in on_time if begin - 1 <= at < begin][-1:]
            times = before + [at for at in on_time if at >= begin]
            gaps += [later - earlier for earlier, later in zip(times, times[1:] + [end])] or [end - begin]
        worst = density.quantile(gaps, .999) / PERIOD_S
        self.bar(f"gap between on-time answers: p99.9 {worst:.2f} periods, most {max(gaps) / PERIOD_S:.2f} (p99.9 <= 3)", worst <= 3)

    def rungs(self, names, begin, end):
        """Of all inferred answers from the last one before the step on."""
        changes = []
        for camera in names:
            used = [(at, line["variant"]) for at, line in self.by_camera[camera] if at < end and line["origin"] == "inferred"]
            used = [rung for at, rung in used if at < begin][-1:] + [rung for at, rung in used if at >= begin]
            changes.append(sum(a != b for a, b in zip(used, used[1:])))
        self.bar(f"rung changes a camera: most {max(changes)}, sum {sum(changes)} (<= 2)", max(changes) <= 2)

    def fidelity(self, names, begin, end):
        sums = dict.fromkeys(self.agreement.FIELDS, 0)
        for camera, line in self.lines(names, begin, end):
            density.add_agreement(self.agreement, self.full[self.clip_of[camera], line["file_frame_index"]], line.get("detections", []), sums)
        figures = self.agreement.figures(sums)
        return density.harmonic(figures), sums["wanted"]

    def windows(self, names, begin):
        """Whole windows; what is left at the end of a phase that is no multiple of them is in the final value alone."""
        phase = self.a.phase
        values = [self.fidelity(names, begin + at, begin + at + WINDOW_S) for at in range(0, int(phase) - WINDOW_S + 1, WINDOW_S)]
        final, _ = self.fidelity(names, begin + SETTLED_S, begin + phase)
        print("  agreement by windows of 2 s: " + " ".join(f"{value:.3f}" for value, _ in values) + f"; from {SETTLED_S} s on {final:.4f}")
        off = max(abs(value - final) for value, _ in values[SETTLED_S // WINDOW_S:])
        # What the clips alone bring: an error is a whole detection, and a window has so many.
        wanted = min(count for _, count in values)
        noise = math.sqrt(final * (1 - final) / max(1, wanted))
        self.bar(f"windows after {SETTLED_S} s within {TOLERANCE} of that: off by {off:.4f} at most (chance alone: {noise:.4f} a window)", off <= TOLERANCE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--testdata", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="rect/yolo11n_512x288_int8.onnx")
    parser.add_argument("--ladder", default="rect/yolo11n_320x192_int8.onnx")
    parser.add_argument("--score", type=float, default=.2)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=50)
    parser.add_argument("--phase", type=float, default=30, help="seconds of each of the three")
    parser.add_argument("--rtsp", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the run's files")
    a = parser.parse_args()
    if a.phase < SETTLED_S + 2 * WINDOW_S:
        parser.error(f"--phase: agreement is judged from {SETTLED_S} s on, which takes {SETTLED_S + 2 * WINDOW_S} s at least")
    models = a.testdata.resolve() / "models"
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        model = {"path": str(models / a.model), "labels": "coco", "score": a.score}
        if a.ladder:
            model["ladder"] = [str(models / rung) for rung in a.ladder.split(",")]
        config = {"models": {"objects": model}, "defaults": {"rate": 10, "slo": "200ms"}, "engine": {"policy": "adaptive", "pace": "live"}}
        results, summary = folder / "results.jsonl", folder / "summary.json"
        results.unlink(missing_ok=True)
        with (RtspCameras if a.rtsp else FileCameras)(a, folder) as cameras:
            cameras.configure(config)
            process = subprocess.Popen([a.build / "framemill", "run", folder / "site.yaml", "--for", f"{3 * a.phase + 5}s", "--results", results,
                                        "--summary", summary, "--log-level", "error"], stderr=subprocess.DEVNULL)
            try:
                while not (results.exists() and results.stat().st_size):
                    time.sleep(.05)
                marks = [time.time()]
                for count in (a.many, a.few):
                    time.sleep(a.phase)
                    marks.append(time.time())
                    cameras.step(count)
            finally:
                process.wait(timeout=3 * a.phase + 60)
            full = None if a.rtsp or not density.AGREEMENT.is_file() else density.full_inference(a, {a.testdata.resolve() / f"clips/{name}.mp4" for name in CLIPS}, folder)
            lines = [json.loads(line) for line in open(results, encoding="utf-8")]
        done = json.loads(summary.read_text())
    report = Report(a, lines, marks, full, getattr(cameras, "clip_of", None))
    print(f"conserved {done['conserved']}, share inferred {done['total']['share_inferred']}, fidelity {done['total']['fidelity']}")
    report.bar(f"exit status {process.returncode}, counts conserved", process.returncode == 0 and done["conserved"])
    for i, (name, count) in enumerate([("few", a.few), ("many", a.many), ("few again", a.few)]):
        report.phase(name, marks[i] - marks[0], count)
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
