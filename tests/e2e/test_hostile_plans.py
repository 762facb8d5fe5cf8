"""What nobody could plan with is refused by plan, simulate and verify alike: exit 2, a reason with a remedy, nothing on standard output, no hang."""
import copy
import hashlib
import json
import shutil
import subprocess
import unittest

import framemill
from framemill import DEMO_MODEL, FramemillTest
from test_simulate import profile

VERBS = ("plan", "simulate", "verify")
SITE = "cameras: [{name: a, count: 2, fps: 10, rate: 10, slo: 200ms, resolution: 640x360, model: m.onnx}]"
SECONDS_MAX = 60  # a hang, not a slow machine


def signed(content):
    content.pop("checksum", None)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(content)


def edited(**changes):
    content = copy.deepcopy(profile())
    point = content["points"][0]
    for key, value in changes.items():
        (point if key in point else content)[key] = value
    return signed(content)


class HostilePlansTest(FramemillTest):
    def setUp(self):
        super().setUp()
        shutil.copy(DEMO_MODEL, self.folder / "m.onnx")

    def run_verb(self, verb, site, profile_text):
        (self.folder / "site.yaml").write_text(site)
        (self.folder / "p.json").write_text(profile_text)
        more = {"plan": [], "simulate": ["--for", "6s"], "verify": ["--models", self.folder, "--for", "5s"]}[verb]
        done = subprocess.run([framemill.BINARY, verb, self.folder / "site.yaml", "--profile", self.folder / "p.json", *more],
                              capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        return done

    def assert_refused(self, verbs, site, profile_text, says):
        for verb in verbs:
            with self.subTest(verb=verb, site=site, says=says):
                done = self.run_verb(verb, site, profile_text)
                self.assertEqual(done.returncode, 2, done.stderr + done.stdout)
                self.assertIn(says, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_workloads(self):
        for site, says in (
                ("", "empty"),
                ("cameras: []", "there is no group"),
                (SITE.replace("rate: 10", "rate: 0"), "rate"),
                (SITE.replace("rate: 10", "rate: .nan"), "rate"),
                (SITE.replace("rate: 10", "rate: nan"), "rate"),
                (SITE.replace("rate: 10", "rate: .inf"), "rate"),
                (SITE.replace("rate: 10", "rate: 1e308"), "rate"),
                (SITE.replace("rate: 10", "rate: -10"), "rate"),
                (SITE.replace("rate: 10", "rate: 1e999"), "rate"),
                (SITE.replace("fps: 10", "fps: 1e308"), "fps"),
                (SITE.replace("count: 2", "count: 1e308"), "count"),
                (SITE.replace("count: 2", "count: -1"), "count"),
                (SITE.replace("count: 2", "count: 99999999999999999999"), "count"),
                (SITE.replace("200ms", "1e308s"), "slo"),
                (SITE.replace("200ms", "nan"), "slo"),
                (SITE + "\nplan: {redundancy: .nan}", "redundancy"),
                (SITE + "\nplan: {eta: 1e308}", "eta")):
            self.assert_refused(VERBS, site, signed(profile()), says)

    def test_an_slo_below_the_fastest_answer_is_told_the_least(self):
        self.assert_refused(["plan"], SITE.replace("200ms", "20ms"), signed(profile()), "the least possible is")
        self.assert_refused(["simulate"], SITE.replace("200ms", "20ms"), signed(profile()), "possible at all")

    def test_profiles(self):
        whole = signed(profile())
        for text, says in (
                ("", "p.json"),
                (whole[: len(whole) // 2], "p.json"),
                (whole.replace("test device", "another device"), "check sum"),
                (edited(frames_per_s=1e308), "frames_per_s"),
                (edited(frames_per_s=0), "frames_per_s"),
                (whole.replace('"frames_per_s": 66', '"frames_per_s": NaN, "x": 66'), "p.json"),
                (edited(service_ms=[1e300] * 101), "service_ms"),
                (edited(knee_batch=10**18), "knee_batch"),
                (edited(host_bytes=-1), "host_bytes"),
                (edited(points=[]), "points")):
            self.assert_refused(VERBS, SITE, text, says)
        self.assert_refused(VERBS, SITE.replace("m.onnx", "other.onnx"), whole, "other.onnx")

    def test_batches_that_take_no_time_are_none(self):
        self.assert_refused(["simulate"], SITE, edited(service_ms=[0] * 101), "framemill bench")

    def test_verify_refuses_the_profile_of_another_file(self):
        self.assert_refused(["verify"], SITE, signed(profile()), "is not the file that the profile")

    def test_a_device_without_memory_for_one_model(self):
        site = SITE + "\ndevices: [{name: CPU, memory: 0.1}]"
        self.assert_refused(["plan"], site, edited(host_bytes=20 * 2**30), "needs 20.00 GiB")

    def test_a_billion_cameras(self):
        site = SITE.replace("count: 2", "count: 1000000000")
        self.assertEqual(self.run_verb("plan", site, signed(profile())).returncode, 0)
        self.assert_refused(["simulate"], site, signed(profile()), "framemill plan")
        self.assert_refused(["verify"], site, signed(profile()), "cannot be played")


if __name__ == "__main__":
    unittest.main()
