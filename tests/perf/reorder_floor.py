#!/usr/bin/env python3
"""How late must answers be, whatever the program, because a stream has B frames?

reorder_floor.py CLIP... [--rate 10] [--slo-ms 200]

A frame with later B frames shown before it is sent before them, and its latency counts from its packet. From the packets' time
stamps alone, with decoding, inference and everything else taken as free, its answer cannot leave before these have come:
  order    the packets of all sampled frames shown before it, since answers leave in frame order
  count    the packets of all frames shown before it, since its frame_index counts them
  decoder  and the next packet, with which FFmpeg's decoder hands such a frame out
The clips play at their own pace: a packet comes at its decode time.
"""
import argparse
import bisect
import dataclasses
import math
import pathlib
import subprocess
import sys


@dataclasses.dataclass
class Floors:
    """The least latency of each sampled frame in ms, by what has to be waited for."""
    order: list
    count: list
    decoder: list


def quantile(values, q):
    return sorted(values)[round(q * (len(values) - 1))]


def packets_of(clip):
    """(decode time, display time) in s of each frame that is shown, as sent: decode times neither run back nor lie behind the display."""
    text = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time,dts_time,flags", "-of", "csv=p=0", clip],
                          check=True, capture_output=True, text=True).stdout
    packets, sent = [], -math.inf
    for line in text.split():
        shown, decoded, flags = line.split(",")[:3]
        if "D" in flags or shown == "N/A":
            continue
        sent = max(sent, min(float(shown), float(decoded) if decoded != "N/A" else float(shown)))
        packets.append((sent, float(shown)))
    return packets


def repeated(packets, seconds):
    """The packets of as many rounds as `seconds` take, display times from 0 on."""
    begin, end = min(shown for _, shown in packets), max(shown for _, shown in packets)
    length = (end - begin) * len(packets) / (len(packets) - 1)
    rounds = 1 if seconds == math.inf else math.ceil(seconds / length)
    return [(sent - begin + turn * length, shown - begin + turn * length) for turn in range(rounds) for sent, shown in packets]


def floors_of(packets, rate_hz, start_s=0.0, seconds=math.inf):
    """Of the frames from `start_s` on for `seconds`, sampled on a fixed grid; the clip repeats where they are more than it has."""
    played = repeated(packets, start_s + seconds)
    floors, first, last_cell = Floors([], [], []), None, 0
    comings = sorted({sent for sent, _ in played})
    sampled_are_there = all_are_there = -math.inf
    for shown, sent in sorted((shown, sent) for sent, shown in played if start_s <= shown < start_s + seconds):
        is_reordered = all_are_there > sent
        all_are_there = max(all_are_there, sent)
        first = shown if first is None else first
        cell = math.floor((shown - first) * rate_hz + 1e-6)
        if floors.order and cell <= last_cell:
            continue
        last_cell = cell
        sampled_are_there = max(sampled_are_there, sent)
        floors.order.append(1000 * (sampled_are_there - sent))
        floors.count.append(1000 * (all_are_there - sent))
        following = bisect.bisect_right(comings, all_are_there)
        handed_out = comings[min(following, len(comings) - 1)] if is_reordered else sent
        floors.decoder.append(1000 * (handed_out - sent))
    return floors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=pathlib.Path)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--slo-ms", type=float, default=200)
    a = parser.parse_args()
    print(f"{'':36} {'':>8} | p95 ms, most ms, share over {a.slo_ms:g} ms: the least possible by\n"
          f"{'clip':36} {'sampled':>8} | {'order':^22} | {'count':^22} | {'decoder':^22}")
    for clip in a.clips:
        floors = floors_of(packets_of(clip), a.rate)
        parts = [f"{quantile(f, .95):>7.1f} {max(f):>7.1f} {sum(x > a.slo_ms for x in f) / len(f):.4f}" for f in dataclasses.astuple(floors)]
        print(f"{clip.stem:36} {len(floors.order):>8} | " + " | ".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
