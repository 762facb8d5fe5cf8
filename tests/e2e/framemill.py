"""Runs the framemill binary from outside and reads what it writes. Standard library only."""
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("FRAMEMILL_BIN", str(ROOT / "build/release/framemill"))
TESTDATA = pathlib.Path(os.environ.get("FRAMEMILL_TESTDATA", ROOT.parent / "shared/testdata"))
DEMO_CLIP = ROOT / "demo/clips/line.mp4"
DEMO_MODEL = ROOT / "demo/models/line_int8.onnx"
OUTCOMES = ("sampled_out", "inferred", "propagated", "reused", "superseded", "late", "failed")

# The sanitizer builds are several times slower; times that are promised are not asserted there.
IS_SLOW_BUILD = os.environ.get("FRAMEMILL_SLOW_BUILD", "") == "1"


_held_ports = []  # sockets whose names say which ports this process has; gone with it


def free_port():
    """A port of 127.0.0.1 that nothing listens at and that no other process of the tests is given while this one lives: tests and whole suites run beside
    each other. From below 32768, where the kernel begins to take ports for those who connect or ask for any."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(20_000, 32_000)
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0framemill-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:  # another's, or somebody listens there
            holder.close()
            continue
        _held_ports.append(holder)
        return port
    raise RuntimeError("no port from 20000 to 31999 is free")


class Finished:
    """What a run of the binary left behind."""

    def __init__(self, returncode, stdout, stderr, results=None, summary=None):
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        self.results = results
        self.summary = summary


def run(*arguments, timeout=120, env=None, stdin=None, cwd=None, stdout=subprocess.PIPE):
    done = subprocess.run([BINARY, *map(str, arguments)], stdout=stdout, stderr=subprocess.PIPE, timeout=timeout,
                          env={**os.environ, **(env or {})}, stdin=stdin, cwd=cwd)
    return Finished(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class FramemillTest(unittest.TestCase):
    """A test case with a folder of its own, and assertions on what every run promises."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="framemill-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_engine(self, *arguments, expect=0, timeout=120, **kwargs):
        """`framemill run` with results and summary; checks exit status and what holds for every run."""
        results, summary = self.folder / "results.jsonl", self.folder / "summary.json"
        done = run("run", *arguments, "--results", results, "--summary", summary, "--listen", "off", timeout=timeout, **kwargs)
        self.assertEqual(done.returncode, expect, done.stderr)
        done.results = read_lines(results)
        done.summary = json.loads(summary.read_text())
        self.check_promises(done)
        return done

    def start_engine(self, *arguments, log=None, **kwargs):
        """The same in the background; finish_engine() ends it. `log`: a file for what it says, to be read meanwhile."""
        self.log = log
        self.results, self.summary = self.folder / "results.jsonl", self.folder / "summary.json"
        self.results.unlink(missing_ok=True)  # of an earlier run: nobody shall wait for its lines
        output = open(log, "wb") if log else subprocess.PIPE
        process = subprocess.Popen(
            [BINARY, "run", *map(str, arguments), "--results", str(self.results), "--summary", str(self.summary), "--listen", "off"],
            stdout=subprocess.PIPE, stderr=output, **kwargs)
        if log:
            output.close()  # the process has it
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def finish_engine(self, process, expect=0, timeout=30):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=timeout)
        stderr = self.log.read_bytes() if self.log else stderr
        self.assertEqual(process.returncode, expect, stderr.decode())
        done = Finished(process.returncode, stdout.decode(), stderr.decode(), read_lines(self.results), json.loads(self.summary.read_text()))
        self.check_promises(done)
        return done

    def check_promises(self, done):
        """Every sampled frame gives exactly one line, in order, and the counts add up."""
        summary = done.summary
        self.assertTrue(summary["conserved"], done.stderr)
        lines = {}
        for line in done.results:
            self.assertEqual(line["schema"], "framemill.result/1")
            self.assertEqual(line["run"], summary["run"])
            lines.setdefault(line["camera"], []).append(line)
        for camera in summary["cameras"]:
            mine = lines.get(camera["camera"], [])
            self.assertEqual(camera["in_flight"], 0)
            self.assertEqual(camera["captured"], sum(camera[o] for o in OUTCOMES), camera)
            self.assertEqual(len(mine), camera["captured"] - camera["sampled_out"], camera["camera"])
            self.assertEqual([line["seq"] for line in mine], list(range(len(mine))), "one line a frame, in order")
            indices = [line["frame_index"] for line in mine]
            self.assertEqual(indices, sorted(set(indices)))
            for outcome in ("inferred", "propagated", "reused"):
                self.assertEqual(camera[outcome], sum(line["origin"] == outcome for line in mine))
            for reason in ("superseded", "late", "failed"):
                self.assertEqual(camera[reason], sum(line.get("reason") == reason for line in mine))
            for line in mine:
                self.assertEqual("detections" in line, line["origin"] != "none")
                for detection in line.get("detections", []):
                    x1, y1, x2, y2 = detection["box"]
                    self.assertTrue(0 <= x1 < x2 <= line["width"] and 0 <= y1 < y2 <= line["height"], detection)


def make_camera_clip(path, seconds=10):
    """The demo's clip as cameras usually send: without B frames, a key frame a second."""
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(DEMO_CLIP), "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "25",
                    "-t", str(seconds), str(path)], check=True)
    return path


def make_clip(path, seconds=2, size="640x360", rate=25, options=("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")):
    """A small test clip by ffmpeg."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}", *options, str(path)], check=True)
    return path
