"""Metrics of a real run, scraped by a real Prometheus; the alert rules and the Grafana dashboard hold against what is there."""
import json
import re
import shutil
import subprocess
import time
import unittest
import urllib.parse
import urllib.request

from framemill import OUTCOMES, ROOT, free_port
from peers import Receiver
from test_server import ServerTest, SYNTHETIC

PROMETHEUS = ROOT / "deploy/prometheus"
#: Names of the contract (design section 4) that a run of synthetic cameras on a CPU has.
NAMES = ("framemill_frames_captured_total", "framemill_frames_total", "framemill_frames_in_flight", "framemill_answer_latency_seconds_bucket",
         "framemill_answers_overdue_total", "framemill_inferences_total", "framemill_batch_size", "framemill_device_utilization_ratio", "framemill_camera_up")
#: Names that depend on what is there: audits, graphics devices, rules, sinks with a spool.
ELSEWHERE = ("framemill_fidelity_ratio", "framemill_fidelity_low_ratio", "framemill_fidelity_high_ratio", "framemill_fidelity_of_group",
             "framemill_run_fidelity_ratio", "framemill_run_fidelity_low_ratio", "framemill_run_fidelity_high_ratio", "framemill_fidelity_target_ratio", "framemill_device_card_utilization_ratio", "framemill_device_memory_bytes", "framemill_device_temperature_celsius",
             "framemill_device_power_watts", "framemill_alarms_total", "framemill_sink_spooled_bytes")


def parse(text):
    """Name -> {labels: value}; fails on anything that is not the text format."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} stands twice"
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'([a-z_]+)(\{[^{}]*\})? (\S+)', line)
            assert match, line
            samples.setdefault(match[1], {})[match[2] or ""] = float(match[3])
    return samples, types


class MetricsTest(ServerTest):
    def test_figures_agree_with_the_summary(self):
        self.start_server(self.synthetic("gate-1", "gate-2"))
        self.wait_for(lambda: len(self.ask("GET", "/api/v1/results?camera=gate-2").json["results"]) > 5)
        self.ask("POST", "/api/v1/cameras", {"id": "guest", "url": SYNTHETIC})
        self.wait_for(lambda: self.ask("GET", "/api/v1/results?camera=guest").json["results"])
        self.wait_for(lambda: 'camera="guest",outcome="inferred"} 0' not in self.ask("GET", "/metrics").body.decode())
        before, types = parse(self.ask("GET", "/metrics").body.decode())
        for name in NAMES:
            self.assertIn(name, before)
        for name, kind in types.items():
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
        captured = before["framemill_frames_captured_total"]
        in_flight = before["framemill_frames_in_flight"][""]
        total = sum(before["framemill_frames_total"].values())
        self.assertEqual(sum(captured.values()), total + in_flight)
        for camera in ("gate-1", "gate-2", "guest"):
            self.assertEqual({f'{{camera="{camera}",outcome="{outcome}"}}' for outcome in OUTCOMES} - set(before["framemill_frames_total"]), set())
        # A camera that changes or goes takes its own series along, and nothing from sums over all.
        self.assertEqual(self.ask("PATCH", "/api/v1/cameras/gate-2", {"priority": "critical"}).status, 200)
        self.assertEqual(self.ask("DELETE", "/api/v1/cameras/guest").status, 204)
        after, _ = parse(self.ask("GET", "/metrics").body.decode())
        self.assertNotIn('{camera="guest"}', after["framemill_camera_up"])
        for name in ("framemill_inferences_total", "framemill_answer_latency_seconds_count", "framemill_answer_latency_seconds_bucket"):
            for labels, value in before[name].items():
                self.assertGreaterEqual(after[name][labels], value, name + labels)
        self.stop()

    def test_a_peer_that_is_gone_is_told_while_it_is(self):
        receiver = Receiver()
        receiver.status = 503
        self.addCleanup(receiver.stop)
        sinks = f'sinks: [{{type: webhook, url: "http://127.0.0.1:{receiver.port}/hook", send: answers, batch: 100}}]\n'
        self.start_server(self.synthetic("gate-1") + sinks)
        troubles = lambda: [reason for reason in self.ask("GET", "/readyz").json["reasons"] if "sink" in reason]
        sink = lambda: next(sink for sink in self.ask("GET", "/api/v1/run").json["sinks"] if sink["sink"] == "webhook")
        metric = lambda name: parse(self.ask("GET", "/metrics").body.decode())[0][name]['{sink="webhook"}']
        self.wait_for(troubles)
        self.assertIn("503", self.wait_for(lambda: sink().get("spool"))["error"])
        self.assertEqual(metric("framemill_sink_failing"), 1)
        self.wait_for(lambda: metric("framemill_sink_spooled_messages") > 0 and metric("framemill_sink_retries_total") > 0)
        receiver.status = 200
        self.wait_for(lambda: not troubles())
        self.wait_for(lambda: metric("framemill_sink_delivered_total") > 0 and metric("framemill_sink_failing") == 0)
        self.assertNotIn("error", sink()["spool"])
        self.assertEqual(metric("framemill_sink_dropped_total"), 0)
        self.stop()

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool_finds_nothing_wrong(self):
        self.start_server(self.synthetic("gate-1"))
        self.wait_for(lambda: self.ask("GET", "/api/v1/results").json["results"])
        text = self.ask("GET", "/metrics").body
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"], ["check", "config", "prometheus.yaml"]):
            done = subprocess.run(["promtool", *command], cwd=PROMETHEUS, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.stop()

    @unittest.skipUnless(shutil.which("prometheus"), "prometheus is not installed")
    def test_prometheus_scrapes_and_evaluates(self):
        self.start_server(self.synthetic("gate-1", "gate-2", server="view_token: view-token-0123456789, token: admin-token-0123456789"), wait=False)
        self.address = self.wait_for(lambda: (re.search(r"listening at http://([^/\s]+)/", self.read_log()) or [None, None])[1])
        token = self.folder / "token"
        token.write_text("view-token-0123456789")
        config = (PROMETHEUS / "prometheus.yaml").read_text().replace("127.0.0.1:8460", self.address).replace("interval: 15s", "interval: 1s")
        config = config.replace("# authorization", "authorization").replace("/etc/prometheus/framemill.token", str(token)).replace("alerts.yaml", str(PROMETHEUS / "alerts.yaml"))
        (self.folder / "prometheus.yaml").write_text(config)
        port = free_port()
        log = open(self.folder / "prometheus.log", "wb")
        self.addCleanup(log.close)
        prometheus = subprocess.Popen(["prometheus", f"--config.file={self.folder}/prometheus.yaml", f"--storage.tsdb.path={self.folder}/tsdb",
                                       f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        self.addCleanup(self.end, prometheus)

        def query(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return json.load(answer)["data"]["result"]
            except OSError:
                return []

        self.wait_for(lambda: query('up{job="framemill"} == 1'))
        self.wait_for(lambda: query("sum(rate(framemill_frames_total[10s])) > 0"))
        self.assertEqual(len(query("framemill_camera_up == 1")), 2)
        self.wait_for(lambda: query("histogram_quantile(0.95, sum by (le) (rate(framemill_answer_latency_seconds_bucket[10s]))) > 0"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/rules", timeout=10) as answer:
            rules = json.load(answer)["data"]["groups"][0]["rules"]
        self.assertTrue(rules)
        self.assertEqual([rule["name"] for rule in rules if rule["health"] == "err"], [])
        self.stop()

    def test_the_dashboard_asks_for_what_there_is(self):
        self.start_server(self.synthetic("gate-1"))
        self.wait_for(lambda: self.ask("GET", "/api/v1/results").json["results"])
        self.wait_for(lambda: "framemill_host_cpu_utilization_ratio" in self.ask("GET", "/metrics").body.decode())
        samples, _ = parse(self.ask("GET", "/metrics").body.decode())
        known = set(samples) | set(ELSEWHERE)
        dashboard = json.loads((ROOT / "deploy/grafana/framemill.json").read_text())
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        self.assertGreater(len(expressions), 20)
        names = {name for expression in expressions for name in re.findall(r"framemill_[a-z_]+", expression)}
        names |= set(re.findall(r"\bframemill_[a-z_]+", (PROMETHEUS / "alerts.yaml").read_text()))
        self.assertEqual(names - known, set())
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
        self.stop()


if __name__ == "__main__":
    unittest.main()
