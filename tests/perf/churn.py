#!/usr/bin/env python3
"""A thousand reloads and a thousand cameras that come and go: does the process grow, and does a camera that stays lose a frame?

churn.py --cycles 1000 --reloads 1000

Cameras are synthetic, the model is the demo's. Each cycle adds a camera over the API, waits until it has been answered every tenth time,
and removes it; each reload changes one camera of the file, adds one and removes one, by SIGHUP, the API or the file watch in turn. Memory,
threads and descriptors are read after the first tenth of each part (what is bounded has filled by then) and at its end. Exit status 1 where
memory has grown by more than a megabyte a hundred, threads or descriptors at all, or a frame of the cameras that stay is missing.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAMERA = "synthetic://?size=160x96&rate=10&objects=1"


class Run:
    def __init__(self, folder, binary, steady, reloads_by_watch=True):
        self.folder, self.steady = folder, steady
        self.site = folder / "site.yaml"
        self.write([])
        self.log = open(folder / "log.txt", "wb")
        self.process = subprocess.Popen([str(binary), "run", str(self.site), "--results", str(folder / "results.jsonl"), "--summary", str(folder / "summary.json"),
                                         "--listen", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=self.log)
        self.address = self.wait_for(lambda: (re.search(r"listening at http://([^/\s]+)/", (folder / "log.txt").read_text()) or [None, None])[1])
        self.connection = None
        self.wait_for(lambda: self.ask("GET", "/readyz")[0] == 200)

    def write(self, guests, rate=5):
        cameras = [f"  - {{id: steady-{i}, url: \"{CAMERA}\"}}" for i in range(self.steady)] + [f"  - {{id: {g}, url: \"{CAMERA}\", rate: {rate}}}" for g in guests]
        part = self.folder / "site.yaml.new"
        part.write_text(f"models: {{m: {{path: {ROOT / 'demo/models/line_int8.onnx'}}}}}\ndefaults: {{rate: 5, slo: 1s}}\ncameras:\n" + "\n".join(cameras) +
                        "\nengine: {policy: hold, budget: 0.1, pace: live}\n")
        os.replace(part, self.site)

    def wait_for(self, condition, timeout_s=120):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                sys.exit(f"the run has ended: {(self.folder / 'log.txt').read_text()[-2000:]}")
            found = condition()
            if found:
                return found
            time.sleep(0.02)
        sys.exit(f"not within {timeout_s} s: {(self.folder / 'log.txt').read_text()[-2000:]}")

    def ask(self, method, path, body=None):
        for _ in range(100):
            host, port = self.address.rsplit(":", 1)
            self.connection = self.connection or http.client.HTTPConnection(host, int(port), timeout=60)
            try:
                self.connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
                answer = self.connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                self.connection = None
                continue
            if answer.status == 429:
                continue
            return answer.status, json.loads(text) if text.startswith(b"{") else text
        sys.exit("the server does not answer")

    def usage(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return {"rss_mb": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
                "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd"))}

    def settled(self):
        """Usage once removed cameras have let go: the least of a few seconds."""
        seen = []
        for _ in range(30):
            time.sleep(0.1)
            seen.append(self.usage())
        return {key: min(one[key] for one in seen) for key in seen[0]}

    def ids(self):
        return [camera["id"] for camera in self.ask("GET", "/api/v1/cameras?limit=1000")[1]["cameras"]]


def cycle(run, i):
    name = f"guest-{i % 7}"
    status, body = run.ask("POST", "/api/v1/cameras", {"id": name, "url": CAMERA})
    assert status == 201, body
    if i % 10 == 0:
        run.wait_for(lambda: run.ask("GET", f"/api/v1/results?camera={name}&limit=1")[1].get("results"))
    status, body = run.ask("DELETE", f"/api/v1/cameras/{name}")
    assert status == 204, body


def reload(run, i):
    guests = ["changed", f"come-{i % 5}"]
    run.write(guests, rate=4 + i % 3)
    how = i % 3
    if how == 0:
        run.process.send_signal(signal.SIGHUP)
    elif how == 1:
        status, body = run.ask("POST", "/api/v1/config/reload")
        assert status == 200, body
    wanted = {f"steady-{n}" for n in range(run.steady)} | set(guests)
    run.wait_for(lambda: set(run.ids()) == wanted)


def measure(run, name, count, step):
    warm_up = max(1, count // 10)
    for i in range(warm_up):
        step(run, i)
    before, begin = run.settled(), time.monotonic()
    for i in range(warm_up, count):
        step(run, i)
    took, after = time.monotonic() - begin, run.settled()
    print(f"{name}: {count} in {took:.0f} s; after {warm_up}: {before}; after all: {after}", flush=True)
    growth = after["rss_mb"] - before["rss_mb"]
    return growth <= (count - warm_up) / 100 + 2 and after["threads"] <= before["threads"] and after["descriptors"] <= before["descriptors"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--steady", type=int, default=3, help="cameras that stay")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        run = Run(folder, a.build / "framemill", a.steady)
        try:
            is_good = measure(run, "cameras added and removed", a.cycles, cycle) if a.cycles else True
            is_good = (measure(run, "reloads", a.reloads, reload) if a.reloads else True) and is_good
            run.process.send_signal(signal.SIGINT)
            run.process.wait(timeout=60)
        finally:
            run.process.kill()
        summary = json.loads((folder / "summary.json").read_text())
        lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
        lost = 0
        for i in range(a.steady):
            own = [line for line in lines if line["camera"] == f"steady-{i}"]
            seqs, indices = [line["seq"] for line in own], [line["frame_index"] for line in own]
            gaps = sum(b - a > 2 for a, b in zip(indices, indices[1:]))  # each second frame of ten a second is sampled
            lost += len(seqs) != seqs[-1] + 1 or seqs != sorted(seqs) or {line["epoch"] for line in own} != {0}
            print(f"steady-{i}: {len(own)} frames sampled, each answered once; gaps between sampled frames: {gaps}")
        print(f"conserved: {summary['conserved']}, removed cameras: {summary['removed']['cameras']}")
        is_good = is_good and not lost and summary["conserved"]
    print("good" if is_good else "BAD")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
