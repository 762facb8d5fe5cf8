#!/usr/bin/env python3
"""Compares detection results with the truth of a clip; needs Python 3.11 and nothing else.

    score.py TRUTH.jsonl RESULTS.jsonl [--recall 0.9] [--precision 0.9]

Both files hold one JSON object a line: {"camera": "line", "frame_index": 7, "detections":
[{"class": 0, "score": 0.9, "box": [x1, y1, x2, y2]}]}, boxes in pixels of the source picture.
A detection is right if it overlaps a not yet taken object of its class in that frame by an IoU of
at least 0.5; detections choose in order of score, each taking the object it overlaps most.

Only frames present in RESULTS count: a run that answers every third frame is judged on those. A
result line without "detections" (a frame that got no answer) counts all its objects as missed.
Result frames that the truth does not know are reported and left out.

Exit status: 0 fine, 1 a bar was missed, 2 a file cannot be read or the two share no frame.
"""

import argparse
import json
import math
import sys
from pathlib import Path

IOU_MIN = 0.5


class UnreadableFile(Exception):
    """Says which file, which line, what is wrong."""


def read_frames(path: Path, needs_detections: bool) -> dict[tuple[str, int], list[dict] | None]:
    """Detections by (camera, frame_index); None where a line has none. Raises UnreadableFile."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path}: cannot read: {error}") from error
    frames: dict[tuple[str, int], list[dict] | None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UnreadableFile(f"{place}: not JSON: {error.msg}") from error
        if not isinstance(row, dict):
            raise UnreadableFile(f"{place}: not a JSON object")
        camera, frame_index = row.get("camera"), row.get("frame_index")
        if not isinstance(camera, str) or not isinstance(frame_index, int) or isinstance(frame_index, bool):
            raise UnreadableFile(f'{place}: needs "camera" (a string) and "frame_index" (a whole number)')
        key = (camera, frame_index)
        if key in frames:
            raise UnreadableFile(f"{place}: frame {frame_index} of camera {camera!r} appears a second time")
        detections = row.get("detections")
        if detections is None:
            if needs_detections:
                raise UnreadableFile(f'{place}: needs "detections"')
            frames[key] = None
            continue
        if not isinstance(detections, list):
            raise UnreadableFile(f'{place}: "detections" is not a list')
        for detection in detections:
            check_detection(detection, place)
        frames[key] = detections
    return frames


def check_detection(detection, place: str) -> None:
    """Raises UnreadableFile unless class is a whole number, score and the four of box are finite."""

    def is_number(value) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

    if not isinstance(detection, dict):
        raise UnreadableFile(f"{place}: a detection is not a JSON object")
    class_index = detection.get("class")
    if not isinstance(class_index, int) or isinstance(class_index, bool):
        raise UnreadableFile(f'{place}: a detection needs "class", a whole number')
    if not is_number(detection.get("score")):
        raise UnreadableFile(f'{place}: a detection needs "score", a number')
    box = detection.get("box")
    if not isinstance(box, list) or len(box) != 4 or not all(is_number(side) for side in box):
        raise UnreadableFile(f'{place}: a detection needs "box", four numbers x1, y1, x2, y2')


def iou(first: list[float], second: list[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    area_1 = (first[2] - first[0]) * (first[3] - first[1])
    area_2 = (second[2] - second[0]) * (second[3] - second[1])
    return common / (area_1 + area_2 - common)


def count_right(truth: list[dict], answer: list[dict]) -> dict[int, int]:
    """Right detections per class in one frame."""
    right: dict[int, int] = {}
    free = list(range(len(truth)))
    for detection in sorted(answer, key=lambda d: -d["score"]):
        best, best_iou = None, IOU_MIN
        for index in free:
            if truth[index]["class"] != detection["class"]:
                continue
            overlap = iou(truth[index]["box"], detection["box"])
            if overlap >= best_iou:
                best, best_iou = index, overlap
        if best is not None:
            free.remove(best)
            right[detection["class"]] = right.get(detection["class"], 0) + 1
    return right


def share(part: int, whole: int) -> float:
    """1 where there was nothing to find, or nothing was claimed."""
    return part / whole if whole else 1.0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Recall and precision of detection results on a clip.")
    parser.add_argument("truth", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--recall", type=float, help="least recall in total, 0..1")
    parser.add_argument("--precision", type=float, help="least precision in total, 0..1")
    parser.add_argument("--score", type=float, default=0.0, help="leave out detections below this score")
    parser.add_argument("--camera", help="judge the results of this camera against the only camera of the truth")
    arguments = parser.parse_args(argv)
    try:
        truth = read_frames(arguments.truth, needs_detections=True)
        results = read_frames(arguments.results, needs_detections=False)
        if arguments.camera is not None:
            truth_cameras = sorted({camera for camera, _ in truth})
            if len(truth_cameras) != 1:
                raise UnreadableFile(
                    f"{arguments.truth}: --camera needs a truth of one camera, not {len(truth_cameras)}")
            results = {(truth_cameras[0], index): detections for (camera, index), detections in results.items()
                       if camera == arguments.camera}
    except UnreadableFile as error:
        print(f"score: {error}", file=sys.stderr)
        return 2

    names: dict[int, str] = {}
    objects: dict[int, int] = {}
    claims: dict[int, int] = {}
    right: dict[int, int] = {}
    judged = unanswered = unknown = 0
    for key, answer in results.items():
        if key not in truth:
            unknown += 1
            continue
        judged += 1
        if answer is None:
            unanswered += 1
        kept = [d for d in answer or [] if d["score"] >= arguments.score]
        for detection in truth[key]:
            objects[detection["class"]] = objects.get(detection["class"], 0) + 1
            if "label" in detection:
                names[detection["class"]] = str(detection["label"])
        for detection in kept:
            claims[detection["class"]] = claims.get(detection["class"], 0) + 1
        for class_index, count in count_right(truth[key], kept).items():
            right[class_index] = right.get(class_index, 0) + count
    if judged == 0:
        print(f"score: {arguments.results}: no frame in common with {arguments.truth}; are the camera names the same?",
              file=sys.stderr)
        return 2

    print(f"frames judged {judged} of {len(truth)}, without an answer {unanswered}, unknown to the truth {unknown}")
    print(f"{'class':<16}{'objects':>8}{'found':>8}{'claimed':>9}{'recall':>9}{'precision':>11}")
    for class_index in sorted(set(objects) | set(claims)):
        print_row(names.get(class_index, str(class_index)), objects.get(class_index, 0), right.get(class_index, 0),
                  claims.get(class_index, 0))
    total_objects, total_right, total_claims = sum(objects.values()), sum(right.values()), sum(claims.values())
    print_row("total", total_objects, total_right, total_claims)

    is_missed = False
    for bar_name, bar, reached in (("recall", arguments.recall, share(total_right, total_objects)),
                                   ("precision", arguments.precision, share(total_right, total_claims))):
        if bar is not None and reached < bar:
            print(f"score: {bar_name} {reached:.4f} is below the bar {bar:.4f}", file=sys.stderr)
            is_missed = True
    return 1 if is_missed else 0


def print_row(name: str, objects: int, right: int, claims: int) -> None:
    print(f"{name:<16}{objects:>8}{right:>8}{claims:>9}{share(right, objects):>9.4f}{share(right, claims):>11.4f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
