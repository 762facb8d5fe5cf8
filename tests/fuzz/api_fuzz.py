#!/usr/bin/env python3
"""Has schemathesis ask a real run whatever data/openapi.yaml allows, and what it forbids: no crash, no answer from 500 on but 503, none that is
not described, and no wrong request that is taken. `scripts/setup.sh fuzz` installs what it needs.

api_fuzz.py --examples 100 --seed 1

The run has synthetic cameras, a sqlite sink and no tokens, so that everything may be asked for; it may read and write in a temporary folder only.
503 is an answer that the description has (a camera that has shown no picture yet), and is counted apart. Afterwards the run has to be healthy,
to end with status 0, and its frames to be conserved.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance",
          "negative_data_rejection", "unsupported_method")


def write_configuration(folder):
    cameras = "".join(f"  - {{id: cam-{i}, url: \"synthetic://?size=160x96&rate=10&objects=2\"}}\n" for i in range(3))
    (folder / "site.yaml").write_text(
        f"models: {{m: {{path: {ROOT / 'demo/models/line_int8.onnx'}}}}}\ndefaults: {{rate: 5, slo: 1s}}\ncameras:\n{cameras}"
        "engine: {policy: hold, budget: 0.2, pace: live, data: data}\nsinks: [{type: sqlite, path: events.db}]\n")
    # It takes 503 for a failure; here it is one of the answers that are described.
    (folder / "schemathesis.toml").write_text('[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]\n')


def wait_until_ready(process, folder):
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"listening at (http://[^/\s]+)/", (folder / "log.txt").read_text())
        if found:
            try:
                with urllib.request.urlopen(f"{found[1]}/readyz", timeout=5):
                    return found[1]
            except OSError:
                pass
        time.sleep(.1)
    sys.exit(f"the run does not come up: {(folder / 'log.txt').read_text()}")


def fuzz(folder, url, a):
    """Returns the number of failures that are none of 503, and prints what they were."""
    report = folder / "report.ndjson"
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(ROOT / "data/openapi.yaml"), "--url", url, "--checks", ",".join(CHECKS),
               "--max-examples", str(a.examples), "--seed", str(a.seed), "--rate-limit", "150/s", "--request-timeout", "30", "--continue-on-failure",
               "--suppress-health-check", "all", "--phases", a.phases, "--report-ndjson-path", str(report), "--no-color", "--no-shrink",
               "--generation-database", "none", *(["--max-time", str(a.seconds)] if a.seconds else [])]
    environment = {**os.environ, "PYTHONPATH": str(a.deps)}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if a.keep:
        a.keep.mkdir(parents=True, exist_ok=True)
        (a.keep / "schemathesis.txt").write_text(done.stdout)
        if report.exists():
            (a.keep / "report.ndjson").write_text(report.read_text())
    print("\n".join(done.stdout.splitlines()[-25:]))
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--deps", type=pathlib.Path, default=ROOT / ".deps/schemathesis")
    parser.add_argument("--examples", type=int, default=50, help="of each operation")
    parser.add_argument("--seconds", type=int, help="at most, in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for what schemathesis says")
    a = parser.parse_args()
    if not (a.deps / "schemathesis").is_dir():
        sys.exit("schemathesis is missing: scripts/setup.sh fuzz")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        write_configuration(folder)
        with open(folder / "log.txt", "w") as log:
            run = subprocess.Popen([str(a.build / "framemill"), "run", str(folder / "site.yaml"), "--listen", "127.0.0.1:0", "--summary", str(folder / "summary.json")],
                                   stdout=subprocess.DEVNULL, stderr=log, cwd=folder)
        try:
            url = wait_until_ready(run, folder)
            done = fuzz(folder, url, a)
            with urllib.request.urlopen(f"{url}/healthz", timeout=30) as answer:
                is_healthy = answer.status == 200
            run.send_signal(signal.SIGINT)
            status = run.wait(timeout=60)
        finally:
            run.kill()
        summary = json.loads((folder / "summary.json").read_text())
        print(f"schemathesis: status {done.returncode}; afterwards healthy: {is_healthy}, ended with {status}, conserved: {summary['conserved']}")
        return 0 if done.returncode == 0 and is_healthy and status == 0 and summary["conserved"] else 1


if __name__ == "__main__":
    sys.exit(main())
