"""The Kafka sink against librdkafka's mock cluster in a process of its own: all of it arrives, whatever happens to the brokers."""
import json
import unittest

import framemill
from kafka_peer import Kafka
from peers import free_port, wait_until
from plant import PlantTest

PATIENCE = 120 if framemill.IS_SLOW_BUILD else 40
UNKNOWN_TOPIC, TOO_LARGE = 3, 10  # codes of Kafka's protocol


class KafkaTest(PlantTest):
    def setUp(self):
        super().setUp()
        self.peer = Kafka(topic="plant.vision")
        self.addCleanup(self.peer.end)

    def sink(self, **changes):
        return f"  - {json.dumps({'type': 'kafka', 'url': self.peer.url, 'topic': 'plant.vision', 'timeout': '4s', **changes})}\n"

    def lines_so_far(self):
        return self.results.read_text().count("\n") if self.results.exists() else 0

    @staticmethod
    def of_sink(done):
        return next(s for s in done.summary["sinks"] if s["sink"] == "kafka")

    @staticmethod
    def answered(done):
        return {f"{line['run']}/{line['camera']}/{line['seq']}": line for line in done.results}

    def test_answers_and_alarms(self):
        engine = self.start_engine(self.config(self.sink() + "  - {type: sqlite, path: events.db}\n"))
        wait_until(lambda: len(self.peer.ids(".alarms")) >= 4, PATIENCE, "alarms")
        done = self.finish_engine(engine)
        self.assertEqual(self.of_sink(done)["spool"]["waiting"], 0, "brought at the end, too")
        wait_until(lambda: len(self.peer.ids(".answers")) >= len(done.results), 10, "the consumer has read it")
        self.assertEqual(self.peer.ids(".answers"), self.answered(done))
        self.assertEqual(set(self.peer.ids(".alarms")), self.alarm_keys())
        self.assertEqual(len(self.peer.messages), len(self.peer.ids()), "each once while nothing fails")
        self.assertEqual({m["key"] for m in self.peer.messages}, {"line"})
        # One key, one partition, and there in the order of frames.
        answers = [m for m in self.peer.messages if m["topic"] == "plant.vision.answers"]
        self.assertEqual(len({m["partition"] for m in answers}), 1)
        self.assertEqual([m["value"]["seq"] for m in answers], sorted(m["value"]["seq"] for m in answers))

    def test_the_brokers_go_and_come_back(self):
        self.peer.down()
        engine = self.start_engine(self.config(self.sink()))  # there is no broker yet
        for _ in range(3):
            before = self.lines_so_far()
            wait_until(lambda: self.lines_so_far() > before + 15, PATIENCE, "the engine goes on")
            self.peer.up()
            wait_until(lambda: len(self.peer.ids(".answers")) >= before + 15, PATIENCE, "what had waited arrives")
            self.peer.down()
        self.peer.up()
        wait_until(lambda: len(self.peer.ids(".answers")) >= self.lines_so_far() - 5, PATIENCE, "the backlog is gone")
        done = self.finish_engine(engine)
        sink = self.of_sink(done)
        self.assertEqual((sink["lost"], sink["spool"]["dropped"]), (0, 0))
        if not framemill.IS_SLOW_BUILD:  # there the brokers are away for less time than a delivery may take
            self.assertGreater(sink["spool"]["retries"], 0)
        # The last moments may wait on disk for the next run, and nothing else. What is there and was not confirmed any more
        # waits as well: it would come twice.
        delivered = len(done.results) - sink["spool"]["waiting"]
        self.assertLess(sink["spool"]["waiting"], 10)
        wait_until(lambda: len(self.peer.ids(".answers")) >= delivered, 10, "the consumer has read it")
        there, answered = self.peer.ids(".answers"), self.answered(done)
        self.assertEqual({k: v for k, v in answered.items() if v["seq"] < delivered or k in there}, there)

    def test_a_topic_that_is_not_there_yet(self):
        self.peer.tell(f"error plant.vision.answers {UNKNOWN_TOPIC}")
        engine = self.start_engine(self.config(self.sink(), rules="[]"))
        wait_until(lambda: self.lines_so_far() > 30, PATIENCE, "the engine runs all the same")
        self.assertEqual(self.peer.messages, [])
        self.peer.tell("error plant.vision.answers 0")
        wait_until(lambda: len(self.peer.ids()) > 30, PATIENCE, "what had waited arrives")
        done = self.finish_engine(engine)
        self.assertIn("Unknown topic", done.stderr)
        self.assertEqual(self.of_sink(done)["spool"]["dropped"], 0)
        wait_until(lambda: set(self.peer.ids()) == set(self.answered(done)), 10, "all of it")

    def test_what_is_refused_for_good_holds_nothing_up(self):
        self.peer.tell(f"refuse 12 {TOO_LARGE}")
        engine = self.start_engine(self.config(self.sink(), rules="[]"))
        wait_until(lambda: len(self.peer.ids()) > 30, PATIENCE, "what comes later arrives")
        done = self.finish_engine(engine, expect=1)  # something was lost, so the work failed
        spool = self.of_sink(done)["spool"]
        self.assertGreater(spool["dropped"], 0)
        self.assertLessEqual(spool["dropped"], 12)
        self.assertEqual((spool["delivered"], spool["waiting"]), (len(done.results) - spool["dropped"], 0))
        self.assertIn("refuses", done.stderr)
        wait_until(lambda: len(self.peer.ids()) == spool["delivered"], 10, "what was counted as delivered is there")

    def test_nobody_there_and_a_password(self):
        port = free_port()
        engine = self.start_engine(self.config(self.sink(url=f"kafka://127.0.0.1:{port}", username="fm", password="kafka-s3cret"), rules="[]"),
                                   log=self.folder / "log")
        wait_until(lambda: "Connection refused" in self.log.read_text(), PATIENCE, "what is wrong is said")
        done = self.finish_engine(engine)
        self.assertNotIn("kafka-s3cret", done.stderr + json.dumps(done.summary))
        self.assertEqual(self.of_sink(done)["spool"]["waiting"], len(done.results))


if __name__ == "__main__":
    unittest.main()
