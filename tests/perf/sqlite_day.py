#!/usr/bin/env python3
"""Times a day's queries on the SQLite sink's database with ten million answers.

Takes the tables from a database that framemill made (--database, from any run with a sqlite sink), fills a copy of it with
--rows answers of --cameras cameras at --rate answers a second, and runs the queries of docs/sinks.md with a cold connection each.
Prints one line a query: the median and the slowest of --rounds. Exits 1 where a median is above --limit-ms.
"""
import argparse
import shutil
import sqlite3
import statistics
import sys
import time
from pathlib import Path

# Every row of a day is looked at; `minutes` answers the same at once. Shown, and not judged.
SCANS = ("answers of the day, counted",)
DETECTIONS = '[{"class":0,"label":"person","score":0.9123,"box":[102.50,88.00,201.00,160.50],"track":17}]'


def fill(path, rows, cameras, rate):
    database = sqlite3.connect(path)
    database.executescript("PRAGMA synchronous=OFF; DELETE FROM answers; DELETE FROM minutes; DELETE FROM alarm_events; DELETE FROM cameras; DELETE FROM runs;")
    database.execute("INSERT INTO runs VALUES(1,'RUN')")
    per_camera = rows // cameras
    begin_ms = 1_767_225_600_000  # 2026-01-01
    step_ms = int(1000 / rate)
    for camera in range(1, cameras + 1):
        database.execute("INSERT INTO cameras VALUES(?,?)", (camera, f"cam-{camera}"))
        database.executemany("INSERT INTO answers VALUES(?,?,1,?,0,?,'inferred',NULL,21.4,1,1,?)",
                             ((camera, begin_ms + i * step_ms, i, 3 * i, DETECTIONS) for i in range(per_camera)))
        database.execute("INSERT INTO minutes SELECT camera, at_ms - at_ms % 60000, count(*), 0, 0, count(*), sum(objects), max(objects) FROM answers WHERE camera=? GROUP BY 1, 2", (camera,))
    days = per_camera * step_ms / 86_400_000
    database.executemany("INSERT INTO alarm_events VALUES(?,?,?,'warning',?,'rule','presence','1 person','RUN',?,'','')",
                         ((f"A{i:07}", state, begin_ms + int(i * days * 86_400_000 / 20_000), f"cam-{i % cameras + 1}", i) for i in range(20_000) for state in ("raised", "cleared")))
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return begin_ms + int(days / 2) * 86_400_000  # a day in the middle


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the copy; needs about 2 GB for ten million rows")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit-ms", type=float, default=50)
    arguments = parser.parse_args()
    path = arguments.out / "day.db"
    arguments.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(arguments.database, path)
    began = time.monotonic()
    day = fill(path, arguments.rows, arguments.cameras, arguments.rate)
    print(f"{arguments.rows} rows, {arguments.cameras} cameras, {path.stat().st_size / 1e6:.0f} MB, filled in {time.monotonic() - began:.0f} s")
    end = day + 86_400_000
    camera = "(SELECT number FROM cameras WHERE name='cam-3')"
    queries = {
        "objects by hour, one camera": f"SELECT strftime('%H', at_ms/1000, 'unixepoch') h, sum(objects), max(objects_max), sum(answered) FROM minutes WHERE camera={camera} AND at_ms>={day} AND at_ms<{end} GROUP BY h",
        "objects by hour, all cameras": f"SELECT c.name, strftime('%H', at_ms/1000, 'unixepoch') h, sum(objects), sum(answered) FROM cameras c JOIN minutes m ON m.camera=c.number AND m.at_ms>={day} AND m.at_ms<{end} GROUP BY c.number, h",
        "alarms of the day": f"SELECT * FROM alarm_events WHERE at_ms>={day} AND at_ms<{end} ORDER BY at_ms",
        "alarms of the day, one camera": f"SELECT * FROM alarm_events WHERE camera='cam-3' AND at_ms>={day} AND at_ms<{end} ORDER BY at_ms",
        "last 100 answers of the day": f"SELECT captured_at, origin, objects, detections FROM answer_list WHERE camera='cam-3' AND at_ms>={day} AND at_ms<{end} ORDER BY at_ms DESC LIMIT 100",
        "answers of an hour, counted": f"SELECT count(*), sum(objects) FROM answers WHERE camera={camera} AND at_ms>={day + 43_200_000} AND at_ms<{day + 46_800_000}",
        "answers of the day, counted": f"SELECT count(*), sum(objects) FROM answers WHERE camera={camera} AND at_ms>={day} AND at_ms<{end}",
    }
    is_good = True
    for name, sql in queries.items():
        times, rows = [], 0
        for _ in range(arguments.rounds):
            database = sqlite3.connect(path)
            began = time.perf_counter()
            rows = len(database.execute(sql).fetchall())
            times.append((time.perf_counter() - began) * 1000)
            database.close()
        median = statistics.median(times)
        is_good &= median < arguments.limit_ms or name in SCANS
        print(f"{name:32} {rows:6} rows  median {median:7.2f} ms  slowest {max(times):7.2f} ms")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
