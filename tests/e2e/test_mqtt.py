"""What the MQTT sink leaves at the broker: of cameras and rules that are there, and of no others."""
import json
import os
import signal
import unittest

import framemill
from peers import Broker, Subscriber, wait_until
from plant import PlantTest

PATIENCE = 120 if framemill.IS_SLOW_BUILD else 40
EXTRA = "  - {id: extra.1, url: 'synthetic://', rate: 5, rules: [{id: down, kind: camera_down}]}"
WITHOUT_MANY = PlantTest.RULES.replace("      - {id: many, kind: count, over: 1, clear_after: 300ms}\n", "")


class MqttTest(PlantTest):
    def setUp(self):
        super().setUp()
        self.broker = Broker(self.folder)
        self.broker.start()
        self.addCleanup(self.broker.stop)

    def sink(self, more=", discovery: homeassistant"):
        return f'  - {{type: mqtt, url: "mqtt://127.0.0.1:{self.broker.port}", topic: plant, client_id: test{more}}}\n'

    def retained(self):
        """topic -> payload of all that the broker keeps."""
        late = Subscriber(self.broker.port)
        try:
            late.client.publish("marker", "x", qos=1)  # comes after all that is retained
            wait_until(lambda: any(topic == "marker" for topic, _, _ in list(late.messages)), 10, "the marker")
            return {topic: payload for topic, payload, is_retained in late.messages if is_retained}
        finally:
            late.stop()

    def wait_for_retained(self, condition, what):
        wait_until(lambda: condition(self.retained()), PATIENCE, what)

    def test_what_is_removed_while_it_runs_is_cleared(self):
        config = self.config(self.sink(), extra=EXTRA)
        engine = self.start_engine(config)
        sensor = "homeassistant/binary_sensor/framemill_test/{}/config".format
        everything = {"plant/cameras/line/state", "plant/cameras/extra.1/state", "plant/alarms/line/many", "plant/alarms/line/product",
                      *(sensor(o) for o in ("line", "extra_1", "line_many", "line_product", "line_out", "extra_1_down"))}
        self.wait_for_retained(lambda topics: everything <= set(topics), "all is announced, and both rules have been raised")
        found = json.loads(self.retained()[sensor("line_many")])
        self.assertEqual((found["state_topic"], found["device_class"], found["availability_topic"]), ("plant/alarms/line/many", "problem", "plant/status"))

        self.config(self.sink(), rules=WITHOUT_MANY)
        engine.send_signal(signal.SIGHUP)
        gone = {"plant/cameras/extra.1/state", "plant/alarms/line/many", *(sensor(o) for o in ("extra_1", "line_many", "extra_1_down"))}
        self.wait_for_retained(lambda topics: not gone & set(topics), "what was of them is cleared")
        self.assertEqual(everything - gone, everything & set(self.retained()), "and nothing else")

        self.config(self.sink(), extra=EXTRA)
        engine.send_signal(signal.SIGHUP)
        self.wait_for_retained(lambda topics: everything <= set(topics), "what comes back is announced anew")
        engine.send_signal(signal.SIGINT)  # a camera that came twice has lines that no summary adds up
        engine.communicate(timeout=30)
        self.assertEqual(engine.returncode, 0)

    def test_what_the_broker_may_not_take_waits_until_it_may(self):
        """MQTT 5 acknowledges a refused message like any other, but with a reason."""
        self.broker.stop()
        rights = self.folder / "rights"
        some = "topic read #\ntopic write plant/status\ntopic write plant/cameras/#\ntopic write plant/alarms/#\n"
        rights.write_text(some)
        self.broker = Broker(self.folder, extra=f"acl_file {rights}" + ("\nuser root" if os.getuid() == 0 else ""))
        self.broker.start()
        self.addCleanup(self.broker.stop)
        subscriber = Subscriber(self.broker.port)
        self.addCleanup(subscriber.stop)
        log = self.folder / "log"
        engine = self.start_engine(self.config(self.sink(more=", version: 5, send: all")), log=log)
        wait_until(lambda: "Not authorized" in log.read_text(), PATIENCE, "it is told")
        self.assertIn("see the rights of this client", log.read_text())
        wait_until(lambda: subscriber.json("plant/cameras/line/state"), PATIENCE, "what may be shown is shown")
        self.assertEqual(subscriber.json("plant/answers/"), [])
        rights.write_text(some + "topic write plant/answers/#\n")
        self.broker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(subscriber.json("plant/answers/line")) > 20, PATIENCE, "now they come")
        wait_until(lambda: {a["seq"] for a in subscriber.json("plant/answers/line")} >= set(range(20)), PATIENCE, "from the first one on")
        done = self.finish_engine(engine)
        (mqtt,) = (sink for sink in done.summary["sinks"] if sink["sink"] == "mqtt")
        self.assertEqual((mqtt["lost"], mqtt["spool"]["dropped"]), (0, 0))
        self.assertGreater(mqtt["spool"]["retries"], 0)

    def test_what_went_between_two_runs_is_cleared(self):
        engine = self.start_engine(self.config(self.sink(), extra=EXTRA))
        self.wait_for_retained(lambda topics: {"plant/cameras/extra.1/state", "plant/alarms/line/many"} <= set(topics), "states")
        self.finish_engine(engine)
        # Of somebody else under the same topic: not touched.
        other = Subscriber(self.broker.port)
        other.client.publish("plant/alarms/elsewhere/door", "{}", qos=1, retain=True).wait_for_publish(10)
        other.stop()
        engine = self.start_engine(self.config(self.sink(more=""), rules=WITHOUT_MANY))
        self.wait_for_retained(
            lambda topics: not any("extra" in t or "many" in t or t.startswith("homeassistant") for t in topics), "what is of no one is cleared")
        topics = self.retained()
        self.assertIn("plant/alarms/elsewhere/door", topics)
        self.assertIn("plant/alarms/line/product", topics)
        self.assertIn("plant/cameras/line/state", topics)
        self.finish_engine(engine)


if __name__ == "__main__":
    unittest.main()
