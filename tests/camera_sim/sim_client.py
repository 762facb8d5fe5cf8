"""Starts camera_sim.py and talks to it; standard library only.

    with CameraSim("--clip", "clip.mp4", "--count", "4") as sim:
        sim.fault("cam-1", "stall", for_s=5)
        print(sim.urls[0], sim.cameras()["cam-1"]["clients"])
"""

import json
import os
import select
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

# Debian's interpreter has GObject introspection, which a virtual environment usually lacks.
PYTHON = os.environ.get("CAMERA_SIM_PYTHON", "/usr/bin/python3")
SCRIPT = Path(__file__).resolve().parent / "camera_sim.py"


class CameraSimError(Exception):
    pass


def why_unavailable():
    """None if the simulator can run here, else the reason; for skipping tests."""
    check = ("import gi; gi.require_version('GstRtspServer', '1.0'); "
             "from gi.repository import GstRtspServer")
    try:
        done = subprocess.run([PYTHON, "-c", check], capture_output=True, text=True, check=False)
        subprocess.run(["ffmpeg", "-version"], capture_output=True, check=True)
    except OSError as problem:
        return str(problem)
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


class CameraSim:
    """The server process. `arguments` are those of camera_sim.py."""

    def __init__(self, *arguments, start_timeout_s=60.0):
        self._arguments = [str(argument) for argument in arguments]
        self._start_timeout_s = start_timeout_s
        self._process = None
        self._log = None
        self._errors = ""
        self.ready = {}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen([PYTHON, str(SCRIPT), *self._arguments], text=True,
                                         stdout=subprocess.PIPE, stderr=self._log)
        readable, _, _ = select.select([self._process.stdout], [], [], self._start_timeout_s)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            self.stop()
            raise CameraSimError(f"camera_sim did not become ready: {self.errors()}")
        self.ready = json.loads(line)
        return self

    @property
    def pid(self):
        return self._process.pid

    @property
    def port(self):
        return self.ready["port"]

    @property
    def urls(self):
        return self.ready["urls"]

    @property
    def mjpeg_urls(self):
        return self.ready.get("mjpeg_urls", [])

    def url(self, name, user=None, password=None):
        login = f"{user}:{password}@" if user is not None else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/{name}"

    def fault(self, name, kind, **args):
        """Returns when the fault is in force."""
        self._request(f"/cameras/{name}/fault", {"fault": kind, **args})

    def clear(self, name):
        self._request(f"/cameras/{name}/clear", {})

    def cameras(self):
        """State by camera name; see README.md."""
        return self._request("/cameras")["cameras"]

    def wait_for(self, predicate, timeout_s=10.0):
        """Polls cameras() until `predicate` holds; returns them. Raises CameraSimError."""
        end = time.monotonic() + timeout_s
        while True:
            cameras = self.cameras()
            if predicate(cameras):
                return cameras
            if time.monotonic() > end:
                raise CameraSimError(f"not within {timeout_s} s; cameras are {cameras}")
            time.sleep(0.05)

    def cpu_seconds(self):
        """CPU time the server has used so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def errors(self):
        """What the server wrote to its standard error."""
        if self._log is None:
            return self._errors
        self._log.seek(0)
        return self._log.read()

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._log:
            self._process.stdout.close()
            self._errors = self.errors()
            self._log.close()
            self._log = None

    def _request(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.ready["control"] + path, data)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as refused:
            raise CameraSimError(json.load(refused).get("error", str(refused))) from None
