"""Where calibration pictures come from: folders and files of pictures, clips, cameras."""
import pathlib
import re
import time
from dataclasses import dataclass, field

import cv2
import numpy as np

from .errors import refused

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
CLIPS = {".mp4", ".mkv", ".avi", ".mov", ".ts", ".m4v", ".webm", ".mpg", ".mpeg", ".flv", ".h264", ".hevc"}
CANDIDATES_MAX = 1200  # of all sources together: a description costs about a millisecond, decoding more
CAMERA_SECONDS, CAMERA_STEP_S = 60.0, 0.5
UNKNOWN_RATE_HZ = 25.0


@dataclass
class Candidate:
    """A picture that could be taken. Frames of clips and cameras bring their pixels along, packed as JPEG. source: clip or camera; at_s: when in it."""
    name: str
    path: str = ""
    packed: bytes = field(default=b"", repr=False)
    source: str = ""
    at_s: float = 0.0

    def read(self):
        """BGR pixels, or None where it cannot be read."""
        if self.packed:
            return cv2.imdecode(np.frombuffer(self.packed, np.uint8), cv2.IMREAD_COLOR)
        data = np.fromfile(self.path, np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None


@dataclass
class Sources:
    """What the names given stand for. option: that they were given by."""
    pictures: list = field(default_factory=list)
    clips: list = field(default_factory=list)
    cameras: list = field(default_factory=list)
    names: list = field(default_factory=list)
    option: str = "--calibrate"


def without_password(url):
    return re.sub(r"(?<=://)[^/@]*@", "***@", url)


def is_camera(name):
    return re.match(r"^(rtsp|rtsps|http|https|rtmp|udp|rtp|srt|tcp)://", name) or name.startswith("/dev/video")


def find_sources(names, option="--calibrate"):
    """Sorts out what each of `names` is. Raises PrepareError where one is nothing of use."""
    found = Sources(names=list(names), option=option)
    for name in names:
        path, shown = pathlib.Path(name), without_password(name)
        if is_camera(name):
            found.cameras.append(name)
        elif path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            pictures = [p for p in inside if p.suffix.lower() in PICTURES]
            clips = [p for p in inside if p.suffix.lower() in CLIPS]
            if not pictures and not clips:
                kinds = ", ".join(sorted({p.suffix or p.name for p in inside})[:6])
                raise refused(f"{option} {shown}: the folder has no picture and no clip" + (f" (it has {kinds})" if kinds else "; it is empty") +
                              "; name one with recordings or pictures of what the cameras see")
            found.pictures += map(str, pictures)
            found.clips += map(str, clips)
        elif not path.is_file():
            raise refused(f"{option} {shown}: there is no such file or folder")
        elif path.suffix.lower() in PICTURES:
            found.pictures.append(name)
        elif path.suffix.lower() in CLIPS:
            found.clips.append(name)
        else:
            raise refused(f"{option} {shown}: is neither a picture, a clip, a camera's URL nor a folder of those")
    return found


def of_data(request):
    """What --data stands for: framemill has found its files, wherever its YAML or annotations say that they lie."""
    files = request["data_files"]
    return Sources(pictures=files["pictures"], clips=files["clips"], names=[request["data"]], option="--data")


def evenly(items, count):
    """At most `count` of them, evenly spread."""
    items = list(items)
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def candidates(sources, progress, candidates_max=CANDIDATES_MAX):
    """(candidates, what could not be read). progress(done share, text)."""
    found, problems = [], []
    videos = len(sources.clips) + len(sources.cameras)
    share = candidates_max // 2 if videos and sources.pictures else candidates_max
    found += [Candidate(path, path=path) for path in evenly(sources.pictures, share)]
    each = max(8, share // max(1, videos))
    for i, clip in enumerate(sources.clips):
        progress(i / max(1, videos), pathlib.Path(clip).name)
        frames = clip_frames(clip, each)
        if not frames:
            problems.append(f"{clip}: no frame could be decoded")
        found += frames
    for i, url in enumerate(sources.cameras):
        progress((len(sources.clips) + i) / videos, without_password(url))
        frames = camera_frames(url, min(each, int(CAMERA_SECONDS / CAMERA_STEP_S)))
        if not frames:
            problems.append(f"{without_password(url)}: gave no picture; check address, user and password")
        found += frames
    return found, problems


def pack(picture):
    """JPEG that hardly loses anything, no larger than 1920 wide."""
    width = picture.shape[1]
    if width > 1920:
        picture = cv2.resize(picture, (1920, round(picture.shape[0] * 1920 / width)), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


class EvenTaker:
    """Takes every so many of a sequence whose length may be unknown or wrong: a full list is thinned out and the step doubled, so that what was taken always spreads over all
    that has passed."""

    def __init__(self, count, total=0):
        """At most `count` of about `total`; 0: not known."""
        self.count, self.step = count, max(1.0, total / count)
        self.due, self.index, self.taken = (self.step - 1) / 2, -1, []

    def is_next(self):
        """Whether the next one of the sequence is to be taken, by add()."""
        self.index += 1
        if self.index < self.due:
            return False
        self.due += self.step
        return True

    def add(self, item):
        self.taken.append(item)
        if len(self.taken) == 2 * self.count:
            del self.taken[1::2]
            self.step *= 2

    def result(self):
        return evenly(self.taken, self.count)


def clip_frames(clip, count):
    """At most `count` frames, evenly spread over the clip; decoded once from the start, since seeking lands on key frames only."""
    video = cv2.VideoCapture(clip)
    rate = video.get(cv2.CAP_PROP_FPS)
    rate = rate if 0 < rate < 1000 else UNKNOWN_RATE_HZ
    taker, stem = EvenTaker(count, max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))), pathlib.Path(clip).stem
    while video.grab():
        if taker.is_next():
            good, picture = video.retrieve()
            if good and picture is not None:
                taker.add(Candidate(f"{stem}_{taker.index:06d}", packed=pack(picture), source=clip, at_s=taker.index / rate))
    video.release()
    return taker.result()


def camera_frames(url, count):
    """A frame each half second for a minute."""
    source = int(url.removeprefix("/dev/video")) if url.startswith("/dev/video") else url
    video = cv2.VideoCapture(source)
    frames, started, due = [], time.monotonic(), 0.0
    while len(frames) < count and time.monotonic() - started < CAMERA_SECONDS + 10 and video.grab():
        if time.monotonic() - started >= due:
            good, picture = video.retrieve()
            if good and picture is not None:
                frames.append(Candidate(f"camera_{len(frames):04d}", packed=pack(picture), source=url, at_s=time.monotonic() - started))
            due += CAMERA_STEP_S
    video.release()
    return frames
