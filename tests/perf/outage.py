#!/usr/bin/env python3
"""Broker, HTTP receiver, database and Kafka cluster go away all at once under load, and come back: is anything lost, does the engine notice?

outage.py [--minutes 5] [--cameras 20] [--rate 10] [--before 20] [--spool-mb 256] [--folder DIR]

Cameras: the demo's clip with rules, and synthetic ones, with the demo's model. Each peer is a real one (all_sinks.py). Prints answers a second and the share
on time before, while they are away, while what waited is delivered, and after; what waited on disk at most; what was lost or repeated.
A further sink has a peer that is never there and room for 1 MB: its disk must stay within that. Exit status 1 where something is lost, the disk is
not bounded, or the engine's rate falls by over 2 %.
"""
import argparse
import datetime
import json
import signal
import sys
import tempfile
import time

from all_sinks import KINDS, AllSinks, key_of, results_of, wait_until

NOWHERE = '  - {type: webhook, name: nowhere, url: "http://127.0.0.1:1/", send: all, spool_mb: 1}'


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def rates(lines, spans, cameras):
    """Phase -> answers a second, and the shares on time and inferred, of frames captured in its span."""
    out = {}
    for name, (begin, end) in spans.items():
        within = [line for line in lines if begin <= at(line["captured_at"]) < end]
        answered = [line for line in within if line["origin"] != "none"]
        out[name] = {"seconds": round(end - begin, 1), "answers_per_s": round(len(answered) / max(end - begin, 1e-9), 2),
                     "on_time": round(sum(line["on_time"] for line in answered) / max(len(answered), 1), 4),
                     "inferred": round(sum(line["origin"] == "inferred" for line in answered) / max(len(answered), 1), 4)}
    return out


def measure(folder, outage_s, cameras=20, rate=10, before_s=20, after_s=20, spool_mb=256, drain_s=600, say=print):
    """The figures as a dict; "problems" lists what is not as promised."""
    budget = min(1, max(0.1, 2 / cameras))  # the critical camera alone takes 1 / cameras
    site = AllSinks(folder, cameras, rate, spool_mb, engine=f"policy: adaptive, budget: {budget:.3f}", more_sinks=NOWHERE)
    try:
        engine = site.start()
        try:
            return watch(site, engine, outage_s, cameras, rate, before_s, after_s, spool_mb, drain_s, say)
        finally:
            if engine.poll() is None:
                engine.kill()
                engine.wait()
    finally:
        site.close()


def watch(site, engine, outage_s, cameras, rate, before_s, after_s, spool_mb, drain_s, say):
    most, nowhere_most = dict.fromkeys(KINDS, 0), 0

    def look():
        nonlocal nowhere_most
        for kind in KINDS:
            most[kind] = max(most[kind], site.bytes_on_disk(kind))
        nowhere_most = max(nowhere_most, site.bytes_on_disk("nowhere"))

    def watch_for(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            look()
            time.sleep(min(1, max(0, end - time.monotonic())))

    wait_until(lambda: engine.poll() is not None or site.results.exists() and site.results.stat().st_size > 0, 60, "answers")
    assert engine.poll() is None, site.log.read_text()
    time.sleep(3)  # the first seconds load and warm
    marks = [time.time()]
    watch_for(before_s)
    marks.append(time.time())
    site.take_down()
    gone_at = time.time()
    say(f"away: all four, for {outage_s:.0f} s", flush=True)
    watch_for(outage_s)
    marks.append(time.time())
    site.bring_back()
    back_at = time.time()
    end = time.monotonic() + drain_s
    drained = {}
    while len(drained) < len(KINDS) and time.monotonic() < end:
        spooled = site.spooled_bytes()
        for kind in KINDS:
            if kind not in drained and spooled[kind] < 100_000:
                drained[kind] = round(time.time() - back_at, 1)
        look()
        time.sleep(0.5)
    marks.append(time.time())
    watch_for(after_s)
    marks.append(time.time())
    engine.send_signal(signal.SIGINT)
    code = engine.wait(30)
    lines = results_of(site.results)
    summary = json.loads(site.summary.read_text())
    wanted = {key_of(line) for line in lines} | site.alarm_keys()
    sinks = {s["sink"]: s for s in summary["sinks"]}
    # What was still on disk at the end is brought by a short second run.
    second = site.start(1, listen=False)
    time.sleep(6)
    second.send_signal(signal.SIGINT)
    second.wait(30)
    missing = site.wait_for_keys(wanted, 60)
    keys, repeated = site.keys()
    known = wanted | {key_of(line) for line in results_of(site.results)} | site.alarm_keys()
    phases = rates(lines, {"before": (marks[0], marks[1]), "away": (gone_at, marks[2]), "delivering": (back_at, marks[3]), "after": (marks[3], marks[4])}, cameras)

    problems = [f"{kind}: {len(gone)} messages never arrived, such as {sorted(gone)[0]}" for kind, gone in missing.items() if gone]
    problems += [f"{kind}: {len(have - known)} messages of nobody, such as {sorted(have - known)[0]}" for kind, have in keys.items() if have - known]
    if code != (1 if sinks["nowhere"]["spool"]["dropped"] else 0):  # what was dropped, even there, means that the work failed
        problems.append(f"the run ended with {code}")
    problems += [f"{kind} did not get rid of what waited within {drain_s} s" for kind in KINDS if kind not in drained]
    for kind in KINDS:
        sink = sinks[kind]
        if sink["lost"] or sink["spool"]["dropped"]:
            problems.append(f"{kind}: lost {sink['lost']}, dropped {sink['spool']['dropped']}")
        if not sink["spool"]["retries"]:
            problems.append(f"{kind}: never failed, so it was never away")
        if most[kind] > spool_mb * 1e6:
            problems.append(f"{kind}: {most[kind]} bytes on disk, {spool_mb} MB allowed")
    nowhere = sinks["nowhere"]["spool"]
    if nowhere_most > 1.07e6:  # a buffer's worth above it while the oldest is being deleted
        problems.append(f"nowhere: {nowhere_most} bytes on disk, 1 MB allowed")
    if nowhere["delivered"] or nowhere["waiting"] + nowhere["dropped"] != sinks["nowhere"]["written"] + sinks["nowhere"]["alarms"]:
        problems.append(f"nowhere: its counts do not add up: {sinks['nowhere']}")
    if not summary["conserved"]:
        problems.append("counts are not conserved")
    least = phases["before"]["answers_per_s"] * 0.98
    for name in ("away", "delivering", "after"):
        if phases[name]["seconds"] >= 5 and phases[name]["answers_per_s"] < least:
            problems.append(f"{name}: {phases[name]['answers_per_s']} answers/s, before {phases['before']['answers_per_s']}")
    return {"cameras": cameras, "rate": rate, "outage_s": outage_s, "messages": len(wanted), "alarm_changes": len(site.alarm_keys()), "phases": phases,
            "most_on_disk_mb": {kind: round(most[kind] / 1e6, 2) for kind in KINDS}, "delivered_after_s": drained,
            "missing": {kind: len(gone) for kind, gone in missing.items()}, "repeated": repeated,
            "never_there": {"most_on_disk_mb": round(nowhere_most / 1e6, 3), **{k: nowhere[k] for k in ("waiting", "dropped", "delivered")}}, "problems": problems}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5, help="of the outage")
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--rate", type=float, default=10, help="answers a second and camera")
    parser.add_argument("--before", type=float, default=20, help="seconds before the outage, and after it")
    parser.add_argument("--spool-mb", type=int, default=256)
    parser.add_argument("--folder", help="for its files; a temporary one otherwise")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="framemill-outage-") as folder:
        figures = measure(a.folder or folder, a.minutes * 60, a.cameras, a.rate, a.before, a.before, a.spool_mb)
    print(json.dumps(figures, indent=1))
    return 1 if figures["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
