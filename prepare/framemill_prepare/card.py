"""The model card: what was made of what, how good and how fast it is, and where it should not be trusted."""


def number(value, form="{:.3f}", none="-"):
    return none if value is None else form.format(value)


def signed(value):
    return "-" if value is None else f"{value:+.3f}"


def megabytes(count):
    return f"{count / 1e6:.1f}"


def quality_table(document):
    """(headers, rows) of the variants; columns that nothing was measured for are left out."""
    against = "FP32" if document["evaluation"]["footage"] else "original"
    headers = ["variant", "input", "precision", "MB", "AP", "AP loss", "small", f"against {against}", "against original, footage", "frames/s", "speed", "verdict"]
    rows = [quality_row(row) for row in document["variants"]]
    kept = [i for i in range(len(headers)) if any(row[i] != "-" for row in rows)]
    return [headers[i] for i in kept], [[row[i] for i in kept] for row in rows]


def quality_row(row):
    labelled, footage, speed = row.get("data") or {}, row.get("footage") or {}, row.get("speed") or {}
    near = labelled or row.get("rounding") or {}
    return [f"`{row['name']}`", f"{row['size'][0]}x{row['size'][1]}", row["precision"], megabytes(row["bytes"]), number(labelled.get("ap")), signed(labelled.get("ap_loss")),
            signed(labelled.get("small_ap_loss")), number(near.get("agreement"), "{:.4f}"), number(footage.get("agreement"), "{:.4f}"),
            number(speed.get("frames_per_s"), "{:.1f}"), number(row.get("speedup"), "{:.2f}x"), row["verdict"]]


def markdown_table(headers, rows):
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def plain_table(headers, rows):
    """For a terminal: columns as wide as they have to be."""
    rows = [[str(cell).replace("`", "") for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(headers))]
    return "\n".join("  ".join(cell.ljust(width) if i == 0 or i == len(widths) - 1 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def conditions_table(rows):
    """Agreement under degradation, of the variants for which it was measured."""
    measured = [(row, row["degraded"]) for row in rows if row.get("degraded")]
    if not measured:
        return ""
    names = list(measured[0][1]["agreements"])
    return markdown_table(["variant", *names], [[f"`{row['name']}`", *[number(each["agreements"].get(name), "{:.4f}") for name in names]] for row, each in measured])


def to_markdown(document):
    rows = document["variants"]
    source, calibration, machine = document["source"], document["calibration"], document["machine"]
    parts = [f"# {document['stem']}: model card", f"Made by framemill {document['framemill']} (`{document['command']}`) on {document['made_at']}.", "## Source",
             markdown_table(["what", "value"], [
                 ["file", f"`{source['file']}`"], ["SHA-256", f"`{source['sha256']}`"], ["head", source["head"]], ["input", f"{source['size'][0]}x{source['size'][1]}"],
                 ["classes", f"{len(source['labels'])}: {', '.join(source['labels'][:12])}{', ..' if len(source['labels']) > 12 else ''}"],
                 ["batch", source["batch"]], ["licence", source["license"] or "not stated in the file: ask whoever trained it"]]),
             "## Variants", markdown_table(*quality_table(document)), legend(document)]
    degraded = conditions_table(rows)
    if degraded:
        parts += ["## In the dark, blurred, noisy", f"Agreement with FP32 of the same size, on the same degraded pictures. Below {document['evaluation']['degraded_agreement']:g} in one of them the variant is *clean only*, and not deployed.", degraded]
    reasons = [f"- `{row['name']}` is {row['verdict']}: {row['reason']}" for row in rows if row["reason"]]
    if reasons:
        parts += ["## Why not", "\n".join(reasons)]
    parts += ["## Ladder", ladder_text(document), "## Calibration", calibration_text(calibration)]
    if machine.get("cpu"):
        parts += ["## Where it was measured", f"{machine['cpu']}, {machine['cores']} cores, {machine['runtime']}. {machine['note']}"]
    if document["notes"]:
        parts += ["## Notes", "\n".join(f"- {note}" for note in document["notes"])]
    parts += ["## Limits", LIMITS]
    return "\n\n".join(parts) + "\n"


def legend(document):
    data, lines = document["evaluation"], []
    if data["data"]:
        labels = "" if data["is_labelled"] else " (it has no labels)"
        if data["footage"]:
            lines.append(f"**AP, AP loss, small, against FP32**: on `{data['data']}`{labels}. INT8 is held against FP32 of its own size: what the precision costs. AP of another size is lower "
                         "where these pictures have another shape than the input, and are seen smaller; how the size does on your cameras is what footage tells.")
        else:
            lines.append(f"**AP, AP loss, small, against original**: on `{data['data']}`{labels}: what size and precision cost together.")
    if data["footage"]:
        lines.append(f"**Against original, footage**: on {data['footage']} frames of what was named for calibration, from other stretches of it than it was calibrated on: what size and precision cost together.")
    lines.append("**FP16** differs from FP32 by rounding, and was compared with it on few pictures. On a CPU it is as fast as FP32 and half as large; files for ONNX Runtime are for GPUs, and "
                 "not measured here.")
    lines.append("**frames/s, speed**: `framemill bench` on this machine, and as a multiple of the FP32 model of the exported size in the same run.")
    lines.append("**Verdict**: the limits of `framemill eval` unless others were given: AP loss .01, small objects .02, agreement .97. *Not shown*: no limit is broken, but too few "
                 "sure detections were compared to say that it agrees, so it is not deployed.")
    return "\n\n".join(lines)


def ladder_text(document):
    ladder = document["ladder"]
    if not ladder["path"]:
        return "Nothing was measured for speed, so there is no ladder."
    text = f"Deploy `{ladder['path']}`: {ladder['why']}"
    if ladder["rungs"]:
        text += f" Cheaper rungs for times of overload, best first: {', '.join(f'`{name}`' for name in ladder['rungs'])}."
    return text + f"\n\n```yaml\n{ladder['yaml']}```"


def calibration_text(calibration):
    if not calibration.get("count"):
        return "None: no INT8 variant was asked for."
    text = f"{calibration['count']} pictures of {calibration['candidates']} ({', '.join(calibration['sources'])}), chosen by diversity: the farthest left out is {calibration['coverage']:.0%} as far from its nearest chosen one as the outermost is from the middle; the first {calibration['count']} would have left {calibration['coverage_first']:.0%}."
    if calibration.get("warning"):
        text += f"\n\n**Warning**: {calibration['warning']}"
    return text


LIMITS = """- Figures hold for the pictures named above. Cameras that see something else: `framemill eval VARIANT --against ORIGINAL --data CLIP`.
- Speed is this machine's; `framemill bench` measures yours.
- A wide variant sees pictures of another shape smaller: for 4:3 or upright cameras take the exported size.
- INT8 is scaled for what calibration showed. When cameras, light or season change, prepare again with new recordings."""
