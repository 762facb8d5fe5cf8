"""Measures variants by the program itself: `framemill eval` for quality, `framemill bench` for speed."""
import json
import subprocess

from .errors import PrepareError


class Judge:
    """Runs the binary. program: its path; model_options: what every call says of the model (--labels, --head)."""

    def __init__(self, program, model_options):
        self.program, self.model_options = program, list(model_options)

    def _call(self, arguments, statuses):
        process = subprocess.Popen([self.program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            stdout, stderr = process.communicate()
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode not in statuses or not stdout.strip():
            said = [line for line in stderr.strip().splitlines() if line.strip()]
            raise PrepareError(f"framemill {arguments[0]} failed: {said[-1].removeprefix(f'framemill {arguments[0]}: ') if said else 'it said nothing'}")
        return json.loads(stdout)

    def evaluate(self, model, reference, data, conditions, pictures, runtime="auto", limits=(), data_options=()):
        """The parts of eval's document that matter here. data: path; pictures: at most so many, 0 for all."""
        arguments = ["eval", model, "--data", data, "--against", reference, "--conditions", ",".join(conditions), "--json", *self.model_options, *limits,
                     *data_options]
        if pictures:
            arguments += ["--pictures", pictures]
        if runtime != "auto":
            arguments += ["--runtime", runtime]
        return summary_of(self._call(arguments, (0, 1)))

    def bench(self, model, is_quick):
        """frames/s of the knee, ms of one picture alone, and what other work took meanwhile."""
        arguments = ["bench", model, "--model-only", "--json", *self.model_options, *(["--quick"] if is_quick else [])]
        profile = self._call(arguments, (0,))
        points = [point for point in profile["points"] if point["decoders"] == 0]
        best = max(points, key=lambda point: point["frames_per_s"])
        single = [point for point in points if point["batch"] == 1 and point["streams"] == 1] or [best]
        return {"frames_per_s": best["frames_per_s"], "batch": best["batch"], "streams": best["streams"], "single_ms": single[0]["service_ms"][50],
                "cpu_ms": 1000 * best["cpu_cores"] / best["frames_per_s"], "memory_bytes": best["host_bytes"],
                "other_load_cores": float(profile["environment"].get("other_load_cores", 0)), "cpu": profile["environment"].get("cpu", ""),
                "runtime": profile["environment"].get("runtime", "")}


def summary_of(document):
    """What a card says of one evaluation."""
    clean = document["conditions"][0]
    agreements = {each["condition"]: (each["agreement"] or {}).get("agreement") for each in document["conditions"]}
    sure = {each["condition"]: max((each["agreement"] or {}).get(side, 0) for side in ("wanted", "sure_given")) for each in document["conditions"]}
    model, reference = clean.get("model") or {}, clean.get("reference") or {}
    loss = clean.get("ap_loss") or {}
    return {"verdict": document["verdict"], "compared": document["compared"], "agreement": agreements.get("clean"), "agreements": agreements, "sure": sure,
            "score_shift": (clean["agreement"] or {}).get("score_shift"),
            "ap": model.get("ap"), "ap50": model.get("ap50"), "reference_ap": reference.get("ap"),
            "ap_loss": (loss.get("all") or {}).get("value"), "ap_loss_interval": (loss.get("all") or {}).get("interval"),
            "small_ap_loss": (loss.get("small") or {}).get("value"),
            "ap_losses": {each["condition"]: ((each.get("ap_loss") or {}).get("all") or {}).get("value") for each in document["conditions"]},
            "violations": [each["message"] for each in document.get("violations", [])][:8],
            "pictures": (document.get("data") or {}).get("pictures"), "format": (document.get("data") or {}).get("format")}
