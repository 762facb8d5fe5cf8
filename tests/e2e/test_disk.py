"""A disk that is full or read-only: it is said clearly, the engine goes on, and nothing that was accepted is lost once there is room again."""
import json
import os
import pathlib
import subprocess
import unittest

import framemill
from peers import Receiver, free_port, wait_until
from plant import PlantTest

PATIENCE = 120 if framemill.IS_SLOW_BUILD else 60


class DiskTest(PlantTest):
    """The disk is a tmpfs of 24 MB at self.disk; results and the log lie elsewhere."""

    def setUp(self):
        super().setUp()
        if os.getuid() != 0:
            self.skipTest("mounting a small disk needs root")
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(self.disk)], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.disk)], check=True)

    def fill(self):
        """Takes what is left, to the last byte."""
        with open(self.disk / "ballast", "ab", buffering=0) as ballast:
            size = 65536
            while size:
                try:
                    ballast.write(bytes(size))
                except OSError:
                    size //= 2

    def site(self, receiver_port):
        config = self.config(f"""
  - {{type: sqlite, path: disk/events.db}}
  - {{type: jsonl, path: disk/all.jsonl, send: all, name: lines}}
  - {{type: webhook, url: "http://127.0.0.1:{receiver_port}/", send: all, batch: 1}}
  - {{type: jsonl, path: alarms.jsonl, send: alarms, name: elsewhere}}
""", extra="alarms: {pictures_mb: 10}")
        config.write_text(config.read_text().replace("data: data", "data: disk/data"))
        return config

    def lines_so_far(self):
        return self.results.read_text().count("\n") if self.results.exists() else 0

    def alarms_elsewhere(self):
        path = self.folder / "alarms.jsonl"
        return [f"{e['alarm_id']}/{e['state']}" for e in framemill.read_lines(path)] if path.exists() else []

    def test_full_for_a_while(self):
        receiver = Receiver()
        self.addCleanup(receiver.stop)
        receiver.status = 503  # everything for it has to wait on disk
        log = self.folder / "log"
        engine = self.start_engine(self.site(receiver.port), log=log)
        wait_until(lambda: self.lines_so_far() > 20 and self.alarms_elsewhere(), PATIENCE, "answers and an alarm")
        self.fill()
        complaints = {"sqlite": "events.db: database or disk is full; free some space", "jsonl": "all.jsonl: results cannot be written: No space left",
                      "spool": "spool/webhook/", "book": "alarms are kept in memory meanwhile"}
        def has_complained():
            self.fill()  # what somebody gave back is taken again
            text = log.read_text()
            return all(words in text for words in complaints.values())
        wait_until(has_complained, PATIENCE, "each of them says that the disk is full")
        lines, alarms = self.lines_so_far(), len(self.alarms_elsewhere())
        wait_until(lambda: self.lines_so_far() > lines + 30 and len(self.alarms_elsewhere()) > alarms, PATIENCE, "the engine goes on, alarms too")
        self.assertLess(log.read_text().count("\n"), 200, "said once, not with each try")

        (self.disk / "ballast").unlink()
        receiver.status = 200
        count = self.lines_so_far()
        wait_until(lambda: len(receiver.accepted()) > count, PATIENCE, "what had waited arrives")
        wait_until(lambda: (self.disk / "all.jsonl").read_text().count("\n") > count, PATIENCE, "and in the file")
        done = self.finish_engine(engine)
        keys = {f"{line['run']}/line/{line['seq']}" for line in done.results}
        alarms = self.alarms_elsewhere()
        self.assertEqual(len(set(alarms)), len(alarms))
        for sink in done.summary["sinks"]:
            self.assertEqual(sink["lost"], 0, sink)
        with self.opened(self.disk / "events.db") as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            self.assertEqual({f"{r}/{c}/{s}" for r, c, s in database.execute("SELECT run, camera, seq FROM answer_list")}, keys)
            self.assertEqual({f"{a}/{s}" for a, s in database.execute("SELECT alarm_id, state FROM alarm_events")}, set(alarms))
        lines = [json.loads(line) for line in (self.disk / "all.jsonl").read_text().splitlines()]
        self.assertEqual({f"{e['run']}/line/{e['seq']}" for e in lines if e["schema"] == "framemill.result/1"}, keys)
        self.assertEqual({f"{e['alarm_id']}/{e['state']}" for e in lines if e["schema"] == "framemill.alarm/1"}, set(alarms))
        spool = next(s for s in done.summary["sinks"] if s["sink"] == "webhook")["spool"]
        self.assertEqual((spool["dropped"], spool["waiting"]), (0, 0))
        self.assertEqual(set(receiver.accepted()), keys | set(alarms))
        with self.opened(self.disk / "data/alarms.db") as book:
            self.assertEqual(book.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            names = ("raised", "acknowledged", "cleared")
            self.assertEqual({f"{a}/{names[s]}" for a, s in book.execute("SELECT alarm_id, state FROM events")}, set(alarms))
            self.assertEqual({a for a, in book.execute("SELECT id FROM alarms")}, {key.split("/")[0] for key in alarms})

    def test_full_at_the_start(self):
        """Nothing is begun that could not keep what it promises; and nothing of before is hurt."""
        config = self.site(free_port())
        first = self.run_engine(config, "--for", "4s")
        self.fill()
        done = framemill.run("run", config, "--listen", "off", "--for", "2s")
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)
        self.assertIn("disk", done.stderr)
        self.assertNotIn("terminate", done.stderr)
        (self.disk / "ballast").unlink()
        last = self.run_engine(config, "--for", "4s")
        with self.opened(self.disk / "events.db") as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            stored = {f"{r}/{c}/{s}" for r, c, s in database.execute("SELECT run, camera, seq FROM answer_list")}
        self.assertLessEqual({f"{line['run']}/line/{line['seq']}" for line in first.results + last.results}, stored)

    def test_read_only(self):
        config = self.site(free_port())
        self.run_engine(config, "--for", "3s")
        subprocess.run(["mount", "-o", "remount,ro", str(self.disk)], check=True)
        done = framemill.run("run", config, "--listen", "off", "--for", "2s")
        self.assertEqual(done.returncode, 2, done.stderr)
        for sinks, data, words in (
            ("  - {type: sqlite, path: disk/events.db}", "data", ("sinks[0]", "disk/events.db", "folder that exists and is writable")),
            ("  - {type: jsonl, path: disk/all.jsonl}", "data", ("sinks[0]", "disk/all.jsonl", "Read-only file system")),
            ("  - {type: webhook, url: 'http://127.0.0.1:1/'}", "disk/data", ("spool/webhook", "Read-only file system", "engine.data")),
            ("  []", "disk/data", ("alarms.db", "writable", "engine.data")),
        ):
            with self.subTest(sinks=sinks, data=data):
                path = self.config(sinks, rules=None if "alarms.db" in words else "[]")
                path.write_text(path.read_text().replace("data: data", f"data: {data}"))
                done = framemill.run("run", path, "--listen", "off", "--for", "2s")
                self.assertEqual(done.returncode, 2, done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)

    def test_read_only_while_it_works(self):
        """What a kernel does with a file system that has errors. It does not come back, so all that is left is to go on and to say so."""
        subprocess.run(["umount", "-l", str(self.disk)], check=True)
        image = self.folder / "image"
        with open(image, "wb") as blank:
            blank.truncate(40 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        done = subprocess.run(["mount", "-o", "loop", str(image), str(self.disk)], capture_output=True, text=True)
        if done.returncode != 0:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self.disk)], check=True)  # for the clean-up
            self.skipTest(f"an image cannot be mounted here: {done.stderr.strip()}")
        receiver = Receiver()
        self.addCleanup(receiver.stop)
        log = self.folder / "log"
        engine = self.start_engine(self.site(receiver.port), log=log)
        wait_until(lambda: self.lines_so_far() > 20 and self.alarms_elsewhere() and receiver.accepted(), PATIENCE, "answers and an alarm everywhere")
        subprocess.run(["mount", "-o", "remount,abort", str(self.disk)], check=True)
        complaints = ("events.db: ", "all.jsonl: results cannot be written: Read-only file system", "spool/webhook/", "alarms are kept in memory meanwhile")
        wait_until(lambda: all(words in log.read_text() for words in complaints), PATIENCE, "each of them says that the disk is read-only")
        lines, alarms = self.lines_so_far(), len(self.alarms_elsewhere())
        wait_until(lambda: self.lines_so_far() > lines + 30 and len(self.alarms_elsewhere()) > alarms, PATIENCE, "the engine goes on, alarms too")
        self.assertLess(log.read_text().count("\n"), 200, "said once, not with each try")
        done = self.finish_engine(engine, expect=1)
        lost = {pathlib.Path(sink["sink"]).name: sink["lost"] for sink in done.summary["sinks"]}
        self.assertGreater(lost["events.db"], 0, "what did not get there is counted")
        self.assertEqual(lost["alarms.jsonl"], 0)
        self.assertRegex(done.stderr, r"failed: .*events.db: \d+ of \d+ answers could not be written")


if __name__ == "__main__":
    unittest.main()
