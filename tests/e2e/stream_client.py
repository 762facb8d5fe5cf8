"""A WebSocket client, as small as RFC 6455 allows; standard library only."""
import base64
import json
import os
import socket
import struct


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:200]!r}")
        self.status = status
        self.body = body


class StreamClient:
    def __init__(self, address, path="/api/v1/stream", token=None, origin=None, protocols=("framemill.v1",), receive_bytes=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(30)
        self.socket.connect((host, int(port)))
        offered = list(protocols)
        if token:
            offered.append("bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("="))
        lines = [f"GET {path} HTTP/1.1", f"Host: {address}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        if offered:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(offered))
        if origin:
            lines.append("Origin: " + origin)
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.read_some()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        status = int(self.head.split()[1])
        if status != 101:
            raise Refused(status, self.data)

    def read_some(self):
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("closed")
        self.data += part

    def take(self, count):
        while len(self.data) < count:
            self.read_some()
        part, self.data = self.data[:count], self.data[count:]
        return part

    def send_text(self, text):
        self.socket.sendall(self.frame(text))

    @staticmethod
    def frame(text):
        payload = text.encode()
        mask = os.urandom(4)
        head = bytes([0x81])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", len(payload))
        return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))

    def subscribe(self, **message):
        self.send_text(json.dumps({"type": "subscribe", **message}))

    def receive(self):
        """The next text as JSON; None where the server closes."""
        while True:
            first, second = self.take(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack(">H", self.take(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.take(8))[0]
            payload = self.take(length)
            if first & 0x0F == 8:
                return None
            if first & 0x0F == 1:
                return json.loads(payload)

    def close(self):
        self.socket.close()
