"""Results and events where a sqlite sink keeps them: all of the run and of those before, by time, camera and class, in pages."""
import datetime
import json
import time
import unittest

import framemill
from framemill import DEMO_CLIP, DEMO_MODEL, free_port
from pymodbus.client import ModbusTcpClient
from test_server import ServerTest, SYNTHETIC


class HistoryTest(ServerTest):
    def site(self, sinks="[{type: sqlite, path: events.db}]"):
        return (f"models:\n  objects: {{path: {DEMO_MODEL}}}\ndefaults: {{rate: 20, slo: 500ms}}\ncameras:\n"
                f"  - {{id: line-1, url: {DEMO_CLIP}, loop: true}}\n  - {{id: line-2, url: {DEMO_CLIP}, loop: true, start: 2s}}\n"
                f"engine: {{policy: hold, budget: 0.3, pace: live}}\nsinks: {sinks}\n")

    def pages(self, query):
        """All results behind `query`, page by page."""
        found, cursor = [], None
        while True:
            page = self.ask("GET", f"/api/v1/results?{query}" + (f"&cursor={cursor}" if cursor else ""))
            self.assertEqual(page.status, 200, page.body)
            self.assertEqual(page.json["source"], "database")
            found += page.json["results"]
            cursor = page.json["next_cursor"]
            if cursor is None:
                return found

    def test_the_database_has_what_memory_has_not(self):
        self.start_server(self.site())
        self.wait_for(lambda: int(self.ask("GET", "/api/v1/run").json["counts"]["sampled"]) > 900)  # memory holds 300 of a camera
        until = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        time.sleep(3)  # the sink is a second behind
        kept = self.pages(f"camera=line-1&until={until}&limit=97")
        self.assertGreater(len(kept), 400)
        seqs = [line["seq"] for line in kept]
        self.assertEqual(len(seqs), len(set(seqs)), "each once")
        both = self.pages(f"until={until}&limit=1000")
        self.assertEqual({line["camera"] for line in both}, {"line-1", "line-2"})
        times = [line["captured_at"] for line in both]
        self.assertEqual(times, sorted(times, reverse=True))
        written = {(line["camera"], line["seq"]): line for line in framemill.read_lines(self.results)}
        before = {key for key, line in written.items() if line["captured_at"] < until}
        self.assertEqual({(line["camera"], line["seq"]) for line in both}, before, "all, to the very first")
        self.assertEqual(len(both), len(before))
        for line in both:
            for key, value in line.items():
                if key == "latency_ms" and value is not None:
                    self.assertAlmostEqual(value, written[line["camera"], line["seq"]][key], places=2)
                else:
                    self.assertEqual(value, written[line["camera"], line["seq"]][key], key)
        label = next(line for line in both if line.get("detections"))["detections"][0]["label"]
        for query, wanted in ((f"label={label}", lambda line: any(d["label"] == label for d in line.get("detections", []))),
                              ("origin=reused", lambda line: line["origin"] == "reused"),
                              (f"since={times[300]}", lambda line: line["captured_at"] >= times[300])):
            self.assertEqual(self.pages(f"{query}&until={until}&limit=333"), [line for line in both if wanted(line)], query)
        self.assertEqual(self.pages("label=unicorn&limit=10"), [])
        recent = self.ask("GET", "/api/v1/results?source=memory&limit=1000").json
        self.assertEqual(recent["source"], "memory")
        self.assertIn("deadline_ms", recent["results"][0])
        for query in ("cursor=12", "source=memory&cursor=d.1.2.3.4", "source=disk", "cursor=d.1.2.3"):
            self.assertEqual(self.ask("GET", f"/api/v1/results?{query}").status, 400, query)
        self.assertEqual(self.ask("GET", "/api/v1/results?camera=nobody").status, 404)
        self.stop()

    def test_what_was_before_a_restart_is_still_there(self):
        self.start_server(self.site())
        self.wait_for(lambda: self.ask("GET", "/api/v1/results?camera=line-2").json["results"])
        first = self.ask("GET", "/api/v1/run").json["run"]
        self.ask("DELETE", "/api/v1/cameras/line-2")
        self.stop()
        self.start_server(self.site().replace("  - {id: line-2", "  # - {id: line-2"))
        self.assertIn(first, {line["run"] for line in self.ask("GET", "/api/v1/results?camera=line-2").json["results"]})
        self.assertEqual(self.ask("GET", "/api/v1/results?camera=line-2&source=memory").status, 404)
        self.wait_for(lambda: first not in {line["run"] for line in self.ask("GET", "/api/v1/results?limit=1").json["results"]})
        events = self.ask("GET", "/api/v1/events").json
        self.assertEqual(events["source"], "database")
        kinds = [event["kind"] for event in events["events"]]
        self.assertEqual(kinds.count("run_started"), 2)
        ids = [event["id"] for event in events["events"]]
        self.assertEqual(ids, list(range(len(ids), 0, -1)))
        removed = [event for event in events["events"] if event["kind"] == "camera_removed"]
        self.assertEqual([event["camera"] for event in removed], ["line-2"])
        at = removed[0]["at"]
        self.assertEqual(self.ask("GET", f"/api/v1/events?since={at}&kind=camera_removed").json["events"], removed)
        self.assertEqual(self.ask("GET", f"/api/v1/events?until={at}&kind=camera_removed").json["events"], [])
        self.stop()

    def test_without_a_database_there_is_the_memory(self):
        self.start_server(self.site("[]"))
        self.wait_for(lambda: self.ask("GET", "/api/v1/results").json["results"])
        for path in ("results", "events"):
            self.assertEqual(self.ask("GET", f"/api/v1/{path}").json["source"], "memory")
        refused = self.ask("GET", "/api/v1/results?source=database")
        self.assertEqual((refused.status, refused.json["where"]), (400, "source"))
        self.stop()

    def test_a_sink_of_alarms_only_keeps_events(self):
        self.start_server(self.site("[{type: sqlite, path: events.db, send: alarms}]"))
        self.wait_for(lambda: self.ask("GET", "/api/v1/results").json["results"])
        self.assertEqual(self.ask("GET", "/api/v1/results").json["source"], "memory")
        self.assertEqual(self.ask("GET", "/api/v1/events").json["source"], "database")
        self.stop()

    def test_an_alarm_is_there_after_a_restart(self):
        modbus_port = free_port()
        gone = {"url": f"rtsp://127.0.0.1:{free_port()}/x", "rules": [{"id": "down", "kind": "camera_down", "for": "500ms", "latch": True}]}
        server = 'camera_networks: ["127.0.0.0/8"]'
        sinks = f'sinks: [{{type: modbus, listen: "127.0.0.1:{modbus_port}"}}]\n'
        config = self.config([f'{{id: gate-1, url: "{SYNTHETIC}"}}', json.dumps({"id": "gone", **gone})], server=server) + sinks
        self.start_server(config)
        alarms = lambda: self.ask("GET", "/api/v1/alarms").json["alarms"]
        raised = self.wait_for(alarms)
        # One that comes while the run goes on has no bit, but counts.
        self.assertEqual(self.ask("POST", "/api/v1/cameras", {"id": "late", **gone}).status, 201)
        client = ModbusTcpClient("127.0.0.1", port=modbus_port)
        self.assertTrue(client.connect())
        self.wait_for(lambda: client.read_input_registers(4, 2).registers == [2, 2])
        self.assertEqual(client.read_coils(1, 2).bits[:2], [True, True])
        client.close()
        self.stop()
        self.start_server(config)
        self.assertIn(raised[0], alarms())
        self.assertEqual(self.ask("GET", "/api/v1/cameras/gone").json["stats"]["alarms"], 1)
        path = "/api/v1/alarms/" + raised[0]["alarm_id"]
        self.assertEqual(self.ask("GET", path).json, raised[0])
        self.assertEqual(self.ask("POST", path + "/acknowledge", {"by": "anna"}).json["acknowledged_by"], "anna")
        self.assertEqual([a["alarm_id"] for a in self.ask("GET", "/api/v1/alarms?state=acknowledged").json["alarms"]], [raised[0]["alarm_id"]])
        self.assertEqual(len(self.ask("GET", "/api/v1/alarms?state=all").json["alarms"]), 2, "that of the camera that is no more, too")
        self.stop()


if __name__ == "__main__":
    unittest.main()
