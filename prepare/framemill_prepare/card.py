"""The model card: what was made of what, how good and how fast it is, and where it should not be trusted."""


def number(value, form="{:.3f}", none="-"):
    return none if value is None else form.format(value)


def signed(value):
    return "-" if value is None else f"{value:+.3f}"


def megabytes(count):
    return f"{count / 1e6:.1f}"


def quality_row(row):
    """One line of the table of variants."""
    labelled, footage = row.get("data") or {}, row.get("footage") or {}
    speed = row.get("speed") or {}
    ratio = number(row.get("speedup"), "{:.2f}x")
    return [f"`{row['name']}`", f"{row['size'][0]}x{row['size'][1]}", row["precision"], megabytes(row["bytes"]), number(labelled.get("ap")), signed(labelled.get("ap_loss")),
            signed(labelled.get("small_ap_loss")), number(labelled.get("agreement"), "{:.4f}"), number(footage.get("agreement"), "{:.4f}"),
            number(speed.get("frames_per_s"), "{:.1f}"), ratio, row["verdict"]]


HEADERS = ["variant", "input", "precision", "MB", "AP", "AP loss", "small", "agreement, data", "agreement, footage", "frames/s", "speed", "verdict"]


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
    measured = [(row, (row.get("data") if len((row.get("data") or {}).get("agreements", {})) > 1 else row.get("degraded")) or {}) for row in rows]
    measured = [(row, each) for row, each in measured if len(each.get("agreements", {})) > 1]
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
             "## Variants", markdown_table(HEADERS, [quality_row(row) for row in rows]), legend(document)]
    degraded = conditions_table(rows)
    if degraded:
        parts += ["## In the dark, blurred, noisy", "Agreement with the model that it is held against, on the same degraded pictures.", degraded]
    parts += ["## Ladder", ladder_text(document), "## Calibration", calibration_text(calibration)]
    if machine.get("cpu"):
        parts += ["## Where it was measured", f"{machine['cpu']}, {machine['cores']} cores, {machine['runtime']}. {machine['note']}"]
    if document["notes"]:
        parts += ["## Notes", "\n".join(f"- {note}" for note in document["notes"])]
    parts += ["## Limits", LIMITS]
    return "\n\n".join(parts) + "\n"


def legend(document):
    data = document["evaluation"]
    lines = []
    if data.get("data"):
        lines.append(f"**AP, AP loss, agreement (data)**: on `{data['data']}`{', labelled' if data['is_labelled'] else ', without labels'}; "
                     "each wide variant against FP32 of its own size where there is footage, so that this is what the precision costs; else all against the original.")
    if data.get("footage"):
        lines.append(f"**Agreement (footage)**: against the original, on {data['footage']} frames of the clips and cameras named for calibration, none of which it was calibrated on: what size and precision cost together.")
    lines.append("**frames/s, speed**: `framemill bench` on this machine, and as a multiple of the FP32 original in the same run. Variants for GPUs are not measured here; on a CPU they gain nothing.")
    lines.append("**Verdict**: limits of `framemill eval`: AP loss .01, small objects .02, agreement .97. FP16 variants differ by rounding and were compared on few pictures.")
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
