"""The worker's own packages for the tests, where scripts/setup.sh put them; a module that needs them is skipped where they are missing."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENV = ROOT / ".deps/prepare"
sys.path[:0] = [str(VENV / "lib/python3.11/site-packages"), str(ROOT / "prepare")]
sys.dont_write_bytecode = True


def need(*names):
    """Imports them, or skips the test module that asks."""
    for name in names:
        try:
            __import__(name)
        except ImportError as problem:
            raise unittest.SkipTest(f"{problem}: run scripts/setup.sh, which makes {VENV} (Python 3.11)") from problem
