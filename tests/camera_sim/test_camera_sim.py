"""Proves each behaviour of camera_sim with clients that share no code with it: ffmpeg, and a bare
RTSP client that looks at the packets. Run: python3 -m unittest discover -s tests/camera_sim
"""

import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import sim_client  # noqa: E402
from sim_client import CameraSim, CameraSimError  # noqa: E402

RATE_HZ = 25
FRAME_LINE = re.compile(
    r"n: *\d+ pts: *-?\w+ pts_time:(\S+) .* s:(\d+)x(\d+) .* checksum:(\w+)")

Frame = namedtuple("Frame", "at pts size checksum")
Packet = namedtuple("Packet", "at sequence timestamp payload")


def setUpModule():
    reason = sim_client.why_unavailable()
    if reason:
        raise unittest.SkipTest(f"camera_sim cannot run here: {reason}")
    global folder, clip
    folder = tempfile.TemporaryDirectory()
    clip = str(Path(folder.name) / "pattern.mp4")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-t", "3",
         "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-sc_threshold", "0",
         "-pix_fmt", "yuv420p", clip], check=True)


def tearDownModule():
    folder.cleanup()


class Viewer:
    """ffmpeg decoding a stream, with the arrival time of every frame."""

    def __init__(self, url, transport="tcp", options=()):
        rtsp = ["-rtsp_transport", transport] if url.startswith("rtsp") else []
        self._process = subprocess.Popen(
            ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-copyts", "-threads", "1",
             "-analyzeduration", "200000", *rtsp, *options, "-i", url,
             "-vf", "showinfo", "-vsync", "passthrough", "-f", "null", "-"],
            stderr=subprocess.PIPE, text=True, errors="replace")
        self.frames = []
        self.lines = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for line in self._process.stderr:
            match = FRAME_LINE.search(line)
            if match:
                pts = float("nan") if match[1] == "NOPTS" else float(match[1])
                self.frames.append(
                    Frame(time.monotonic(), pts, (int(match[2]), int(match[3])), match[4]))
            elif "Parsed_showinfo" not in line:
                self.lines.append(line)

    @property
    def log(self):
        return "".join(self.lines)

    def wait_frames(self, count, timeout_s=8.0):
        """Until `count` more frames have come."""
        target, end = len(self.frames) + count, time.monotonic() + timeout_s
        while len(self.frames) < target:
            if time.monotonic() > end:
                raise AssertionError(f"{target - len(self.frames)} frames missing; {self.log}")
            time.sleep(0.02)
        return self

    def settle(self):
        """Until ffmpeg has caught up with what it buffered while it probed the stream."""
        self.wait_frames(5)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if len(self.watch(0.4)) <= 0.4 * RATE_HZ * 1.2:
                return self
        raise AssertionError(f"frames keep coming faster than they should; {self.log}")

    def during(self, start, end):
        return [frame for frame in self.frames if start <= frame.at < end]

    def watch(self, seconds):
        """Frames that arrive in the next `seconds`."""
        start = time.monotonic()
        time.sleep(seconds)
        return self.during(start, start + seconds)

    def wait_end(self, timeout_s=5.0):
        self._process.wait(timeout_s)
        return self._process.returncode

    def is_running(self):
        return self._process.poll() is None

    def stop(self):
        if self.is_running():
            self._process.terminate()
            self._process.wait()
        self._thread.join()
        self._process.stderr.close()


class BareClient:
    """RTSP over TCP, interleaved, no authentication; keeps raw RTP packets."""

    def __init__(self, url):
        self._url = url
        host, port = re.match(r"rtsp://([^:/]+):(\d+)/", url).groups()
        self._socket = socket.create_connection((host, int(port)), timeout=5)
        self._input = self._socket.makefile("rb")
        self._count = 0
        self.early = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._input.close()
        self._socket.close()

    def request(self, method, url, *headers):
        self._count += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._count}", *headers, "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        while True:
            first = self._input.read(1)
            if first == b"$":
                self.early.append(self._packet())
                continue
            status = (first + self._input.readline()).decode()
            answer = {}
            while line := self._input.readline().strip().decode():
                key, _, value = line.partition(":")
                answer[key.lower()] = value.strip()
            body = self._input.read(int(answer.get("content-length", 0))).decode()
            return int(status.split()[1]), answer, body

    def play(self):
        _, _, sdp = self.request("DESCRIBE", self._url, "Accept: application/sdp")
        control = re.findall(r"a=control:(\S+)", sdp)[-1]
        track = control if control.startswith("rtsp://") else f"{self._url}/{control}"
        _, setup, _ = self.request("SETUP", track,
                                   "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        session = "Session: " + setup["session"].split(";")[0]
        self.asked_at = time.monotonic()
        self.request("PLAY", self._url, session)
        return self

    def next_packet(self):
        while True:
            if self.early:
                packet = self.early.pop(0)
            else:
                packet = self._packet() if self._input.read(1) == b"$" else None
            if packet:
                return packet

    def packets(self, seconds):
        """Those already here, and those of the next `seconds`."""
        found = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found.append(self.next_packet())
        return found

    def _packet(self):
        channel, size = struct.unpack("!BH", self._input.read(3))
        data = self._input.read(size)
        if channel != 0:
            return None
        _, _, sequence, timestamp = struct.unpack("!BBHI", data[:8])
        return Packet(time.monotonic(), sequence, timestamp, data[12:])


def nal_type(packet):
    """H.264; a fragment counts as what it is a fragment of."""
    found = packet.payload[0] & 31
    return packet.payload[1] & 31 if found == 28 else found


def at_the_same_time(check, *arguments):
    """Checks mostly wait: together they take as long as one."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(check, arguments))


class NormalPlay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = CameraSim("--camera", f"gate={clip}", "--camera", f"dock={clip},start=2.5,rate=10",
                            "--mjpeg").start()

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def check_pace(self, viewer, rate_hz, seconds=3.0):
        viewer.settle()
        count = len(viewer.watch(seconds))
        self.assertAlmostEqual(count, rate_hz * seconds, delta=rate_hz * seconds * 0.1)

    def test_both_transports_play_at_the_pace_of_the_clip(self):
        with Viewer(self.sim.url("gate"), "tcp") as tcp, Viewer(self.sim.url("gate"), "udp") as udp:
            tcp.settle()
            udp.settle()
            start = time.monotonic()
            time.sleep(3)
            for viewer in (tcp, udp):
                count = len(viewer.during(start, start + 3))
                self.assertAlmostEqual(count, 75, delta=7.5)
            self.assertEqual(self.sim.cameras()["gate"]["clients"], 2)
            self.assertNotIn("error", (tcp.log + udp.log).lower())

    def test_every_access_unit_is_decoded_and_time_goes_on_across_loops(self):
        with Viewer(self.sim.url("gate")) as viewer:
            viewer.wait_frames(95)  # the clip has 75
            time.sleep(0.1)
            sent = self.sim.cameras()["gate"]["sessions"][-1]["units_sent"]
            self.assertAlmostEqual(len(viewer.frames), sent, delta=6)  # under way and in reorder
        times = [frame.pts for frame in viewer.frames if frame.pts == frame.pts]
        steps = [b - a for a, b in zip(times, times[1:])]
        # 0.04 s each; the first two may be unset or guessed by ffmpeg before it knows the reorder.
        self.assertTrue(all(abs(step - 0.04) < 0.002 for step in steps[3:]), steps)
        self.assertEqual(viewer.frames[10].checksum, viewer.frames[85].checksum)

    def test_own_rate(self):
        with Viewer(self.sim.url("dock")) as viewer:
            self.check_pace(viewer, 10, 2.0)

    def test_mjpeg_over_http(self):
        with Viewer(self.sim.mjpeg_urls[0]) as viewer:
            self.check_pace(viewer, RATE_HZ, 2.0)
            self.sim.fault("gate", "freeze")
            time.sleep(0.3)
            self.assertEqual(len({frame.checksum for frame in viewer.watch(0.7)}), 1)
            self.sim.fault("gate", "refuse")
            viewer.wait_end()
        with Viewer(self.sim.mjpeg_urls[0]) as viewer:
            self.assertNotEqual(viewer.wait_end(), 0)
            self.assertIn("503", viewer.log)
        self.sim.clear("gate")

    def test_unknown_camera_and_bad_faults_are_refused(self):
        with Viewer(self.sim.url("nowhere")) as viewer:
            viewer.wait_end()
        self.assertIn("404", viewer.log)
        for name, kind, args in [("nowhere", "stall", {}), ("gate", "explode", {}),
                                 ("gate", "loss", {"share": 2}), ("gate", "stall", {"x": 1})]:
            with self.assertRaises(CameraSimError):
                self.sim.fault(name, kind, **args)

    def test_clients_are_forgotten_when_they_leave(self):
        with Viewer(self.sim.url("dock"), "udp") as viewer:
            viewer.wait_frames(3)
        self.sim.wait_for(lambda cameras: cameras["dock"]["clients"] == 0)


class Joining(unittest.TestCase):
    def test_what_a_new_client_gets_first(self):
        modes = ("keyframe", "now", "wait")  # the one that waits is read last
        sims = [CameraSim("--camera", f"gate={clip}", "--join", mode).start() for mode in modes]
        for sim in sims:
            self.addCleanup(sim.stop)
        # Two clients each, half a group of pictures apart: one of them must wait noticeably.
        firsts = {mode: [] for mode in modes}
        for _ in range(2):
            start = time.monotonic()
            clients = [BareClient(sim.urls[0]).play() for sim in sims]
            for mode, client in zip(modes, clients):
                with client:
                    while nal_type(packet := client.next_packet()) not in (1, 5):
                        pass
                    firsts[mode].append((packet.at - client.asked_at, nal_type(packet)))
            time.sleep((start - time.monotonic() + 0.5) % 1.0)
        self.assertEqual([kind for _, kind in firsts["keyframe"] + firsts["wait"]], [5] * 4)
        self.assertLess(min(delay for delay, _ in firsts["keyframe"]), 0.2)
        self.assertGreater(max(delay for delay, _ in firsts["wait"]), 0.25)
        self.assertIn(1, [kind for _, kind in firsts["now"]])
        self.assertLess(min(delay for delay, _ in firsts["now"]), 0.2)


class OtherCodecs(unittest.TestCase):
    def check(self, codec):
        with CameraSim("--camera", f"gate={clip}", "--codec", codec) as sim, \
                Viewer(sim.urls[0]) as viewer:
            viewer.settle()
            self.assertAlmostEqual(len(viewer.watch(1.0)), RATE_HZ, delta=4)
            sim.fault("gate", "resolution", width=320, height=176)
            viewer.wait_frames(15)
            self.assertEqual(viewer.frames[-1].size, (320, 176))
            self.assertEqual(sim.cameras()["gate"]["codec"], codec)

    def test_h265_and_mjpeg_in_rtp(self):
        at_the_same_time(self.check, "h265", "mjpeg")


class Authentication(unittest.TestCase):
    def check(self, scheme):
        with CameraSim("--camera", f"gate={clip}", "--user", "admin", "--password", "right",
                       "--auth", scheme) as sim:
            for login in (("admin", "wrong"), ("other", "right"), (None, None)):
                with Viewer(sim.url("gate", *login)) as viewer:
                    viewer.wait_end()
                self.assertIn("401", viewer.log)
            with BareClient(sim.urls[0]) as client:
                status, answer, _ = client.request("DESCRIBE", sim.urls[0])
                self.assertEqual(status, 401)
                self.assertTrue(answer["www-authenticate"].lower().startswith(scheme))
            with Viewer(sim.url("gate", "admin", "right")) as viewer:
                viewer.wait_frames(10)
                sim.fault("gate", "auth", password="new")
                viewer.wait_end()
            with Viewer(sim.url("gate", "admin", "right")) as viewer:
                viewer.wait_end()
            self.assertIn("401", viewer.log)
            with Viewer(sim.url("gate", "admin", "new")) as viewer:
                viewer.wait_frames(5)
            sim.clear("gate")
            with Viewer(sim.url("gate", "admin", "right")) as viewer:
                viewer.wait_frames(5)

    def test_digest_and_basic(self):
        at_the_same_time(self.check, "digest", "basic")


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = CameraSim("--camera", f"gate={clip}").start()

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def setUp(self):
        self.sim.clear("gate")
        self.url = self.sim.url("gate")

    def test_refuse(self):
        for how, sign in (("503", "503"), ("close", "")):
            with Viewer(self.url) as viewer:
                viewer.wait_frames(5)
                self.sim.fault("gate", "refuse", how=how)
                viewer.wait_end()
            with Viewer(self.url) as viewer:
                self.assertNotEqual(viewer.wait_end(), 0)
                self.assertEqual(viewer.frames, [])
                self.assertIn(sign, viewer.log)
            self.sim.clear("gate")
        with Viewer(self.url) as viewer:
            viewer.wait_frames(5)
        outcomes = [seen["outcome"] for seen in self.sim.cameras()["gate"]["connects"]]
        self.assertIn("refused 503", outcomes)
        self.assertEqual(outcomes[-1], "ok")

    def test_not_found_ends_by_itself(self):
        self.sim.fault("gate", "not_found", for_s=1.0)
        with Viewer(self.url) as viewer:
            viewer.wait_end()
        self.assertIn("404", viewer.log)
        self.sim.wait_for(lambda cameras: cameras["gate"]["fault"] is None)
        with Viewer(self.url) as viewer:
            viewer.wait_frames(5)

    def test_drop_over_both_transports(self):
        with Viewer(self.url) as tcp, Viewer(self.url, "udp") as udp:
            tcp.wait_frames(5)
            udp.wait_frames(5)
            self.sim.fault("gate", "drop")
            tcp.wait_end()
            time.sleep(0.5)
            self.assertEqual(udp.watch(0.5), [])
        with Viewer(self.url) as viewer:
            viewer.wait_frames(5)

    def test_stall(self):
        with Viewer(self.url) as viewer:
            viewer.wait_frames(10)
            self.sim.fault("gate", "stall", for_s=1.5)
            time.sleep(0.2)
            self.assertEqual(viewer.watch(1.0), [])
            self.assertTrue(viewer.is_running())
            before = viewer.frames[-1]
            viewer.wait_frames(10)
        # The camera's clock went on meanwhile.
        self.assertAlmostEqual(viewer.frames[-5].pts - before.pts, 1.6, delta=0.5)

    def test_stall_of_a_new_session(self):
        self.sim.fault("gate", "stall")
        with BareClient(self.url) as client:
            client.play()
            time.sleep(0.5)
            self.sim.clear("gate")
            first = next(p for p in client.packets(0.5) if nal_type(p) in (1, 5))
            self.assertEqual(nal_type(first), 5)
            self.assertGreater(first.at - client.asked_at, 0.45)

    def test_freeze(self):
        with Viewer(self.url) as viewer:
            viewer.settle()
            self.assertGreater(len({frame.checksum for frame in viewer.watch(0.5)}), 8)
            self.sim.fault("gate", "freeze")
            time.sleep(0.4)
            frozen = viewer.watch(1.0)
            self.assertAlmostEqual(len(frozen), RATE_HZ, delta=3)
            self.assertEqual(len({frame.checksum for frame in frozen}), 1)
            self.sim.clear("gate")
            time.sleep(0.4)
            self.assertGreater(len({frame.checksum for frame in viewer.watch(0.5)}), 8)
        steps = [b.pts - a.pts for a, b in zip(viewer.frames[5:], viewer.frames[6:])]
        # ffmpeg gives a frame after a gap the time stamp it expected, so two may share one.
        self.assertTrue(all(step >= 0 for step in steps), steps)

    def test_slow(self):
        with Viewer(self.url) as viewer:
            viewer.settle()
            self.sim.fault("gate", "slow", factor=0.25)
            time.sleep(0.3)
            self.assertAlmostEqual(len(viewer.watch(1.6)), 10, delta=2)
            self.sim.clear("gate")
            time.sleep(0.3)
            self.assertAlmostEqual(len(viewer.watch(1.0)), RATE_HZ, delta=3)

    def test_garbage(self):
        with Viewer(self.url) as viewer:
            viewer.wait_frames(10)
            self.assertNotIn("error", viewer.log)
            self.sim.fault("gate", "garbage", share=0.3, for_s=1.5)
            time.sleep(1.5)
            self.assertRegex(viewer.log, "error|conceal|invalid|negative|out of range")
            viewer.wait_frames(10)

    def test_loss(self):
        with Viewer(self.url) as viewer, BareClient(self.url) as client:
            viewer.wait_frames(10)
            self.sim.fault("gate", "loss", share=0.2)
            packets = client.play().packets(1.5)
            self.sim.clear("gate")
            client.packets(0.2)
            healthy = client.packets(0.5)
        self.assertRegex(viewer.log, "missed|bad cseq|conceal|error")
        self.assertAlmostEqual(self.share_lost(packets), 0.2, delta=0.1)
        self.assertEqual(self.share_lost(healthy), 0.0)

    @staticmethod
    def share_lost(packets):
        expected = ((packets[-1].sequence - packets[0].sequence) & 0xFFFF) + 1
        return 1 - len(packets) / expected

    def test_resolution(self):
        with Viewer(self.url) as viewer:
            viewer.wait_frames(10)
            self.sim.fault("gate", "resolution")
            time.sleep(0.3)
            viewer.wait_frames(10)
            self.assertEqual(viewer.frames[-1].size, (320, 180))
            self.sim.clear("gate")
            time.sleep(0.3)
            viewer.wait_frames(10)
            self.assertEqual(viewer.frames[-1].size, (640, 360))
        with Viewer(self.url) as viewer:
            self.sim.fault("gate", "resolution", width=160, height=90, for_s=2)
            viewer.wait_frames(10)
            self.assertEqual(viewer.frames[-1].size, (160, 90))

    def test_timestamp_jump(self):
        for seconds in (3600, -3600):
            with BareClient(self.url) as client:
                client.play().packets(0.5)
                self.sim.fault("gate", "timestamp_jump", seconds=seconds)
                stamps = [packet.timestamp for packet in client.packets(0.5)]
            steps = [(b - a + 2**31) % 2**32 - 2**31 for a, b in zip(stamps, stamps[1:])]
            largest = max(steps, key=abs) / 90_000
            self.assertAlmostEqual(largest, seconds, delta=0.3)

    def test_timestamp_wrap(self):
        self.sim.fault("gate", "timestamp_wrap", seconds=1)
        with Viewer(self.url) as viewer, BareClient(self.url) as client:
            packets = client.play().packets(2.0)
            viewer.wait_frames(max(0, 40 - len(viewer.frames)))  # ffmpeg plays on across it
        stamps = [packet.timestamp for packet in packets]
        self.assertGreater(stamps[0], 2**32 - 2 * 90_000)
        self.assertLess(stamps[-1], 2 * 90_000)
        wrapped_at = next(p.at for p in packets if p.timestamp < 2**31)
        self.assertAlmostEqual(wrapped_at - packets[0].at, 1.0, delta=0.3)

    def test_burst(self):
        with Viewer(self.url) as viewer:
            viewer.settle()
            start = time.monotonic()
            self.sim.fault("gate", "burst", hold_s=1.5)
            time.sleep(2.6)
            self.assertEqual(viewer.during(start + 0.3, start + 1.4), [])
            self.assertGreater(len(viewer.during(start + 1.4, start + 1.9)), 35)
            times = [frame.pts for frame in viewer.frames[5:]]
        self.assertTrue(all(abs(b - a - 0.04) < 0.002 for a, b in zip(times, times[1:])))


if __name__ == "__main__":
    unittest.main()
