"""A live run whose cameras come and go while it is watched from outside: what scripts/gpu_check.py measures whole runs with.

Models take half a minute to be made ready on a GPU, so that one run serves many numbers of cameras: they are changed through the
HTTP API, and each number is looked at for some seconds after it has settled. Rates and latencies are counted from the lines of the
results whose frames were captured within that window; opening hundreds of cameras at once is in none of them.
"""
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

LOSS_MOST = .01     # of the sampled frames of a window: without an answer, or answered late
OFFERED_LEAST = .97  # of the frames that so many cameras bring: fewer come where decoding cannot follow
LATE_NEWS_S = .7    # after a window, until its answers are in the file


def time_text(seconds):
    """As results write it, so that such texts compare as the times do."""
    return (datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z").encode()


def field(line, key):
    """What follows `key` in a line of the results, up to the next comma. Not json.loads(): a window has tens of thousands of lines."""
    begin = line.find(key)
    if begin < 0:
        return b""
    begin += len(key)
    return line[begin:line.find(b",", begin)].strip(b'"}')


def quantile(values, share):
    """`values` are sorted."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def count_window(text, begin, end):
    """Counts over the lines of `text` whose frames were captured in begin..end, in seconds."""
    first, last = time_text(begin), time_text(end)
    counts = {"sampled": 0, "inferred": 0, "lost": 0, "overdue": 0}
    latencies = []
    for line in text.split(b"\n"):
        if not first <= field(line, b'"captured_at":') < last:
            continue
        counts["sampled"] += 1
        origin = field(line, b'"origin":')
        counts["lost"] += origin == b"none"
        counts["inferred"] += origin == b"inferred"
        counts["overdue"] += origin != b"none" and field(line, b'"on_time":') == b"false"
        latency = field(line, b'"latency_ms":')
        if origin == b"inferred" and latency not in (b"", b"null"):
            latencies.append(float(latency))
    latencies.sort()
    counts["latency_ms"] = {name: quantile(latencies, share) for name, share in (("p50", .5), ("p95", .95), ("p99", .99), ("max", 1.))}
    return counts


class Card:
    """A GPU's memory and load by NVML, within this process: nvidia-smi would take a tenth of a second and the driver's locks each time."""

    class Memory(ctypes.Structure):
        _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]

    class Busy(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint) for name in ("gpu", "memory")]

    def __init__(self, index):
        self.nvml, self.handle = None, ctypes.c_void_p()
        try:
            nvml = ctypes.CDLL("libnvidia-ml.so.1")
            if nvml.nvmlInit_v2() == 0 and nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(self.handle)) == 0:
                self.nvml = nvml
        except (OSError, AttributeError):
            pass

    def read(self):
        """memory_bytes, busy and decoder_busy in percent, power_w; what is not known is left out."""
        figures = {}
        if self.nvml is None:
            return figures
        memory, busy = self.Memory(), self.Busy()
        number, period = ctypes.c_uint(), ctypes.c_uint()
        if self.nvml.nvmlDeviceGetMemoryInfo(self.handle, ctypes.byref(memory)) == 0:
            figures["memory_bytes"] = memory.used
        if self.nvml.nvmlDeviceGetUtilizationRates(self.handle, ctypes.byref(busy)) == 0:
            figures["busy"] = busy.gpu
        if self.nvml.nvmlDeviceGetDecoderUtilization(self.handle, ctypes.byref(number), ctypes.byref(period)) == 0:
            figures["decoder_busy"] = number.value
        if self.nvml.nvmlDeviceGetPowerUsage(self.handle, ctypes.byref(number)) == 0:
            figures["power_w"] = number.value / 1000
        return figures


class CardWatch:
    """Reads a card a few times a second as long as it lives."""

    def __init__(self, card):
        self.card, self.readings, self.ended = card, [], threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def watch(self):
        while not self.ended.wait(.25):
            self.readings.append(self.card.read())

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def figures(self):
        def known(name):
            return [reading[name] for reading in self.readings if name in reading]
        means = {name: round(sum(values) / len(values), 1) for name in ("busy", "decoder_busy", "power_w") if (values := known(name))}
        return {**{f"gpu_{name}": value for name, value in means.items()}, **({"gpu_memory_bytes": max(known("memory_bytes"))} if known("memory_bytes") else {})}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class LiveRun:
    """One process of `framemill run` at pace live. Errors are RuntimeError."""

    def __init__(self, program, environment, work, name, settings, card, start_most_s=180):
        self.program, self.environment, self.settings, self.card, self.start_most_s = program, environment, settings, card, start_most_s
        self.config, self.results, self.summary, self.log = (work / f"{name}.{kind}" for kind in ("yaml", "jsonl", "json", "log"))
        self.address = f"127.0.0.1:{free_port()}"
        self.process, self.cameras = None, []

    def write_config(self, cameras):
        self.cameras = cameras
        whole = self.settings | {"cameras": cameras, "server": {"listen": self.address}}
        beside = self.config.with_suffix(".new")  # never half of one under its name: the run watches it
        beside.write_text(json.dumps(whole))
        os.replace(beside, self.config)

    def start(self, cameras):
        """Returns once it is ready and the first answer is there: seconds that took, and what it said of its model."""
        self.write_config(cameras)
        begin = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([self.program, "run", self.config, "--results", self.results, "--summary", self.summary],
                                            stdout=subprocess.DEVNULL, stderr=log, env=self.environment)
        while not (self.results.exists() and self.results.stat().st_size > 0):
            self.check_alive()
            if time.monotonic() - begin > self.start_most_s:
                raise RuntimeError(f"no answer within {self.start_most_s:.0f} s: {self.last_words()}")
            time.sleep(.05)
        text = self.log.read_text(errors="replace")
        knee = re.findall(r", batches of (\d+)", text)
        return {"start_s": round(time.monotonic() - begin, 1), "knee": int(knee[-1]) if knee else 1,
                "notes": [line.split("] ")[-1][:200] for line in text.splitlines() if " made ready " in line or " an inference" in line or " warning " in line][:6]}

    def last_words(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line] if self.log.exists() else []
        return lines[-1][:400] if lines else "it said nothing"

    def check_alive(self):
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"the run has ended{'' if self.process is None else f' with status {self.process.returncode}'}: {self.last_words()}")

    def set_cameras(self, cameras, most_s=60):
        """The run has these from now on. Those whose settings stay are not disturbed."""
        self.check_alive()
        if cameras == self.cameras:
            return
        self.write_config(cameras)
        give_up_at = time.monotonic() + most_s
        while True:
            request = urllib.request.Request(f"http://{self.address}/api/v1/config/reload", method="POST")
            try:
                with urllib.request.urlopen(request, timeout=max(1, give_up_at - time.monotonic())) as response:
                    json.load(response)
                    return
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace")[:300]
                # Cameras that were removed a moment ago may not have hung up yet.
                if error.code != 503 or time.monotonic() > give_up_at:
                    raise RuntimeError(f"the cameras cannot be changed: {said}") from error
            except (OSError, ValueError) as error:
                self.check_alive()
                raise RuntimeError(f"the cameras cannot be changed: {error}") from error
            time.sleep(.3)

    def cpu_s(self):
        times = open(f"/proc/{self.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        return int(open(f"/proc/{self.process.pid}/statm", encoding="ascii").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def look(self, window_s, settle_s, rate=10):
        """What the cameras of now got, in a window after they have settled."""
        time.sleep(settle_s)
        self.check_alive()
        offset, begin, cpu = self.results.stat().st_size, time.time(), self.cpu_s()
        with CardWatch(self.card) as watch:
            time.sleep(window_s)
        end = time.time()
        self.check_alive()
        cores, resident = (self.cpu_s() - cpu) / (end - begin), self.resident_bytes()
        time.sleep(LATE_NEWS_S)
        with open(self.results, "rb") as results:
            results.seek(offset)
            counts = count_window(results.read(), begin, end)
        length = end - begin
        lost_or_late = (counts["lost"] + counts["overdue"]) / max(1, counts["sampled"])
        expected = rate * length * max(1, len(self.cameras))
        offered = counts["sampled"] / expected
        # A window cuts the beat of a few cameras anywhere: a frame or two are nothing.
        comes_all = counts["sampled"] >= OFFERED_LEAST * expected - min(len(self.cameras), 5)
        return {"cameras": len(self.cameras), "holds": lost_or_late <= LOSS_MOST and comes_all,
                "inferences_per_s": round(counts["inferred"] / length, 1), "answers_per_s": round((counts["sampled"] - counts["lost"]) / length, 1),
                "in_time_per_s": round((counts["sampled"] - counts["lost"] - counts["overdue"]) / length, 1),
                "lost_or_late_share": round(lost_or_late, 4), "offered_share": round(offered, 3),
                "share_inferred": round(counts["inferred"] / max(1, counts["sampled"]), 3), "latency_ms": counts["latency_ms"],
                "cores_busy": round(cores, 2), "resident_bytes": resident, **watch.figures()}

    def end(self, most_s=25):
        """Ends it as Ctrl-C does: its exit status and its summary (None where it wrote none)."""
        if self.process is None:
            return None, None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=most_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        summary = json.loads(self.summary.read_text()) if self.summary.exists() else None
        self.results.unlink(missing_ok=True)  # gigabytes, by now
        return self.process.returncode, summary

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
