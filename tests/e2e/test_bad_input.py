"""Every wrong input gets a message with place and remedy, the right exit status, and loses nothing accepted."""
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time
import unittest

import framemill
from framemill import DEMO_CLIP, DEMO_MODEL, FramemillTest, make_clip, run


class BadInputTest(FramemillTest):
    def refused(self, *arguments, says=(), env=None):
        """Exit 2, nothing started, each of `says` in the message."""
        done = run(*arguments, env=env)
        self.assertEqual(done.returncode, 2, done.stderr)
        for text in says:
            self.assertIn(text, done.stderr)
        return done

    def failed(self, *arguments, says=()):
        """Exit 1: started, but a source or a sink failed; summary and counts still hold."""
        done = self.run_engine(*arguments, expect=1)
        for text in says:
            self.assertIn(text, done.stderr)
        return done

    def config(self, text):
        path = self.folder / "site.yaml"
        path.write_text(text)
        return path

    # Command line and configuration: nothing starts.

    def test_unknown_command_and_option(self):
        self.refused("rnu", says=["rnu"])
        self.refused("run", "--sorce", DEMO_CLIP, says=["--sorce"])
        self.refused("run", says=["--source"])

    def test_run_and_config_check_name_the_same_place(self):
        path = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: a, url: x.mp4}}\n  - {{url: y.mp4, rate: 300}}\n  - {{rate: 5}}\n")
        told = [line.removeprefix("framemill: ") for line in self.refused("run", path).stderr.splitlines()]
        self.assertEqual(told, self.refused("config", "check", path).stderr.splitlines())
        self.assertIn("site.yaml:5: cameras[2].url: is missing", "\n".join(told))

    def test_unknown_config_key_gets_a_suggestion(self):
        path = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: a, url: x.mp4, prioritty: normal}}\n")
        self.refused("run", path, says=["site.yaml:3", "prioritty", "priority"])

    def test_duplicate_camera_id(self):
        path = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: a, url: x.mp4}}\n  - {{id: a, url: y.mp4}}\n")
        self.refused("run", path, says=["site.yaml:4", "a"])

    def test_negative_rate(self):
        path = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: a, url: x.mp4, rate: -3}}\n")
        self.refused("run", path, says=["site.yaml:3", "rate", "-3"])
        self.refused("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--rate", "-3", says=["rate"])

    def test_settings_of_a_camera_behind_a_source(self):
        done = self.refused("run", "--source", f"{DEMO_CLIP},loop=true", "--model", DEMO_MODEL,
                            says=["loop is no option of --source", "every, rate and id", "--loop for all sources"])
        self.assertNotIn("no such file", done.stderr)
        camera = re.search(r"cameras: \[.*\}\]", done.stderr)[0]  # what it says to write is taken
        path = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\n{camera}\n")
        self.assertEqual(run("run", path, "--listen", "off", "--max-answers", "1").returncode, 0, camera)
        done = self.refused("run", "--source", "rtsp://joe:s3cret@127.0.0.1:9/x,password=s3cret,priority=critical", "--model", DEMO_MODEL,
                            says=["--source rtsp://127.0.0.1:9/x: password and priority are no options", "${PASSWORD}"])
        self.assertNotIn("s3cret", done.stderr)

    def test_an_unknown_key_behind_a_file(self):
        self.refused("run", "--source", f"{DEMO_CLIP},foo=3", "--model", DEMO_MODEL, says=["foo", "every, rate, id"])

    def test_a_workload_where_a_configuration_stands_and_the_reverse(self):
        workload = framemill.ROOT / "examples/plan-a-site/site.yaml"
        for command in (("run", workload), ("compare", workload), ("config", "check", workload)):
            done = self.refused(*command, says=["this looks like a workload, which is for plan, simulate and verify"])
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        site = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras: [{{id: a, url: x.mp4}}]\n")
        for command in (("plan", site), ("simulate", site, "--profile", "p.json"), ("verify", site, "--profile", "p.json")):
            done = self.refused(*command, says=["this looks like a configuration, which is for run"])
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_a_video_where_a_configuration_stands(self):
        for verb in ("run", "compare"):
            self.refused(verb, DEMO_CLIP, says=[str(DEMO_CLIP), "no configuration"])
        self.refused("plan", DEMO_CLIP, says=[str(DEMO_CLIP), "no configuration"])

    def test_policies_out_of_range(self):
        base = ("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--policy", "adaptive")
        for option, value in (("--budget", "0"), ("--budget", "1.5"), ("--budget", "-1"), ("--budget", "0/s"), ("--budget", "nan"), ("--motion", "foo"),
                              ("--similarity", "2"), ("--similarity", "-0.1"), ("--audit", "0.9"), ("--audit", "-1"), ("--answer-delay", "-1s")):
            with self.subTest(option=option, value=value):
                self.refused(*base, f"{option}={value}", says=[option, value])

    def test_policies_out_of_range_in_a_configuration(self):
        path = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\n"
                           f"cameras:\n  - {{id: a, url: {DEMO_CLIP}, policy: adaptiv, motion: foo}}\n"
                           "engine:\n  policy: adaptive\n  budget: 1.5\n  similarity: 2\n  audit: .9\n")
        done = self.refused("run", path, says=["site.yaml:3: cameras[a].policy", "site.yaml:3: cameras[a].motion", "site.yaml:6: engine.budget",
                                               "site.yaml:7: engine.similarity", "site.yaml:8: engine.audit"])
        self.assertIn('did you mean "adaptive"', done.stderr)

    def test_a_budget_that_no_policy_can_hold(self):
        self.refused("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--policy", "full", "--budget", "0.5", says=["budget", "adaptive"])

    def test_missing_config(self):
        self.refused("run", self.folder / "none.yaml", says=["none.yaml"])

    def test_secrets_are_never_shown(self):
        path = self.config(f"models: {{m: {{path: {DEMO_MODEL}}}}}\ncameras:\n  - {{id: a, url: 'rtsp://joe:s3cret@127.0.0.1:9/x', rate: -3}}\n")
        done = self.refused("run", path)
        self.assertNotIn("s3cret", done.stderr + done.stdout)

    # Models: nothing starts.

    def test_model_missing_or_a_directory_or_not_a_model(self):
        self.refused("run", "--source", DEMO_CLIP, "--model", self.folder / "no.onnx", says=["no.onnx"])
        self.refused("run", "--source", DEMO_CLIP, "--model", self.folder, says=[str(self.folder)])
        text = self.folder / "text.onnx"
        text.write_text("this is not a model")
        self.refused("run", "--source", DEMO_CLIP, "--model", text, says=["text.onnx"])

    def test_wrong_number_of_labels(self):
        labels = self.folder / "labels.txt"
        labels.write_text("one\ntwo\n")
        self.refused("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--labels", labels, says=["it has 5 classes, but 2 labels are given"])

    def test_labels_that_are_no_file_of_labels(self):
        empty, large = self.folder / "empty.txt", self.folder / "large.txt"
        empty.write_text("\n \n")
        large.write_text("one\n" * 300_000)
        for labels, says in ((self.folder, "is no file"), ("/dev/zero", "is no file"), (empty, "holds no label"), (large, "too large"),
                             (self.folder / "none.txt", "cannot be read")):
            with self.subTest(labels=labels):
                self.refused("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--labels", labels, says=[str(labels), says])

    def test_what_may_not_be_read_or_written(self):
        """As another user, whom the access rights concern also where the tests run as root."""
        secret, closed = self.folder / "secret.onnx", self.folder / "closed"
        secret.write_bytes(b"content")
        closed.mkdir()
        for path in (secret, closed):
            path.chmod(0)
        self.folder.chmod(0o755)
        base = {"--source": DEMO_CLIP, "--model": DEMO_MODEL, "--listen": "off", "--max-answers": "1"}
        cases = [({"--model": secret}, 2), ({"--labels": secret}, 2), ({"--results": secret}, 2), ({"--results": closed / "r.jsonl"}, 2),
                 ({"--summary": closed / "s.json"}, 2), ({"--snapshot": closed}, 2), ({"--trace": closed / "t.jsonl", "--pace": "live"}, 2)]
        for options, status in cases:
            with self.subTest(options=options):
                done = self.run_as_nobody("run", *(str(part) for pair in (base | options).items() for part in pair))
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(str(list(options.values())[0]), done.stderr)
                self.assertRegex(done.stderr, "rights|[Pp]ermission")
        done = self.run_as_nobody("run", str(secret))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, f"{secret}.*(rights|[Pp]ermission)")
        done = self.run_as_nobody("run", "--source", str(secret), "--model", str(DEMO_MODEL), "--listen", "off")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, f"{secret}.*(rights|[Pp]ermission)")
        secret.chmod(0o600)
        self.assertEqual(secret.read_bytes(), b"content")
        closed.chmod(0o700)

    def run_as_nobody(self, *arguments):
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        home.chmod(0o777)
        environment = dict(os.environ, HOME=str(home), XDG_CACHE_HOME=str(home))
        return subprocess.run([framemill.BINARY, *arguments], env=environment, capture_output=True, text=True, timeout=120, **user)

    def test_models_that_are_no_detectors(self):
        models = framemill.ROOT / "src/framemill/infer/testdata"
        for name, says in (("two_outputs", "output"), ("two_inputs", "input"), ("dead", "all 0"), ("ignores_input", "does not depend")):
            with self.subTest(model=name):
                self.refused("run", "--source", DEMO_CLIP, "--model", models / f"{name}.onnx", says=[f"{name}.onnx", says])

    @unittest.skipUnless(framemill.TESTDATA.is_dir(), "needs the shared test data")
    def test_a_model_that_detects_nothing_is_refused(self):
        model = framemill.TESTDATA / "models/yolov8n_640_int8_qdq_BROKENHEAD_aditya.onnx"
        self.refused("run", "--source", DEMO_CLIP, "--model", model, says=["output0", "0"])

    # Outputs that cannot be opened: nothing starts.

    def test_unwritable_outputs(self):
        base = ("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--listen", "off")
        self.refused(*base, "--results", self.folder / "no/such/results.jsonl", says=["no/such/results.jsonl"])
        self.refused(*base, "--results", self.folder, says=[str(self.folder)])
        self.refused(*base, "--snapshot", "/proc/none", says=["/proc/none"])
        # The summary is written at the end; found out only then, hours of figures would be lost.
        # All of it is told before the model is looked at.
        done = self.refused("run", "--source", DEMO_CLIP, "--model", self.folder / "no.onnx", "--results", self.folder / "no/r", says=["no/r"])
        self.assertNotIn("no.onnx", done.stderr)
        for path in (self.folder / "none/s.json", self.folder):
            self.refused(*base, "--summary", path, says=[str(path), "summary cannot be written"])
        self.assertFalse((self.folder / "none").exists())

    def test_an_output_never_overwrites_an_input(self):
        clip, model, labels = (self.folder / name for name in ("clip.mp4", "m.onnx", "labels.txt"))
        clip.write_bytes(DEMO_CLIP.read_bytes())
        model.write_bytes(DEMO_MODEL.read_bytes())
        labels.write_text("a\n")
        site = self.config(f"models: {{m: {{path: {model}, labels: {labels}}}}}\ncameras: [{{id: a, url: {clip}}}]\n")
        before = {path: path.read_bytes() for path in (clip, model, labels, site)}
        for path in before:
            for option in ("--results", "--summary", "--trace"):
                with self.subTest(path=path.name, option=option):
                    self.refused("run", site, "--pace", "live", option, path, "--listen", "off", says=[f"{option}: ", "name another file"])
        sink = self.folder / "sink.yaml"
        for kind in ("jsonl", "sqlite"):
            sink.write_text(site.read_text() + f"sinks: [{{type: {kind}, path: clip.mp4}}]\n")
            self.refused("run", sink, "--listen", "off", says=["sink.yaml:3: sinks[0].path", "cameras[a].url"])
            self.assertIn("sinks[0].path", self.refused("config", "check", sink).stderr)
        self.assertEqual({path: path.read_bytes() for path in before}, before)

    # Sources that fail: the work failed, the rest is whole.

    def test_missing_file_directory_zero_bytes_and_text(self):
        (self.folder / "empty.mp4").write_bytes(b"")
        (self.folder / "text.mp4").write_text("hello, I am not a video\n" * 50)
        older, summary = self.folder / "older.jsonl", self.folder / "older.json"
        outputs = ("--results", older, "--summary", summary, "--listen", "off")
        for source, says in ((self.folder / "none.mp4", "none.mp4"), (self.folder, str(self.folder)), (self.folder / "empty.mp4", "empty.mp4")):
            with self.subTest(source=source):
                for path in (older, summary):
                    path.write_text("yesterday\n")
                # Told before the model is looked at.
                done = self.refused("run", "--source", source, "--model", self.folder / "no.onnx", *outputs, says=["framemill: --source: ", says])
                self.assertNotIn("no.onnx", done.stderr)
                self.assertEqual((older.read_text(), summary.read_text()), ("yesterday\n",) * 2)
        self.failed("--source", self.folder / "text.mp4", "--model", DEMO_MODEL, says=["text.mp4"])
        done = run("run", "--source", self.folder / "text.mp4", "--source", self.folder / "none.mp4", "--model", DEMO_MODEL, *outputs)
        self.assertEqual(done.returncode, 1, done.stderr)
        # No answers came, so no new results; but an older summary would be taken for that of this run.
        self.assertEqual(older.read_text(), "yesterday\n")
        told = json.loads(summary.read_text())
        self.assertEqual((told["total"]["captured"], [camera["state"] for camera in told["cameras"]]), (0, ["failed"] * 2))
        self.assertIn("text.mp4", told["cameras"][0]["error"])

    def test_a_place_is_named_as_it_was_written(self):
        config = self.folder / "site.yaml"
        config.write_text(f"models: {{objects: {{path: {DEMO_MODEL}}}}}\ncameras: [{{id: gate, url: {self.folder}}}]\n")
        self.refused("run", config, "--listen", "off", says=["cameras[gate].url: ", "is a directory"])
        self.refused("compare", "--source", self.folder, "--model", DEMO_MODEL, says=["--source: ", "is a directory"])
        self.refused("run", "--source", "rtsp://127.0.0.1:9/a", "--pace", "fast", "--model", DEMO_MODEL, "--listen", "off",
                     says=["--source rtsp://127.0.0.1:9/a: is a live camera, which cannot run at pace fast"])

    def test_results_belong_to_one_run_at_a_time(self):
        first = self.start_engine("--source", DEMO_CLIP, "--loop", "--model", DEMO_MODEL)
        give_up_at = time.monotonic() + 60
        while not (self.results.exists() and self.results.stat().st_size > 0):
            self.assertLess(time.monotonic(), give_up_at, "no answers")
            time.sleep(.1)
        other = self.folder / "other.json"
        self.refused("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--results", self.results, "--summary", other, "--listen", "off",
                     says=["results.jsonl: another run of framemill writes"])
        self.assertFalse(other.exists())
        self.finish_engine(first)
        self.run_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--max-answers", "3")

    def test_one_bad_source_does_not_stop_the_others(self):
        done = self.failed("--source", self.folder / "none.mp4", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--every", "5",
                           "--max-answers", "10", says=["none.mp4"])
        self.assertEqual(done.summary["total"]["inferred"], 10)

    def test_a_truncated_file_counts_what_it_gave(self):
        clip = make_clip(self.folder / "whole.mkv")
        cut = self.folder / "cut.mkv"
        cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
        done = run("run", "--source", cut, "--model", DEMO_MODEL, "--results", self.folder / "r", "--summary", self.folder / "s", "--listen", "off")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("it breaks off after", done.stderr)
        summary = json.loads((self.folder / "s").read_text())
        self.assertTrue(summary["conserved"])
        self.assertGreater(summary["total"]["inferred"], 0)

    # Sinks that fail while running.

    def test_disk_full(self):
        done = run("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--max-answers", "20", "--results", "/dev/full",
                   "--summary", self.folder / "s", "--listen", "off")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("No space left", done.stderr)
        self.assertIn("20", done.stderr)
        self.assertTrue(json.loads((self.folder / "s").read_text())["conserved"])

    def test_a_disk_that_fills_up_keeps_whole_lines(self):
        """A file size limit stands in for a small disk: what was written stays, no line is torn or doubled."""
        results = self.folder / "r.jsonl"
        limit = 20_000

        def limit_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        done = subprocess.run([framemill.BINARY, "run", "--source", str(DEMO_CLIP), "--model", str(DEMO_MODEL), "--results", str(results),
                               "--listen", "off"], capture_output=True, preexec_fn=limit_files, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr.decode())
        whole = results.read_text().split("\n")[:-1]
        self.assertGreater(len(whole), 5)
        self.assertEqual([json.loads(line)["seq"] for line in whole], list(range(len(whole))))
        self.assertRegex(done.stderr.decode(), r"failed: .*/r.jsonl: \d+ of \d+ answers could not be written: results cannot be written: File too large\n")

    def test_pictures_that_cannot_be_written_are_counted(self):
        def limit_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        done = subprocess.run([framemill.BINARY, "run", "--source", str(DEMO_CLIP), "--model", str(DEMO_MODEL), "--every", "25", "--snapshot",
                               f"{self.folder}/pictures,every=5s", "--listen", "off"], capture_output=True, preexec_fn=limit_files, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr.decode())
        self.assertRegex(done.stderr.decode(), r"failed: .*/pictures: 4 of 4 pictures could not be written: .*line@0.jpg: cannot be written: File too large\n")

    def test_broken_pipe(self):
        process = subprocess.Popen([framemill.BINARY, "run", "--source", str(DEMO_CLIP), "--model", str(DEMO_MODEL), "--results", "-",
                                    "--summary", str(self.folder / "s"), "--listen", "off"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        json.loads(process.stdout.readline())
        process.stdout.close()
        _, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, stderr.decode())
        self.assertRegex(stderr.decode(), r"failed: standard output: \d+ of \d+ answers could not be written: the reader of the results has gone \(broken pipe\)\n")
        self.assertTrue(json.loads((self.folder / "s").read_text())["conserved"])

    def test_a_reader_who_does_not_read_delays_the_end_by_little(self):
        process = subprocess.Popen([framemill.BINARY, "run", "--source", f"{DEMO_CLIP}", "--loop", "--rate", "25", "--model", str(DEMO_MODEL), "--policy", "hold", "--budget", ".1", "--results", "-",
                                    "--summary", str(self.folder / "s"), "--listen", "off"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        json.loads(process.stdout.readline())
        time.sleep(12)  # more than a pipe holds
        asked_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        if not framemill.IS_SLOW_BUILD:
            self.assertLess(time.monotonic() - asked_at, 5)
        summary = json.loads((self.folder / "s").read_text())
        self.assertTrue(summary["conserved"])
        self.assertIn("does not read", process.stderr.read().decode())
        process.stdout.close()
        process.stderr.close()

    def test_a_refused_run_leaves_older_results_alone(self):
        older = self.folder / "older.jsonl"
        older.write_text("yesterday\n")
        done = run("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--results", older, "--snapshot", "/proc/no", "--listen", "off")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(older.read_text(), "yesterday\n")

    def test_labels_that_are_not_utf8(self):
        labels = self.folder / "labels.txt"
        labels.write_bytes("Türe\nb\nc\nd\ne\n".encode("latin-1"))
        self.refused("run", "--source", DEMO_CLIP, "--model", DEMO_MODEL, "--labels", labels, says=["label 0", "is not UTF-8"])

    # Signals.

    def test_ctrl_c_drains_and_ends_with_0(self):
        process = self.start_engine("--source", DEMO_CLIP, "--model", DEMO_MODEL, "--loop", "--rate", "10")
        while not (self.results.exists() and self.results.stat().st_size):
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        asked_at = time.monotonic()
        done = self.finish_engine(process)
        self.assertLess(time.monotonic() - asked_at, 5)
        self.assertTrue(done.summary["stopped_early"])

    def test_ctrl_c_twice_ends_at_once_and_loses_no_answer(self):
        """A reader who does not read would hold the end up for two seconds."""
        answers = self.folder / "answers.jsonl"
        config = self.folder / "site.yaml"
        config.write_text(f"models: {{m: {{path: {DEMO_MODEL}}}}}\nsinks:\n  - {{type: jsonl, path: '{answers}'}}\n  - {{type: jsonl, path: '-'}}\n"
                          f"defaults: {{rate: 25}}\nengine: {{policy: hold, budget: 0.1}}\n"
                          f"cameras:\n  - {{id: a, url: '{DEMO_CLIP}', loop: true}}\n  - {{id: b, url: '{DEMO_CLIP}', loop: true}}\n")
        log = self.folder / "log"
        # Threads are not waited for then: no leak, whatever a sanitizer thinks of it.
        env = {**os.environ, "TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"}
        with open(log, "wb") as output:
            process = subprocess.Popen([framemill.BINARY, "run", str(config), "--listen", "off"], stdout=subprocess.PIPE, stderr=output, env=env)
        self.addCleanup(self.end, process)
        end = time.monotonic() + 60
        while "does not read" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)  # within a tenth of a second it would be the first one
        asked_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        if not framemill.IS_SLOW_BUILD:
            self.assertLess(time.monotonic() - asked_at, 1)
        self.assertEqual(process.returncode, 130)
        self.assertIn("stopped at once; the summary was not written", log.read_text())
        text = answers.read_text()
        self.assertTrue(text.endswith("\n"))
        lines = [json.loads(line) for line in text.splitlines()]
        for camera in "ab":
            seqs = [line["seq"] for line in lines if line["camera"] == camera]
            self.assertEqual(seqs, list(range(len(seqs))))
            self.assertGreater(len(seqs), 10)

    def test_timeout_sends_its_signal_twice(self):
        """To the process and to its group: the summary is written all the same."""
        summary = self.folder / "s"
        done = subprocess.run(["timeout", "3", framemill.BINARY, "run", "--source", str(DEMO_CLIP), "--loop", "--model", str(DEMO_MODEL), "--listen", "off",
                               "--summary", str(summary)], capture_output=True, timeout=60, start_new_session=True)
        self.assertTrue(json.loads(summary.read_text())["conserved"], done.stderr)
        self.assertNotIn("stopped at once", done.stderr.decode())

    def test_a_signal_while_the_models_load_ends_in_order(self):
        process = self.start_engine("--source", "rtsp://127.0.0.1:9/none", "--model", DEMO_MODEL)
        bit = 1 << (signal.SIGTERM - 1)
        status = pathlib.Path(f"/proc/{process.pid}/status")
        while not int(status.read_text().split("SigBlk:")[1].split()[0], 16) & bit:  # the program takes its signals from here on
            self.assertIsNone(process.poll())
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        if framemill.IS_SLOW_BUILD and process.returncode == 128 + signal.SIGTERM:
            return  # loading took longer than a signal waits for it
        self.assertEqual(process.returncode, 0, process.stderr.read())
        self.assertTrue(json.loads(self.summary.read_text())["conserved"])


if __name__ == "__main__":
    unittest.main()
