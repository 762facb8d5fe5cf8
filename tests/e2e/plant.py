"""A site with one camera, the demo's line, whose rules raise alarms; and what its databases have of them."""
import contextlib
import sqlite3

from framemill import DEMO_CLIP, DEMO_MODEL, FramemillTest


class PlantTest(FramemillTest):
    RULES = """
      - {id: product, kind: presence, zone: belt, classes: [product], severity: critical, clear_after: 300ms}
      - {id: out, kind: line_crossing, line: exit, clear_after: 500ms}
      - {id: many, kind: count, over: 1, clear_after: 300ms}
"""

    def config(self, sinks, rules=None, extra=""):
        path = self.folder / "site.yaml"
        path.write_text(f"""
models: {{line: {{path: {DEMO_MODEL}}}}}
cameras:
  - id: line
    url: {DEMO_CLIP}
    loop: true
    rate: 10
    slo: 1s
    zones: {{belt: [[0.48, 0], [0.52, 0], [0.52, 1], [0.48, 1]]}}
    lines: {{exit: [[0.5, 1], [0.5, 0]]}}
    rules: {self.RULES if rules is None else rules}
{extra}
engine: {{policy: full, pace: live, data: data}}
sinks:
{sinks}
""")
        return path

    @staticmethod
    def opened(path):
        return contextlib.closing(sqlite3.connect(path))

    def table(self, sql):
        with self.opened(self.folder / "events.db") as database:
            return database.execute(sql).fetchall()

    def alarm_keys(self):
        return {f"{row[0]}/{row[1]}" for row in self.table("SELECT alarm_id, state FROM alarm_events")}

    def check_book(self):
        """The book of alarms is whole, and no rule was raised twice without being cleared between."""
        with self.opened(self.folder / "data/alarms.db") as book:
            self.assertEqual(book.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            opened = book.execute("SELECT camera, rule, count(*) FROM alarms WHERE cleared_ms IS NULL GROUP BY 1, 2").fetchall()
            self.assertTrue(all(count == 1 for _, _, count in opened), opened)
            spans = book.execute("SELECT rule, raised_ms, coalesce(cleared_ms, 1e15) FROM alarms ORDER BY rule, raised_ms").fetchall()
            for (rule, _, end), (next_rule, begin, _) in zip(spans, spans[1:]):
                self.assertTrue(rule != next_rule or begin >= end, (rule, begin, end))
            return book.execute("SELECT id, state FROM alarms").fetchall()
