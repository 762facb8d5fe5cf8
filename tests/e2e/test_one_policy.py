"""Engine and simulator are linked with the same scheduling functions: both call those of the sched layer, neither has its own."""
import pathlib
import re
import subprocess
import unittest

import framemill

BUILD = pathlib.Path(framemill.BINARY).resolve().parent
# What engine and simulator ask, by name; the object files of each must refer to all of them.
ASKED = ["LiveDispatch", "add_lane", "arrive", "withdraw", "decide", "send_audit", "claim", "learn", "renew_doubt", "complete", "end_camera"]
# What only the state machine itself asks: neither has a way around it.
INNER = ["framemill::decide_batch(", "framemill::InferencePolicy::arrive(", "framemill::TokenBucket::try_take("]


def symbols(path):
    """(address, kind, demangled name) of each symbol, as nm tells them."""
    text = subprocess.run(["nm", "-C", str(path)], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        match = re.match(r"^([0-9a-f]*)\s+([A-Za-z]) (.+)$", line)
        if match:
            yield match.groups()


def library(layer):
    return BUILD / f"src/framemill/{layer}/libframemill_{layer}.a"


class OnePolicyTest(unittest.TestCase):
    def setUp(self):
        self.defined = {layer: {name for _, kind, name in symbols(library(layer)) if kind == "T"} for layer in ("sched", "engine", "plan")}
        self.wanted = {layer: {name for _, kind, name in symbols(library(layer)) if kind == "U"} for layer in ("engine", "plan")}

    def test_both_call_the_policy_of_sched(self):
        for function in ASKED:
            prefix = f"framemill::LiveDispatch::{function}("
            known = {name for name in self.defined["sched"] if name.startswith(prefix)}
            self.assertEqual(len(known), 1, f"{prefix} in sched")
            for layer, names in self.wanted.items():
                self.assertTrue(known <= names, f"{layer} does not call {prefix}...)")

    def test_neither_has_its_own(self):
        policy = self.defined["sched"]
        self.assertGreater(len(policy), 100)
        for layer in ("engine", "plan"):
            self.assertEqual(self.defined[layer] & policy, set(), layer)
            for _, kind, name in symbols(library(layer)):
                if kind in "Tt":
                    self.assertNotRegex(name, r"^framemill::(\(anonymous namespace\)::)?(LiveDispatch|InferencePolicy|TokenBucket)::", layer)
        for inner in INNER:
            self.assertTrue(any(name.startswith(inner) for name in policy), inner)
            for layer, names in self.wanted.items():
                self.assertFalse(any(name.startswith(inner) for name in names), f"{layer} goes around the state machine by {inner}...)")

    def test_the_binary_has_one_of_each(self):
        code = [(address, name) for address, kind, name in symbols(framemill.BINARY) if kind in "Tt"]
        for function in ASKED:
            prefix = f"framemill::LiveDispatch::{function}("
            # A compiler may keep parts of a function apart, ".cold" or ".part"; they say so.
            copies = {address for address, name in code if name.startswith(prefix) and "[clone" not in name}
            self.assertEqual(len(copies), 1, prefix)


if __name__ == "__main__":
    unittest.main()
