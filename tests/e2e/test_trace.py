"""`framemill run --trace`: what the engine was told and decided is in the file, replays to the same decisions, and feeds `simulate`."""
import json
import subprocess
import time
import unittest

import framemill
from framemill import DEMO_MODEL, FramemillTest, read_lines, run
from test_simulate import profile

CAMERAS = [word for i in range(4)
           for word in ("--source", f"synthetic://?size=320x192&rate=25&seed={i + 1},id=gates-{i + 1}")] + ["--pace", "live"]
SITE = """
defaults: {rate: 25, slo: 200ms, model: m.onnx, resolution: 320x192, fps: 25}
cameras:
  - {name: gates, count: 4, policy: adaptive}
  - {name: halls, count: 4, policy: full}
"""


class TraceTest(FramemillTest):
    def record(self, policy="adaptive", answers=30, name="trace.jsonl", extra=()):
        trace = self.folder / name
        done = self.run_engine(*CAMERAS, "--model", DEMO_MODEL, "--policy", policy, "--rate", "25",
                               "--max-answers", answers, "--trace", trace, *extra)
        done.trace = trace
        return done

    def simulate(self, trace, *arguments, site=SITE, expect=0):
        (self.folder / "site.yaml").write_text(site)
        (self.folder / "profile.json").write_text(json.dumps(profile()))
        done = run("simulate", self.folder / "site.yaml", "--profile", self.folder / "profile.json", "--devices", "1",
                   "--for", "9s", "--trace", trace, *arguments)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def test_each_frame_is_in_the_trace_and_decided_the_same_again(self):
        for policy in ("full", "adaptive", "similarity"):
            with self.subTest(policy):
                done = self.record(policy)
                lines = read_lines(done.trace)
                self.assertEqual(lines[0]["schema"], "framemill.trace/1")
                self.assertEqual(lines[0]["run"], done.summary["run"])
                self.assertEqual([c["camera"] for c in lines[0]["cameras"]], [f"gates-{i}" for i in range(1, 5)])
                self.assertEqual(lines[-1], {"e": "stop", "records": len(lines) - 2, "lost": 0})
                self.assertEqual(done.summary["trace"]["records"], len(lines) - 2)
                frames = [line for line in lines if line.get("e") == "frame"]
                self.assertEqual(len(frames), 4 * 30)
                sent = {(c, q) for line in lines for c, q, *_ in line.get("send", [])}
                inferred = {(int(r["camera"][-1]) - 1, r["seq"]) for r in done.results if r["origin"] == "inferred"}
                self.assertLessEqual(inferred, sent, "what was inferred was sent")
                site = SITE if policy == "adaptive" else "cameras: [{name: gates, count: 4, rate: 25, model: m.onnx}]"
                document = json.loads(self.simulate(done.trace, "--json", "--scenario", "steady", site=site).stdout)
                self.assertTrue(document["trace"]["same_decisions"], document["trace"]["difference"])
                self.assertEqual(document["trace"]["records_replayed"], len(lines) - 2)
                self.assertEqual(document["trace"]["cameras_with_motion"], 4 if policy == "adaptive" else 0)

    def test_a_changed_trace_is_found_out(self):
        trace = self.record(answers=10).trace
        lines = trace.read_text().splitlines()
        place = next(i for i, line in enumerate(lines) if '"send":[[' in line)
        lines[place] = lines[place].replace('"send":[[', '"send":[[7,7,0,0],[')
        trace.write_text("\n".join(lines) + "\n")
        done = self.simulate(trace, "--json", "--scenario", "steady")
        self.assertIn(f"trace.jsonl:{place + 1}: sent: recorded", done.stderr)
        self.assertFalse(json.loads(done.stdout)["trace"]["same_decisions"])
        self.assertIn("steps are decided the same again", self.simulate(trace, "--scenario", "steady").stdout)

    def test_all_scenarios_and_same_bytes(self):
        trace = self.record().trace
        first, again = (self.simulate(trace, "--json").stdout for _ in range(2))
        self.assertEqual(first, again)
        document = json.loads(first)
        self.assertEqual(len(document["scenarios"]), 7)
        for scenario in document["scenarios"]:
            for figures in scenario["classes"]:
                self.assertTrue(figures["conserved"], scenario["scenario"])
                self.assertGreater(figures["sampled"], 0)

    def test_bad_traces_are_refused_with_their_line(self):
        trace = self.record(answers=5).trace
        text = trace.read_text()
        lines = text.splitlines(keepends=True)
        cases = [
            ("empty", "", "is empty"),
            ("no trace", "hello\n", "bad.jsonl:1: is not the first line of a trace"),
            ("results", '{"schema":"framemill.result/1"}\n', "is not a trace"),
            ("another version", text.replace("framemill.trace/1", "framemill.trace/2", 1), "another version of the format"),
            ("in the middle of a line", text[:-20], "breaks off in the middle"),
            ("without an end", "".join(lines[:-1]), f"bad.jsonl:{len(lines)}: the trace breaks off here"),
            ("a line less", "".join(lines[:3] + lines[4:]), "bad.jsonl:"),
            ("a line that is none", "".join(lines[:3] + ["{]\n"] + lines[3:]), "bad.jsonl:4: is not JSON"),
            ("an unknown event", "".join(lines[:3] + ['{"e":"party"}\n'] + lines[3:]), 'bad.jsonl:4: there is no event "party"'),
            ("an unknown camera", "".join(lines[:3] + ['{"e":"end","c":99}\n'] + lines[3:]), "bad.jsonl:4: cannot have happened"),
        ]
        bad = self.folder / "bad.jsonl"
        for name, content, words in cases:
            with self.subTest(name):
                bad.write_text(content)
                done = self.simulate(bad, expect=2)
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stdout, "")
        self.assertIn("cannot be read", self.simulate(self.folder / "none.jsonl", expect=2).stderr)
        self.assertIn("is a folder", self.simulate(self.folder, expect=2).stderr)

    def test_a_trace_without_motion_does_not_do_for_adaptive_cameras(self):
        done = self.simulate(self.record("full", answers=5).trace, expect=2)
        self.assertIn("cameras[gates] are adaptive, and no camera of the trace was", done.stderr)

    def test_where_nothing_can_be_written_nothing_is_started(self):
        for arguments, words in ((["--trace", self.folder / "no" / "such"], "trace cannot be written there"),
                                 (["--trace", "-"], "names no file")):
            done = run("run", *CAMERAS, "--model", DEMO_MODEL, "--max-answers", "5", "--listen", "off", *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words, done.stderr)
        done = run("run", "--source", framemill.DEMO_CLIP, "--model", DEMO_MODEL, "--pace", "fast", "--listen", "off",
                   "--trace", self.folder / "t.jsonl")
        self.assertEqual(done.returncode, 2)
        self.assertIn("use --pace live", done.stderr)
        self.assertFalse((self.folder / "t.jsonl").exists())

    def test_an_older_trace_stays_where_a_run_gets_nowhere(self):
        trace, text = self.folder / "trace.jsonl", self.folder / "text.mp4"
        trace.write_text("yesterday\n")
        text.write_text("hello, I am not a video\n" * 50)
        none = self.folder / "none.mp4"
        for sources in ((none,), (text,), (text, none)):
            words = [word for source in sources for word in ("--source", source)]
            done = run("run", *words, "--model", DEMO_MODEL, "--pace", "live", "--listen", "off", "--trace", trace)
            self.assertIn(done.returncode, (1, 2), done.stderr)
            self.assertEqual(trace.read_text(), "yesterday\n", sources)
        self.assertEqual(read_lines(self.record(answers=3).trace)[0]["schema"], "framemill.trace/1")

    def test_a_trace_belongs_to_one_run_at_a_time(self):
        trace = self.folder / "trace.jsonl"
        first = subprocess.Popen([framemill.BINARY, "run", *CAMERAS, "--model", str(DEMO_MODEL), "--listen", "off", "--trace", str(trace)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            give_up_at = time.monotonic() + 60
            while not (trace.exists() and trace.stat().st_size > 0):
                self.assertLess(time.monotonic(), give_up_at, "no trace")
                time.sleep(.1)
            done = run("run", *CAMERAS, "--model", DEMO_MODEL, "--max-answers", "3", "--listen", "off", "--trace", trace)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("trace.jsonl: another run of framemill writes its trace there", done.stderr)
        finally:
            first.terminate()
            _, told = first.communicate(timeout=60)
        self.assertEqual(first.returncode, 0, told.decode())
        self.assertEqual(read_lines(trace)[-1]["e"], "stop")

    def test_a_full_disk_ends_the_trace_and_not_the_run(self):
        summary, results = self.folder / "summary.json", self.folder / "results.jsonl"
        done = run("run", *CAMERAS, "--model", DEMO_MODEL, "--rate", "25", "--max-answers", "20", "--listen", "off",
                   "--summary", summary, "--results", results, "--trace", "/dev/full")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/dev/full: the trace cannot be written any longer: No space left on device", done.stderr)
        report = json.loads(summary.read_text())
        self.assertTrue(report["conserved"])
        self.assertEqual(len(read_lines(results)), 80, "every answer is there")
        self.assertEqual(report["trace"]["records"], 0)
        self.assertGreater(report["trace"]["lost"], 80)
        self.assertIn("No space left", report["trace"]["error"])

    def test_a_disk_that_fills_up_leaves_whole_lines(self):
        trace = self.folder / "trace.jsonl"
        command = " ".join([framemill.BINARY, "run", *(f"'{word}'" for word in CAMERAS), "--model", str(DEMO_MODEL), "--rate", "25",
                            "--max-answers", "40", "--listen", "off", "--trace", str(trace)])
        # A limit on the size of files stands for the disk; its signal is the shell's to ignore.
        done = subprocess.run(["bash", "-c", f"trap '' XFSZ; ulimit -f 12; exec {command}"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("the trace cannot be written any longer: File too large", done.stderr)
        text = trace.read_text()
        self.assertTrue(text.endswith("}\n"))
        for line in text.splitlines():
            json.loads(line)
        self.assertIn("breaks off here", self.simulate(trace, expect=2).stderr)


if __name__ == "__main__":
    unittest.main()
