"""The server over TLS, with certificates made by openssl: curl, a WebSocket, a browser; certificates that are renewed, wrong, or asked of clients."""
import base64
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import unittest

import framemill
from test_server import ADMIN, VIEW, ServerTest

sys.path.append(str(framemill.ROOT / ".deps/playwright"))
try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    sync_playwright = None
CHROMIUM = pathlib.Path("/usr/bin/chromium")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)


def make_certificate(folder, name, key="ec", days=30, authority=None, subject="localhost"):
    """NAME.pem and NAME.key, for localhost and 127.0.0.1; signed by itself, or by the authority's."""
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if key == "ec" else ["-newkey", "rsa:2048"]
    signed = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key"] if authority else []
    openssl(folder, "req", "-x509", *new_key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", days, "-subj", f"/CN={subject}",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *signed)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class TlsTest(ServerTest):
    scheme = "https"

    def setUp(self):
        super().setUp()
        make_certificate(self.folder, "server")
        self.context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))

    def connect_http(self):
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPSConnection(host, int(port), timeout=30, context=self.context)

    def start_tls(self, extra="", **kwargs):
        return self.start_server(self.synthetic("gate-1", server=f"cert_file: server.pem, key_file: server.key{extra}"), **kwargs)

    def serial(self):
        """Of the certificate that new connections are shown."""
        host, port = self.address.rsplit(":", 1)
        shown = ssl.get_server_certificate((host, int(port)))
        return ssl.PEM_cert_to_DER_cert(shown)

    def own(self, name="server"):
        return ssl.PEM_cert_to_DER_cert((self.folder / f"{name}.pem").read_text())


class ServeTest(TlsTest):
    def test_api_and_files_over_https(self):
        self.start_tls(f", token: {ADMIN}")
        self.assertEqual(self.ask("GET", "/api/v1/run").status, 401)
        for path in ("/", "/healthz", "/api/v1/openapi.yaml"):
            self.assertEqual(self.ask("GET", path).status, 200)
        self.assertEqual(self.ask("GET", "/api/v1/cameras", token=ADMIN).json["total"], 1)
        self.wait_for(lambda: self.ask("GET", "/api/v1/cameras/gate-1/snapshot.jpg", token=ADMIN).status == 200)
        self.assertEqual(self.ask("POST", "/api/v1/cameras", {"id": "big", "url": "synthetic://?" + "x" * 300_000}, token=ADMIN).status, 413)
        connection = self.connect_http()  # many requests of one connection
        for _ in range(20):
            connection.request("GET", "/api/v1/run", headers={"Authorization": f"Bearer {ADMIN}"})
            answer = connection.getresponse()
            self.assertEqual((answer.status, len(answer.read()) > 0), (200, True))
        connection.close()
        self.assertEqual(self.ask("GET", "/api/v1/run", token=ADMIN, headers={"Origin": f"https://{self.address}"}).status, 200)
        self.assertEqual(self.ask("GET", "/api/v1/run", token=ADMIN, headers={"Origin": "https://evil.example"}).status, 403)
        self.assertTrue(self.stop()["conserved"])

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_verifies_it_and_old_protocols_are_refused(self):
        self.start_tls()
        curl = lambda *options: subprocess.run(["curl", "-sS", "--max-time", "20", *options], capture_output=True, text=True, cwd=self.folder)
        url = f"https://{self.address}/healthz"
        self.assertEqual(curl("--cacert", "server.pem", url).stdout, '{"status":"ok"}\n')
        self.assertNotEqual(curl(url).returncode, 0, "nobody has signed it")
        for version in ("1.2", "1.3"):
            self.assertEqual(curl("--cacert", "server.pem", f"--tlsv{version}", "--tls-max", version, url).returncode, 0, version)
        self.assertNotEqual(curl("--cacert", "server.pem", "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url).returncode, 0)
        plain = curl("-w", "%{http_code}", f"http://{self.address}/healthz").stdout
        self.assertIn("https_only", plain)
        self.assertIn("400", plain)
        self.stop()

    def test_the_stream_runs_over_tls(self):
        self.start_tls(f", view_token: {VIEW}")
        host, port = self.address.rsplit(":", 1)
        raw = socket.create_connection((host, int(port)), timeout=30)
        stream = self.context.wrap_socket(raw, server_hostname=host)
        self.addCleanup(stream.close)
        token = base64.urlsafe_b64encode(VIEW.encode()).decode().rstrip("=")
        stream.sendall((f"GET /api/v1/stream HTTP/1.1\r\nHost: {self.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Protocol: framemill.v1, bearer.{token}\r\n\r\n").encode())
        got = b""
        end = time.monotonic() + 30
        while b'"type":"stats"' not in got and time.monotonic() < end:
            got += stream.recv(65536)
        self.assertIn(b" 101 ", got[:40])
        self.assertIn(b'"type":"hello"', got)
        self.assertIn(b'"type":"stats"', got)
        self.stop()

    def test_clients_that_stop_half_way_hold_nobody(self):
        self.start_tls()
        host, port = self.address.rsplit(":", 1)
        begin = time.monotonic()
        half = [socket.create_connection((host, int(port)), timeout=60) for _ in range(20)]
        for i, connection in enumerate(half):
            self.addCleanup(connection.close)
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[: i % 11])  # a piece of a handshake, or nothing
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        for connection in half:
            connection.settimeout(30)
            try:
                self.assertEqual(connection.recv(1000)[:1] in (b"", b"\x15", b"H"), True)
            except ConnectionError:
                pass
        self.assertLess(time.monotonic() - begin, 25)
        for data in (os.urandom(500), b"\x16\x03\x01" + os.urandom(600), b"GET / HTTP/1.1\r\n"):
            connection = socket.create_connection((host, int(port)), timeout=30)
            connection.sendall(data)
            connection.close()
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        self.stop()


class CertificateTest(TlsTest):
    def test_a_renewed_certificate_is_used_without_a_restart(self):
        self.start_tls()
        self.assertEqual(self.serial(), self.own())
        connection = self.connect_http()  # goes on with the old one
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        make_certificate(self.folder, "next", key="rsa")
        for suffix in ("pem", "key"):  # the file watch notices
            os.replace(self.folder / f"next.{suffix}", self.folder / f"server.{suffix}")
        self.wait_for(lambda: self.serial() == self.own())
        connection.request("GET", "/healthz")
        self.assertEqual(connection.getresponse().read(), b'{"status":"ok"}\n')
        connection.close()
        self.context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        self.stop()

    def test_a_wrong_one_is_refused_and_the_old_one_stays(self):
        self.start_tls(", watch: false")
        old = self.serial()
        key = (self.folder / "server.key").read_text()
        make_certificate(self.folder, "other")
        for name, text, part in (("server.key", (self.folder / "other.key").read_text(), "another certificate"), ("server.key", "nonsense", "key"),
                                 ("server.pem", "nonsense", "no certificate"), ("server.pem", None, "no such file")):
            with self.subTest(name=name, part=part):
                good = (self.folder / name).read_text()
                (self.folder / name).write_text(text) if text is not None else (self.folder / name).unlink()
                refused = self.ask("POST", "/api/v1/config/reload")
                self.assertEqual(refused.status, 400)
                self.assertIn(part, refused.json["error"])
                self.assertIn("server.", refused.json["where"])
                self.assertEqual(self.serial(), old)
                (self.folder / name).write_text(good)
        self.assertEqual((self.folder / "server.key").read_text(), key)
        self.assertEqual(self.ask("POST", "/api/v1/config/reload").status, 200)
        make_certificate(self.folder, "server")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: self.serial() == self.own())
        self.context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        self.stop()

    def test_what_cannot_be_used_is_told_before_anything_starts(self):
        make_certificate(self.folder, "other", key="rsa")
        openssl(self.folder, "ec", "-in", "server.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
        for server, part in (("cert_file: server.pem", "key_file"), ("key_file: server.key", "cert_file"), ("cert_file: none.pem, key_file: server.key", "none.pem"),
                             ("cert_file: server.pem, key_file: other.key", "another certificate"), ("cert_file: server.key, key_file: server.key", "no certificate"),
                             ("cert_file: server.pem, key_file: locked.key", "without a password"),
                             ("cert_file: server.pem, key_file: server.key, client_ca_file: server.key", "client_ca_file")):
            with self.subTest(server=server):
                path = self.folder / "site.yaml"
                path.write_text(self.synthetic("gate-1", server=server))
                done = framemill.run("run", path, "--listen", "127.0.0.1:0", "--for", "1s", timeout=60, stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(part, done.stderr)

    def test_listening_elsewhere_needs_more_than_encryption(self):
        path = self.folder / "site.yaml"
        tls = "cert_file: server.pem, key_file: server.key"
        for server, expect in ((tls, 2), (f"{tls}, token: {ADMIN}", 0), (f"{tls}, client_ca_file: server.pem", 0)):
            with self.subTest(server=server):
                path.write_text(self.synthetic("gate-1", server=server))
                done = framemill.run("run", path, "--listen", "0.0.0.0:0", "--for", "500ms", timeout=60)
                self.assertEqual(done.returncode, expect, done.stderr)

    def test_clients_without_a_certificate_are_not_served(self):
        make_certificate(self.folder, "authority", subject="authority")
        make_certificate(self.folder, "client", authority="authority", subject="operator")
        make_certificate(self.folder, "stranger", subject="stranger")
        self.start_tls(", client_ca_file: authority.pem", wait=False)
        self.address = self.wait_for(lambda: (re.search(r"listening at https://([^/\s]+)/", self.read_log()) or [None, None])[1])
        for name in (None, "stranger"):
            self.context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
            if name:
                self.context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                self.ask("GET", "/healthz")
        self.context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        self.context.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        self.wait_for(lambda: self.ask("GET", "/readyz").status == 200)
        self.assertEqual(self.ask("GET", "/api/v1/run").status, 200)
        self.stop()


@unittest.skipIf(sync_playwright is None or not CHROMIUM.exists(), "Playwright or Chromium is missing; scripts/setup.sh installs them")
class BrowserTest(TlsTest):
    def test_the_dashboard_and_its_stream_over_https(self):
        self.start_tls(f", token: {ADMIN}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            page = browser.new_context(ignore_https_errors=True).new_page()
            sockets = []
            page.on("websocket", lambda one: sockets.append(one.url))
            page.goto(f"https://{self.address}/")
            page.get_by_role("textbox", name="Token").fill(ADMIN)
            page.keyboard.press("Enter")
            expect(page.get_by_text("gate-1").first).to_be_visible(timeout=30_000)
            end = time.monotonic() + 30
            while not sockets and time.monotonic() < end:
                page.wait_for_timeout(100)
            self.assertTrue(sockets and sockets[0].startswith("wss://"), sockets)
            expect(page.get_by_text("Disconnected")).to_have_count(0)
            browser.close()
        self.stop()


del TlsTest
if __name__ == "__main__":
    unittest.main()
