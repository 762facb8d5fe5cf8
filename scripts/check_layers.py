#!/usr/bin/env python3
"""Holds the layers of framemill: includes point to lower layers only, third-party headers stay where they belong.

Checks every .h and .cc below src/framemill:
  - "framemill/<layer>/..." only from the same or a higher layer, never sideways;
  - quoted includes are written from src/ ("framemill/...", never "../" or a bare name) and exist;
  - third-party headers only in the folders named in THIRD_PARTY;
  - each header has `#pragma once`;
  - tests make their files by base/temp_folder_for_test.h alone, since they run beside each other.
Prints one line a violation, `file:line: what`, and exits 1 where there is any. `--self-test` proves on made-up
trees that every rule catches its violation.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

# Lowest first; layers of one row do not see each other.
RANKS = [
    ["base"],
    ["core"],
    ["metrics", "config", "vision"],
    ["video", "infer", "sched"],
    ["plan", "engine"],
    ["server"],
    ["cli"],
]
RANK_OF = {layer: rank for rank, layers in enumerate(RANKS) for layer in layers}

# What an include in <> or "" starts with -> the folders (below src/framemill) that may have it.
THIRD_PARTY = [
    (r"lib(av\w+|swscale|swresample|postproc)/", "FFmpeg", ["video"]),
    (r"opencv", "OpenCV", ["vision"]),
    (r"(openvino/|ie/|inference_engine)", "OpenVINO", ["infer/openvino"]),
    (r"onnxruntime", "ONNX Runtime", ["infer/onnxruntime"]),
    (r"yaml-cpp/", "yaml-cpp", ["config"]),
    (r"CLI/", "CLI11", ["cli"]),
    (r"sqlite3\.h", "SQLite", ["engine/sqlite"]),
    (r"MQTT(Client|Async)", "Paho MQTT", ["engine/sinks/mqtt"]),
    (r"curl/", "libcurl", ["engine/sinks/webhook"]),
    (r"pugixml", "pugixml", ["engine/evaluation/voc"]),
    (r"modbus/", "libmodbus", ["engine/sinks/modbus"]),
    (r"(libpq|postgresql/)", "libpq", ["engine/sinks/postgres"]),
    (r"librdkafka/", "librdkafka", ["engine/sinks/kafka"]),
    (r"(httplib|boost/(?!math/)|crow|microhttpd|civetweb)", "an HTTP library", ["server"]),
    (r"nlohmann/", "nlohmann-json",
     ["metrics", "config", "video", "infer", "plan", "engine", "server", "cli"]),
]

TEMP_FOLDER = "base/temp_folder_for_test.h"
OWN_TEMP = re.compile(r"\bTempDir\(|\btemp_directory_path\(|\bmkdtemp\(|\bmkstemp\(|\btmpnam\(")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def is_below(path, folder):
    """True where `path` (relative to src/framemill) lies in `folder`."""
    return path.as_posix().startswith(folder + "/")


def check_include(quoted, target, path, source_root):
    """Says what is wrong with one include of the file `path`; None where nothing is."""
    layer = path.parts[0]
    for pattern, name, folders in THIRD_PARTY:
        if re.match(pattern, target):
            if any(is_below(path, folder) for folder in folders):
                return None
            return f"<{target}>: {name} belongs to {', '.join(folders)} only"
    if target.startswith("framemill/"):
        if not quoted:
            return f"<{target}>: own headers are included in quotes"
        if not (source_root / target).is_file():
            return f'"{target}": there is no such header below src/'
        other = Path(target).parts[1]
        if other == layer:
            return None
        if other not in RANK_OF:
            return f'"{target}": {other} is no known layer; give it a rank in check_layers.py'
        if RANK_OF[other] > RANK_OF[layer]:
            return f'"{target}": upward include, {layer} lies below {other}'
        if RANK_OF[other] == RANK_OF[layer]:
            return f'"{target}": sideways include, {layer} and {other} do not see each other'
        return None
    if quoted:
        return f'"{target}": includes are written from src/, as "framemill/<layer>/<file>"'
    return None


def check(source_root):
    """All violations below `source_root`/framemill as texts, ordered by file and line."""
    root = source_root / "framemill"
    violations = []
    files = sorted(p for p in root.rglob("*") if p.suffix in (".h", ".cc") and p.is_file())
    for file in files:
        path = file.relative_to(root)
        name = f"src/framemill/{path.as_posix()}"
        if len(path.parts) < 2 or path.parts[0] not in RANK_OF:
            violations.append(f"{name}:1: lies in no known layer; give it a rank in check_layers.py")
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        if file.suffix == ".h" and "#pragma once" not in (line.strip() for line in lines):
            violations.append(f"{name}:1: the header has no #pragma once")
        is_test = re.search(r"_(for_)?test\.(cc|h)$", file.name) and path.as_posix() != TEMP_FOLDER
        for number, line in enumerate(lines, 1):
            if is_test and OWN_TEMP.search(line):
                violations.append(f"{name}:{number}: tests make their files in a TempFolder ({TEMP_FOLDER})")
            match = INCLUDE.match(line)
            if not match:
                continue
            problem = check_include(match[1] == '"', match[2], path, source_root)
            if problem:
                violations.append(f"{name}:{number}: {problem}")
    return violations, len(files)


# One file each: path, text, and a part of the message it has to cause (None: it is right).
GOOD = "#pragma once\n"
SELF_TEST = [
    ("base/clock.h", GOOD, None),
    ("core/frame.h", GOOD + '#include <vector>\n#include "framemill/base/clock.h"\n', None),
    ("vision/nms.h", GOOD + '#include "framemill/core/frame.h"\n', None),
    ("vision/picture.cc", "#include <opencv2/core.hpp>\n", None),
    ("infer/openvino/backend.cc", "#include <openvino/openvino.hpp>\n", None),
    ("cli/main.cc", '#include <CLI/CLI.hpp>\n#include "framemill/vision/nms.h"\n', None),
    ("engine/engine.h", GOOD + '// #include "framemill/cli/main.h"\n#include <nlohmann/json.hpp>\n', None),
    ("base/up.h", GOOD + '\n#include "framemill/core/frame.h"\n', "base/up.h:3: \"framemill/core/frame.h\": upward"),
    ("config/side.cc", '#include "framemill/vision/nms.h"\n', "config/side.cc:1: \"framemill/vision/nms.h\": sideways"),
    ("plan/side.cc", '#  include "framemill/engine/engine.h"\n', "sideways include, plan and engine"),
    ("engine/up.cc", '#include "framemill/cli/main.cc"\n', "upward include, engine lies below cli"),
    ("core/noguard.h", "struct X {};\n", "core/noguard.h:1: the header has no #pragma once"),
    ("core/bare.cc", '#include "frame.h"\n', "written from src/"),
    ("core/parent.cc", '#include "../base/clock.h"\n', "written from src/"),
    ("core/angle.cc", "#include <framemill/base/clock.h>\n", "in quotes"),
    ("core/gone.cc", '#include "framemill/base/gone.h"\n', "no such header"),
    ("engine/ffmpeg.cc", "extern \"C\" {\n#include <libavcodec/avcodec.h>\n}\n", "engine/ffmpeg.cc:2: <libavcodec/avcodec.h>: FFmpeg"),
    ("video/opencv.cc", "#include <opencv2/core.hpp>\n", "OpenCV belongs to vision only"),
    ("infer/wrong.cc", "#include <openvino/openvino.hpp>\n", "OpenVINO belongs to infer/openvino only"),
    ("cli/yaml.cc", "#include <yaml-cpp/yaml.h>\n", "yaml-cpp belongs to config only"),
    ("engine/cli11.cc", "#include <CLI/CLI.hpp>\n", "CLI11 belongs to cli only"),
    ("engine/xml.cc", "#include <pugixml.hpp>\n", "pugixml belongs to engine/evaluation/voc only"),
    ("base/json.cc", "#include <nlohmann/json.hpp>\n", "nlohmann-json"),
    ("core/json.cc", "#include <nlohmann/json.hpp>\n", "nlohmann-json"),
    ("sched/json.cc", "#include <nlohmann/json.hpp>\n", "nlohmann-json"),
    ("vision/json.cc", "#include <nlohmann/json.hpp>\n", "nlohmann-json"),
    ("utils/misc.h", GOOD, "no known layer"),
    ("base/temp_folder_for_test.h", GOOD + "mkdtemp(name)\n", None),
    ("cli/bench.cc", "fs::temp_directory_path(error)\n", None),
    ("cli/own_test.cc", "\nfs::temp_directory_path() / getpid()\n", "cli/own_test.cc:2: tests make their files in a TempFolder"),
    ("video/clips_for_test.h", GOOD + "testing::TempDir() + name\n", "in a TempFolder"),
]


def self_test():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, text, _ in SELF_TEST:
            file = root / "framemill" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        violations, _ = check(root)
        for path, _, wanted in SELF_TEST:
            own = [v for v in violations if v.startswith(f"src/framemill/{path}:")]
            if wanted is None and own:
                failures.append(f"{path}: should be right, but: {own}")
            if wanted is not None and (len(own) != 1 or wanted not in own[0]):
                failures.append(f"{path}: should say '{wanted}', but: {own}")
    for failure in failures:
        print(failure)
    print(f"self-test: {len(SELF_TEST)} cases, {len(failures)} failed")
    return not failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true", help="prove that every rule catches its violation")
    parser.add_argument("--source", type=Path, default=Path(__file__).resolve().parent.parent / "src",
                        help="the folder that holds framemill/")
    arguments = parser.parse_args()
    if arguments.self_test:
        return 0 if self_test() else 1
    violations, file_count = check(arguments.source)
    for violation in violations:
        print(violation)
    if file_count == 0:
        print(f"no sources found below {arguments.source}/framemill")
        return 1
    if not violations:
        print(f"layers: {file_count} files, no violation")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
