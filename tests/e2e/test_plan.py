"""`framemill plan`: the resource list in all its forms, the catalogue against its schema, and bad input from outside."""
import csv
import io
import json
import re
import unittest

from framemill import ROOT, FramemillTest, run

T4 = "plan: {n_plus_1: false, redundancy: %s}\ncameras: [{count: 64, rate: 10}]\ndevices: [{name: T4, throughput: 80}]\n"


def violations(schema, value, root, place="$"):
    """What `value` has against `schema`, for the part of JSON Schema that the project's schemas use; an unknown word is an error."""
    if "$ref" in schema:
        return violations(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, root, place)
    found = []
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    for word, rule in schema.items():
        if word == "type":
            if not isinstance(value, kinds[rule]) or isinstance(value, bool):
                return [f"{place}: is no {rule}"]
        elif word == "const":
            found += [] if value == rule else [f"{place}: is not {rule}"]
        elif word == "enum":
            found += [] if value in rule else [f"{place}: {value} is not one of {rule}"]
        elif word == "required":
            found += [f"{place}: has no {key}" for key in rule if key not in value]
        elif word == "properties":
            for key, inner in rule.items():
                if key in value:
                    found += violations(inner, value[key], root, f"{place}.{key}")
        elif word == "additionalProperties":
            for key in set(value) - set(schema.get("properties", {})):
                found += violations(rule, value[key], root, f"{place}.{key}") if rule else [f"{place}: unknown key {key}"]
        elif word == "items":
            for i, item in enumerate(value):
                found += violations(rule, item, root, f"{place}[{i}]")
        elif word in ("minItems", "minLength"):
            found += [] if len(value) >= rule else [f"{place}: is shorter than {rule}"]
        elif word == "maxItems":
            found += [] if len(value) <= rule else [f"{place}: is longer than {rule}"]
        elif word == "minimum":
            found += [] if value >= rule else [f"{place}: is below {rule}"]
        elif word == "maximum":
            found += [] if value <= rule else [f"{place}: is above {rule}"]
        elif word == "exclusiveMinimum":
            found += [] if value > rule else [f"{place}: is not above {rule}"]
        elif word == "pattern":
            found += [] if re.search(rule, value) else [f"{place}: {value} does not match {rule}"]
        elif word not in ("$schema", "title", "$defs"):
            raise AssertionError(f"the validator does not know {word}")
    return found


class CatalogueTest(unittest.TestCase):
    SCHEMA = json.loads((ROOT / "data/catalogue.schema.json").read_text())

    def catalogue(self):
        return json.loads((ROOT / "data/catalogue.json").read_text())

    def test_it_keeps_its_schema(self):
        self.assertEqual(violations(self.SCHEMA, self.catalogue(), self.SCHEMA), [])

    def test_the_schema_sees_what_is_wrong(self):
        def spoil(change):
            catalogue = self.catalogue()
            change(catalogue)
            return violations(self.SCHEMA, catalogue, self.SCHEMA)

        self.assertTrue(spoil(lambda c: c["devices"][0].pop("power_w")))
        self.assertTrue(spoil(lambda c: c["devices"][0]["power_w"].pop("source")))
        self.assertTrue(spoil(lambda c: c["devices"][0]["power_w"].update(value=0)))
        self.assertTrue(spoil(lambda c: c["devices"][0].update(price=3)))
        self.assertTrue(spoil(lambda c: c["devices"][0]["inference"][0].update(precision="fp8")))
        self.assertTrue(spoil(lambda c: c["devices"][0]["inference"][0].update(input=[640])))
        self.assertTrue(spoil(lambda c: c["sources"]["nvidia-t4"].update(url="hearsay")))

    def test_every_source_is_used_and_known(self):
        catalogue = self.catalogue()
        used = set(re.findall(r'"source": "([^"]+)"', json.dumps(catalogue["devices"])))
        self.assertEqual(used, set(catalogue["sources"]))
        names = [name.lower() for device in catalogue["devices"] for name in [device["name"], *device["aliases"]]]
        self.assertEqual(len(names), len(set(names)), "one name, one device")

    def test_it_is_in_the_binary(self):
        self.assertEqual(json.loads(run("plan", "--catalogue", "--json").stdout), self.catalogue())
        self.assertIn("Jetson Orin NX 16GB", run("plan", "--catalogue").stdout)


class PlanTest(FramemillTest):
    def plan(self, text, *arguments, expect=0):
        path = self.folder / "site.yaml"
        path.write_text(text)
        done = run("plan", path, *arguments, timeout=30)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def document(self, text, *arguments):
        return json.loads(self.plan(text, *arguments, "--json").stdout)

    def refused(self, text, *says, arguments=()):
        done = self.plan(text, *arguments, expect=2)
        self.assertEqual(done.stdout, "")
        for part in says:
            self.assertIn(part, done.stderr)

    def test_the_example_of_the_design(self):
        for redundancy, count in ((1, 8), (1.5, 12)):
            document = self.document(T4 % redundancy)
            self.assertEqual((document["choice"], document["candidates"][0]["count"]), ("T4", count))
            self.assertEqual(document["candidates"][0]["binding"], "compute")

    def test_the_forms_say_the_same(self):
        table = self.plan(T4 % 1.5).stdout
        markdown = self.plan(T4 % 1.5, "--format", "md").stdout
        document = self.document(T4 % 1.5)
        rows = list(csv.DictReader(io.StringIO(self.plan(T4 % 1.5, "--format", "csv").stdout)))
        self.assertIn("why 12 T4", table)
        self.assertIn("**12 x T4**", markdown)
        self.assertEqual([(row["device"], row["count"], row["choice"]) for row in rows], [("T4", "12", "yes")])
        best = document["candidates"][0]
        self.assertAlmostEqual(float(rows[0]["qps_each"]) * int(rows[0]["devices_of_layout"]), document["load"]["qps"], places=3)
        self.assertIn("decoding is not counted", rows[0]["notes"])
        self.assertEqual((rows[0]["decode_known"], best["decode_known"]), ("no", False))
        for key in ("count", "nodes", "devices", "occupancy", "occupancy_after_loss", "decode", "decode_after_loss", "host_decode",
                    "memory", "memory_after_loss", "power_w", "cost", "binding",
                    "confidence", "sources", "profile_hashes"):
            self.assertIn(key, best)
        for line in markdown.splitlines():
            if line.startswith("|"):
                self.assertTrue(line.endswith("|"), line)
        self.assertEqual(table, self.plan(T4 % 1.5).stdout, "the same bytes each time")

    def test_devices_from_the_catalogue_say_how_sure_they_are(self):
        document = self.document("cameras: [{count: 64, rate: 10, model: yolo11n.onnx}]\ndevices: [T4, L4, A100, EPYC 9354]")
        confidence = {one["device"]: one["confidence"] for one in document["candidates"] if one["usable"]}
        self.assertEqual(confidence, {"T4": "published", "L4": "scaled", "A100": "scaled"})
        problem = next(one["problem"] for one in document["candidates"] if not one["usable"])
        self.assertIn("nothing is known of yolo11n.onnx on EPYC 9354", problem)

    def test_bad_input(self):
        self.refused("", "the file is empty")
        self.refused("cameras: []", "there is no group")
        self.refused("cameras: [{rate: 0}]", '"0" is out of range', "site.yaml:1")
        self.refused("cameras: [{rat: 3}]", 'did you mean "rate"?')
        self.refused("cameras: [{count: 4}]", "there is nothing to plan with", "--profile")
        self.refused("cameras: [{count: 4, slo: 1ms, model: yolo11n.onnx}]\ndevices: [T4]", "the least possible is 4ms")
        self.refused("cameras: [{count: 4}]\ndevices: [T4]", "nothing is known of any model on T4")
        self.refused(T4 % 1, "--format pdf", arguments=("--format", "pdf"))
        for eta in ("7", "nan", "0.01", "-1"):
            self.refused(T4 % 1, "--eta", "write a share from 0.05 to 1", arguments=("--eta", eta))
        self.refused(T4 % 1, "no.json", arguments=("--profile", self.folder / "no.json"))
        (self.folder / "cut.json").write_text('{"schema": "framemill.pro')
        self.refused(T4 % 1, "cut.json", arguments=("--profile", self.folder / "cut.json"))
        self.assertEqual(run("plan").returncode, 2)
        self.assertEqual(run("plan", self.folder / "none.yaml").returncode, 2)
        self.assertIn("--catalogue", run("plan", "--help").stdout)

    def test_the_eta_that_was_given_is_called_so(self):
        self.assertEqual(self.document(T4 % 1.5, "--eta", "0.7")["eta_source"], "--eta")
        self.assertEqual(self.document("plan: {eta: 0.6}\n" + (T4 % 1.5).split("\n", 1)[1], "--eta", "0.7")["eta_source"], "workload file")

    def test_the_loss_of_one_breaks_no_term(self):
        site = "cameras: [{count: 72, rate: 1, decode: auto}]\ndevices: [{name: T4, throughput: 2000}]"
        best = self.document(site)["candidates"][0]
        self.assertEqual((best["count"], best["binding"]), (3, "n_plus_1"))
        self.assertLess(best["decode_after_loss"], .95)

    def test_what_the_processor_decodes_is_said(self):
        site = "cameras: [{count: 40, rate: 5}]\ndevices: [{name: T4, throughput: 2000}]"
        best = self.document(site)["candidates"][0]
        self.assertIsNone(best["decode"])
        self.assertIn("1000 frames/s are decoded by the processor of the machine", " ".join(best["notes"]))

    def test_a_billion_cameras(self):
        document = self.document("plan: {n_plus_1: false}\ncameras: [{count: 1000000000, rate: 240, fps: 240}]\ndevices: [{name: X, throughput: 100}]")
        self.assertEqual(document["candidates"][0]["count"], 3_600_000_000)


if __name__ == "__main__":
    unittest.main()
