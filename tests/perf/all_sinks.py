"""A run with every kind of sink that has a peer, and the peers, for the measurements beside this file: an MQTT broker, an HTTP receiver, a PostgreSQL
server, a Kafka cluster, all real ones of this machine's own (tests/e2e)."""
import contextlib
import json
import pathlib
import subprocess
import sqlite3
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import framemill  # noqa: E402
from kafka_peer import Kafka  # noqa: E402
from peers import Broker, Receiver, Subscriber, free_port, wait_until  # noqa: E402
from postgres_peer import PASSWORD, USER, Postgres  # noqa: E402

KINDS = ("mqtt", "webhook", "postgres", "kafka")
RULES = """
      - {id: product, kind: presence, zone: belt, classes: [product], clear_after: 300ms}
      - {id: many, kind: count, over: 1, clear_after: 300ms}
"""


def key_of(message):
    """What an idempotent receiver knows a message by."""
    if message["schema"] == "framemill.alarm/1":
        return f"{message['alarm_id']}/{message['state']}"
    return f"{message['run']}/{message['camera']}/{message['seq']}"


class AllSinks:
    def __init__(self, folder, cameras=1, rate=10, spool_mb=256, engine="policy: adaptive, budget: 0.1", more_sinks=""):
        self.folder = pathlib.Path(folder)
        self.closing = contextlib.ExitStack()
        self.broker = Broker(folder, is_durable=True)
        self.broker.start()
        self.closing.callback(lambda: self.broker.stop())
        self.subscriber = Subscriber(self.broker.port, "plant/+/#", name="subscriber")
        self.closing.callback(self.subscriber.stop)
        self.receivers = [Receiver()]
        self.closing.callback(lambda: self.receivers[-1].stop())
        self.postgres = Postgres(is_durable=True)
        self.closing.callback(self.postgres.end)
        self.kafka = Kafka(topic="plant")
        self.closing.callback(self.kafka.end)
        self.listen_port = free_port()
        synthetic = "".join(f"  - {{id: s{i}, url: 'synthetic://?rate={rate}&objects=3&seed={i}'}}\n" for i in range(1, cameras))
        self.config = self.folder / "site.yaml"
        self.config.write_text(f"""
models: {{line: {{path: {framemill.DEMO_MODEL}}}}}
defaults: {{rate: {rate}, slo: 1s}}
cameras:
  - id: line
    url: {framemill.DEMO_CLIP}
    loop: true
    priority: critical
    zones: {{belt: [[0.48, 0], [0.52, 0], [0.52, 1], [0.48, 1]]}}
    rules: {RULES}
{synthetic}
engine: {{{engine}, pace: live, data: data}}
sinks:
  - {{type: mqtt, url: "mqtt://127.0.0.1:{self.broker.port}", topic: plant, client_id: all-sinks, spool_mb: {spool_mb}, timeout: 5s}}
  - {{type: webhook, url: "http://127.0.0.1:{self.receivers[0].port}/", send: all, batch: 100, spool_mb: {spool_mb}, timeout: 5s}}
  - {{type: postgres, url: "{self.postgres.url}", username: {USER}, password: {PASSWORD}, spool_mb: {spool_mb}, timeout: 5s}}
  - {{type: kafka, url: "{self.kafka.url}", topic: plant, spool_mb: {spool_mb}, timeout: 5s}}
  - {{type: jsonl, path: alarms.jsonl, send: alarms, size_mb: 1000, name: book}}
{more_sinks}
""")

    def start(self, number=0, listen=True):
        """A run in the background; its results are those of `number`."""
        self.results, self.summary = self.folder / f"results-{number}.jsonl", self.folder / f"summary-{number}.json"
        self.log = self.folder / f"log-{number}"
        with open(self.log, "wb") as log:
            return subprocess.Popen([framemill.BINARY, "run", str(self.config), "--results", str(self.results), "--summary", str(self.summary),
                                     "--listen", f"127.0.0.1:{self.listen_port}" if listen else "off"], stdout=subprocess.DEVNULL, stderr=log)

    def take_down(self):
        self.broker.end_gently()
        self.receivers[-1].status = 0  # connections that are open are no use either
        self.receivers[-1].stop()
        self.postgres.stop("immediate")
        self.kafka.down()

    def bring_back(self):
        self.broker.start()
        self.receivers.append(Receiver(port=self.receivers[0].port))
        self.postgres.start()
        self.kafka.up()

    def spooled_bytes(self):
        """Sink -> what waits for its peer, as /metrics says it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.listen_port}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        prefix = 'framemill_sink_spooled_bytes{sink="'
        return {line[len(prefix):line.index('"}')]: float(line.split()[-1]) for line in lines if line.startswith(prefix)}

    def bytes_on_disk(self, sink):
        total = 0
        for path in (self.folder / "data/spool" / sink).rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # delivered meanwhile
                total += path.stat().st_size if path.is_file() else 0
        return total

    def messages(self):
        """Kind -> every message that arrived there, in the order of arrival."""
        receiver = [message for one in self.receivers for message in one.messages()]
        mqtt = [json.loads(payload) for topic, payload, retained in list(self.subscriber.messages)
                if topic.startswith(("plant/answers/", "plant/alarms/")) and payload and not retained]
        return {"mqtt": mqtt, "webhook": receiver, "kafka": [m["value"] for m in list(self.kafka.messages)]}

    def keys(self):
        """Kind -> what an idempotent receiver has; and how many came more than once. Asserts that those were the same."""
        keys, repeated = {}, {}
        for kind, messages in self.messages().items():
            first = {}
            for message in messages:
                known = first.setdefault(key_of(message), message)
                assert known == message, f"{kind}: two different messages with the key {key_of(message)}"
            keys[kind], repeated[kind] = set(first), len(messages) - len(first)
        rows = self.postgres.sql("SELECT run || '/' || camera || '/' || seq FROM framemill.answers UNION ALL "
                                 "SELECT alarm_id || '/' || state FROM framemill.alarm_events")
        keys["postgres"], repeated["postgres"] = {row[0] for row in rows}, len(rows) - len({row[0] for row in rows})
        return keys, repeated

    def alarm_keys(self):
        """Of the book of alarms."""
        with contextlib.closing(sqlite3.connect(self.folder / "data/alarms.db")) as book:
            names = ("raised", "acknowledged", "cleared")
            return {f"{a}/{names[s]}" for a, s in book.execute("SELECT alarm_id, state FROM events")}

    def wait_for_keys(self, wanted, timeout_s):
        """Until all peers have all of `wanted`; kind -> what is missing."""
        end = time.monotonic() + timeout_s
        while True:
            missing = {kind: wanted - keys for kind, keys in self.keys()[0].items()}
            if not any(missing.values()) or time.monotonic() > end:
                return missing
            time.sleep(1)

    def close(self):
        self.closing.close()


def results_of(path):
    if not path.exists():
        return []
    text = path.read_text()
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]  # a killed run's last line may be torn


__all__ = ["AllSinks", "KINDS", "framemill", "key_of", "results_of", "wait_until"]
