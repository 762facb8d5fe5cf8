"""Rules, alarms and sinks with real peers: what a camera shows gets to each of them, whatever happens to them or to the engine."""
import datetime
import json
import os
import random
import signal
import subprocess
import time
import unittest

import framemill
from peers import Broker, Receiver, Subscriber, free_port, wait_until
from plant import PlantTest
from pymodbus.client import ModbusTcpClient

PATIENCE = 120 if framemill.IS_SLOW_BUILD else 40


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class AlarmsTest(PlantTest):
    def test_an_alarm_reaches_every_sink(self):
        broker = Broker(self.folder)
        broker.start()
        self.addCleanup(broker.stop)
        subscriber = Subscriber(broker.port)
        self.addCleanup(subscriber.stop)
        receiver = Receiver(secret="s3cret")
        self.addCleanup(receiver.stop)
        modbus_port = free_port()
        config = self.config(f"""
  - {{type: sqlite, path: events.db}}
  - {{type: mqtt, url: "mqtt://127.0.0.1:{broker.port}", topic: plant/vision, client_id: test, discovery: homeassistant}}
  - {{type: webhook, url: "http://127.0.0.1:{receiver.port}/hook", secret: "${{HOOK_SECRET}}"}}
  - {{type: modbus, listen: "127.0.0.1:{modbus_port}", map: map.md}}
  - {{type: jsonl, path: alarms.jsonl, send: alarms}}
""")
        engine = self.start_engine(config, env={**os.environ, "HOOK_SECRET": "s3cret"})
        wait_until(lambda: len(subscriber.json("plant/vision/alarms/line/product")) >= 2, PATIENCE, "an alarm is raised and cleared")
        client = ModbusTcpClient("127.0.0.1", port=modbus_port)
        self.assertTrue(client.connect())
        # Reads the coil of the rule until it has been seen both ways.
        seen = set()
        def coil():
            seen.add(client.read_coils(100, 1).bits[0])
            return seen == {False, True}
        wait_until(coil, PATIENCE, "the coil turns over")
        before = client.read_input_registers(0, 8).registers
        self.assertEqual(before[1:4], [1, 1, 3])
        wait_until(lambda: client.read_holding_registers(0, 1).registers != before[:1], 10, "the heartbeat goes on")
        wait_until(lambda: client.read_input_registers(100, 1).registers == [1], 10, "the camera is shown as up")
        high, low = client.read_input_registers(20002 + 6, 2).registers  # crossings of rule 1
        self.assertGreaterEqual(high * 65536 + low, 1)
        self.assertTrue(client.write_coil(100, True).isError(), "reading only")
        client.close()
        self.assertIn("| 100 | `line` `product` (presence, critical): alarm open |", (self.folder / "map.md").read_text())
        done = self.finish_engine(engine)
        self.assertNotIn("s3cret", done.stderr)

        events = [json.loads(line) for line in (self.folder / "alarms.jsonl").read_text().splitlines()]
        keys = {f"{e['alarm_id']}/{e['state']}" for e in events}
        self.assertEqual(len(keys), len(events), "each change once")
        self.assertEqual(self.alarm_keys(), keys)
        self.assertEqual(set(receiver.accepted()), keys)
        self.assertEqual(receiver.bad_signatures, 0)
        wait_until(lambda: len(subscriber.json("plant/vision/alarms/")) >= len(events), 10, "all on MQTT")
        self.assertEqual({f"{e['alarm_id']}/{e['state']}" for e in subscriber.json("plant/vision/alarms/")}, keys)
        # Every answer is in the database, and with the broker.
        lines = {line["seq"] for line in done.results}
        self.assertEqual({row[0] for row in self.table("SELECT seq FROM answer_list WHERE camera='line'")}, lines)
        self.assertEqual({a["seq"] for a in subscriber.json("plant/vision/answers/line")}, lines)
        raises = [e for e in events if e["state"] == "raised"]
        for event in raises:
            line = done.results[event["seq"]]
            self.assertEqual((line["captured_at"], line["run"]), (event["at"], event["run"]))
            self.assertGreater(os.path.getsize(event["picture"]), 1000)
            if event["rule"] == "product":
                self.assertIn("product", event["message"])
                x = [(d["box"][0] + d["box"][2]) / 2 / line["width"] for d in line["detections"] if d["label"] == "product"]
                self.assertTrue(any(0.47 <= v <= 0.53 for v in x), "what raised it lay in the zone")
        self.assertLessEqual({e["rule"] for e in raises}, {"product", "out", "many"})
        self.assertIn("out", {e["rule"] for e in raises})
        status = [payload for topic, payload, _ in subscriber.messages if topic == "plant/vision/status"]
        wait_until(lambda: [p for t, p, _ in subscriber.messages if t == "plant/vision/status"][-1] == "offline", 5, "says good-bye")
        self.assertEqual(status[0], "online")
        self.assertIn("up", [s["state"] for s in subscriber.json("plant/vision/cameras/line/state")])
        late = Subscriber(broker.port)
        self.addCleanup(late.stop)
        wanted = {"plant/vision/status", "plant/vision/alarms/line/product", "homeassistant/binary_sensor/framemill_test/line_product/config"}
        wait_until(lambda: wanted <= {t for t, _, retained in list(late.messages) if retained}, 10, "what is retained comes to whoever is late")
        self.check_book()

    def test_the_broker_goes_and_comes_back(self):
        for version in ("5", "3.1.1"):
            with self.subTest(version=version):
                broker = Broker(self.folder)
                self.addCleanup(broker.stop)
                (self.folder / "events.db").unlink(missing_ok=True)
                config = self.config(f"""
  - {{type: sqlite, path: events.db}}
  - {{type: mqtt, url: "mqtt://127.0.0.1:{broker.port}", version: {version}, timeout: 2s}}
""")
                engine = self.start_engine(config)  # there is no broker yet
                wait_until(lambda: self.results.exists() and self.results.read_text().count("\n") > 20, PATIENCE, "answers")
                got = []
                for _ in range(3):
                    broker.start()
                    subscriber = Subscriber(broker.port)
                    wait_until(lambda: len(subscriber.messages) > 20, PATIENCE, "what had waited arrives")
                    got.append(subscriber)
                    if len(got) < 3:
                        broker.stop()
                        time.sleep(1)  # the length of the outage
                def has_all():
                    have = {a["seq"] for s in got for a in s.json("framemill/answers/line")}
                    return have >= set(range(self.results.read_text().count("\n") - 10))
                wait_until(has_all, PATIENCE, "the backlog is gone")
                done = self.finish_engine(engine)
                # The broker acknowledged what this subscriber may not have got before the broker was killed: so only
                # what arrived after the last start, and before, is counted here; nothing may be missing but around a kill.
                have = {a["seq"] for s in got for a in s.json("framemill/answers/line")}
                missing = {line["seq"] for line in done.results} - have
                self.assertEqual(missing, set())
                mqtt = next(s for s in done.summary["sinks"] if s["sink"] == "mqtt")
                self.assertEqual((mqtt["lost"], mqtt["spool"]["dropped"], mqtt["spool"]["waiting"]), (0, 0, 0))
                self.assertGreater(mqtt["spool"]["retries"], 0)
                for s in got:
                    s.stop()
                broker.stop()

    def test_a_receiver_that_fails_and_a_restart_with_it_down(self):
        receiver = Receiver()
        self.addCleanup(receiver.stop)
        port = receiver.port
        config = self.config(f"""
  - {{type: sqlite, path: events.db}}
  - {{type: webhook, url: "http://127.0.0.1:{port}/", send: all, batch: 1}}
""")
        receiver.status = 503
        engine = self.start_engine(config)
        wait_until(lambda: len(receiver.requests) >= 2, PATIENCE, "it is tried again")
        receiver.status = 200
        wait_until(lambda: len(receiver.accepted()) > 20, PATIENCE, "what had waited arrives")
        receiver.status = 500
        time.sleep(2)  # the length of the outage
        first = self.finish_engine(engine)
        hook = next(s for s in first.summary["sinks"] if s["sink"] == "webhook")
        self.assertGreater(hook["spool"]["waiting"], 0)
        receiver.status = 200
        second = self.run_engine(config, "--for", "3s")
        keys = {f"{line['run']}/line/{line['seq']}" for line in first.results + second.results} | self.alarm_keys()
        # The rest of the second run may still wait on disk: a third one without cameras' frames brings it.
        third = self.run_engine(config, "--for", "4s")
        keys |= {f"{line['run']}/line/{line['seq']}" for line in third.results} | self.alarm_keys()
        waiting = next(s for s in third.summary["sinks"] if s["sink"] == "webhook")["spool"]["waiting"]
        accepted = receiver.accepted()
        self.assertEqual(set(accepted) - keys, set(), "nothing that was not there")
        self.assertEqual(len(keys - set(accepted)), waiting, "nothing is missing but what waits")
        firsts = {f"{line['run']}/line/{line['seq']}" for line in first.results}
        self.assertLessEqual(firsts, set(accepted), "nothing of the first run is lost")
        self.check_book()

    def test_killed_at_any_moment(self):
        receiver = Receiver()
        self.addCleanup(receiver.stop)
        config = self.config(f"""
  - {{type: sqlite, path: events.db}}
  - {{type: webhook, url: "http://127.0.0.1:{receiver.port}/"}}
""")
        rng = random.Random(3)
        for _ in range(4):
            engine = self.start_engine(config)
            wait_until(lambda: self.results.exists() and self.results.stat().st_size > 0, PATIENCE, "the first answer")
            time.sleep(rng.uniform(0.2, 4))
            engine.send_signal(signal.SIGKILL)
            engine.communicate()
            self.results.unlink()
            self.check_book()
            with self.opened(self.folder / "events.db") as database:
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        self.run_engine(config, "--for", "4s")
        alarms = self.check_book()
        with self.opened(self.folder / "data/alarms.db") as book:
            events = {f"{row[0]}/{['raised', 'acknowledged', 'cleared'][row[1]]}" for row in book.execute("SELECT alarm_id, state FROM events")}
        self.assertGreaterEqual(len(events), len(alarms))
        self.assertEqual(self.alarm_keys(), events, "the database has what the book has")
        self.assertEqual(set(receiver.accepted()), events, "and so has the receiver")

    def test_a_run_keeps_its_data_to_itself(self):
        config = self.config("  - {type: sqlite, path: events.db}\n")
        engine = self.start_engine(config)
        wait_until(lambda: self.results.exists() and self.results.stat().st_size > 0, PATIENCE, "the first answer")
        second = framemill.run("run", config, "--listen", "off", "--for", "1s")
        self.assertEqual(second.returncode, 2, second.stderr)
        self.assertIn("another process has the database", second.stderr)
        self.finish_engine(engine)

    def test_sinks_that_cannot_be_opened(self):
        (self.folder / "file").write_text("x" * 5000)
        for sink, words in {
            "{type: sqlite, path: nowhere/events.db}": "nowhere/events.db",
            "{type: sqlite, path: file}": "cannot be used as a database",
            "{type: mqtt, url: 'mqtts://127.0.0.1', ca_file: none.pem}": "none.pem",
            "{type: modbus, listen: '203.0.113.1:502'}": "203.0.113.1:502",
        }.items():
            with self.subTest(sink=sink):
                done = framemill.run("run", self.config(f"  - {sink}\n"), "--listen", "off", "--for", "1s")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("sinks[0]", done.stderr)
                self.assertIn(words, done.stderr)

    def test_tls(self):
        def make(*arguments):
            subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.folder)
        make("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test-ca")
        make("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=127.0.0.1")
        (self.folder / "san").write_text("subjectAltName=IP:127.0.0.1")
        make("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "broker.pem", "-days", "2", "-extfile", "san")
        os.chmod(self.folder, 0o755)
        for name in ("broker.key", "broker.pem", "ca.pem"):
            os.chmod(self.folder / name, 0o644)
        broker = Broker(self.folder, f"certfile {self.folder}/broker.pem\nkeyfile {self.folder}/broker.key")
        broker.start()
        self.addCleanup(broker.stop)
        subscriber = Subscriber(broker.port, tls={"ca_certs": str(self.folder / "ca.pem")})
        self.addCleanup(subscriber.stop)
        engine = self.start_engine(self.config(f"  - {{type: mqtt, url: 'mqtts://127.0.0.1:{broker.port}', ca_file: ca.pem}}\n"))
        wait_until(lambda: len(subscriber.json("framemill/answers/line")) > 5, PATIENCE, "answers over TLS")
        self.finish_engine(engine)
        # Without the authority the broker is not believed.
        count = len(subscriber.messages)
        engine = self.start_engine(self.config(f"  - {{type: mqtt, url: 'mqtts://127.0.0.1:{broker.port}', name: other, client_id: other}}\n"))
        wait_until(lambda: self.results.exists() and self.results.read_text().count("\n") > 10, PATIENCE, "answers")
        done = self.finish_engine(engine)
        self.assertEqual(len(subscriber.messages), count)
        self.assertIn("no connection", done.stderr)


if __name__ == "__main__":
    unittest.main()
