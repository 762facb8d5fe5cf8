"""Chooses the calibration pictures and the frames of the same cameras that variants are judged by, and keeps both in the output folder."""
import pathlib
import re

import numpy as np

from . import diversity, domain, features, sources, stop
from .errors import refused
from .letterbox import letterbox
from .split import split

FEW = 16
FOOTAGE_MAX = 48
EVALUATION_MAX = 200  # pictures of the evaluation that are described for the domain check


class Tensors:
    """Pictures as the model's input, read when they are asked for: a hundred inputs of 640x640 would be half a gigabyte."""

    def __init__(self, files, size, style, on_item=None):
        self.files, self.size, self.style, self.on_item = list(files), size, style, on_item

    def __len__(self):
        return len(self.files)

    def __iter__(self):
        for i in range(len(self.files)):
            yield self[i]

    def __getitem__(self, index):
        stop.check()
        if self.on_item:
            self.on_item(index)
        return letterbox(read(self.files[index]), self.size, self.style)


def read(path):
    picture = sources.Candidate(path, path=str(path)).read()
    if picture is None:
        raise refused(f"{path}: cannot be read as a picture")
    return picture


def describe_all(candidates, progress):
    """(candidates that can be read, their descriptions, the names of the others)."""
    kept, rows, broken = [], [], []
    for i, candidate in enumerate(candidates):
        if i % 25 == 0:
            progress(i / len(candidates), f"looking at {i} of {len(candidates)}")
        try:
            picture = candidate.read()
        except OSError:
            picture = None
        if picture is None:
            broken.append(candidate.name)
            continue
        kept.append(candidate)
        rows.append(features.describe(picture))
    return kept, np.array(rows), broken


def gather(found, count, is_split_wanted, scratch, progress):
    """Step of the journal: (result, files). Stretches of clips and cameras are taken in turns, one for calibration, one for judging.

    found: sources.Sources; is_split_wanted: pictures of folders are split likewise (there is nothing else to judge by).
    """
    all_candidates, problems = sources.candidates(found, progress)
    kept, rows, broken = describe_all(all_candidates, progress)
    if not kept:
        said = "; ".join(problems or [f"{name}: cannot be read" for name in broken[:3]])
        raise refused(f"{found.option}: no picture can be read: {said}")
    pool, footage = split(kept, is_split_wanted)
    weighted = features.weighted(rows[pool])
    chosen = diversity.choose(weighted, count)
    judged = sources.evenly(footage, FOOTAGE_MAX)
    files, calibration = [], []
    for place, index in enumerate(chosen):
        calibration.append(keep(kept[pool[index]], "calibration", place, scratch, files))
    footage_files = [keep(kept[index], "footage", place, scratch, files, is_copied=True) for place, index in enumerate(judged)]
    first = list(range(min(count, len(pool))))
    result = {"count": len(chosen), "candidates": len(pool), "calibration": calibration, "footage": footage_files,
              "sources": [sources.without_password(name) for name in found.names], "coverage": diversity.coverage(weighted, chosen),
              "coverage_first": diversity.coverage(weighted, first), "problems": problems + [f"{name}: cannot be read as a picture" for name in broken[:10]],
              "statistics": rows[pool][chosen][:, :len(features.STATISTICS)].tolist()}
    return result, files


def keep(candidate, folder, place, scratch, files, is_copied=False):
    """Writes frames of clips (and what is to be a data set of its own) into the scratch folder; pictures of folders are named where they lie."""
    if not candidate.packed and not is_copied:
        return str(pathlib.Path(candidate.path).resolve())
    data = candidate.packed or pathlib.Path(candidate.path).read_bytes()
    ending = ".jpg" if candidate.packed else pathlib.Path(candidate.path).suffix.lower()
    name = pathlib.Path(folder) / f"{place:04d}_{pathlib.Path(candidate.name).stem}{ending}"
    (scratch / folder).mkdir(exist_ok=True)
    (scratch / name).write_bytes(data)
    files.append(str(name))
    return str(name)


def drop_older(out, kept):
    """Takes away the frames that an earlier run with other sources left in the set: all of footage/ is judged by, and older recordings would count along.

    out: folder of the set; kept: names of those that were chosen now, as keep() gave them. Files with other names than keep() writes are somebody else's and stay.
    """
    for folder in ("calibration", "footage"):
        place = pathlib.Path(out) / folder
        for file in sorted(place.iterdir()) if place.is_dir() else []:
            if re.match(r"\d{4,}_", file.name) and f"{folder}/{file.name}" not in kept:
                file.unlink()


def check_domain(calibration_statistics, found):
    """The warning about pictures of another kind, or "". found: sources.Sources of what the variants are evaluated on."""
    pictures = [sources.Candidate(p, path=p) for p in sources.evenly(found.pictures, EVALUATION_MAX)]
    for clip in found.clips[:4]:
        pictures += sources.clip_frames(clip, 25)
    _, rows, _ = describe_all(pictures, lambda share, text: None)
    if not len(rows):
        return ""
    return domain.compare(calibration_statistics, rows[:, :len(features.STATISTICS)]).warning
