"""`framemill simulate` keeps its books, repeats itself to the byte, knows every scenario and refuses what it cannot simulate."""
import hashlib
import json
import unittest

from framemill import FramemillTest, run

SCENARIOS = ["steady", "all-active", "burst", "device-lost", "flood", "thermal", "cold-switch"]
WORKLOAD = """
plan: {name: site, redundancy: 1.5}
defaults: {rate: 10, slo: 200ms, model: m.onnx, resolution: 640x360, fps: 10}
cameras:
  - {name: gates, count: 6, priority: critical}
  - {name: halls, count: 20}
  - {name: yard, count: 14, priority: background, policy: adaptive, budget: 0.5}
"""


def profile(model="m.onnx", ms=30.0, batch=1, streams=2):
    """A profile as `bench` writes one: every batch takes between 90 and 110 % of `ms`."""
    content = {
        "schema": "framemill.profile/2", "device": "CPU", "device_name": "test device", "model": model,
        "model_sha256": "ab" * 32, "precision": "int8", "input": [640, 384],
        "environment": {"cpu": "test"}, "measured_at": "2026-01-01T00:00:00.000Z",
        "knee_batch": batch, "knee_streams": streams, "run_streams": streams,
        "points": [{
            "batch": batch, "streams": streams, "decoders": 0, "frames_per_s": 1000.0 * batch * streams / ms,
            "service_ms": [round(ms * (0.9 + 0.002 * i), 6) for i in range(101)],
            "cpu_cores": 2.0, "host_bytes": 100000000, "device_bytes": None, "power_w": None, "temperature_c": None,
            "spread": 0.01}],
        "runs": [], "camera": None,
        "decode": [{"codec": "h264", "size": [640, 360], "frames_per_core_s": 1500.0}]}
    return signed(content)


def signed(content):
    content.pop("checksum", None)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    return content


class SimulateTest(FramemillTest):
    def write(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def simulate(self, *arguments, workload=WORKLOAD, profiles=None, expect=0):
        files = [self.write(f"p{i}.json", p) for i, p in enumerate(profiles or [profile()])]
        given = [word for file in files for word in ("--profile", file)]
        done = run("simulate", self.write("site.yaml", workload), *given, *arguments)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def test_all_scenarios_are_whole(self):
        document = json.loads(self.simulate("--for", "12s", "--json").stdout)
        self.assertEqual(document["schema"], "framemill.simulation/1")
        self.assertEqual([s["scenario"] for s in document["scenarios"]], SCENARIOS)
        self.assertEqual(document["device_name"], "test device")
        for scenario in document["scenarios"]:
            self.assertEqual([c["cameras"] for c in scenario["classes"]], 
                             [5, 20, 14, 1] if scenario["scenario"] == "flood" else [6, 20, 14])
            for figures in scenario["classes"]:
                self.assertTrue(figures["conserved"], scenario["scenario"])
                self.assertEqual(sum(figures["outcomes"].values()), figures["sampled"])
                self.assertGreater(figures["sampled"], 0)
            self.assertLessEqual(scenario["busiest_occupancy"], 1.0000001)

    def test_the_plan_is_what_is_simulated(self):
        for more in ("", "devices: [T4, {name: test device, cores: 64, throughput: 100000}]"):
            document = json.loads(self.simulate("--for", "6s", "--scenario", "steady", "--json", workload=WORKLOAD + more).stdout)
            planned = run("plan", self.write("bare.yaml", WORKLOAD), "--profile", self.folder / "p0.json", "--json")
            self.assertEqual(planned.returncode, 0, planned.stderr)
            self.assertEqual(document["devices"], json.loads(planned.stdout)["candidates"][0]["count"])
            self.assertIn("as planned by", document["devices_reason"])
            self.assertGreaterEqual(min(c["on_time_share"] for c in document["scenarios"][0]["classes"]), .99)

    def test_eta_is_that_of_the_plan(self):
        for eta in ("0.5", "1"):
            document = json.loads(self.simulate("--for", "6s", "--scenario", "steady", "--json", "--eta", eta).stdout)
            planned = run("plan", self.folder / "site.yaml", "--profile", self.folder / "p0.json", "--json", "--eta", eta)
            self.assertEqual(document["devices"], json.loads(planned.stdout)["candidates"][0]["count"])
            self.assertEqual(document["eta"], float(eta))
        self.assertIsNone(json.loads(self.simulate("--for", "6s", "--scenario", "steady", "--json", "--devices", "3").stdout)["eta"])

    def test_a_device_has_the_models_that_the_plan_lays_out_on_it(self):
        site = WORKLOAD + "  - {name: dock, count: 2, model: n.onnx}\n"
        profiles = [profile(), profile("n.onnx")]
        arguments = ("--for", "6s", "--scenario", "steady")
        document = json.loads(self.simulate(*arguments, "--json", workload=site, profiles=profiles).stdout)
        planned = json.loads(run("plan", self.folder / "site.yaml", "--profile", self.folder / "p0.json", self.folder / "p1.json", "--json").stdout)
        layouts = [(layout["count"], [model["model"] for model in layout["models"]]) for layout in planned["candidates"][0]["devices"]]
        self.assertGreater(len(layouts), 1)
        self.assertEqual([(layout["count"], [model["model"] for model in layout["models"]]) for layout in document["layouts"]], layouts)
        self.assertIn("laid out as planned: ", self.simulate(*arguments, workload=site, profiles=profiles).stdout)
        self.assertEqual(json.loads(self.simulate(*arguments, "--devices", "9", "--json", workload=site, profiles=profiles).stdout)["layouts"], [])

    def test_who_decodes_is_as_planned(self):
        card = signed({**profile(), "device": "cuda:0", "device_name": "Tesla T4", "environment": {"cores": "4"},
                       "decode": [{"codec": "hevc", "size": [640, 360], "frames_per_core_s": 50.0}]})
        site = "cameras: [{name: a, count: 30, rate: 5, fps: 10, codec: hevc, resolution: 640x360, model: m.onnx, decode: %s}]"
        for decode, cores in (("cpu", 6), ("auto", 0)):
            done = self.simulate("--for", "6s", "--scenario", "steady", "--devices", "1", "--json", workload=site % decode, profiles=[card])
            decoding = json.loads(done.stdout)["decoding"]
            self.assertAlmostEqual(decoding["cores"], cores)
            self.assertEqual(decoding["card_share"] > 0, decode == "auto")
            self.assertEqual("6.0 cores of a machine that has 4" in done.stderr, decode == "cpu", done.stderr)
            table = self.simulate("--for", "6s", "--scenario", "steady", "--devices", "1", workload=site % decode, profiles=[card]).stdout
            self.assertIn("decoding a machine: ", table)

    def test_names_are_those_of_the_plan(self):
        for name in ("m", "M.onnx"):
            self.simulate("--for", "6s", "--scenario", "steady", workload=WORKLOAD.replace("m.onnx", name))

    def test_other_devices_than_those_measured_are_named(self):
        done = self.simulate("--for", "6s", "--scenario", "steady", "--devices", "8", workload=WORKLOAD + "devices: [T4]")
        self.assertIn("the workload's devices are T4; simulated is test device", done.stderr)
        self.assertIn("8 x test device (as given)", done.stdout)

    def test_a_lost_device_is_seen(self):
        site = "cameras: [{name: a, count: 4, rate: 5, fps: 10, resolution: 640x360, model: m.onnx}]"
        document = json.loads(self.simulate("--devices", "2", "--for", "12s", "--scenario", "device-lost", "--json", workload=site).stdout)
        normal = document["scenarios"][0]["classes"][0]
        self.assertGreaterEqual(normal["worst_gap_ms"], 1000)
        self.assertGreaterEqual(normal["outcomes"]["failed"], 10, "two cameras, a second of 5/s")

    def test_same_seed_same_bytes(self):
        for arguments in (["--json"], []):
            first, again, other = (self.simulate("--for", "9s", "--seed", seed, *arguments).stdout for seed in (7, 7, 8))
            self.assertEqual(first, again)
            self.assertNotEqual(first.replace("seed 7", ""), other.replace("seed 8", ""))

    def test_one_scenario_and_fewer_devices(self):
        few = json.loads(self.simulate("--for", "12s", "--scenario", "steady", "--devices", "2", "--json").stdout)
        self.assertEqual([s["scenario"] for s in few["scenarios"]], ["steady"])
        classes = {c["class"]: c for c in few["scenarios"][0]["classes"]}
        self.assertGreater(classes["normal"]["outcomes"]["superseded"], 0, "330/s asked of 133/s")
        self.assertGreaterEqual(classes["critical"]["on_time_share"], .99)
        self.assertEqual(classes["background"]["outcomes"]["superseded"], 0, "adaptive answers from its state")

    def test_the_table_names_what_it_shows(self):
        table = self.simulate("--for", "9s", "--scenario", "thermal", "--baselines").stdout
        for word in ("thermal", "critical", "goodput/s", "fidelity", "EDF", "FIFO + timeout", "round robin", "bar"):
            self.assertIn(word, table)

    def test_figures_go_to_stdout_and_speed_to_stderr(self):
        done = self.simulate("--for", "9s", "--scenario", "steady", "--json")
        json.loads(done.stdout)
        self.assertIn("million", done.stderr)

    def test_bad_input_is_refused_with_a_remedy(self):
        def of(cameras):
            return f"cameras: [{cameras}]"
        cases = [
            ("empty workload", "", None, [], "empty"),
            ("zero rate", of("{name: a, count: 2, rate: 0, model: m.onnx}"), None, [], "rate"),
            ("slo", of("{name: a, count: 2, slo: 10ms, model: m.onnx}"), None, [], "possible at all"),
            ("absurd count", of("{name: a, count: 1000000000, model: m.onnx}"), None, [], "framemill plan"),
            ("another model", of("{name: a, count: 2, model: other.onnx}"), None, [], "framemill bench"),
            ("two profiles of a model", None, [profile(), profile(ms=20.0)], [], "several profiles"),
            ("two devices", of("{name: a, model: m.onnx}, {name: b, model: n.onnx}"),
             [profile(), signed({**profile("n.onnx"), "device_name": "H200"})], [], "not models of one device"),
            ("what cannot be planned", of("{name: a, count: 2, slo: 45ms, model: m.onnx}"), None, [], "say with --devices"),
            ("a changed profile", None, [{**profile(), "device_name": "a better one"}], [], "check sum"),
            ("a truncated profile", None, [json.dumps(profile())[:500]], [], "p0.json"),
            ("a scenario that is none", None, None, ["--scenario", "stedy"], "steady"),
            ("no time", None, None, ["--for", "0s"], "--for"),
            ("too much time", None, None, ["--for", "99h"], "24h"),
            ("no devices", None, None, ["--devices", "0"], "--devices"),
            ("more devices than cameras", None, None, ["--devices", "41"], "give 1 to 40"),
            *((f"eta {eta}", None, None, ["--eta", eta], "write a share from 0.05 to 1") for eta in ("nan", "0", "1.01", "-1", "inf")),
            ("eta that is no number", None, None, ["--eta", "much"], "--eta"),
            ("eta where devices are given", None, None, ["--eta", ".5", "--devices", "2"], "leave out one"),
        ]
        for name, workload, profiles, arguments, words in cases:
            with self.subTest(name):
                done = self.simulate(*arguments, workload=WORKLOAD if workload is None else workload,
                                     profiles=profiles, expect=2)
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_missing_files(self):
        self.assertEqual(run("simulate", self.folder / "none.yaml", "--profile", self.folder / "none.json").returncode, 2)
        self.assertEqual(run("simulate").returncode, 2)
        self.assertEqual(run("simulate", "--help").returncode, 0)


if __name__ == "__main__":
    unittest.main()
