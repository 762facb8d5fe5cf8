"""The PostgreSQL sink against a real server: all of it, each once, whatever happens to the server."""
import json
import os
import shutil
import subprocess
import time
import unittest

import framemill
from peers import wait_until
from plant import PlantTest
from postgres_peer import DATABASE, PASSWORD, USER, Postgres

PATIENCE = 120 if framemill.IS_SLOW_BUILD else 40
ENVIRONMENT = {**os.environ, "PG_PASSWORD": PASSWORD}


class PostgresTest(PlantTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres()
        cls.addClassCleanup(cls.server.end)

    def setUp(self):
        super().setUp()
        self.server.sql("DROP SCHEMA IF EXISTS framemill CASCADE")

    def sink(self, **changes):
        settings = {"type": "postgres", "url": self.server.url, "username": USER, "password": "${PG_PASSWORD}", "timeout": "5s", **changes}
        return f"  - {json.dumps(settings)}\n"

    def lines_so_far(self):
        return self.results.read_text().count("\n") if self.results.exists() else 0

    @staticmethod
    def of_sink(done, name="postgres"):
        return next(s for s in done.summary["sinks"] if s["sink"] == name)

    def stored(self):
        return {(run, camera, int(seq)) for run, camera, seq in self.server.sql("SELECT run, camera, seq FROM framemill.answers")}

    @staticmethod
    def answered(*runs):
        return {(line["run"], line["camera"], line["seq"]) for done in runs for line in done.results}

    def finish(self, engine):
        """Ends the run; what it says never holds the password."""
        done = self.finish_engine(engine)
        self.assertNotIn(PASSWORD, done.stderr + json.dumps(done.summary))
        return done

    def test_answers_and_alarms(self):
        engine = self.start_engine(self.config(self.sink() + "  - {type: sqlite, path: events.db}\n"), env=ENVIRONMENT)
        self.wait_for_rows("framemill.alarm_events", 4)
        done = self.finish(engine)
        self.assertEqual(self.of_sink(done)["spool"]["waiting"], 0, "brought at the end, too")
        self.assertEqual(self.stored(), self.answered(done))
        rows = self.server.sql("SELECT alarm_id, state, camera, rule, kind, severity, message FROM framemill.alarm_events ORDER BY 1, 2")
        self.assertEqual([tuple(row) for row in rows],
                         self.table("SELECT alarm_id, state, camera, rule, kind, severity, message FROM alarm_events ORDER BY 1, 2"))
        # Each line as it was: the times to the millisecond, the detections to the last digit.
        for line in done.results:
            line["row"] = json.loads(self.server.sql(
                "SELECT jsonb_build_object('origin', origin, 'frame_index', frame_index, 'latency_ms', latency_ms, 'on_time', on_time, 'width', width, "
                f"'objects', objects, 'detections', detections) FROM framemill.answers WHERE camera='line' AND seq={line['seq']} "
                f"AND captured_at='{line['captured_at']}'")[0][0])
            for key in ("origin", "frame_index", "latency_ms", "on_time", "width", "detections"):
                self.assertEqual(line["row"][key], line.get(key), key)
            self.assertEqual(line["row"]["objects"], len(line.get("detections", [])))
            if line["seq"] > 30:
                break
        count = sum(len(line.get("detections", [])) for line in done.results)
        self.assertEqual(self.server.count("framemill.detections"), count)
        self.assertEqual(self.server.sql("SELECT sum(answered + unanswered), sum(objects) FROM framemill.minutes"), [[str(len(done.results)), str(count)]])
        # A camera's day is read through the key, not from the whole table.
        plan = self.server.sql("SET enable_seqscan=off; EXPLAIN SELECT * FROM framemill.answers WHERE camera='line' AND captured_at >= '2026-01-01'")
        self.assertIn("answers_pkey", str(plan))

    def wait_for_rows(self, table, rows):
        self.server.wait_for(table, rows, PATIENCE)

    def test_the_server_goes_and_comes_back(self):
        engine = self.start_engine(self.config(self.sink()), env=ENVIRONMENT)
        self.addCleanup(self.server.start)  # where a failure leaves it down
        self.wait_for_rows("framemill.answers", 20)
        for mode in ("immediate", "fast"):
            self.server.stop(mode)
            before = self.lines_so_far()
            wait_until(lambda: self.lines_so_far() > before + 15, PATIENCE, "the engine goes on")
            self.server.start()
            self.wait_for_rows("framemill.answers", before + 15)
        done = self.finish(engine)
        sink = self.of_sink(done)
        self.assertEqual((sink["lost"], sink["spool"]["dropped"]), (0, 0))
        self.assertGreater(sink["spool"]["retries"], 0)
        self.assertEqual(len(self.stored()), len(done.results) - sink["spool"]["waiting"])
        self.assertLessEqual(self.stored(), self.answered(done))
        self.assertEqual(sink["spool"]["waiting"], 0)
        self.assertEqual(self.server.sql("SELECT sum(answered + unanswered) FROM framemill.minutes"), [[str(len(done.results))]])

    def test_connections_that_are_cut_under_load_make_no_duplicates(self):
        """Cut at any moment, also between a commit and its confirmation."""
        engine = self.start_engine(self.config(self.sink()), env=ENVIRONMENT)
        self.wait_for_rows("framemill.answers", 5)
        for _ in range(12):
            self.server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='{USER}'")
            time.sleep(0.25)  # no two at the same moment of its work
        self.wait_for_rows("framemill.answers", self.lines_so_far())
        done = self.finish(engine)
        self.assertEqual(self.stored(), self.answered(done))
        self.assertEqual(self.server.sql("SELECT sum(answered + unanswered) FROM framemill.minutes"), [[str(len(done.results))]])

    def test_what_comes_twice_is_there_once(self):
        self.server.stop()
        self.addCleanup(self.server.start)
        engine = self.start_engine(self.config(self.sink(), extra="alarms: {keep: 2160h}"), env=ENVIRONMENT)
        wait_until(lambda: self.lines_so_far() > 60, PATIENCE, "answers")
        first = self.finish_engine(engine)
        shutil.copytree(self.folder / "data/spool", self.folder / "copy")
        self.server.start()
        runs = [first]
        for _ in range(2):
            runs.append(self.run_engine(self.config(self.sink()), "--for", "3s", env=ENVIRONMENT))
            self.assertEqual(self.of_sink(runs[-1])["spool"]["waiting"], 0)
            # As if nothing of it had been confirmed.
            shutil.rmtree(self.folder / "data/spool")
            shutil.copytree(self.folder / "copy", self.folder / "data/spool")
        self.assertEqual(self.of_sink(runs[1])["spool"]["delivered"], self.of_sink(first)["spool"]["waiting"] + self.of_sink(runs[1])["written"]
                         + self.of_sink(runs[1])["alarms"])
        self.assertEqual(self.stored(), self.answered(*runs))
        self.assertEqual(self.server.count("framemill.answers"), len(self.answered(*runs)))
        self.assertEqual(self.server.sql("SELECT sum(answered + unanswered) FROM framemill.minutes"), [[str(len(self.answered(*runs)))]])

    def test_what_is_wrong_is_said_and_nothing_is_lost_until_it_is_right(self):
        other = "postgresql://127.0.0.1:%d/absent" % self.server.port
        for name, sink, wrong, words, right, table in (
            ("password", {}, f"ALTER ROLE {USER} PASSWORD 'other'", "password authentication failed", f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'", DATABASE),
            ("database", {"url": other}, "SELECT 1", 'database "absent" does not exist', f"CREATE DATABASE absent OWNER {USER}", "absent"),
            ("foreign", {}, "CREATE SCHEMA framemill; CREATE TABLE framemill.answers(x int)", "tables of something else", "DROP SCHEMA framemill CASCADE",
             DATABASE),
            ("newer", {}, "CREATE SCHEMA framemill; CREATE TABLE framemill.framemill_tables AS SELECT 99 AS version; GRANT ALL ON SCHEMA framemill TO PUBLIC; "
             "GRANT ALL ON framemill.framemill_tables TO PUBLIC", "another version of framemill", "DROP SCHEMA framemill CASCADE", DATABASE),
            ("rights", {}, f"ALTER DATABASE {DATABASE} OWNER TO admin", "permission denied", f"ALTER DATABASE {DATABASE} OWNER TO {USER}", DATABASE),
        ):
            with self.subTest(name):
                self.server.sql("DROP SCHEMA IF EXISTS framemill CASCADE")
                shutil.rmtree(self.folder / "data", ignore_errors=True)
                self.server.sql(wrong)
                log = self.folder / "log"
                engine = self.start_engine(self.config(self.sink(**sink), rules="[]"), env=ENVIRONMENT, stdin=subprocess.DEVNULL, log=log)
                try:
                    wait_until(lambda: self.lines_so_far() > 10 and words in log.read_text(), PATIENCE, "the engine runs all the same, and says what is wrong")
                finally:
                    self.server.sql(right)
                wait_until(lambda: self.rows_in(table) > 20, PATIENCE, "what had waited arrives")
                done = self.finish(engine)
                self.assertIn(words, done.stderr)
                self.assertIn("postgres: database postgresql://", done.stderr)
                self.assertNotIn(PASSWORD, done.stderr)
                spool = self.of_sink(done)["spool"]
                self.assertEqual((spool["dropped"], spool["waiting"], self.rows_in(table)), (0, 0, len(done.results)))
                self.results.unlink()

    def rows_in(self, database):
        if self.server.sql("SELECT to_regclass('framemill.minutes') IS NULL", database)[0] == ["t"]:
            return 0
        return int(self.server.sql("SELECT count(*) FROM framemill.answers", database)[0][0])

    def test_tls(self):
        def make(*arguments):
            subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.folder)
        make("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test-ca")
        make("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
        (self.folder / "san").write_text("subjectAltName=IP:127.0.0.1")
        make("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "san")
        make("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "other.key", "-out", "other.pem", "-days", "2", "-subj", "/CN=other-ca")
        for name in ("server.key", "server.pem"):
            shutil.copy(self.folder / name, self.server.folder / name)
            os.chmod(self.server.folder / name, 0o600)
            if os.getuid() == 0:
                shutil.chown(self.server.folder / name, self.server.user)
        self.server.stop("fast")
        self.server.start(f"-c ssl=on -c ssl_cert_file={self.server.folder}/server.pem -c ssl_key_file={self.server.folder}/server.key")
        engine = self.start_engine(self.config(self.sink(ca_file="ca.pem"), rules="[]"), env=ENVIRONMENT)
        self.wait_for_rows("framemill.answers", 5)
        self.assertEqual(self.server.sql(f"SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename='{USER}'"), [["t"]])
        self.finish(engine)
        self.server.sql("DROP SCHEMA framemill CASCADE")
        # Not signed by who is trusted: not believed.
        engine = self.start_engine(self.config(self.sink(ca_file="other.pem"), rules="[]"), env=ENVIRONMENT)
        wait_until(lambda: self.lines_so_far() > 10, PATIENCE, "answers")
        done = self.finish(engine)
        self.assertIn("certificate verify failed", done.stderr)
        self.assertEqual(self.server.sql("SELECT to_regclass('framemill.answers') IS NULL"), [["t"]])


if __name__ == "__main__":
    unittest.main()
