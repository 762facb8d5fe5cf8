"""Entry point in the venv: reads the request that `framemill prepare` wrote, does the steps, and ends with the command's exit status."""
import fcntl
import hashlib
import json
import os
import pathlib
import platform
import shutil
import signal
import sys

from . import stop
from .errors import FAILED, PrepareError, of_system, refused

DONE = 0
NOT_MINE = 3  # of adapt(): other outputs than it knows
BYTES_OF_PICTURES = 30_000_000  # calibration and footage


def space_wanted(request):
    """Bytes that a set takes, roughly: FP32, two of FP16 and two of INT8 for each size, and the largest of them once more while it is written."""
    from .weights import weight_files  # brings ONNX along
    size = sum(os.path.getsize(file) for file in [request["model"], *weight_files(request["model"])])
    sizes = 1 + (len(request["sizes"]) if request["sizes"] is not None else 3)
    return int(size * (1 + 2 * 0.5 + 2 * 0.35) * sizes + size) + BYTES_OF_PICTURES


def check_space(request):
    free, wanted = shutil.disk_usage(request["out"]).free, space_wanted(request)
    is_begun = (pathlib.Path(request["out"]) / ".prepare/journal.json").exists()
    if free < wanted and not is_begun:
        raise refused(f"{request['out']}: no space left: about {wanted / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free; free some, or name another folder by --out")


def lock(out):
    """One worker a folder. The lock goes with the process."""
    file = open(pathlib.Path(out) / ".prepare/lock", "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as busy:
        raise refused(f"{out}: another framemill prepare is at work there; wait for it, or name another folder by --out") from busy
    return file


def read_request(path):
    """The request, taken off the disk (it may hold a camera's password), with what the worker adds to it."""
    path = pathlib.Path(path)
    request = json.loads(path.read_text())
    path.unlink()
    home = pathlib.Path(__file__).resolve().parent
    request["pins"] = hashlib.sha256((home.parent / "requirements.txt").read_bytes()).hexdigest()[:16]
    request["worker"] = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(home.glob("*.py")))).hexdigest()[:16]
    request["machine"] = machine()
    return request


def machine():
    """What speeds hang on."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return [next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()), len(os.sched_getaffinity(0))]


def on_signal(number, frame):
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(FAILED))  # a second one ends at once
    stop.request()
    raise KeyboardInterrupt


def main(path):
    request = read_request(path)
    if "adapt" in request:
        return adapt(request)
    out = request["out"]
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    journal = None
    try:
        held = lock(out)
        check_space(request)
        from .console import Console
        from .journal import Journal
        from .pipeline import Pipeline  # brings NumPy, OpenCV and ONNX along
        journal = Journal(out)
        console = Console()
        pipeline = Pipeline(request, journal, console)
        pipeline.plan()
        document = pipeline.run()
        finish(request, document)
        held.close()
        return DONE
    except KeyboardInterrupt:
        return say_stopped(journal)
    except PrepareError as problem:
        return say(str(problem), problem.status)
    except BrokenPipeError:
        return FAILED
    except OSError as problem:
        if journal:
            journal.clean()
        return say(str(of_system(problem, out)), FAILED)
    except Exception as problem:
        if stop.is_requested():  # a library made another error of it
            return say_stopped(journal)
        if "No space left" in str(problem):
            return say(str(of_system(OSError(28, ""), out)), FAILED)
        if os.environ.get("FRAMEMILL_PREPARE_DEBUG"):
            raise
        return say(f"{type(problem).__name__}: {str(problem).strip() or 'no message'}; FRAMEMILL_PREPARE_DEBUG=1 shows where", FAILED)


def adapt(request):
    """Only rewrites the outputs of request["adapt"] to request["to"], for framemill to look at the model again."""
    try:
        from .query_head import adapt_file
        return DONE if adapt_file(request["adapt"], pathlib.Path(request["to"])) else NOT_MINE
    except KeyboardInterrupt:
        return FAILED
    except PrepareError as problem:
        return say(f"{request['adapt']}: {problem}", problem.status)
    except OSError as problem:
        return say(str(of_system(problem, request["to"])), FAILED)


def say_stopped(journal):
    if journal:
        journal.clean()
    done = journal.made + journal.kept if journal else 0
    return say(f"stopped; {done} finished steps are kept, and the same command continues", FAILED)


def say(message, status):
    sys.stderr.write(f"framemill prepare: {message}\n")
    return status


def finish(request, document):
    from . import card
    if request["is_json_wanted"]:
        print(json.dumps(document, indent=1))
    else:
        print(card.plain_table(*card.quality_table(document)))
        if document["ladder"]["path"]:
            print(f"\ndeploy: {document['ladder']['path']}: {document['ladder']['why']}")
        if document["ladder"]["rungs"]:
            print(f"rungs:  {', '.join(document['ladder']['rungs'])}")
    sys.stdout.flush()
    for name in ("MODEL_CARD.md", "deploy.yaml", "prepare.json"):
        sys.stderr.write(f"written: {pathlib.Path(request['out']) / name}\n")


if __name__ == "__main__":
    status = main(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # in order, Python would end by SIGINT where a library once saw the interrupt, whatever we made of it
