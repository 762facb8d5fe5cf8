"""The Debian package and what else `deploy/` has: it is built as scripts/package.sh builds it, taken apart, and used from where it was unpacked.
tests/package/chroot_walk.sh walks it through installation, upgrade and removal; that takes minutes, and is not part of this suite."""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

import framemill
from framemill import BINARY, ROOT

try:
    import yaml
except ImportError:
    yaml = None

DEPLOY = ROOT / "deploy"
UNIT = "lib/systemd/system/framemill.service"


def call(*command, **kwargs):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


@unittest.skipIf(framemill.IS_SLOW_BUILD, "a package of a sanitizer's build is for nobody")
class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="framemill-package-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        call(ROOT / "scripts/package.sh", "--quick", cls.folder, env={**os.environ, "FRAMEMILL_BUILD": str(pathlib.Path(BINARY).resolve().parent)})
        packages = list(cls.folder.glob("*.deb"))
        assert len(packages) == 1, packages
        cls.package = packages[0]
        cls.tree, cls.control = cls.folder / "tree", cls.folder / "control"
        call("dpkg-deb", "-x", cls.package, cls.tree)
        call("dpkg-deb", "-e", cls.package, cls.control)
        cls.files = {str(path.relative_to(cls.tree)) for path in cls.tree.rglob("*") if not path.is_dir()}

    def field(self, name):
        return call("dpkg-deb", "-f", self.package, name).strip()

    def use(self, *arguments, **kwargs):
        """The program where it was unpacked, without anything of this environment that could help it."""
        return call(self.tree / "usr/bin/framemill", *arguments, env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}, **kwargs)

    def here(self, path):
        """A configuration of deploy/ with the places it will have once installed replaced by those where the package was unpacked."""
        text = path.read_text().replace("/usr/share/", f"{self.tree}/usr/share/").replace("/var/", f"{self.folder}/var/")
        copy = self.folder / f"{path.parent.name}-{path.name}"
        copy.write_text(text)
        return copy

    def test_it_holds_what_a_service_needs_and_nothing_else(self):
        for name in ("usr/bin/framemill", UNIT, "etc/framemill/site.yaml", "usr/share/framemill/demo/line.mp4", "usr/share/framemill/demo/line_int8.onnx",
                     "usr/share/man/man1/framemill.1.gz", "usr/share/bash-completion/completions/framemill", "usr/share/doc/framemill/copyright",
                     "usr/share/doc/framemill/changelog.gz", "usr/share/doc/framemill/openvino/runtime-third-party-programs.txt",
                     "usr/share/doc/framemill/examples/prometheus/alerts.yaml", "usr/share/doc/framemill/examples/grafana/framemill.json",
                     "usr/lib/framemill/libopenvino_intel_cpu_plugin.so", "usr/lib/framemill/libtbb.so.12",
                     "usr/share/framemill/prepare/framemill_prepare/bootstrap.py", "usr/share/framemill/prepare/framemill_prepare/worker.py",
                     "usr/share/framemill/prepare/requirements.txt"):
            self.assertIn(name, self.files)
        beside = [name for name in self.files if not name.startswith(("usr/bin/framemill", "usr/lib/framemill/lib", "usr/share/", "etc/framemill/site.yaml", UNIT))]
        self.assertEqual(beside, [])
        unused = [name for name in self.files if re.search(r"pytorch|tensorflow|paddle|jax|gguf|_test$|\.a$|\.h$|\.cmake$|secrets", name)]
        self.assertEqual(unused, [])
        for name in self.files | {"etc/framemill", "usr/lib/framemill"}:
            mode = stat.S_IMODE((self.tree / name).stat().st_mode)
            is_run = (self.tree / name).is_dir() or name == "usr/bin/framemill"
            self.assertEqual(mode, 0o755 if is_run else 0o644, name)
        listing = call("dpkg-deb", "-c", self.package)
        self.assertEqual({line.split()[1] for line in listing.splitlines()}, {"root/root"})

    def test_it_runs_where_it_is_unpacked(self):
        self.assertEqual(self.use("--version").strip(), f"framemill {self.field('Version').rsplit('-', 1)[0]}")
        path = re.search(r"R(?:UN)?PATH\s+(\S+)", call("objdump", "-p", self.tree / "usr/bin/framemill"))[1]
        self.assertEqual(path, "$ORIGIN/../lib/framemill")
        found = call("ldd", self.tree / "usr/bin/framemill")
        self.assertNotIn("not found", found)
        self.assertIn(f"=> {self.tree}/usr/", found)
        self.assertNotIn(".deps", found)
        demo = self.tree / "usr/share/framemill/demo"
        summary = self.folder / "summary.json"
        self.use("run", "--source", f"{demo}/line.mp4,every=25", "--model", demo / "line_int8.onnx", "--pace", "fast", "--max-answers", "4", "--listen", "off",
                 "--summary", summary, cwd=self.folder)
        self.assertIn('"conserved": true', summary.read_text().replace('":true', '": true'))

    def test_prepare_finds_its_worker_where_it_is_unpacked(self):
        """The worker's first words come from its own bootstrap, which has no index to go to here."""
        done = subprocess.run([self.tree / "usr/bin/framemill", "prepare", ROOT / "demo/models/line_fp32.onnx", "--calibrate", ROOT / "demo/clips/line.mp4", "--out", self.folder / "set",
                               "--venv", self.folder / "venv"], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1"})
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, f"-r {self.tree}/usr/share|a wheel is missing|venv module is not complete")

    def test_it_depends_on_the_packages_of_its_libraries(self):
        depends = {re.match(r"[a-z0-9.+-]+", part)[0] for part in self.field("Depends").replace("|", ",").replace(", ", ",").split(",")}
        for name in ("libc6", "libavformat59", "libavcodec59", "libopencv-imgproc406", "libyaml-cpp0.7", "libsqlite3-0", "libpaho-mqtt1.3", "libcurl4", "libmodbus5", "adduser"):
            self.assertIn(name, depends)
        self.assertEqual([name for name in depends if name.endswith("-dev") or "test" in name or "tbb" in name or "hwloc" in name], [])
        self.assertIn("intel-opencl-icd", self.field("Suggests"))
        self.assertIn("python3-venv", self.field("Suggests"))

    def test_configuration_survives_upgrades(self):
        listed = set((self.control / "conffiles").read_text().split())
        self.assertEqual(listed, {"/" + name for name in self.files if name.startswith("etc/")})

    def test_maintainer_scripts(self):
        for name in ("postinst", "prerm", "postrm"):
            call("dash", "-n", self.control / name)
            self.assertTrue((self.control / name).read_text().startswith("#!/bin/sh\n"), name)
            self.assertIn("set -e", (self.control / name).read_text())
        self.assertNotRegex((self.control / "postinst").read_text(), r"invoke (re)?start|enable --now framemill\s*$")

    def test_default_configurations_hold(self):
        tokens = {"FRAMEMILL_TOKEN": "a-token-of-the-test-0123", "FRAMEMILL_VIEW_TOKEN": "another-token-of-it-0123"}
        for path in (self.tree / "etc/framemill/site.yaml", DEPLOY / "compose/site.yaml"):
            done = framemill.run("config", "check", self.here(path), env=tokens)
            self.assertEqual(done.returncode, 0, f"{path}: {done.stderr}")
            self.assertEqual(done.stderr, "", path)
        # Uncommented, the suggestions hold as well.
        text = re.sub(r"^  # - ", "  - ", self.here(self.tree / "etc/framemill/site.yaml").read_text(), flags=re.M)
        self.assertIn("\n  - {id: gate-1,", text)
        (self.folder / "all.yaml").write_text(text)
        done = framemill.run("config", "check", self.folder / "all.yaml", env={"GATE1_PASSWORD": "x", "MQTT_PASSWORD": "y"})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_unit(self):
        text = (self.tree / UNIT).read_text()
        for name in re.findall(r"/(?:usr|etc)/[\w./-]+", text):
            if name != "/etc/framemill/secrets.env":  # made by whoever needs it
                self.assertIn(name.lstrip("/"), self.files)
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed; scripts/setup.sh installs it")
        unit = self.folder / "framemill.service"
        unit.write_text(text.replace("/usr/bin/framemill", str(self.tree / "usr/bin/framemill")))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
        # Other units of this machine may have faults of their own.
        self.assertEqual([line for line in done.stderr.splitlines() if unit.name in line], [])
        call("systemd-analyze", "security", "--offline=yes", "--threshold=30", unit)

    def test_notices_name_all_that_is_bundled(self):
        copyright = (self.tree / "usr/share/doc/framemill/copyright").read_text()
        patterns = [pattern for line in re.findall(r"^Files: (usr/lib\S+)$", copyright, re.M) for pattern in line.split()]
        for name in self.files:
            if name.startswith("usr/lib/framemill/"):
                self.assertTrue(any(pathlib.PurePath(name).match(pattern) for pattern in patterns), name)
        modules = json.loads((ROOT / "web/package.json").read_text())["dependencies"]
        # Of what is built with, these are headers alone, or have headers with code in them.
        for name in [*modules, "CLI11", "nlohmann-json", "spdlog", "fmt", "Boost"]:
            self.assertRegex(copyright.lower(), rf"comment: [^\n]*\b{name.lower()}\b")
        for license in set(re.findall(r"^License: (\S+)$", copyright, re.M)):
            self.assertRegex(copyright, rf"(?m)^License: {re.escape(license)}\n .+", f"the text of {license}")

    def test_completion(self):
        script = self.tree / "usr/share/bash-completion/completions/framemill"

        def completed(*words):
            line = " ".join(f"'{word}'" for word in words)
            return call("bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _framemill; printf '%s\\n' \"${{COMPREPLY[@]}}\"").split()

        self.assertEqual(completed("framemill", "be"), ["bench"])
        self.assertIn("--source", completed("framemill", "run", "--so"))
        self.assertIn("--json", completed("framemill", "doctor", "--"))
        self.assertEqual(completed("framemill", "run", "cl"), [], "files are bash's own matter")

    def test_manual_page(self):
        page = call("zcat", self.tree / "usr/share/man/man1/framemill.1.gz")
        for command in re.findall(r"^  ([a-z]+) ", self.use("--help"), re.M):
            self.assertIn(f".SS {command}\n", page)
        self.assertIn("\\-\\-source", page)

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed; scripts/setup.sh installs it")
    def test_lintian_finds_nothing(self):
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", self.package], capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)


@unittest.skipIf(yaml is None, "python3-yaml is missing; scripts/setup.sh installs it")
class ComposeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="framemill-compose-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name) / "deploy"
        shutil.copytree(DEPLOY, self.folder, ignore=shutil.ignore_patterns(".env", "secrets"))
        self.compose = self.folder / "compose"
        self.services = yaml.safe_load((self.compose / "docker-compose.yaml").read_text())["services"]

    def test_tokens_are_made_once_and_agree(self):
        call(self.compose / "start.sh", "--only-secrets")
        before = (self.compose / ".env").read_text()
        values = dict(line.split("=") for line in before.split())
        self.assertEqual(len(set(values.values())), 3)
        self.assertTrue(all(len(value) >= 16 for value in values.values()))
        self.assertEqual((self.compose / "secrets/view_token").read_text(), values["FRAMEMILL_VIEW_TOKEN"])
        self.assertEqual(stat.S_IMODE((self.compose / ".env").stat().st_mode), 0o600)
        call(self.compose / "start.sh", "--only-secrets")
        self.assertEqual((self.compose / ".env").read_text(), before)
        # All that the services ask for is there.
        self.assertEqual(set(re.findall(r"\$\{(\w+)", (self.compose / "docker-compose.yaml").read_text())), set(values))

    def test_what_is_mounted_is_there(self):
        for name, service in self.services.items():
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((self.compose / source).is_file(), f"{name}: {source}")
            for port in service["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name} is open to others: {port}")
        mounted = {volume.split(":")[1] for volume in self.services["grafana"]["volumes"]}
        provider = yaml.safe_load((self.compose / "grafana/dashboards.yaml").read_text())["providers"][0]
        self.assertIn(provider["options"]["path"] + "/framemill.json", mounted)
        source = yaml.safe_load((self.compose / "grafana/datasource.yaml").read_text())["datasources"][0]
        self.assertEqual(source["url"], "http://prometheus:9090")
        self.assertIn("prometheus", self.services)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed; scripts/setup.sh installs it")
    def test_prometheus_takes_its_configuration(self):
        call(self.compose / "start.sh", "--only-secrets")
        config = self.folder / "prometheus" / "compose.yaml"
        text = (self.compose / "prometheus.yaml").read_text()
        self.assertIn('targets: ["framemill:8460"]', text)
        config.write_text(text.replace("/run/secrets/view_token", str(self.compose / "secrets/view_token")))
        call("promtool", "check", "config", config)

    @unittest.skipUnless(shutil.which("docker-compose"), "docker-compose is not installed; scripts/setup.sh installs it")
    def test_docker_compose_takes_it(self):
        """And understands by it what is meant; no daemon is asked."""
        call(self.compose / "start.sh", "--only-secrets")
        values = dict(line.split("=") for line in (self.compose / ".env").read_text().split())
        meant = yaml.safe_load(call("docker-compose", "config", cwd=self.compose))
        self.assertEqual(set(meant["services"]), {"framemill", "prometheus", "grafana"})
        for name, service in meant["services"].items():
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                self.assertTrue(pathlib.Path(source).is_file() or source in meant["volumes"], f"{name}: {volume}")
        framemill_service = meant["services"]["framemill"]
        self.assertEqual(framemill_service["environment"], {name: values[name] for name in ("FRAMEMILL_TOKEN", "FRAMEMILL_VIEW_TOKEN")})
        self.assertEqual(meant["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"], values["GRAFANA_PASSWORD"])
        build = framemill_service["build"]
        self.assertEqual(pathlib.Path(build["context"]), self.folder.parent)
        self.assertTrue((pathlib.Path(build["context"]) / build["dockerfile"]).is_file())
        self.assertEqual(pathlib.Path(meant["secrets"]["view_token"]["file"]).read_text(), values["FRAMEMILL_VIEW_TOKEN"])
        self.assertTrue(stat.S_IMODE(os.stat(meant["secrets"]["view_token"]["file"]).st_mode) & stat.S_IROTH, "Prometheus is another user there")
        (self.compose / ".env").unlink()
        with self.assertRaisesRegex(AssertionError, "start.sh"):
            call("docker-compose", "config", "--quiet", cwd=self.compose)

    def test_start_asks_whatever_docker_there_is_for_buildkit(self):
        """The Dockerfile mounts while it builds, which the older builder does not know."""
        self.assertRegex((DEPLOY / "docker/Dockerfile").read_text(), r"RUN --mount")
        for has_plugin in (True, False):
            with self.subTest(plugin=has_plugin):
                tools = self.folder / f"tools-{has_plugin}"
                tools.mkdir()
                for tool in ("docker", "docker-compose"):
                    (tools / tool).write_text(f"#!/bin/sh\n[ \"$*\" = 'compose version' ] && exit {int(not has_plugin)}\n"
                                              f"echo {tool} \"$@\" $DOCKER_BUILDKIT$COMPOSE_DOCKER_CLI_BUILD\n")
                    (tools / tool).chmod(0o755)
                told = call(self.compose / "start.sh", env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
                self.assertEqual(told.splitlines()[0], ("docker compose" if has_plugin else "docker-compose") + " up --build --detach 11")

    def test_the_image_is_built_from_what_is_there(self):
        text = (DEPLOY / "docker/Dockerfile").read_text()
        copied = set()
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M):
            for source in [part for part in line.split()[:-1] if not part.startswith("--")]:
                found = list(ROOT.glob(source)) if source != "." else [ROOT]
                self.assertTrue(found, source)
                copied.update(path.relative_to(ROOT).as_posix() for path in found)
        for pins in re.findall(r"scripts/\w+\.txt", (ROOT / "scripts/setup.sh").read_text()):
            self.assertIn(pins, copied, "scripts/setup.sh runs before the whole tree is copied")
        users = re.findall(r"^USER (\S+)$", text, re.M)
        self.assertRegex(users[-1], r"^[1-9]\d*:[1-9]\d*$", "the last user is a number, and not root")


if __name__ == "__main__":
    unittest.main()
