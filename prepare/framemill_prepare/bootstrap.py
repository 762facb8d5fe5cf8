"""Makes the venv of the worker on first use, then becomes the worker. Run by the system's Python; standard library only.

    python3 bootstrap.py VENV [REQUEST]

Everything in it is pinned by version and hash (requirements.txt beside this package). Without REQUEST it only makes the venv.
"""
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

FAILED, WRONG_USAGE = 1, 2
HOME = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = HOME / "requirements.txt"
STAMP = "framemill-prepare.pin"
PYTHON = (3, 11)  # that the wheels are pinned for
# What pip says of an index that does not answer, when it tries again: of the last failure it says nothing.
UNREACHED = ("failed to establish a new connection", "connection refused", "connection reset", "connection aborted", "name resolution", "read timed out", "connecttimeout", "proxyerror",
             "network is unreachable", "sslerror", "certificate verify failed")
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class Problem(Exception):
    pass


def pin():
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]


def is_ready(venv):
    stamp = venv / STAMP
    return stamp.is_file() and stamp.read_text().strip() == pin() and (venv / "bin/python").exists()


def say(text):
    sys.stderr.write(f"framemill prepare: {text}\n")
    sys.stderr.flush()


def make(venv):
    """Makes the venv or brings it to the pinned versions. A half-made one is made anew."""
    if sys.version_info[:2] != PYTHON:
        raise Problem(f"the packages are pinned for Python {PYTHON[0]}.{PYTHON[1]}, but {sys.executable} is {sys.version.split()[0]}; install python3.11 "
                      "(Debian 12 has it), or name a venv that has the packages of requirements.txt by --venv")
    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise Problem(f"{venv}: cannot be made: {problem.strerror}; name another place by --venv") from problem
    with open(venv.with_name(venv.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands at once make it once
        if is_ready(venv):
            return
        say(f"making the venv {venv} (once; about 800 MB)")
        shutil.rmtree(venv, ignore_errors=True)
        try:
            create(venv)
            install(venv)
            (venv / STAMP).write_text(pin() + "\n")
        except BaseException:
            shutil.rmtree(venv, ignore_errors=True)
            raise


def run(command):
    """(status, what it said). The child ends with us."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **QUIET})
    try:
        said = process.communicate()[0]
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return process.returncode, said


def create(venv):
    status, said = run([sys.executable, "-m", "venv", venv])
    if status == 0:
        return
    if "ensurepip" in said or "No module named venv" in said:
        raise Problem("Python's venv module is not complete here; install it (Debian: apt-get install python3-venv) and run the same command again")
    raise Problem(f"the venv {venv} cannot be made: {last_line(said)}" + space_hint(said))


def install(venv):
    names = [line.split("==")[0] for line in REQUIREMENTS.read_text().splitlines() if "==" in line]
    say(f"fetching {len(names)} packages ({', '.join(names[:4])}, ..)")
    status, said = run([venv / "bin/python", "-m", "pip", "install", "--quiet", "--retries", "3", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", REQUIREMENTS])
    if status:
        raise Problem(explain(said))


def explain(said):
    """What pip's words mean, and what helps."""
    lower = said.lower()
    place = f"pip install --no-deps --require-hashes -r {REQUIREMENTS}"
    if "no space left" in lower:
        return "the venv needs about 800 MB, and there is no space left; free some, or name another place by --venv"
    if "do not match the hashes" in lower or "hash mismatch" in lower:
        return f"a package is not the one that is pinned, so it was not installed: {first_with(said, 'ERROR')}; the index or a proxy serves another file"
    # An index that is not reached also ends as "no matching distribution": that is the cause to name first.
    if any(word in lower for word in UNREACHED):
        return (f"pip cannot reach its package index: {first_with(said, *UNREACHED)}; check the network, or name an index that "
                f"this machine reaches (PIP_INDEX_URL, PIP_PROXY), or make the venv elsewhere: {place}, and name it by --venv")
    if "no matching distribution" in lower or "could not find a version" in lower:
        return (f"a wheel is missing: {first_with(said, 'no matching distribution', 'could not find a version')}; the index that pip uses lacks it for this Python and processor "
                f"(x86-64, Python 3.11): name another one by PIP_INDEX_URL, or put the wheel into a folder and name that by PIP_FIND_LINKS")
    return f"pip failed: {last_line(said)}"


def first_with(said, *words):
    for line in said.splitlines():
        if any(word.lower() in line.lower() for word in words):
            return line.strip().removeprefix("ERROR: ").removeprefix("WARNING: ")[:300]
    return last_line(said)


def last_line(said):
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"


def space_hint(said):
    return "; free some space, or name another place by --venv" if "No space left" in said else ""


def main(arguments):
    venv = pathlib.Path(arguments[0]).absolute()
    try:
        if not is_ready(venv):
            make(venv)
    except Problem as problem:
        say(str(problem))
        return FAILED
    except OSError as problem:
        say(f"{problem.filename or venv}: {problem.strerror}; name another place by --venv")
        return FAILED
    except KeyboardInterrupt:
        say("stopped; the venv was not finished and is made anew next time")
        return FAILED
    if len(arguments) < 2:
        return 0
    environment = {**os.environ, "PYTHONPATH": str(HOME), "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1", "OPENCV_LOG_LEVEL": "ERROR", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
    python = str(venv / "bin/python")
    os.execve(python, [python, "-m", "framemill_prepare.worker", arguments[1]], environment)


def interrupt(number, frame):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main(sys.argv[1:]))
