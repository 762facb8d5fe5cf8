"""Which variants are worth deploying: nothing else is both faster and closer to the original."""
import json
import re

RUNG_AGREEMENT = 0.80  # a rung below it answers something else than the original does


def pareto(rows):
    """Rows (dicts with "name", "frames_per_s", "agreement") that no other row beats in both, fastest last."""
    measured = [row for row in rows if row["frames_per_s"] and row["agreement"] is not None]
    best = [row for row in measured
            if not any(other is not row and other["frames_per_s"] >= row["frames_per_s"] and other["agreement"] >= row["agreement"] and
                       (other["frames_per_s"], other["agreement"]) != (row["frames_per_s"], row["agreement"]) for other in measured)]
    return sorted(best, key=lambda row: (row["frames_per_s"], -row["agreement"]))


def choose(rows):
    """(the model to deploy, its cheaper rungs, best first). The model is the fastest that was shown to be consistent with the original; where none was, FP32 in the exported
    size, which computes the same; where that was refused, the one that agrees best."""
    measured = [row for row in rows if row["frames_per_s"] and row["agreement"] is not None]
    consistent = [row for row in measured if row["is_consistent"]]
    original = [row for row in rows if row["frames_per_s"] and row.get("is_original")]
    if consistent:
        first = max(consistent, key=lambda row: row["frames_per_s"])
    elif original or measured:
        first = original[0] if original else max(measured, key=lambda row: (row["agreement"], row["frames_per_s"]))
    else:
        return None, []
    rungs = [row for row in pareto(rows) if row["frames_per_s"] > first["frames_per_s"] * 1.1 and least_agreement(row) >= RUNG_AGREEMENT and row is not first]
    return first, rungs


def least_agreement(row):
    """On pictures as they are, and where it was measured on degraded ones."""
    return min(value for value in (row["agreement"], row.get("degraded_agreement")) if value is not None)


def reason(first):
    """Why that model is to be deployed."""
    if first["is_consistent"]:
        return "the fastest variant that is consistent with the original."
    if first.get("is_original"):
        return "no variant was shown to be consistent with the original, so it is the original in FP32."
    return "no variant is consistent with the original; this one agrees best."


def scalar(text):
    """`text` as a value in YAML: in quotes where it has more than names usually have, and with $ doubled, since ${NAME} would be a variable."""
    return text if re.fullmatch(r"[A-Za-z_/.][A-Za-z0-9_/.-]*", text) else json.dumps(text.replace("$", "$$"), ensure_ascii=False)


def to_yaml(first, rungs, head, why):
    """What to paste into a configuration; the paths count from the folder of this file. head: the option that the model was read with; names of classes and the input's style are in the files."""
    lines = ["# Written by `framemill prepare`; MODEL_CARD.md has the figures. Paste it into your configuration, with paths that count from its folder.", f"# {' '.join(why.split())}",
             "models:", "  objects:", f"    path: {scalar(first['file'])}"]
    if head != "auto":
        lines.append(f"    head: {head}")
    if rungs:
        lines.append(f"    ladder: [{', '.join(scalar(row['file']) for row in rungs)}]")
    return "\n".join(lines) + "\n"
