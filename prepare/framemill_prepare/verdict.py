"""Whether a variant agrees with the original: what its evaluations broke, and whether they compared enough to say so."""

DEGRADED_AGREEMENT = 0.85  # as wide as eval's limit for one class or size: on few pictures, and bad ones
DEGRADED_SURE = 20  # detections that a condition takes to be judged


def of(result, fp32, is_by_fp32, degraded_least=DEGRADED_AGREEMENT):
    """{"verdict", "reason", "is_shown", "is_consistent", "agreement", "degraded_agreement"} of a variant.

    result: {job: what judge.summary_of() says}, see Pipeline._jobs(); fp32: the row of FP32 of the same size, None for that one itself; is_by_fp32: it was compared with that
    one alone, so it can be no better. "footage" and all jobs of FP32 compare with the original, the others with FP32 of the same size. Of "degraded" only agreement counts, by
    a limit of its own: its pictures are too few for AP.
    """
    broken = [message for name, each in result.items() if name != "degraded" for message in each["violations"]]
    is_shown = _is_shown(result, fp32)
    reason, verdict = "", "consistent"
    if broken:
        reason, verdict = broken[0], "not consistent"
    elif is_by_fp32 and fp32["verdict"] != "consistent":
        reason, verdict = fp32["reason"], fp32["verdict"] if fp32["verdict"] != "refused" else "not consistent"
    elif not is_shown:
        reason, verdict = _too_few(result), "not shown"
    agreement, condition = _worst(result)
    if verdict == "consistent" and agreement is not None and agreement < degraded_least:
        verdict, reason = "clean only", f"{condition}: agreement with FP32 of its size {agreement:.4f} is below {degraded_least:.4f}"
    return {"verdict": verdict, "reason": reason, "is_shown": is_shown, "is_consistent": verdict == "consistent", "agreement": _agreement(result) if is_shown else None,
            "degraded_agreement": agreement}


def _worst(result):
    """(least agreement on degraded pictures, its condition) of those with enough to compare; (None, "") where there are none."""
    degraded = result.get("degraded") or {"agreements": {}}
    found = [(value, name) for name, value in degraded["agreements"].items() if name != "clean" and value is not None and degraded["sure"][name] >= DEGRADED_SURE]
    return min(found, default=(None, ""))


def _enough(result):
    return [name for name, each in result.items() if name != "degraded" and each["verdict"] != "not shown"]


def _is_shown(result, fp32):
    enough = _enough(result)
    return "footage" in enough or bool(enough) and (fp32 is None or fp32["is_shown"])


def _agreement(result):
    """With the original, as far as it was measured."""
    best = [result[name]["agreement"] for name in ("footage", "data") if name in _enough(result)]
    return best[0] if best else None


def _too_few(result):
    counts = ", ".join(f"{name}: {each['compared']}" for name, each in result.items() if name != "degraded")
    return f"too few sure detections were compared to show that it agrees ({counts}); name recordings with more objects in them by --calibrate, or pictures by --data"
