"""A Kafka cluster of the tests' own (tests/kafka_peer): its brokers go and come back on command."""
import json
import os
import pathlib
import subprocess
import threading

import framemill

PROGRAM = os.environ.get("FRAMEMILL_KAFKA_PEER", str(pathlib.Path(framemill.BINARY).parent / "tests/kafka_peer/kafka_peer"))


class Kafka:
    def __init__(self, brokers=3, topic="framemill"):
        self.messages = []  # as the peer's consumer read them, in the order of arrival
        self.process = subprocess.Popen([PROGRAM, str(brokers), f"{topic}.answers", f"{topic}.alarms"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.brokers = self.process.stdout.readline().strip()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"kafka://{self.brokers}"

    def read(self):
        for line in self.process.stdout:
            self.messages.append(json.loads(line))

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def down(self):
        self.tell("down")

    def up(self):
        self.tell("up")

    def ids(self, topic=""):
        """What an idempotent receiver has: the value of each key, as it came first."""
        taken = {}
        for message in list(self.messages):
            if message["topic"].endswith(topic):
                taken.setdefault(message["id"], message["value"])
        return taken

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(10)
        self.thread.join()
        self.process.stdout.close()
