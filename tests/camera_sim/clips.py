"""Clips held in memory as access units, and the renditions of them that ffmpeg makes.

A clip is read once; nothing is decoded here. Times are seconds (float) from the clip's first decode
time, so every access unit has 0 <= dts <= pts.
"""

import bisect
import re
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402,F401  (GstApp gives appsink its methods)

# config-interval=-1 repeats the parameter sets in band before every key frame, as cameras do.
_PARSERS = {
    "video/x-h264": ("h264", "h264parse config-interval=-1",
                     "video/x-h264,stream-format=byte-stream,alignment=au"),
    "video/x-h265": ("h265", "h265parse config-interval=-1",
                     "video/x-h265,stream-format=byte-stream,alignment=au"),
    "image/jpeg": ("mjpeg", "jpegparse", "image/jpeg"),
}
_START_CODE = re.compile(b"\x00\x00\x01")


class ClipError(Exception):
    """A clip that cannot be read or converted; the message names it."""


@dataclass(slots=True, eq=False)
class AccessUnit:
    """One coded picture. `template` is a cache for whoever turns it into a GStreamer buffer."""

    data: bytes
    dts: float
    pts: float
    is_key: bool
    template: object = None


@dataclass(eq=False)
class Clip:
    """An immutable run of access units that loops every `duration` seconds."""

    path: Path
    codec: str  # "h264", "h265" or "mjpeg"
    caps: str
    width: int
    height: int
    units: list
    duration: float
    key_indices: list = field(init=False)
    dts: list = field(init=False)

    def __post_init__(self):
        self.key_indices = [i for i, unit in enumerate(self.units) if unit.is_key] or [0]
        self.dts = [unit.dts for unit in self.units]

    @property
    def caps_any_size(self):
        """Caps that also hold after a change of resolution, which the stream tells in band."""
        name, *rest = self.caps.split(", ")
        kept = [f for f in rest if f.split("=")[0] in ("stream-format", "alignment", "framerate")]
        if self.codec == "mjpeg":  # whose payloader has nothing else to go by
            return self.caps
        return ", ".join([name, *kept])

    @property
    def rate_hz(self):
        return len(self.units) / self.duration

    def index_at(self, position):
        """Last access unit whose decode time is not after `position`."""
        return max(bisect.bisect_right(self.dts, position) - 1, 0)

    def key_before(self, position):
        """Key frame at or before `position`; the last one of the loop if there is none before."""
        return self.key_indices[bisect.bisect_right(self.key_indices, self.index_at(position)) - 1]

    def key_after(self, position):
        """(index, loops ahead) of the first key frame after `position`."""
        found = bisect.bisect_right(self.key_indices, self.index_at(position))
        if found < len(self.key_indices):
            return self.key_indices[found], 0
        return self.key_indices[0], 1

    def at_rate(self, rate_hz):
        """The same pictures, played at `rate_hz`."""
        stretch = self.rate_hz / rate_hz
        units = [AccessUnit(u.data, u.dts * stretch, u.pts * stretch, u.is_key) for u in self.units]
        return Clip(self.path, self.codec, self.caps, self.width, self.height, units,
                    self.duration * stretch)


def nal_units(data, codec):
    """Yields (type, first payload byte, end) of each NAL unit of a byte-stream access unit."""
    starts = [match.end() for match in _START_CODE.finditer(data)]
    for position, start in enumerate(starts):
        end = starts[position + 1] - 3 if position + 1 < len(starts) else len(data)
        if codec == "h264":
            yield data[start] & 0x1F, start + 1, end
        else:
            yield (data[start] >> 1) & 0x3F, start + 2, end


def is_slice(nal_type, codec):
    return 1 <= nal_type <= 5 if codec == "h264" else nal_type <= 31


def parameter_sets(unit, codec):
    """The parameter sets of a key access unit, as a byte stream without any picture."""
    kept = (7, 8) if codec == "h264" else (32, 33, 34)
    header = 1 if codec == "h264" else 2
    return b"".join(b"\x00\x00\x00\x01" + unit.data[start - header:end].rstrip(b"\x00")
                    for nal_type, start, end in nal_units(unit.data, codec) if nal_type in kept)


def scramble(data, codec, rng):
    """`data` with its picture payload replaced by random bytes; framing and headers stay valid."""
    noisy = bytearray(data)

    def fill(start, end):
        # Without zero bytes no new start code can appear, without 0xFF no new JPEG marker.
        if end > start:
            noise = rng.randbytes(end - start)
            noisy[start:end] = noise.replace(b"\x00", b"\x55").replace(b"\xff", b"\xaa")

    if codec == "mjpeg":
        scan = data.find(b"\xff\xda")
        fill(scan + 14, len(data) - 2)
    else:
        for nal_type, start, end in nal_units(data, codec):
            if is_slice(nal_type, codec):
                fill(start, end)
    return bytes(noisy)


def _is_key(data, codec, is_delta):
    if codec == "mjpeg":
        return True
    types = [nal_type for nal_type, _, _ in nal_units(data, codec)]
    if codec == "h264":
        # Recovery points and open GOPs count too: some cameras send a single IDR picture, ever.
        return 5 in types or (not is_delta and 7 in types)
    return any(16 <= nal_type <= 21 for nal_type in types)


# Fragments carry no edit list and no total duration, both of which make qtdemux clip last pictures.
_CONTAINER = ["-avoid_negative_ts", "make_zero", "-f", "mov",
              "-movflags", "+empty_moov+frag_keyframe+default_base_moof"]


def _run_ffmpeg(path, options, target):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(path), "-map", "0:v:0", "-an",
               *options, *_CONTAINER, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClipError(f"{path}: {done.stderr.strip()}")


def read_clip(path):
    """Reads a file with one video track, as `_run_ffmpeg` leaves it. Raises ClipError."""
    pipeline = Gst.Pipeline()
    source = Gst.ElementFactory.make("filesrc")
    source.set_property("location", str(path))
    parse = Gst.ElementFactory.make("parsebin")
    pipeline.add(source)
    pipeline.add(parse)
    source.link(parse)
    video = {}
    ready = threading.Event()

    def on_pad(_, pad):
        caps = pad.get_current_caps() or pad.query_caps(None)
        name = caps.get_structure(0).get_name()
        if name in _PARSERS:
            codec, parser, wanted = _PARSERS[name]
            branch = Gst.parse_bin_from_description(
                f"{parser} ! {wanted} ! appsink name=sink sync=false max-buffers=64", True)
            pipeline.add(branch)
            branch.sync_state_with_parent()
            pad.link(branch.get_static_pad("sink"))
            video.update(codec=codec, sink=branch.get_by_name("sink"))
        ready.set()

    parse.connect("pad-added", on_pad)
    pipeline.set_state(Gst.State.PLAYING)
    try:
        ready.wait(10)
        if not video:
            raise ClipError(f"{path}: no H.264, H.265 or JPEG video found")
        return _collect(path, video["codec"], video["sink"])
    finally:
        pipeline.set_state(Gst.State.NULL)


def _collect(path, codec, sink):
    raw = []
    caps = None
    while True:
        sample = sink.try_pull_sample(10 * Gst.SECOND)
        if sample is None:
            break
        caps = caps or sample.get_caps()
        buffer = sample.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        is_delta = buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        times = [None if t == Gst.CLOCK_TIME_NONE else t / 1e9 for t in (buffer.dts, buffer.pts)]
        raw.append((data, *times, _is_key(data, codec, is_delta)))
    if len(raw) < 2:
        raise ClipError(f"{path}: fewer than two access units")
    structure = caps.get_structure(0)
    units, duration = _with_times(raw, structure)
    return Clip(path, codec, caps.to_string(), structure.get_int("width").value,
                structure.get_int("height").value, units, duration)


def _with_times(raw, structure):
    """Repairs what files get wrong: missing or repeated decode times, and pictures before them."""
    known_rate, numerator, denominator = structure.get_fraction("framerate")
    fallback = denominator / numerator if known_rate and numerator else 1 / 25
    if any(pts is None for _, _, pts, _ in raw):
        raw = [(data, i * fallback, i * fallback, key) for i, (data, _, _, key) in enumerate(raw)]
    all_pts = sorted(pts for _, _, pts, _ in raw)
    interval = (all_pts[-1] - all_pts[0]) / (len(raw) - 1) or fallback
    if any(dts is None for _, dts, _, _ in raw):
        # In order and never after its picture: the sorted pts, as much earlier as the worst case.
        early = max(order - pts for order, (_, _, pts, _) in zip(all_pts, raw))
        raw = [(data, order - early, pts, key) for order, (data, _, pts, key) in zip(all_pts, raw)]
    first = raw[0][1]
    units, last = [], -1.0
    for data, dts, pts, key in raw:
        last = max(dts - first, last + 1e-4) if units else 0.0
        units.append(AccessUnit(data, last, pts - first, key))
    late = max(max(unit.dts - unit.pts for unit in units), 0.0)
    for unit in units:
        unit.pts += late
    return units, max(len(units) * interval, units[-1].dts + interval / 2)


class Renditions:
    """Reads clips and makes other versions of them. Each is made once, on first use.

    Thread-safety: any thread; one conversion at a time (the cores are shared with the tested
    program). `folder` holds files only while they are being made.
    """

    _ENCODERS = {
        "h264": ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "26", "-pix_fmt", "yuv420p"],
        "h265": ["-c:v", "libx265", "-preset", "ultrafast", "-crf", "28", "-pix_fmt", "yuv420p",
                 "-tag:v", "hvc1", "-x265-params", "log-level=error"],
        # RFC 2435 sends no Huffman tables: the receiver assumes the default ones.
        "mjpeg": ["-c:v", "mjpeg", "-q:v", "5", "-huffman", "default", "-pix_fmt", "yuvj420p"],
    }

    def __init__(self, folder):
        self._folder = Path(folder)
        self._mutex = threading.Lock()
        self._made = {}  # guarded by _mutex

    def original(self, path):
        return self._once((str(path), None, None), path, ["-c", "copy"])

    def make(self, clip, codec, size=None):
        """`clip` as `codec`, scaled to `size` (width, height) if given."""
        if codec == clip.codec and size is None:
            return clip
        scale = ["-vf", f"scale={size[0]}:{size[1]}"] if size else []
        options = [*scale, *self._ENCODERS[codec], "-g", str(max(round(clip.rate_hz), 1)),
                   "-vsync", "passthrough"]
        made = self._once((str(clip.path), codec, size), clip.path, options)
        # A camera given a rate of its own keeps it.
        same_rate = abs(made.rate_hz / clip.rate_hz - 1) < 0.01
        return made if same_rate else made.at_rate(clip.rate_hz)

    def _once(self, key, path, options):
        with self._mutex:
            if key not in self._made:
                if not Path(path).is_file():
                    raise ClipError(f"{path}: no such clip")
                target = self._folder / "rendition.mov"
                _run_ffmpeg(path, options, target)
                clip = read_clip(target)
                target.unlink()
                clip.path = Path(path)
                self._made[key] = clip
            return self._made[key]
