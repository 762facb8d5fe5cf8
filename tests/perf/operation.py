#!/usr/bin/env python3
"""What dashboard and sinks cost the engine: many looped cameras with everything on, and in turn with everything off.

operation.py --testdata DIR --count 50 --seconds 45 --pairs 2

"On" is: SQLite, MQTT to a real Mosquitto, a webhook, Modbus that is polled, JSON lines with rotation, rules on each camera, two clients that
ask for what two open dashboards ask for (dashboard_clients.py), and a scrape of /metrics every 15 s. "Off" is none of that: no rules, no sinks,
no server. Cameras, model and policy are the same; the order alternates from pair to pair.

Prints answers a second of both, and the cores used by each kind of thread of the engine's process; exit status 1 where a bar is missed: on/off of
the inferred answers >= .90, and the threads beside the engine (sinks, delivery, Modbus, alarms, network, workers, stream, meter) < .15 of a core.
The peers (broker, receiver, clients) share the machine's cores with the engine and take part of what "on" loses; a plant has them elsewhere.
Their share is printed. Run it while the machine has nothing else to do.
"""
import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/e2e"))
from dashboard_clients import PATTERN, DashboardClient
from density import CLIPS, seconds_of
from peers import Broker, Receiver, free_port

TICKS = os.sysconf("SC_CLK_TCK")
#: First words of the names of threads that serve somebody beside the engine; docs/architecture.md has all names.
BESIDE = ("sink", "send", "serve", "alarms", "network", "worker", "stream", "meter")
RULES = [{"id": "someone", "kind": "presence", "for": "500ms", "clear_after": "2s"}, {"id": "crowd", "kind": "count", "over": 4},
         {"id": "down", "kind": "camera_down"}]


def is_beside(kind):
    return kind.split(" ")[0] in BESIDE or kind.startswith("MQTT")


def ticks_by_thread(pid):
    """(thread, its name) -> ticks of user and system time so far."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            text = (task / "stat").read_text()
            name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
            found[int(task.name), name] = int(rest[11]) + int(rest[12])
    return found


def cores_by_kind(before, after, seconds):
    cores = collections.Counter()
    for thread, ticks in after.items():
        kind = thread[1].split(" ")[0]
        # The client library of MQTT names its own thread, which works for the sink.
        kind = "send" if kind.startswith("MQTT") else kind
        cores[kind if kind not in ("sink", "send") else thread[1]] += (ticks - before.get(thread, 0)) / TICKS / seconds
    return cores


class ModbusPoller:
    """Reads the first registers twice a second, as a PLC would."""

    def __init__(self, port):
        self.reads = 0
        self.port = port
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
            while not self.stopping.wait(.5):
                s.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, 100))
                head = s.recv(8, socket.MSG_WAITALL)
                s.recv(struct.unpack(">H", head[4:6])[0] - 2, socket.MSG_WAITALL)
                self.reads += 1

    def stop(self):
        self.stopping.set()
        self.thread.join()


class Operation:
    """One run of the engine with its peers, if any."""

    def __init__(self, a, folder, cameras, is_on):
        self.a, self.folder, self.is_on = a, pathlib.Path(folder), is_on
        self.peers, self.peer_ticks = [], {}
        model = {"path": str(a.model_path), "labels": "coco", "score": .25}
        config = {"models": {"objects": model}, "defaults": {"rate": 10, "slo": "200ms"}, "cameras": cameras,
                  "engine": {"policy": "adaptive", "pace": "live", "data": str(self.folder / "data")}, "server": {"listen": "off"}}
        if is_on:
            self.broker = Broker(self.folder)
            self.broker.start()
            self.receiver = Receiver()
            self.modbus_port = free_port()
            config["defaults"]["rules"] = RULES
            config["server"] = {"listen": f"127.0.0.1:{free_port()}"}
            config["sinks"] = [
                {"type": "sqlite", "path": str(self.folder / "events.db")},
                {"type": "mqtt", "url": f"mqtt://127.0.0.1:{self.broker.port}", "topic": "plant/vision"},
                {"type": "webhook", "url": f"http://127.0.0.1:{self.receiver.port}/hook"},
                {"type": "modbus", "listen": f"127.0.0.1:{self.modbus_port}"},
                {"type": "jsonl", "path": str(self.folder / "events.jsonl"), "send": "all", "size_mb": 100},
            ]
        self.address = config["server"]["listen"]
        (self.folder / "site.yaml").write_text(json.dumps(config))

    def run(self):
        summary = self.folder / "summary.json"
        log = open(self.folder / "log.txt", "wb")
        self.engine = subprocess.Popen([self.a.build / "framemill", "run", self.folder / "site.yaml", "--summary", summary, "--log-level", "warning"],
                                       stdout=subprocess.DEVNULL, stderr=log)
        try:
            self.wait_until_it_works()
            if self.is_on:
                self.open_clients()
            time.sleep(self.a.settle)
            before, mine, broker, begin = ticks_by_thread(self.engine.pid), time.process_time(), self.broker_ticks(), time.monotonic()
            time.sleep(self.a.seconds)
            after, seconds = ticks_by_thread(self.engine.pid), time.monotonic() - begin
            self.cores = cores_by_kind(before, after, seconds)
            self.peer_cores = (time.process_time() - mine + (self.broker_ticks() - broker) / TICKS) / seconds
        finally:
            self.close_clients()
            self.engine.send_signal(signal.SIGINT)
            self.engine.wait(30)
            log.close()
            if self.is_on:
                self.broker.stop()
                self.receiver.stop()
        self.summary = json.loads(summary.read_text())
        assert self.engine.returncode == 0 and self.summary["conserved"], (self.folder / "log.txt").read_text()

    def wait_until_it_works(self):
        """Its scheduler runs: the models are loaded."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.engine.poll() is None, (self.folder / "log.txt").read_text()
            if any(name == "scheduler" for _, name in ticks_by_thread(self.engine.pid)) and self.is_ready():
                return
            time.sleep(.1)
        raise AssertionError("the engine does not start")

    def is_ready(self):
        if not self.is_on:
            return True
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(*self.address.split(":"), timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        return False

    def open_clients(self):
        pattern = json.loads(PATTERN.read_text())
        self.clients = [DashboardClient(self.address, pattern) for _ in range(self.a.clients)]
        self.poller = ModbusPoller(self.modbus_port)
        self.scraping = threading.Event()
        self.scraper = threading.Thread(target=self.scrape)
        self.scraper.start()

    def scrape(self):
        host, port = self.address.split(":")
        while not self.scraping.wait(15):
            connection = http.client.HTTPConnection(host, int(port), timeout=10)
            connection.request("GET", "/metrics")
            connection.getresponse().read()
            connection.close()

    def close_clients(self):
        if not self.is_on or not hasattr(self, "scraper"):
            return
        self.scraping.set()
        self.scraper.join()
        self.poller.stop()
        for client in self.clients:
            client.stop()

    def broker_ticks(self):
        return sum(ticks_by_thread(self.broker.process.pid).values()) if self.is_on else 0

    def rate(self, *names):
        return sum(self.summary["total"][name] for name in names) / self.summary["wall_s"]

    def beside(self):
        return sum(cores for kind, cores in self.cores.items() if is_beside(kind))

    def check_that_it_was_on(self):
        """Figures of a run whose clients or sinks got nothing would be worth nothing."""
        answers = self.summary["total"]["sampled"]
        for sink in self.summary["sinks"]:
            assert sink["lost"] == 0, sink
        written = [sink["written"] for sink in self.summary["sinks"]]
        assert sum(count >= .99 * answers for count in written) >= 3, (answers, self.summary["sinks"])
        assert self.receiver.requests, "no alarm reached the webhook"
        assert self.poller.reads > self.a.seconds, self.poller.reads
        for client in self.clients:
            assert client.stream_bytes > 10_000 * self.a.seconds, client.stream_bytes
            assert client.statuses.get(200, 0) > 2 * self.a.seconds, client.statuses
        print(f"    pictures and pages per client and second: {[round(c.statuses.get(200, 0) / (self.a.seconds + self.a.settle), 1) for c in self.clients]}, "
              f"other statuses: {[{k: v for k, v in c.statuses.items() if k != 200} for c in self.clients]}, "
              f"stream KB/s: {[round(c.stream_bytes / 1000 / (self.a.seconds + self.a.settle)) for c in self.clients]}, "
              f"alarm changes at the webhook: {len(self.receiver.requests)}")


def make_cameras(a):
    clips = [a.testdata.resolve() / f"clips/{name}.mp4" for name in CLIPS] if a.testdata else [ROOT / "demo/clips/line.mp4"]
    lengths = {clip: seconds_of(clip) for clip in clips}
    draw = random.Random(a.seed)
    return [{"id": f"cam-{i + 1}", "url": str(clips[i % len(clips)]), "loop": True, "start": f"{draw.uniform(0, .9 * lengths[clips[i % len(clips)]]):.2f}s"}
            for i in range(a.count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--testdata", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="rect/yolo11n_512x288_int8.onnx")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--settle", type=float, default=8)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    a.model_path = a.testdata.resolve() / "models" / a.model
    cameras = make_cameras(a)
    runs = {True: [], False: []}
    for pair in range(a.pairs):
        for is_on in ((False, True) if pair % 2 == 0 else (True, False)):
            with tempfile.TemporaryDirectory() as folder:
                operation = Operation(a, folder, cameras, is_on)
                operation.run()
                runs[is_on].append(operation)
                print(f"{'on ' if is_on else 'off'} inferred/s {operation.rate('inferred'):6.1f}   answers/s {operation.rate('inferred', 'propagated', 'reused'):6.1f}   "
                      f"cores: engine {sum(operation.cores.values()) - operation.beside():.2f}, beside {operation.beside():.3f}, peers {operation.peer_cores:.3f}", flush=True)
                if is_on:
                    operation.check_that_it_was_on()
    mean = lambda values: statistics.fmean(list(values))
    ratios = [on.rate("inferred") / off.rate("inferred") for on, off in zip(runs[True], runs[False])]
    answers = [on.rate("inferred", "propagated", "reused") / off.rate("inferred", "propagated", "reused") for on, off in zip(runs[True], runs[False])]
    beside = mean(run.beside() for run in runs[True])
    print(f"\n{'threads':14} {'cores on':>9} {'off':>9}")
    kinds = sorted(set().union(*(run.cores for run in runs[True])), key=lambda kind: -mean(run.cores[kind] for run in runs[True]))
    for kind in kinds:
        print(f"{kind:14} {mean(run.cores[kind] for run in runs[True]):9.3f} {mean(run.cores[kind] for run in runs[False]):9.3f}  {'beside' if is_beside(kind) else ''}")
    rows = [("inferred/s, on / off, by pair", [round(r, 3) for r in ratios], None), ("  mean", round(mean(ratios), 3), mean(ratios) >= .9),
            ("answers/s, on / off", round(mean(answers), 3), None), ("cores beside the engine", round(beside, 3), beside < .15),
            ("cores of peers and clients", round(mean(run.peer_cores for run in runs[True]), 3), None)]
    for name, value, holds in rows:
        print(f"{name:32} {value!s:30} {'' if holds is None else 'holds' if holds else 'MISSED'}")
    return 0 if all(holds is None or holds for _, _, holds in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
