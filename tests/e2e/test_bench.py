"""`framemill bench` from outside: a profile that can be counted with, or a clear word and nothing written. No figure of speed is asserted."""
import html.parser
import json
import re
import signal
import subprocess
import unittest

from framemill import BINARY, DEMO_CLIP, DEMO_MODEL, FramemillTest, run


class PageLinks(html.parser.HTMLParser):
    """What a browser would load from elsewhere."""

    def __init__(self):
        super().__init__()
        self.outside, self.charts = [], 0

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.charts += tag == "svg" and values.get("class") == "chart"
        self.outside += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action") and value]


class BenchTest(FramemillTest):
    def bench(self, *arguments, expect=0, **kwargs):
        done = run("bench", *arguments, timeout=300, **kwargs)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def quick(self, *arguments, **kwargs):
        return self.bench(DEMO_MODEL, "--quick", "--clip", DEMO_CLIP, *arguments, **kwargs)

    def refused(self, *arguments, says=()):
        done = self.bench(*arguments, expect=2)
        self.assertEqual(done.stdout, "")
        for text in says:
            self.assertIn(text, done.stderr)
        return done

    def test_profile_is_whole_and_the_same_on_paper_and_on_standard_output(self):
        out, page = self.folder / "profile.json", self.folder / "bench.html"
        done = self.quick("--out", out, "--page", page, "--json")
        self.assertEqual(done.stdout, out.read_text())
        profile = json.loads(done.stdout)
        self.assertEqual(profile["schema"], "framemill.profile/2")
        self.assertEqual(profile["model"], DEMO_MODEL.name)
        self.assertEqual(profile["model_sha256"], subprocess.run(["sha256sum", DEMO_MODEL], capture_output=True, text=True, check=True).stdout[:64])
        points = {(p["batch"], p["streams"], p["decoders"]): p for p in profile["points"]}
        self.assertEqual(len(points), len(profile["points"]))
        self.assertIn((profile["knee_batch"], profile["knee_streams"], 0), points)
        self.assertIn((profile["knee_batch"], profile["run_streams"], 0), points)
        self.assertTrue(any(decoders > 0 for _, _, decoders in points))
        for (batch, streams, _), point in points.items():
            service = point["service_ms"]
            self.assertEqual(len(service), 101)
            self.assertEqual(service, sorted(service))
            self.assertGreater(service[0], 0)
            self.assertGreater(point["host_bytes"], 0)
            # Little's law: what is in flight = throughput x time; letterbox to detections are all in the time.
            in_flight = point["frames_per_s"] / batch * sum(service) / len(service) / 1000
            self.assertLess(abs(in_flight - streams) / streams, .35, point)
        asked = [r["cameras"] * r["rate_hz"] for r in profile["runs"]]
        self.assertGreaterEqual(len(asked), 2)
        self.assertEqual(asked, sorted(asked))
        for whole_run in profile["runs"]:
            inferred = sum(kind["count"] * kind["batch"] for kind in whole_run["batches"])
            self.assertGreater(inferred, 0)
            self.assertLess(whole_run["frames_per_s"], 1.1 * whole_run["cameras"] * whole_run["rate_hz"])
            self.assertTrue(all(kind["batch"] <= profile["knee_batch"] for kind in whole_run["batches"]))
        self.assertEqual([(rate["codec"], rate["size"]) for rate in profile["decode"]], [("h264", [640, 360])])
        for key in ("cpu", "cores", "kernel", "runtime", "framemill", "memory_mb"):
            self.assertTrue(profile["environment"][key], key)
        self.assertEqual((profile["environment"]["backend"], profile["environment"]["arithmetic"]), ("openvino", "auto"))
        self.assertEqual({p["device_bytes"] for p in profile["points"]}, {None})  # the processor has no memory of its own
        links = PageLinks()
        links.feed(page.read_text())
        self.assertEqual(links.outside, [])
        self.assertGreaterEqual(links.charts, 3)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["bench.html", "profile.json"])

    def test_what_is_no_profile_is_not_replaced(self):
        out = self.folder / "profile.json"
        out.write_text('{"schema": "mine"}')
        self.refused(DEMO_MODEL, "--quick", "--out", out, says=["would replace a file that is no whole profile"])
        self.assertEqual(out.read_text(), '{"schema": "mine"}')

    def test_measuring_again_compares_with_what_it_replaces(self):
        out = self.folder / "profile.json"
        out.write_text('{"schema": "framemill.profile/1"}')  # of an older framemill: replaced, and not compared with
        self.assertNotRegex(self.quick("--out", out).stderr, "compared with|moved")
        first = out.read_text()
        self.assertEqual(json.loads(first)["schema"], "framemill.profile/2")
        done = self.quick("--out", out)
        self.assertNotEqual(out.read_text(), first)
        self.assertRegex(done.stderr, r"compared with .*profile\.json|latency moved by over 5 % since .*profile\.json")
        self.assertRegex(done.stdout, r"knee: batch \d+, \d+ streams?; `run` keeps \d+ in flight")

    def test_another_model_is_not_compared(self):
        old = self.folder / "old.json"
        self.quick("--out", old)
        fp32 = DEMO_MODEL.with_name("line_fp32.onnx")
        done = self.bench(fp32, "--quick", "--clip", DEMO_CLIP, "--against", old)
        self.assertIn("another measurement", done.stderr)
        self.assertIn("model: line_int8.onnx", done.stderr)

    def test_a_broken_older_profile_is_neither_used_nor_replaced(self):
        out = self.folder / "profile.json"
        self.quick("--out", out)
        whole = out.read_text()
        edited = re.sub(r'"knee_batch": \d+', '"knee_batch": 1.0', whole)
        for text, says in ((whole[: len(whole) // 2], "cut off"), (edited, "knee_batch"), ("", "is empty"), ("{}", "is no profile"),
                           (re.sub(r'"frames_per_s":[0-9.]+', '"frames_per_s":1e6', whole), "check sum")):
            out.write_text(text)
            self.refused(DEMO_MODEL, "--quick", "--out", out, says=(says, str(out)))
            self.refused(DEMO_MODEL, "--quick", "--against", out, says=(says, "--against"))
            self.assertEqual(out.read_text(), text)

    def test_the_model_alone_is_measured_without_decoding_and_runs(self):
        profile = json.loads(self.quick("--model-only", "--json").stdout)
        self.assertGreater(len(profile["points"]), 2)
        self.assertEqual({point["decoders"] for point in profile["points"]}, {0})
        self.assertFalse(profile.get("decode"))
        self.assertFalse(profile.get("runs"))
        self.refused(DEMO_MODEL, "--model-only", "--out", self.folder / "profile.json", says=("--model-only", "--out"))

    def test_wrong_usage_is_said_before_anything_is_measured(self):
        text = self.folder / "text.onnx"
        text.write_text("this is no model, whatever its name says\n" * 100)
        whole = DEMO_MODEL.read_bytes()
        cut = self.folder / "cut.onnx"
        cut.write_bytes(whole[: len(whole) // 3])
        self.refused(says=("MODEL is required",))
        self.refused(text, says=("not ONNX",))
        self.refused(cut, says=("cut.onnx",))
        self.refused(self.folder / "gone.onnx", says=("there is no such file",))
        self.refused(self.folder, says=(".onnx or .xml",))
        self.refused(DEMO_MODEL, "--device", "TPU", says=("TPU", "CPU"))
        self.refused(DEMO_MODEL, "--out", self.folder, says=("--out", "folder"))
        self.refused(DEMO_MODEL, "--out", self.folder / "no/p.json", says=("--out", "cannot be written"))
        self.refused(DEMO_MODEL, "--page", "/proc/bench.html", says=("--page", "cannot be written"))
        self.refused(DEMO_MODEL, "--out", self.folder / "a", "--page", self.folder / "a", says=("--page: is written to by something else too (--out)",))
        self.refused(DEMO_MODEL, "--size", "12", says=("--size", "640x360"))
        self.refused(DEMO_MODEL, "--clip", self.folder / "gone.mp4", says=("--clip", "no such file"))
        self.refused(DEMO_MODEL, "--clip", text, says=("--clip",))
        self.refused(DEMO_MODEL, "--quick", "--full", says=("--help",))
        self.refused(DEMO_MODEL, "--against", self.folder / "gone.json", says=("--against",))
        self.refused(DEMO_MODEL, "--spede", says=("--spede",))
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["cut.onnx", "text.onnx"])

    def test_no_output_overwrites_what_is_read(self):
        model, clip = self.folder / "m.onnx", self.folder / "clip.mp4"
        model.write_bytes(DEMO_MODEL.read_bytes())
        clip.write_bytes(DEMO_CLIP.read_bytes())
        (self.folder / "link.json").symlink_to(clip)
        before = {path: path.read_bytes() for path in self.folder.iterdir()}
        for option in ("--out", "--page"):
            self.refused(model, option, model, says=(f"{option}: ", "is read as MODEL", "name another file"))
            self.refused(model, "--clip", clip, option, self.folder / "link.json", says=(f"{option}: ", "is read as --clip"))
        self.refused(model, "--against", clip, "--page", clip, says=("--page: ", "is read as --against"))
        self.assertEqual({path: path.read_bytes() for path in self.folder.iterdir()}, before)

    def test_a_signal_ends_it_and_leaves_nothing_half(self):
        out = self.folder / "profile.json"
        process = subprocess.Popen([BINARY, "bench", str(DEMO_MODEL), "--full", "--clip", str(DEMO_CLIP), "--out", str(out)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        for line in process.stderr:
            if "batch 1" in line:  # it measures
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, stderr)
        self.assertEqual(stdout, "")
        self.assertIn("nothing was written", stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_full_standard_output_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = run("bench", DEMO_MODEL, "--quick", "--clip", DEMO_CLIP, stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_help(self):
        self.assertIn("--against", self.bench("--help").stdout)
        self.assertIn("bench", run("--help").stdout)


if __name__ == "__main__":
    unittest.main()
