#!/usr/bin/env python3
"""kill -9 at random moments, again and again on the same data: are the databases whole, are alarms right, is everything delivered?

kill.py [--runs 50] [--seed N] [--folder DIR]

One camera with rules and four synthetic ones, SQLite, and every sink with a peer (all_sinks.py). Each run is killed after a random time, from before it has
started up to some seconds of work; every third time the peers are away meanwhile. After each kill: PRAGMA integrity_check of both databases, and no rule
raised twice without being cleared between. At the end an undisturbed run: every change of an alarm that the book has is with every peer, once for an idempotent
receiver, and so is every answer but those of the last moments before a kill; how old those were is printed. Exit status 1 where something is not so.
"""
import argparse
import contextlib
import json
import random
import signal
import sqlite3
import sys
import tempfile
import time

from all_sinks import AllSinks, key_of, results_of, wait_until
from outage import at

LAST_MOMENTS_S = 1.0


def check_databases(folder, problems, run):
    for name in ("data/alarms.db", "events.db"):
        path = folder / name
        if not path.exists():
            continue
        with contextlib.closing(sqlite3.connect(path)) as database:
            found = database.execute("PRAGMA integrity_check").fetchone()
            if found != ("ok",):
                problems.append(f"run {run}: {name}: {found}")
            if name == "data/alarms.db" and database.execute("SELECT count(*) FROM sqlite_master WHERE name='alarms'").fetchone() == (1,):
                spans = database.execute("SELECT camera, rule, raised_ms, coalesce(cleared_ms, 1e15) FROM alarms ORDER BY 1, 2, 3").fetchall()
                for a, b in zip(spans, spans[1:]):
                    if a[:2] == b[:2] and b[2] < a[3]:
                        problems.append(f"run {run}: raised twice: {a} {b}")


def events_in(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        answers = {f"{r}/{c}/{s}" for r, c, s in database.execute("SELECT run, camera, seq FROM answer_list")}
        return answers | {f"{a}/{s}" for a, s in database.execute("SELECT alarm_id, state FROM alarm_events")}


def measure(folder, runs, seed, say=print, last_moments_s=LAST_MOMENTS_S):
    rng = random.Random(seed)
    problems, killed, early = [], [], 0
    site = AllSinks(folder, cameras=5, engine="policy: adaptive, budget: 0.3", more_sinks="  - {type: sqlite, path: events.db}")
    engine = None
    try:
        is_away = False
        for run in range(runs):
            if run % 3 == 2:
                site.take_down()
                is_away = True
            elif is_away:
                site.bring_back()
                is_away = False
            engine = site.start(run, listen=False)
            if rng.random() < 0.25:
                time.sleep(rng.uniform(0, 1.5))  # while it starts
            else:
                wait_until(lambda: engine.poll() is not None or site.results.exists() and site.results.stat().st_size > 0, 60, "an answer")
                time.sleep(rng.uniform(0, 4))
            if engine.poll() is not None:
                problems.append(f"run {run}: ended by itself with {engine.returncode}: {site.log.read_text()[-400:]}")
            at_s = time.time()
            engine.send_signal(signal.SIGKILL)
            engine.wait()
            lines = results_of(site.results)
            early += not lines
            killed.append((at_s, lines))
            check_databases(site.folder, problems, run)
            say(f"run {run}: {len(lines)} answers{', peers away' if is_away else ''}", flush=True)
        if is_away:
            site.bring_back()
        engine = site.start(runs, listen=False)
        time.sleep(15)
        engine.send_signal(signal.SIGINT)
        code = engine.wait(30)
        if code:
            problems.append(f"the last run ended with {code}")
        check_databases(site.folder, problems, "last")
        summary = json.loads(site.summary.read_text())
        alarms = site.alarm_keys()
        certain, last, captured = set(), set(), {}
        for at_s, lines in killed:
            for line in lines:
                captured[key_of(line)] = at_s - at(line["captured_at"])
                (certain if captured[key_of(line)] >= last_moments_s else last).add(key_of(line))
        certain |= {key_of(line) for line in results_of(site.results)}
        waiting = {s["sink"]: s["spool"]["waiting"] for s in summary["sinks"] if "spool" in s}
        missing = site.wait_for_keys(certain | alarms, 30)
        keys, repeated = site.keys()
        keys["sqlite"] = events_in(site.folder / "events.db")
        missing["sqlite"] = (certain | alarms) - keys["sqlite"]
        oldest = {}
        for kind, have in keys.items():
            ages = [captured[key] for key in (certain | last) - have if key in captured]
            oldest[kind] = {"answers": len(ages), "oldest_s": round(max(ages, default=0), 3)}
            if kind != "sqlite" and {k for k in have if k.count("/") == 1} - alarms:
                problems.append(f"{kind}: has alarms that the book does not have")
            if missing[kind]:
                problems.append(f"{kind}: {len(missing[kind])} are missing, such as {sorted(missing[kind])[0]}; {waiting.get(kind, 0)} wait")
        return {"runs": runs, "seed": seed, "killed_before_the_first_answer": early, "answers": len(certain | last), "alarm_changes": len(alarms),
                "missing": {kind: len(gone) for kind, gone in missing.items()}, "lost_of_the_last_moments": oldest, "repeated": repeated, "problems": problems}
    finally:
        if engine is not None and engine.poll() is None:
            engine.kill()
            engine.wait()
        site.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--folder", help="for its files; a temporary one otherwise")
    a = parser.parse_args()
    print(f"seed {a.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="framemill-kill-") as folder:
        figures = measure(a.folder or folder, a.runs, a.seed)
    print(json.dumps(figures, indent=1))
    return 1 if figures["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
