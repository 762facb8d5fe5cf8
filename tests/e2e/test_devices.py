"""Several devices behind one scheduler: OpenVINO's CPU backend twice, as two devices for real."""
import json
import re
import subprocess
import time
import unittest
import urllib.error
import urllib.request

import framemill
from framemill import DEMO_CLIP, DEMO_MODEL, FramemillTest, run


class DevicesTest(FramemillTest):
    def configuration(self, device, cameras, extra=""):
        text = f"models: {{line: {{path: {DEMO_MODEL}, device: {device}}}}}\n{extra}cameras:\n"
        for i, camera in enumerate(cameras):
            text += f"  - {{id: c{i}, url: {DEMO_CLIP}, {camera}}}\n"
        path = self.folder / "site.yaml"
        path.write_text(text)
        return path

    def test_two_devices_give_the_answers_of_one(self):
        cameras = ["every: 10", "every: 7"]
        answers = []
        for device in ("CPU", "[CPU, CPU]"):
            done = self.run_engine(self.configuration(device, cameras, "engine: {pace: fast}\n"))
            keep = ("camera", "seq", "frame_index", "origin", "variant", "detections")
            answers.append(sorted(([{k: l[k] for k in keep} for l in done.results]), key=lambda l: (l["camera"], l["seq"])))
        self.assertEqual(answers[0], answers[1])
        devices = done.summary["devices"]
        self.assertEqual([d["device"] for d in devices], ["CPU", "CPU#2"])
        for device in devices:
            self.assertTrue(device["serving"])
            self.assertGreater(device["batches"], 20, devices)
        self.assertEqual(sum(d["batches"] for d in devices), len(answers[1]))

    def test_both_serve_live_cameras_and_the_server_shows_them(self):
        cameras = ["loop: true, rate: 10, slo: 1s"] * 4
        site = self.configuration("[CPU, CPU]", cameras)
        log = open(self.folder / "log", "wb")
        process = subprocess.Popen([framemill.BINARY, "run", site, "--results", self.folder / "results.jsonl", "--summary", self.folder / "summary.json",
                                    "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log)
        log.close()  # the process has it
        self.addCleanup(self.end, process)
        self.log, self.results, self.summary = self.folder / "log", self.folder / "results.jsonl", self.folder / "summary.json"
        address = metrics = None
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(.2)
            found = re.search(r"listening at (http://[^/\s]+)/", self.log.read_text())
            address = found and found[1]
            if not address:
                continue
            try:
                ready = json.load(urllib.request.urlopen(f"{address}/readyz"))
            except urllib.error.HTTPError:
                continue  # the models are being loaded
            metrics = urllib.request.urlopen(f"{address}/metrics").read().decode()
            if ready["ready"] and len(framemill.read_lines(self.results)) > 100:
                break
        self.assertIn('framemill_device_up{device="CPU"} 1', metrics)
        self.assertIn('framemill_device_outages_total{device="CPU#2"} 0', metrics)
        self.assertRegex(metrics, r'framemill_model_up\{model="line",variant="[^"]+",device="CPU#2"\} 1')
        self.assertEqual([d["models_out"] for d in json.load(urllib.request.urlopen(f"{address}/api/v1/run"))["devices"]], [[], []])
        done = self.finish_engine(process)
        self.assertTrue(done.summary["conserved"])
        total = done.summary["total"]
        self.assertGreater(total["inferred"], 0.5 * total["sampled"])
        for device in done.summary["devices"]:
            self.assertEqual(device["outages"], 0, device)
            # The faster one goes first, so how many the other gets depends on the load.
            self.assertGreater(device["batches"], 0, done.summary["devices"])

    def test_what_devices_cannot_be(self):
        for device, wanted in (("[CPU, NOPE]", 'device "NOPE" is not there'), ("[CPU, '']", "models.line.device: is empty"),
                               (str(["CPU"] * 17), "models.line.device: has more than 16 devices")):
            done = run("run", self.configuration(device, ["every: 10"]), "--listen", "off")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(wanted, done.stderr)


if __name__ == "__main__":
    unittest.main()
