"""What is done already: each finished step with a hash of what it was made from, so that a second run continues where the first one ended."""
import hashlib
import json
import os
import pathlib
import shutil

from . import stop

FORMAT = 1


def hash_of(value):
    """Of anything that JSON can write."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def file_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folder_hash(paths):
    """Of files by name, size and time: what tells a changed data set without reading it."""
    rows = []
    for path in sorted(map(str, paths)):
        try:
            state = os.stat(path)
            rows.append([path, state.st_size, state.st_mtime_ns])
        except OSError:  # whoever reads it says so
            rows.append([path])
    return hash_of(rows)


class Journal:
    """Steps of one output folder. A step's files appear whole or not at all: it writes into a scratch folder, from which they are moved when it has ended."""

    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.home = self.out / ".prepare"
        self.scratch = self.home / "scratch"
        self.home.mkdir(parents=True, exist_ok=True)
        self.clean()
        self.entries, self.kept, self.made = self._read(), 0, 0

    def _read(self):
        try:
            document = json.loads((self.home / "journal.json").read_text())
        except (OSError, ValueError):
            return {}
        return document.get("steps", {}) if isinstance(document, dict) and document.get("format") == FORMAT else {}

    def clean(self):
        """Takes away what an interrupted step left."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def is_done(self, name, inputs):
        """True where the step was finished from the same inputs and its files are as it left them."""
        entry = self.entries.get(name)
        if not entry or entry.get("inputs") != hash_of(inputs):
            return False
        for file, digest in entry.get("files", {}).items():
            path = self.out / file
            if not path.is_file() or file_hash(path) != digest:
                return False
        return True

    def step(self, name, inputs, work):
        """The step's result. work(scratch folder) is called unless it is done; it returns (result, [files it left in the scratch folder, as they are to be called in out])."""
        if self.is_done(name, inputs):
            self.kept += 1
            return self.entries[name]["result"]
        self.entries.pop(name, None)
        self.clean()
        self.scratch.mkdir(parents=True)
        result, files = work(self.scratch)
        stop.check()
        digests = {}
        for file in files:
            target = self.out / file
            target.parent.mkdir(parents=True, exist_ok=True)
            digests[str(file)] = file_hash(self.scratch / file)
            os.replace(self.scratch / file, target)
        self.entries[name] = {"inputs": hash_of(inputs), "files": digests, "result": result}
        write_whole(self.home / "journal.json", json.dumps({"format": FORMAT, "steps": self.entries}, indent=1))
        self.clean()
        self.made += 1
        return self.entries[name]["result"]

    def hash_of_file(self, step, file):
        return self.entries[step]["files"][str(file)]


def write_whole(path, text):
    """Replaces a file at once, or leaves the old one."""
    path = pathlib.Path(path)
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
