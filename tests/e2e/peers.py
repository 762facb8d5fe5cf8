"""Real peers for what framemill sends: a Mosquitto broker with a subscriber, an HTTP receiver that fails on command."""
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import paho.mqtt.client

from framemill import free_port


def wait_until(condition, timeout_s, what):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s: {what}")


class Broker:
    """Mosquitto on a port of its own; start() and stop() as often as wanted. `is_durable`: what it has acknowledged outlives end_gently()."""

    def __init__(self, folder, extra="", port=None, is_durable=False):
        self.port = port or free_port()
        self.config = pathlib.Path(folder) / "mosquitto.conf"
        kept = "persistence false"
        if is_durable:
            store = pathlib.Path(folder) / "mosquitto"
            store.mkdir()
            kept = f"persistence true\npersistence_location {store}/" + ("\nuser root" if os.getuid() == 0 else "")
        self.config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{kept}\nmax_queued_messages 0\n{extra}\n")
        self.process = None

    def start(self):
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        self.process = subprocess.Popen([program, "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        def is_up():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(is_up, 10, "the broker listens")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


    def end_gently(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


class Subscriber:
    """All messages below `topic` as (topic, payload, retained), in the order of arrival. With a `name` the broker keeps for it what comes while it is
    away."""

    def __init__(self, port, topic="#", tls=None, name=""):
        self.messages = []
        self.received_at = []  # of each message
        self.is_subscribed = threading.Event()
        self.client = paho.mqtt.client.Client(client_id=name, clean_session=not name)
        self.client.reconnect_delay_set(1, 2)
        if tls:
            self.client.tls_set(**tls)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.on_subscribe = lambda *_: self.is_subscribed.set()
        self.client.on_message = lambda _, __, m: self.take(m)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.is_subscribed.wait(10)

    def take(self, message):
        self.received_at.append(time.time())
        self.messages.append((message.topic, message.payload.decode(), bool(message.retain)))

    def stop(self):
        self.client.loop_stop()
        self.client.disconnect()

    def json(self, prefix):
        return [json.loads(payload) for topic, payload, _ in list(self.messages) if topic.startswith(prefix)]


class Receiver:
    """An HTTP server that keeps what is posted to it; `status` is what it answers; 0: it closes the connection without a word."""

    def __init__(self, secret=None, port=0):
        self.requests = []  # (status answered, headers, body, received at)
        self.status = 200
        self.bad_signatures = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if secret is not None and not outer.is_signed(secret, self.headers.get("Framemill-Signature", ""), body):
                    outer.bad_signatures += 1
                status = outer.status
                outer.requests.append((status or 999, dict(self.headers), body.decode(), time.time()))
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def is_signed(secret, header, body):
        parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
        wanted = hmac.new(secret.encode(), parts.get("t", "").encode() + b"." + body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, parts.get("v1", "")) and abs(time.time() - int(parts.get("t") or 0)) < 60

    def accepted(self):
        """What an idempotent receiver has: the first body for each key."""
        taken = {}
        for status, headers, body, at in list(self.requests):
            if status < 300:
                taken.setdefault(headers["Idempotency-Key"], (json.loads(body), at))
        return taken

    def messages(self):
        """All that was taken, in the order of arrival; with batches, too."""
        bodies = {}  # as for an idempotent receiver, only the first of each key
        for status, headers, body, _ in list(self.requests):
            if status < 300:
                bodies.setdefault(headers["Idempotency-Key"], body)
        return [json.loads(line) for body in bodies.values() for line in body.splitlines()]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
