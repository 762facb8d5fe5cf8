#!/usr/bin/env python3
"""What do two hundred clients that ask as fast as they can cost the cameras? Needs wrk (apt-get install wrk).

http_load.py --cameras 8 --seconds 20

One run of synthetic cameras with the demo's model under policy full, at a load that the machine carries with ease. Alternately nobody asks and
`wrk` asks with 200 connections, several times. Says answers a second, their share on time and p95 of both; exit status 1 where answers a second differ by more than 5 %. A slow-loris
client (--slow, connections that send a byte a second) goes on through all of it.
"""
import argparse
import datetime
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def quantile(values, q):
    values = sorted(values)
    return values[round(q * (len(values) - 1))] if values else float("nan")


def slow_loris(port, count, is_over):
    """Holds `count` connections with heads that never end; says how many the server has cut."""
    cut, held = 0, []
    while not is_over.is_set():
        while len(held) < count:
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=("127.0.0.9", 0))
                connection.sendall(b"GET / HTTP/1.1\r\nX: ")
                held.append(connection)
            except OSError:
                break
        for connection in list(held):
            try:
                connection.sendall(b"x")
            except OSError:
                cut += 1
                held.remove(connection)
                connection.close()
        is_over.wait(1)
    for connection in held:
        connection.close()
    print(f"slow-loris: {count} connections held, {cut} cut by the server meanwhile")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--rate", type=float, default=5, help="answers a second of each")
    parser.add_argument("--seconds", type=float, default=15, help="of each part")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--slow", type=int, default=50, help="slow-loris connections all the time")
    parser.add_argument("--path", default="/api/v1/cameras")
    a = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        cameras = [{"id": f"cam-{i}", "url": f"synthetic://?size=640x360&rate={2 * a.rate:g}&objects=3"} for i in range(a.cameras)]
        (folder / "site.yaml").write_text(json.dumps({
            "models": {"m": {"path": str(ROOT / "demo/models/line_int8.onnx")}}, "defaults": {"rate": a.rate, "slo": "200ms"}, "cameras": cameras,
            "engine": {"policy": "full", "pace": "live"}}))
        log = open(folder / "log.txt", "w+")
        run = subprocess.Popen([str(a.build / "framemill"), "run", str(folder / "site.yaml"), "--listen", "127.0.0.1:0", "--results", str(folder / "r.jsonl")],
                               stdout=subprocess.DEVNULL, stderr=log)
        is_over = threading.Event()
        try:
            port = None
            while port is None and run.poll() is None:
                time.sleep(.2)
                found = re.search(r"listening at http://[^:]+:(\d+)/", (folder / "log.txt").read_text())
                port = int(found[1]) if found else None
            time.sleep(4)
            slow = threading.Thread(target=slow_loris, args=(port, a.slow, is_over))
            slow.start()
            spans, served = {"quiet": [], "asked": []}, []
            for _ in range(a.rounds):
                for name in spans:
                    begin = time.time()
                    if name == "asked":
                        served.append(subprocess.run(["wrk", "-t2", f"-c{a.connections}", f"-d{a.seconds:g}s", f"http://127.0.0.1:{port}{a.path}"],
                                                     stdout=subprocess.PIPE, text=True, check=True).stdout)
                    else:
                        time.sleep(a.seconds)
                    spans[name].append((begin + 1, time.time() - .5))
            is_over.set()
            slow.join()
            run.send_signal(signal.SIGINT)
            run.wait(timeout=60)
        finally:
            is_over.set()
            run.kill()
        lines = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()]
        for line in lines:
            line["at"] = datetime.datetime.fromisoformat(line["captured_at"].replace("Z", "+00:00")).timestamp()
        rates = {}
        for name, parts in spans.items():
            own = [line for line in lines if any(begin <= line["at"] < end for begin, end in parts)]
            answered = [line for line in own if line["origin"] != "none"]
            length = sum(end - begin for begin, end in parts)
            rates[name] = len(answered) / length
            print(f"{name}: {rates[name]:.2f} answers/s of {a.cameras * a.rate:g}, on time {sum(l['on_time'] for l in answered) / max(1, len(answered)):.4f}, "
                  f"p95 {quantile([l['latency_ms'] for l in answered], .95):.1f} ms, p99 {quantile([l['latency_ms'] for l in answered], .99):.1f} ms")
        requests = sum(int(found[1]) for text in served for found in re.finditer(r"(\d+) requests in", text))
        refused = sum(int(found[1]) for text in served for found in re.finditer(r"Non-2xx or 3xx responses: (\d+)", text))
        print(f"wrk: {requests} requests answered, {refused} of them refused (429, 503)")
    change = rates["asked"] / rates["quiet"] - 1
    print(f"answers a second while asked: {100 * change:+.2f} %")
    return 0 if abs(change) <= .05 and requests > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
