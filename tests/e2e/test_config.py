"""The configuration of a running framemill: edits of the file are applied by themselves, and what was changed over the API gets into it."""
import os
import re
import shutil
import signal
import stat
import subprocess
import time
import unittest

import framemill
from framemill import DEMO_MODEL
from test_server import SYNTHETIC, ServerTest

LOCKED = "over-the-air-password"

SITE = f"""# The north hall. Ask Jo before you change the gate.
models:
  objects: {{path: {DEMO_MODEL}}}
defaults: {{rate: 5, slo: 500ms}}   # of all

cameras:
  # The gate.
  - id: gate-1   # do not rename
    url: "{SYNTHETIC}"
    priority: critical   # because of the barrier
    username: viewer
    password: "${{GATE_PASSWORD}}"
  - {{id: dock, url: "{SYNTHETIC}"}}   # by the river
  # - {{id: yard, url: "rtsp://10.0.0.9/1"}}

engine: {{policy: full, pace: live}}
# The end.
"""


class ConfigTest(ServerTest):
    def setUp(self):
        super().setUp()
        os.environ["GATE_PASSWORD"] = "never-to-be-written"
        self.addCleanup(os.environ.pop, "GATE_PASSWORD", None)
        self.site = self.folder / "site.yaml"

    def ids(self):
        return [camera["id"] for camera in self.ask("GET", "/api/v1/cameras").json["cameras"]]

    def events(self, kind):
        return self.ask("GET", f"/api/v1/events?kind={kind}").json["events"]

    def unsaved(self):
        return self.ask("GET", "/api/v1/config").json["unsaved"]

    def start_site(self, text=SITE, **kwargs):
        return self.start_server(text, **kwargs)


class WatchTest(ConfigTest):
    """Whatever way a file is changed, it is applied once, checked as a whole before, and the other cameras go on."""

    def test_each_way_to_edit_is_applied_once(self):
        self.start_site(self.synthetic("stays"))
        text = lambda *ids: self.synthetic("stays", *ids)
        self.site.write_text(text("one"))  # in place
        self.wait_for(lambda: self.ids() == ["stays", "one"])
        (self.folder / "new").write_text(text("two"))
        os.replace(self.folder / "new", self.site)  # as most editors do
        self.wait_for(lambda: self.ids() == ["stays", "two"])
        self.site.rename(self.folder / "site.yaml~")  # as vim with a backup
        self.site.write_text(text("three"))
        self.wait_for(lambda: self.ids() == ["stays", "three"])
        subprocess.run(["sed", "-i", "s/id: three/id: four/", str(self.site)], check=True)
        self.wait_for(lambda: self.ids() == ["stays", "four"])
        for i in range(8):  # quicker than anybody reads: one reload
            self.site.write_text(text(f"quick-{i}"))
        self.wait_for(lambda: self.ids() == ["stays", "quick-7"])
        os.utime(self.site)  # touched, and the same
        self.site.write_text(self.site.read_text())
        time.sleep(1)
        reloads = self.events("config_reloaded")
        self.assertEqual({event["by"] for event in reloads}, {"the file's change"})
        self.assertTrue(5 <= len(reloads) <= 6, reloads)  # a machine under load may see the burst twice
        self.assertEqual(self.events("config_refused"), [])
        self.stop()
        stays = [line for line in framemill.read_lines(self.results) if line["camera"] == "stays"]
        self.assertEqual([line["seq"] for line in stays], list(range(len(stays))))
        self.assertEqual({line["epoch"] for line in stays}, {0})

    def test_a_wrong_edit_is_refused_with_its_line_and_the_next_one_is_applied(self):
        self.start_site(self.synthetic("stays"))
        self.site.write_text(self.synthetic("stays", "new").replace("slo: 500ms", "slow: 500ms"))
        refused = self.wait_for(lambda: self.events("config_refused"))
        self.assertIn("site.yaml:3", refused[0]["text"])
        self.assertIn("slo", refused[0]["text"])
        self.site.write_text(self.synthetic("stays", "new").replace("policy: full", "policy: hold"))
        self.wait_for(lambda: len(self.events("config_refused")) == 2)
        self.assertIn("restart framemill", self.events("config_refused")[0]["text"])
        self.site.unlink()
        self.wait_for(lambda: len(self.events("config_refused")) == 3)
        self.assertEqual(self.ids(), ["stays"])
        self.site.write_text(self.synthetic("stays", "new"))
        self.wait_for(lambda: self.ids() == ["stays", "new"])
        self.stop()

    def test_links_are_followed(self):
        real = self.folder / "releases"
        for name, ids in (("a", ["one"]), ("b", ["two"])):
            (real / name).mkdir(parents=True)
            (real / name / "site.yaml").write_text(self.synthetic("stays", *ids))
        (self.folder / "current").symlink_to("releases/a")
        path = self.folder / "current" / "site.yaml"
        self.results, self.summary = self.folder / "results.jsonl", self.folder / "summary.json"
        self.log = open(self.folder / "log.txt", "w+b")
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen([framemill.BINARY, "run", str(path), "--listen", "127.0.0.1:0", "--summary", str(self.summary)],
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        self.addCleanup(self.end, self.process)
        self.address = self.wait_for(lambda: (re.search(r"listening at http://([^/\s]+)/", self.read_log()) or [None, None])[1])
        self.wait_for(lambda: self.ask("GET", "/readyz").status == 200 and self.ids() == ["stays", "one"])
        (self.folder / "next").symlink_to("releases/b")
        os.replace(self.folder / "next", self.folder / "current")
        self.wait_for(lambda: self.ids() == ["stays", "two"])
        self.stop()

    def test_it_can_be_switched_off(self):
        self.start_site(self.synthetic("stays", server="watch: false"))
        self.assertFalse(self.ask("GET", "/api/v1/config").json["is_watched"])
        self.site.write_text(self.synthetic("stays", "new", server="watch: false"))
        time.sleep(2)
        self.assertEqual(self.ids(), ["stays"])
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: self.ids() == ["stays", "new"])
        self.stop()


class SaveTest(ConfigTest):
    """What is saved says what is in force, survives a restart, and touches nothing else: comments and variables stay."""

    def change_things(self):
        self.assertEqual(self.ask("PATCH", "/api/v1/cameras/gate-1", {"slo": "400ms", "priority": None, "zones": {"dock": [[0, 0], [1, 0], [1, 1]]}}).status, 200)
        self.assertEqual(self.ask("DELETE", "/api/v1/cameras/dock").status, 204)
        self.assertEqual(self.ask("POST", "/api/v1/cameras", {"id": "added", "url": SYNTHETIC, "rate": 2, "classes": ["product"]}).status, 201)

    def settings(self):
        return {camera["id"]: camera["settings"] for camera in self.ask("GET", "/api/v1/cameras").json["cameras"]}

    def test_saved_changes_survive_a_restart(self):
        self.start_site()
        os.chmod(self.site, 0o640)
        self.change_things()
        self.assertEqual(self.unsaved(), {"added": ["added"], "changed": ["gate-1"], "removed": ["dock"]})
        self.assertEqual(self.site.read_text(), SITE, "nothing is written unasked")
        saved = self.ask("POST", "/api/v1/config/save")
        self.assertEqual(saved.json, {"added": ["added"], "changed": ["gate-1"], "removed": ["dock"]})
        self.assertEqual(self.unsaved(), {"added": [], "changed": [], "removed": []})
        text = self.site.read_text()
        for kept in ("# The north hall. Ask Jo", "# of all", "  # The gate.\n", "# do not rename", '"${GATE_PASSWORD}"', "  # - {id: yard", "# The end.\n"):
            self.assertIn(kept, text)
        self.assertNotIn("never-to-be-written", text)
        self.assertNotIn("by the river", text)
        self.assertEqual(stat.S_IMODE(self.site.stat().st_mode), 0o640)
        self.assertEqual([name for name in os.listdir(self.folder) if "part" in name], [])
        wanted = self.settings()
        time.sleep(1)
        self.assertEqual(self.events("config_reloaded"), [], "what it wrote itself is no news")
        self.assertEqual(self.events("config_saved")[0]["text"], "1 cameras added, 1 changed, 1 removed")
        self.assertEqual(self.ask("POST", "/api/v1/config/save").json, {"added": [], "changed": [], "removed": []})
        self.assertEqual(self.ask("POST", "/api/v1/config/reload").json["unchanged"], 2)
        self.stop()
        self.start_site(text)
        self.assertEqual(self.settings(), wanted)
        self.stop()

    def test_what_is_not_saved_is_gone(self):
        self.start_site()
        self.change_things()
        self.process.kill()
        self.process.wait()
        self.start_site(self.site.read_text())
        self.assertEqual(sorted(self.ids()), ["dock", "gate-1"])
        self.stop()

    def test_always_saves_each_change(self):
        self.start_site(SITE + "server: {save_changes: always}\n")
        self.change_things()
        self.assertEqual(self.unsaved(), {"added": [], "changed": [], "removed": []})
        self.assertIn("id: added", self.site.read_text())
        self.assertEqual(len(self.events("config_saved")), 3)
        wanted = self.settings()
        self.process.kill()
        self.process.wait()
        self.start_site(self.site.read_text())
        self.assertEqual(self.settings(), wanted)
        self.stop()

    def test_never_is_never(self):
        self.start_site(SITE + "server: {save_changes: never}\n")
        self.change_things()
        before = self.site.read_text()
        refused = self.ask("POST", "/api/v1/config/save")
        self.assertEqual((refused.status, refused.json["where"]), (409, "server.save_changes"))
        self.assertEqual(self.site.read_text(), before)
        self.stop()

    def test_changes_of_others_are_not_overwritten(self):
        self.start_site(SITE + "server: {watch: false}\n")
        self.change_things()
        others = self.site.read_text() + "# A word of somebody else.\n"
        self.site.write_text(others)
        refused = self.ask("POST", "/api/v1/config/save")
        self.assertEqual(refused.status, 409)
        self.assertIn("reload it first", refused.json["remedy"])
        self.assertEqual(self.site.read_text(), others)
        self.assertEqual(self.ask("POST", "/api/v1/config/reload").status, 200)
        self.assertEqual(self.ask("POST", "/api/v1/config/save").status, 200)
        self.assertIn("# A word of somebody else.", self.site.read_text())
        self.stop()

    def test_passwords_get_into_files_of_few_only(self):
        self.start_site()
        os.chmod(self.site, 0o644)
        self.assertEqual(self.ask("PATCH", "/api/v1/cameras/dock", {"username": "viewer", "password": LOCKED}).status, 200)
        refused = self.ask("POST", "/api/v1/config/save")
        self.assertEqual(refused.status, 409)
        self.assertIn("chmod", refused.json["error"] + refused.json["remedy"])
        self.assertNotIn(LOCKED.encode(), refused.body)
        self.assertEqual(self.site.read_text(), SITE)
        os.chmod(self.site, 0o600)
        self.assertEqual(self.ask("POST", "/api/v1/config/save").status, 200)
        self.assertIn(LOCKED, self.site.read_text())
        self.assertNotIn(LOCKED, self.read_log())
        self.stop()

    def test_what_cannot_be_expressed_is_told_and_the_file_stays(self):
        site = SITE
        self.start_site(site)
        # A run may go on without cameras, a configuration may not.
        self.ask("DELETE", "/api/v1/cameras/gate-1")
        self.ask("DELETE", "/api/v1/cameras/dock")
        refused = self.ask("POST", "/api/v1/config/save")
        self.assertEqual(refused.status, 400, refused.body)
        self.assertIn("edit it by hand", refused.json["remedy"])
        self.assertEqual(self.site.read_text(), site)
        self.assertEqual(len(self.events("config_save_refused")), 1)
        self.stop()

    @unittest.skipIf(os.geteuid() == 0 and not shutil.which("chattr"), "root may write anywhere")
    def test_a_read_only_folder_is_told_and_the_run_goes_on(self):
        place = self.folder / "locked"
        place.mkdir()
        self.folder, before = place, self.folder
        self.addCleanup(subprocess.run, ["chattr", "-i", str(place)], stderr=subprocess.DEVNULL)
        self.site = place / "site.yaml"
        self.start_site()
        self.change_things()
        if os.geteuid() == 0:
            if subprocess.run(["chattr", "+i", str(place)], stderr=subprocess.DEVNULL).returncode != 0:
                self.skipTest("this file system knows no chattr +i")
        else:
            os.chmod(place, 0o500)
            self.addCleanup(os.chmod, place, 0o700)
        refused = self.ask("POST", "/api/v1/config/save")
        self.assertEqual(refused.status, 503)
        self.assertIn("site.yaml", refused.json["where"])
        self.assertEqual(self.site.read_text(), SITE)
        subprocess.run(["chattr", "-i", str(place)], stderr=subprocess.DEVNULL)
        os.chmod(place, 0o700)
        self.assertEqual(self.ask("POST", "/api/v1/config/save").status, 200)
        self.stop()

    def test_without_a_file_there_is_nothing_to_save(self):
        self.start_site()
        self.stop()
        self.process = subprocess.Popen([framemill.BINARY, "run", "--source", f"{SYNTHETIC},id=one", "--model", str(DEMO_MODEL), "--listen", self.address],
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        self.addCleanup(self.end, self.process)
        self.wait_for(lambda: self.read_log().count("listening at") == 2)
        self.assertIsNone(self.ask("GET", "/api/v1/config").json["config_path"])
        for action in ("save", "reload"):
            self.assertEqual(self.ask("POST", f"/api/v1/config/{action}").status, 409)


del ConfigTest
if __name__ == "__main__":
    unittest.main()
