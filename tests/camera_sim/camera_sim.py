#!/usr/bin/env python3
"""Plays clips as RTSP cameras and breaks them on command. See README.md beside this file.

Needs the system's Python with GObject introspection, GStreamer's RTSP server, and ffmpeg.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gi  # noqa: E402

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

import clips  # noqa: E402
import http_servers  # noqa: E402
import playback as pb  # noqa: E402
import rtsp_server  # noqa: E402


class Simulator:
    """All cameras with their servers; what the control interface acts on."""

    def __init__(self, options, renditions):
        self._renditions = renditions
        self._pacer = pb.Pacer()
        now = time.monotonic()
        self._groups = []  # (cameras by name, server); one group for RTSP, one for MJPEG
        rtsp = {}
        mjpeg = {}
        for name, path, start, rate_hz in options.cameras:
            clip = renditions.original(path)
            if rate_hz:
                clip = clip.at_rate(rate_hz)
            rtsp[name] = pb.Camera(name, renditions.make(clip, options.codec or clip.codec),
                                   now - start)
            if options.mjpeg:
                mjpeg[name] = pb.Camera(name, renditions.make(clip, "mjpeg"), now - start)
        self._rtsp = rtsp_server.RtspServer(rtsp, self._pacer, options)
        self._rtsp.attach()
        self._groups.append((rtsp, self._rtsp))
        self.ready = {
            "port": self._rtsp.port,
            "urls": [f"rtsp://{options.address}:{self._rtsp.port}/{name}" for name in rtsp],
        }
        if options.mjpeg:
            server = http_servers.MjpegServer(mjpeg, self._pacer, options)
            server.attach()
            self._groups.append((mjpeg, server))
            self.ready["mjpeg_urls"] = [
                f"http://{options.address}:{server.port}/{name}.mjpg" for name in mjpeg]
        control = http_servers.serve_control(self)
        self.ready["control"] = f"http://127.0.0.1:{control.server_address[1]}"

    def set_fault(self, name, request):
        """Raises KeyError, ValueError or clips.ClipError."""
        for cameras, server in self._groups:
            camera = cameras[name]
            fault = pb.Fault.parse(request, time.monotonic())
            if fault.kind == "resolution":
                lasts = fault.until - time.monotonic()
                fault.clip = self._rendition(camera, fault.args)
                fault.until = time.monotonic() + lasts  # making it takes a while, the first time
            self._pacer.set_fault(camera, fault)
            if fault.kind in pb.DROPS_SESSIONS:
                rtsp_server.on_main_loop(server.drop_sessions, camera)

    def _rendition(self, camera, args):
        clip = camera.clip
        width = args["width"] or clip.width // 2
        height = args["height"] or clip.height // 2
        multiple = 8 if clip.codec == "mjpeg" else 2  # RFC 2435 counts JPEG sizes in blocks of 8
        size = (width // multiple * multiple, height // multiple * multiple)
        return self._renditions.make(clip, clip.codec, size)

    def clear(self, name):
        for cameras, _ in self._groups:
            self._pacer.set_fault(cameras[name], None)

    def state(self):
        now = time.monotonic()
        answer = {}
        for cameras, server in self._groups:
            for camera in cameras.values():
                fault = camera.fault_at(now)
                sessions = server.sessions(camera)
                entry = {
                    "clip": camera.clip.path.name,
                    "codec": camera.clip.codec,
                    "width": camera.clip.width,
                    "height": camera.clip.height,
                    "rate_hz": round(camera.clip.rate_hz, 3),
                    "fault": fault.kind if fault else None,
                    "clients": len(sessions),
                    "sessions": [{"units_sent": s.units_sent} for s in sessions],
                    "units_sent": camera.units_sent,
                    "connects": list(camera.connects),
                }
                if server is self._rtsp:
                    answer[camera.name] = entry
                else:
                    answer[camera.name]["mjpeg"] = entry
        return {"monotonic": now, "cameras": answer}

    def stop(self):
        self._pacer.stop()


def _parse_camera(text):
    name, equals, rest = text.partition("=")
    path, *settings = rest.split(",")
    values = {"start": 0.0, "rate": 0.0}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in values:
            raise argparse.ArgumentTypeError(f"{text}: {key!r} is neither start nor rate")
        try:
            values[key] = float(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text}: {value!r} is not a number") from None
    if not equals or not name or not path or "/" in name:
        raise argparse.ArgumentTypeError(f"{text}: write NAME=CLIP[,start=SECONDS][,rate=FPS]")
    return name, path, values["start"], values["rate"]


def parse_options(arguments=None):
    parser = argparse.ArgumentParser(description="Plays clips as RTSP cameras, faults on command.")
    parser.add_argument("--port", type=int, default=0, help="of RTSP; 0 takes a free one")
    parser.add_argument("--address", default="127.0.0.1", help="to listen on (not for control)")
    parser.add_argument("--camera", dest="cameras", action="append", default=[],
                        type=_parse_camera, metavar="NAME=CLIP[,start=SECONDS][,rate=FPS]")
    parser.add_argument("--clip", help="with --count: cameras cam-1 .. cam-N, evenly staggered")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--join", choices=("keyframe", "wait", "now"), default="keyframe",
                        help="what a new client gets first: a key frame at once, the next key "
                             "frame, or whatever is being sent")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--auth", choices=("basic", "digest"), default="digest")
    parser.add_argument("--codec", choices=("h264", "h265", "mjpeg"),
                        help="transcode clips of other codecs, once, at the start")
    parser.add_argument("--mjpeg", action="store_true", help="also serve HTTP /NAME.mjpg")
    parser.add_argument("--mjpeg-port", type=int, default=0)
    options = parser.parse_args(arguments)
    if (options.user is None) != (options.password is None):
        parser.error("--user and --password go together")
    if options.clip:
        options.cameras += [(f"cam-{i + 1}", options.clip, i * 1.7, 0.0)
                            for i in range(options.count)]
    if not options.cameras:
        parser.error("name at least one --camera, or --clip")
    names = [camera[0] for camera in options.cameras]
    if len(set(names)) != len(names):
        parser.error("two cameras have the same name")
    return options


def main():
    options = parse_options()
    Gst.init(None)
    loop = GLib.MainLoop()
    with tempfile.TemporaryDirectory(prefix="camera_sim-") as folder:
        try:
            simulator = Simulator(options, clips.Renditions(folder))
        except (clips.ClipError, RuntimeError) as problem:
            print(f"camera_sim: {problem}", file=sys.stderr)
            return 1
        for number in (signal.SIGINT, signal.SIGTERM):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
        print(json.dumps(simulator.ready), flush=True)
        loop.run()
        simulator.stop()
    # Client pipelines may still be running; nothing of theirs is worth an orderly end.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
