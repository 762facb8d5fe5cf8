"""The HTTP sides: control of the cameras, and MJPEG streams. Loopback unless told otherwise."""

import base64
import hashlib
import json
import queue
import re
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import clips
import playback as pb

_BOUNDARY = "camerasim"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, port, handler, owner):
        self.owner = owner
        super().__init__((address, port), handler)

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def handle_error(self, request, client_address):
        pass  # clients that hang up are daily business here


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=None, headers=()):
        data = json.dumps(body if body is not None else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)


class ControlHandler(_Handler):
    """`owner` offers state(), set_fault(name, request) and clear(name)."""

    def do_GET(self):
        if self.path.rstrip("/") != "/cameras":
            self.answer(404, {"error": "only /cameras"})
            return
        self.answer(200, self.server.owner.state())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match = re.fullmatch(r"/cameras/([^/]+)/(fault|clear)", self.path)
        try:
            if not match:
                raise KeyError(self.path)
            name, action = match.groups()
            if action == "clear":
                self.server.owner.clear(name)
            else:
                self.server.owner.set_fault(name, json.loads(body or b"{}"))
        except KeyError as missing:
            self.answer(404, {"error": f"no such camera or action: {missing}"})
        except (ValueError, TypeError, AttributeError, clips.ClipError) as problem:
            self.answer(400, {"error": str(problem)})
        else:
            self.answer(200)


def serve_control(owner):
    return _Server("127.0.0.1", 0, ControlHandler, owner).start()


class _MjpegSink:
    """Hands pictures from the pacer to the thread of one HTTP client; drops the oldest if slow."""

    def __init__(self):
        self.pictures = queue.Queue(maxsize=250)
        self.dropped = False

    def send(self, unit, _dts, pts):
        try:
            self.pictures.put_nowait((unit.data, pts))
        except queue.Full:
            self.pictures.get_nowait()
            self.pictures.put_nowait((unit.data, pts))

    def set_loss(self, fault):
        pass  # HTTP runs on TCP: nothing to lose


class MjpegHandler(_Handler):
    """/NAME.mjpg as multipart/x-mixed-replace. Faults apply as over RTSP, except `loss`."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        owner = self.server.owner
        match = re.fullmatch(r"/([^/?]+)\.mjpg(\?.*)?", self.path)
        camera = owner.cameras.get(match.group(1)) if match else None
        if camera is None or camera.has_fault("not_found"):
            self.answer(404, {"error": "no such camera"})
            return
        refusal = camera.has_fault("refuse")
        if refusal:
            camera.saw_connect("refused 503")
            if refusal.args["how"] != "close":
                self.answer(503)
            return
        if not owner.is_allowed(self, camera):
            camera.saw_connect("unauthorized")
            self.answer(401, None, [("WWW-Authenticate", owner.challenge())])
            return
        camera.saw_connect("ok")
        self._play(owner, camera)

    def _play(self, owner, camera):
        sink = _MjpegSink()
        with owner.pacer.lock:
            playback = pb.Playback(camera, sink, "keyframe")
            unit, dts, pts = playback.first(time.monotonic())
        self.send_response(200)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.end_headers()
        if not camera.has_fault("stall"):
            sink.send(unit, dts, pts)
        owner.add(camera, playback, sink)
        owner.pacer.start(playback)
        self.connection.settimeout(10)
        try:
            while not sink.dropped:
                try:
                    data, pts = sink.pictures.get(timeout=0.1)
                except queue.Empty:
                    continue
                self.wfile.write(
                    f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
                    f"X-Timestamp: {pts:.6f}\r\n\r\n".encode() + data + b"\r\n")
        finally:
            owner.pacer.remove(playback)
            owner.remove(playback)


class MjpegServer:
    """Serves cameras whose clips are JPEG pictures."""

    def __init__(self, cameras, pacer, options):
        self.cameras, self.pacer = cameras, pacer
        self._options = options
        self._mutex = threading.Lock()
        self._sessions = {}  # playback -> (camera, sink); guarded by _mutex
        self._nonce = secrets.token_hex(16)
        self._http = _Server(options.address, options.mjpeg_port, MjpegHandler, self)
        self.port = self._http.server_address[1]

    def attach(self):
        self._http.start()

    def add(self, camera, playback, sink):
        with self._mutex:
            self._sessions[playback] = (camera, sink)

    def remove(self, playback):
        with self._mutex:
            self._sessions.pop(playback, None)

    def sessions(self, camera):
        with self._mutex:
            return [p for p, (owner, _) in self._sessions.items() if owner is camera]

    def drop_sessions(self, camera):
        with self._mutex:
            for owner, sink in self._sessions.values():
                if owner is camera:
                    sink.dropped = True

    def challenge(self):
        if self._options.auth == "digest":
            return f'Digest realm="camera_sim", nonce="{self._nonce}", qop="auth"'
        return 'Basic realm="camera_sim"'

    def is_allowed(self, request, camera):
        fault = camera.has_fault("auth")
        password = fault.args["password"] if fault else self._options.password
        if password is None:
            return True
        user = self._options.user or "admin"
        given = request.headers.get("Authorization", "")
        if self._options.auth == "basic":
            wanted = base64.b64encode(f"{user}:{password}".encode()).decode()
            return given == f"Basic {wanted}"
        return self._is_digest_valid(given, request, user, password)

    def _is_digest_valid(self, given, request, user, password):
        pairs = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', given)
        fields = {key: quoted or bare for key, quoted, bare in pairs}

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()

        secret = md5(f"{user}:camera_sim:{password}")
        action = md5(f"{request.command}:{fields.get('uri', '')}")
        middle = [self._nonce]
        if "qop" in fields:
            middle += [fields.get("nc", ""), fields.get("cnonce", ""), fields["qop"]]
        wanted = md5(":".join([secret, *middle, action]))
        return fields.get("username") == user and fields.get("response") == wanted
