"""What a camera sends and when: faults, one client's place in the clip, and the thread that paces.

No network and no GStreamer here. A Playback hands access units to a *sink*: any object with
`send(unit, dts, pts)`, `set_loss(fault_or_none)` and `closed`. Times are seconds; `now` is the
monotonic clock.
"""

import collections
import heapq
import itertools
import random
import threading
import time
from dataclasses import dataclass, field

import clips

RTP_WRAP_S = 2**32 / 90_000  # after so long a 32-bit RTP timestamp of 90 kHz repeats
CONNECTS_KEPT = 1000

# Kind -> arguments it takes, with their defaults.
FAULTS = {
    "refuse": {"how": "503"},
    "not_found": {},
    "drop": {},
    "stall": {},
    "freeze": {},
    "slow": {"factor": 0.25},
    "garbage": {"share": 0.2, "seed": 1},
    "loss": {"share": 0.05, "seed": 1},
    "auth": {"password": "changed"},
    "resolution": {"width": 0, "height": 0},
    "timestamp_jump": {"seconds": 3600.0},
    "timestamp_wrap": {"seconds": 3.0},
    "burst": {"hold_s": 3.0},
}
ONCE = {"drop", "timestamp_jump"}  # over as soon as done: nothing to clear
DROPS_SESSIONS = {"refuse", "not_found", "drop", "auth", "timestamp_wrap"}


@dataclass(eq=False)
class Fault:
    kind: str
    args: dict
    until: float = float("inf")
    clip: clips.Clip | None = None  # of `resolution`

    @staticmethod
    def parse(request, now):
        """From the JSON of the control interface. Raises ValueError."""
        request = dict(request)
        kind = request.pop("fault", None)
        if kind not in FAULTS:
            raise ValueError(f"fault {kind!r} is unknown; one of {', '.join(FAULTS)}")
        for_s = request.pop("for_s", None)
        args = dict(FAULTS[kind])
        for key, value in request.items():
            if key not in args:
                raise ValueError(f"{kind} takes {sorted(args) or 'no arguments'}, not {key!r}")
            args[key] = type(args[key])(value)
        if kind == "slow" and not 0 < args["factor"] <= 100:
            raise ValueError("factor must lie in (0, 100]")
        if "share" in args and not 0 <= args["share"] <= 1:
            raise ValueError("share must lie in [0, 1]")
        if kind == "burst" and for_s is None:
            for_s = args["hold_s"]  # one burst
        return Fault(kind, args, float("inf") if for_s is None else now + float(for_s))


@dataclass(eq=False)
class Camera:
    """One simulated camera. Written under the pacer's lock; counters are read without."""

    name: str
    clip: clips.Clip
    started_at: float
    fault: Fault | None = None
    jump_s: float = 0.0  # sum of the timestamp jumps so far
    units_sent: int = 0
    sinks: list = field(default_factory=list)
    connects: collections.deque = field(
        default_factory=lambda: collections.deque(maxlen=CONNECTS_KEPT))

    def fault_at(self, now):
        if self.fault and now >= self.fault.until:
            self.fault = None
        return self.fault

    def has_fault(self, kind):
        fault = self.fault_at(time.monotonic())
        return fault if fault and fault.kind == kind else None

    def position(self, now, clip):
        """Where in `clip` the live picture is."""
        return (now - self.started_at) % clip.duration

    def saw_connect(self, outcome):
        self.connects.append({"at": time.monotonic(), "outcome": outcome})


class Playback:
    """One client's place in its camera's clip. Used by the pacer thread, under its lock.

    Decode times go on for ever: wall time passed = media time passed, except while `slow`.
    """

    def __init__(self, camera, sink, join):
        self.camera, self.sink = camera, sink
        self.units_sent = 0
        self.due = float("inf")
        self._join = join
        self._fault = camera.has_fault("resolution")
        self._clip = self._fault.clip if self._fault else camera.clip
        self._rng = random.Random(0)
        self._held = []      # of `burst`
        self._release_at = 0.0
        self._speed = 1.0
        self._epoch = None   # time of dts 0
        self._last_dts = self._last_pts = -1.0
        self._jump_base = camera.jump_s
        self._key = None     # last key frame sent: what `freeze` repeats
        self._index = self._loop = 0
        self._origin_due = self._origin_media = self._origin_dts = 0.0
        self._first = None

    @property
    def clip(self):
        return self._clip

    def first(self, now):
        """The access unit a session starts with, for the session description; dts 0.

        Joining at once this is the key frame that start() goes on from, else (or when stalled) only
        its parameter sets.
        """
        self._index = self._clip.key_before(self.camera.position(now, self._clip))
        unit = self._clip.units[self._index]
        only_sets = self._join != "keyframe" or self.camera.has_fault("stall")
        if only_sets and self._clip.codec != "mjpeg":
            sets = clips.parameter_sets(unit, self._clip.codec)
            unit = clips.AccessUnit(sets, 0.0, 0.0, True)
            self._first = None
        else:
            self._first = unit
        return unit, 0.0, unit.pts - unit.dts

    def start(self, now):
        """The client asked to play (again)."""
        if self._epoch is not None:  # after a pause
            self._rejoin(now)
            return
        self._epoch = now
        self._origin_due = now
        if self._first:
            self._key = self._first
            self._origin_media = self._first.dts
            self._last_dts, self._last_pts = 0.0, self._first.pts - self._first.dts
            self.units_sent += 1
            self.camera.units_sent += 1
            self._advance()
            return
        position = self.camera.position(now, self._clip)
        if self._join == "wait":
            self._index, self._loop = self._clip.key_after(position)
        else:
            self._index = self._clip.index_at(position)
        self._origin_media = position
        self._origin_dts = 1 / self._clip.rate_hz
        self.due = self._due()

    def pause(self):
        self.due = float("inf")

    def step(self, now):
        """Sends what is due at `now` and moves `due`."""
        if self._epoch is None:
            return
        fault = self.camera.fault_at(now)
        if fault is not self._fault:
            self._change_fault(fault, now)
        kind = fault.kind if fault else None
        if kind == "stall":
            self.due = fault.until
            return
        while self.due <= now:
            self._emit(kind, fault, now)
            self._advance()
        if kind == "burst" and now >= self._release_at:
            self._release()
            self._release_at += fault.args["hold_s"]

    def _emit(self, kind, fault, now):
        unit = self._clip.units[self._index]
        dts = self._origin_dts + self._media() - self._origin_media
        if kind == "freeze" and self._key:
            unit = self._key
        elif unit.is_key:
            self._key = unit
        if kind == "garbage" and self._rng.random() < fault.args["share"]:
            unit = clips.AccessUnit(clips.scramble(unit.data, self._clip.codec, self._rng),
                                    unit.dts, unit.pts, unit.is_key)
        pts = dts + unit.pts - unit.dts
        self._last_dts, self._last_pts = dts, max(self._last_pts, pts)
        if kind == "burst":
            self._held.append((unit, dts, pts))
        else:
            self._send(unit, dts, pts)

    def _send(self, unit, dts, pts):
        # On the wire a step back by 1 h and one forward by (wrap - 1 h) are the same number, and
        # GStreamer's own times cannot become negative.
        jump = (self.camera.jump_s - self._jump_base) % RTP_WRAP_S
        self.units_sent += 1
        self.camera.units_sent += 1
        self.sink.send(unit, dts + jump, pts + jump)

    def _release(self):
        for held in self._held:
            self._send(*held)
        self._held.clear()

    def _change_fault(self, fault, now):
        old, self._fault = self._fault, fault
        old_kind, kind = (f.kind if f else None for f in (old, fault))
        if old_kind == "burst":
            self._release()
        self._speed = 1.0
        if "loss" in (old_kind, kind):
            self.sink.set_loss(fault if kind == "loss" else None)
        clip = fault.clip if kind == "resolution" else self.camera.clip
        if old_kind in ("stall", "freeze", "slow") or clip is not self._clip:
            self._clip = clip
            self._rejoin(now)
        if kind == "slow":
            self._speed = fault.args["factor"]
            self._origin_dts += self._media() - self._origin_media
            self._origin_due, self._origin_media = max(self.due, now), self._media()
            self.due = self._origin_due
        elif kind == "garbage":
            self._rng = random.Random(fault.args["seed"])
        elif kind == "burst":
            self._release_at = now + fault.args["hold_s"]

    def _rejoin(self, now):
        """Goes on from the key frame before the live picture, at the live timestamp."""
        self._index = self._clip.key_before(self.camera.position(now, self._clip))
        self._loop = 0
        unit = self._clip.units[self._index]
        frame = 1 / self._clip.rate_hz
        # Pictures of the cut-off group may be ahead of their decode time; none may be repeated.
        self._origin_dts = max(now - self._epoch, self._last_dts + frame,
                               self._last_pts + frame - (unit.pts - unit.dts))
        self._origin_due, self._origin_media = now, unit.dts
        self.due = now

    def _media(self):
        return self._loop * self._clip.duration + self._clip.units[self._index].dts

    def _due(self):
        return self._origin_due + (self._media() - self._origin_media) / self._speed

    def _advance(self):
        self._index += 1
        if self._index == len(self._clip.units):
            self._index = 0
            self._loop += 1
        self.due = self._due()


class Pacer:
    """The thread that plays all sessions. Playbacks and cameras change only under `lock`."""

    # Units due within one tick go out together: fewer wake-ups, and far less than real jitter.
    TICK_S = 0.005

    def __init__(self):
        self.lock = threading.Condition()
        self._order = itertools.count()
        self._heap = []  # (due, order, playback); entries of a moved `due` are stale
        self._live = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)
        self._thread.start()

    def start(self, playback):
        with self.lock:
            playback.start(time.monotonic())
            self._live.add(playback)
            self._push(playback)

    def remove(self, playback):
        with self.lock:
            playback.pause()
            self._live.discard(playback)

    def set_fault(self, camera, fault):
        """Ends the camera's fault, then starts `fault` (or none), at once for every session."""
        with self.lock:
            now = time.monotonic()
            if fault and fault.kind == "timestamp_jump":
                camera.jump_s += fault.args["seconds"]
            camera.fault = fault if fault and fault.kind not in ONCE else None
            for playback in list(self._live):
                if playback.camera is camera:
                    playback.step(now)
                    self._push(playback)

    def stop(self):
        with self.lock:
            self._stopping = True
            self.lock.notify()
        self._thread.join()

    def _push(self, playback):
        if playback.due != float("inf"):
            heapq.heappush(self._heap, (playback.due, next(self._order), playback))
            self.lock.notify()

    def _run(self):
        with self.lock:
            while not self._stopping:
                now = time.monotonic()
                while self._heap and self._heap[0][0] <= now:
                    due, _, playback = heapq.heappop(self._heap)
                    if playback in self._live and playback.due == due:
                        playback.step(now)
                        self._push(playback)
                pause = self._heap[0][0] - now if self._heap else None
                self.lock.wait(pause if pause is None else max(pause, self.TICK_S))
