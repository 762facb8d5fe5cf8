"""What is remembered between runs, what the venv's maker says, which variants there are, what the ladder takes. Nothing here needs the venv's larger packages."""
import pathlib
import tempfile
import unittest

import packages  # noqa: F401: finds the worker

from framemill_prepare import bootstrap, card, ladder, variants, verdict
from framemill_prepare.errors import of_system
from framemill_prepare.journal import Journal, folder_hash


class FolderTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="framemill-prepare-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class JournalTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.calls = 0

    def make(self, text="made"):
        def work(scratch):
            self.calls += 1
            (scratch / "models").mkdir()
            (scratch / "models/a.txt").write_text(text)
            return {"length": len(text)}, ["models/a.txt"]
        return work

    def test_a_second_run_keeps_what_is_done(self):
        first = Journal(self.folder)
        self.assertEqual(first.step("a", {"model": 1}, self.make()), {"length": 4})
        second = Journal(self.folder)
        self.assertEqual(second.step("a", {"model": 1}, self.make()), {"length": 4})
        self.assertEqual((self.calls, first.made, second.made, second.kept), (1, 1, 0, 1))

    def test_other_inputs_a_lost_or_changed_file_make_it_again(self):
        Journal(self.folder).step("a", {"model": 1}, self.make())
        Journal(self.folder).step("a", {"model": 2}, self.make())
        self.assertEqual(self.calls, 2)
        (self.folder / "models/a.txt").unlink()
        Journal(self.folder).step("a", {"model": 2}, self.make())
        self.assertEqual(self.calls, 3)
        (self.folder / "models/a.txt").write_text("by hand")
        Journal(self.folder).step("a", {"model": 2}, self.make())
        self.assertEqual(self.calls, 4)
        self.assertEqual((self.folder / "models/a.txt").read_text(), "made")

    def test_an_interrupted_step_leaves_nothing_and_the_others_stay(self):
        journal = Journal(self.folder)
        journal.step("a", {}, self.make())

        def cut(scratch):
            (scratch / "half.bin").write_bytes(b"x" * 1000)
            raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            journal.step("b", {}, cut)
        again = Journal(self.folder)  # what a killed process leaves is taken away by the next
        self.assertFalse(again.scratch.exists())
        self.assertTrue(again.is_done("a", {}))
        self.assertFalse(again.is_done("b", {}))
        self.assertEqual(sorted(p.name for p in self.folder.rglob("*") if p.is_file()), ["a.txt", "journal.json"])

    def test_a_journal_that_cannot_be_read_starts_anew(self):
        Journal(self.folder).step("a", {}, self.make())
        (self.folder / ".prepare/journal.json").write_text('{"format": 1, "steps"')
        self.assertFalse(Journal(self.folder).is_done("a", {}))

    def test_a_data_set_that_changed_is_another(self):
        (self.folder / "a.jpg").write_bytes(b"1")
        before = folder_hash([self.folder / "a.jpg"])
        self.assertEqual(before, folder_hash([self.folder / "a.jpg"]))
        (self.folder / "a.jpg").write_bytes(b"22")
        self.assertNotEqual(before, folder_hash([self.folder / "a.jpg"]))


class BootstrapTest(FolderTest):
    def test_pip_in_words_with_a_remedy(self):
        unreachable = ("WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...): Failed to establish a new connection: [Errno 111] Connection refused'\n"
                       "ERROR: Could not find a version that satisfies the requirement numpy==2.4.6 (from versions: none)\nERROR: No matching distribution found for numpy==2.4.6")
        self.assertRegex(bootstrap.explain(unreachable), "cannot reach its package index.*PIP_INDEX_URL.*--venv")
        missing = "ERROR: Could not find a version that satisfies the requirement nncf==3.4.0 (from versions: 3.3.0)\nERROR: No matching distribution found for nncf==3.4.0"
        self.assertRegex(bootstrap.explain(missing), "a wheel is missing: .*nncf==3.4.0.*PIP_FIND_LINKS")
        changed = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
        self.assertIn("not the one that is pinned", bootstrap.explain(changed))
        self.assertIn("no space left", bootstrap.explain("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"))
        self.assertIn("last words", bootstrap.explain("some noise\nlast words\n"))

    def test_ready_only_with_the_pinned_versions(self):
        venv = self.folder / "venv"
        self.assertFalse(bootstrap.is_ready(venv))
        (venv / "bin").mkdir(parents=True)
        (venv / "bin/python").write_text("")
        (venv / bootstrap.STAMP).write_text("of yesterday\n")
        self.assertFalse(bootstrap.is_ready(venv))
        (venv / bootstrap.STAMP).write_text(bootstrap.pin() + "\n")
        self.assertTrue(bootstrap.is_ready(venv))

    def test_everything_is_pinned_by_hash(self):
        lines = [line for line in bootstrap.REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
        for line in lines:
            self.assertRegex(line, r"^[a-z0-9-]+==[0-9][0-9.]* --hash=sha256:[0-9a-f]{64}$")
        names = {line.split("==")[0] for line in lines}
        self.assertTrue({"nncf", "onnx", "onnxruntime", "openvino", "numpy"} <= names)
        self.assertFalse({"torch", "openvino-telemetry"} & names)

    def test_the_runtimes_are_those_of_the_program(self):
        scripts = bootstrap.HOME.parent / "scripts"
        pinned = bootstrap.REQUIREMENTS.read_text()
        for name in ("openvino", "onnxruntime"):
            self.assertIn((scripts / f"{name}.txt").read_text().strip(), pinned)


class VariantsTest(unittest.TestCase):
    def test_names(self):
        for name, stem in (("yolov8n_640_fp32.onnx", "yolov8n"), ("line_fp32.onnx", "line"), ("yolo11n.onnx", "yolo11n"), ("gate-640x384.onnx", "gate"), ("640.onnx", "640"),
                           ("yolox_nano_416_fp32_kazuhito00.onnx", "yolox_nano_416_fp32_kazuhito00")):
            self.assertEqual(variants.stem_of(name), stem)

    def test_wide_sizes(self):
        self.assertEqual(variants.wide_sizes((640, 640), 32), [(640, 384), (512, 288), (320, 192)])
        self.assertEqual(variants.wide_sizes((640, 384), 32), [(512, 288), (320, 192)])
        for size in variants.wide_sizes((416, 416), 32) + variants.wide_sizes((1280, 1280), 64):
            self.assertEqual((size[0] % 32, size[1] % 32), (0, 0))

    def test_every_size_has_fp32_first_and_names_are_apart(self):
        plan = variants.plan_variants("m", [(640, 640), (640, 384)], ["fp16", "int8"], ["openvino", "onnx"])
        self.assertEqual(len({v.file for v in plan}), 10)
        self.assertEqual([v.precision for v in plan[:5]], ["fp32", "fp16", "fp16", "int8", "int8"])
        self.assertEqual([v.name for v in variants.plan_variants("m", [(640, 640)], ["int8"], ["openvino"])], ["m_640x640_fp32", "m_640x640_int8"])


def row(name, speed, agreement, is_consistent=True):
    return {"name": name, "file": f"models/{name}.xml", "frames_per_s": speed, "agreement": agreement, "is_consistent": is_consistent}


class LadderTest(unittest.TestCase):
    ROWS = [row("full", 20, 1.0), row("full8", 40, 0.99), row("slow8", 30, 0.98), row("wide8", 70, 0.985), row("small8", 110, 0.93, False), row("tiny8", 250, 0.6, False),
            row("gpu", None, 0.99)]

    def test_pareto(self):
        self.assertEqual([r["name"] for r in ladder.pareto(self.ROWS)], ["full", "full8", "wide8", "small8", "tiny8"])

    def test_the_fastest_consistent_one_and_cheaper_rungs(self):
        first, rungs = ladder.choose(self.ROWS)
        self.assertEqual((first["name"], [r["name"] for r in rungs]), ("wide8", ["small8"]))  # tiny8 answers something else

    def test_none_is_consistent(self):
        first, _ = ladder.choose([row("a", 10, 0.9, False), row("b", 30, 0.7, False)])
        self.assertEqual(first["name"], "a")
        self.assertEqual(ladder.choose([row("gpu", None, 1.0)]), (None, []))

    def test_what_was_not_shown_is_not_deployed(self):
        rows = [{**row("full", 20, None, False), "is_original": True}, row("full8", 40, None, False), row("tiny8", 250, None, False)]
        first, rungs = ladder.choose(rows)
        self.assertEqual((first["name"], rungs), ("full", []))
        self.assertIn("no variant was shown", ladder.reason(first))
        # One that was shown to differ is no better.
        first, _ = ladder.choose([rows[0], row("full8", 40, 0.9, False)])
        self.assertEqual(first["name"], "full")

    def test_yaml(self):
        first, rungs = ladder.choose(self.ROWS)
        self.assertIn("    path: models/wide8.xml\n    ladder: [models/small8.xml]\n", ladder.to_yaml(first, rungs, "auto", "why"))
        self.assertIn("    path: models/wide8.xml\n    head: v8\n", ladder.to_yaml(first, rungs, "v8", "why"))

    def test_names_are_quoted_in_yaml(self):
        for name in ("models/a.xml", "a-b_640x384.onnx"):
            self.assertEqual(ladder.scalar(name), name)
        for name, quoted in (("gate, v2", '"gate, v2"'), ("gate #2", '"gate #2"'), ("${HOME}", '"$${HOME}"'), ('a"b', '"a\\"b"'), ("-a", '"-a"'), ("tür: 1", '"tür: 1"'), ("640", '"640"')):
            self.assertEqual(ladder.scalar(name), quoted)


def evaluated(verdict="consistent", agreement=1.0, compared=50, violations=()):
    return {"verdict": verdict, "agreement": agreement, "compared": compared, "violations": list(violations)}


class VerdictTest(unittest.TestCase):
    FEW = evaluated("not shown", None, 0)

    def test_enough_and_nothing_broken(self):
        fp32 = verdict.of({"footage": evaluated()}, None, False)
        self.assertEqual((fp32["verdict"], fp32["reason"], fp32["agreement"]), ("consistent", "", 1.0))
        int8 = verdict.of({"data": evaluated(agreement=0.98), "footage": evaluated(agreement=0.99)}, fp32, False)
        self.assertEqual((int8["is_consistent"], int8["agreement"]), (True, 0.99))

    def test_nothing_or_too_little_was_compared(self):
        fp32 = verdict.of({"footage": self.FEW}, None, False)
        self.assertEqual((fp32["verdict"], fp32["is_consistent"], fp32["agreement"]), ("not shown", False, None))
        self.assertRegex(fp32["reason"], r"too few sure detections.*\(footage: 0\)")
        # On data it agrees with FP32 of its size, of which nothing is known.
        self.assertEqual(verdict.of({"data": evaluated(), "footage": self.FEW}, fp32, False)["verdict"], "not shown")
        self.assertEqual(verdict.of({"rounding": evaluated()}, fp32, True)["verdict"], "not shown")
        # The exported size was shown on data, so footage without objects does not matter.
        exported = verdict.of({"data": evaluated()}, None, False)
        self.assertEqual(verdict.of({"data": evaluated(agreement=0.98), "footage": self.FEW}, exported, False), 
                         {"verdict": "consistent", "reason": "", "is_shown": True, "is_consistent": True, "agreement": 0.98, "degraded_agreement": None})

    def test_agreement_in_the_dark_has_a_limit_of_its_own(self):
        fp32 = verdict.of({"footage": evaluated()}, None, False)

        def int8(sure=60, **agreements):
            degraded = {**evaluated("not consistent", violations=["AP loss"]), "agreements": {"clean": 0.2, **agreements}, "sure": {"clean": 60, **dict.fromkeys(agreements, sure)}}
            return verdict.of({"footage": evaluated(agreement=0.97), "degraded": degraded}, fp32, False)
        dark = int8(low_light=0.4, noise=0.99)
        self.assertEqual((dark["verdict"], dark["is_consistent"], dark["degraded_agreement"]), ("clean only", False, 0.4))
        self.assertEqual(dark["reason"], "low_light: agreement with FP32 of its size 0.4000 is below 0.8500")
        self.assertEqual(int8(low_light=0.9, noise=0.99)["verdict"], "consistent")
        self.assertEqual(int8(low_light=0.4, sure=19)["verdict"], "consistent")  # too few to tell
        self.assertEqual(int8(low_light=None)["verdict"], "consistent")
        rows = [row("full", 20, 1.0), {**row("full8", 40, 0.99, False), "degraded_agreement": 0.4}]
        first, rungs = ladder.choose(rows)
        self.assertEqual((first["name"], rungs), ("full", []))

    def test_what_is_broken_is_told_first(self):
        fp32 = verdict.of({"footage": self.FEW}, None, False)
        broken = verdict.of({"data": evaluated("not consistent", 0.9, violations=["agreement 0.9000 is below 0.9700"]), "footage": self.FEW}, fp32, False)
        self.assertEqual((broken["verdict"], broken["reason"]), ("not consistent", "agreement 0.9000 is below 0.9700"))
        size = verdict.of({"footage": evaluated("not consistent", 0.7, violations=["too small"])}, None, False)
        self.assertEqual(verdict.of({"rounding": evaluated()}, size, True)["reason"], "too small")


class WordsTest(unittest.TestCase):
    def test_no_space(self):
        problem = of_system(OSError(28, "No space left on device"), "/out")
        self.assertRegex(str(problem), "/out: no space left.*run the same command again")
        self.assertIn("Permission denied", str(of_system(PermissionError(13, "Permission denied", "/out/a"), "/out")))

    def test_tables_leave_empty_columns_out(self):
        rows = [{"name": "m_fp32", "size": [640, 384], "precision": "fp32", "bytes": 4_200_000, "footage": {"agreement": 0.9912}, "verdict": "consistent", "reason": ""}]
        headers, cells = card.quality_table({"evaluation": {"footage": 48}, "variants": rows})
        self.assertEqual(headers, ["variant", "input", "precision", "MB", "against original, footage", "verdict"])
        self.assertEqual(cells, [["`m_fp32`", "640x384", "fp32", "4.2", "0.9912", "consistent"]])


if __name__ == "__main__":
    unittest.main()
