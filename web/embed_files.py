#!/usr/bin/env python3
"""Makes a C++ file of a folder of files, the table that the server's dashboard_files.h names.

    embed_files.py FOLDER OUT.cc

`index.html` becomes the path "/". Files below assets/ carry a hash in their names. Standard library only; the output depends on the files alone.
"""
import hashlib
import pathlib
import sys

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
PLAIN = set(range(0x20, 0x7F)) - set(b'"\\?')  # "?" could begin a trigraph


def literal(data):
    """String literals of at most 100 bytes each, which the compiler joins; octal escapes always have three digits, so that none runs on."""
    for start in range(0, max(len(data), 1), 100):
        yield '    "' + "".join(chr(b) if b in PLAIN else f"\\{b:03o}" for b in data[start:start + 100]) + '"'


def main():
    folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    unknown = [path.name for path in files if path.suffix not in CONTENT_TYPES]
    if unknown or not (folder / "index.html").is_file():
        sys.exit(f"embed_files.py: {folder}: " + (f"no content type for {', '.join(unknown)}" if unknown else "no index.html"))
    lines = ["// Made by web/embed_files.py.", '#include "framemill/server/dashboard_files.h"', "", "#include <array>", "",
             "namespace framemill {", "namespace {", "", "using namespace std::string_view_literals;", ""]
    table = []
    for number, path in enumerate(files):
        data = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        lines += [f"// {name}", f"constexpr std::string_view kBytes{number} =", *literal(data)]
        lines[-1] += "sv;"  # counts zero bytes too
        url = "/" if name == "index.html" else "/" + name
        is_hashed = "true" if name.startswith("assets/") else "false"
        table.append(f'    StaticFile{{"{url}", "{CONTENT_TYPES[path.suffix]}", kBytes{number},\n'
                     f'               "{hashlib.sha256(data).hexdigest()[:16]}", {is_hashed}}},')
    lines += ["", "constexpr std::array kFiles{", *table, "};", "", "}  // namespace", "",
              "std::span<const StaticFile> dashboard_files() { return kFiles; }", "", "}  // namespace framemill", ""]
    text = "\n".join(lines)
    if not out.is_file() or out.read_text(encoding="ascii") != text:
        out.write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
