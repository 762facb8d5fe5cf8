"""A PostgreSQL server of the tests' own: a cluster in a temporary folder, run by a user that is not root."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from peers import free_port, wait_until

PROGRAMS = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), pathlib.Path("/usr/lib/postgresql"))
USER, PASSWORD, DATABASE = "vision", "pg-s3cret", "plant"


class Postgres:
    """start() and stop() as often as wanted. The role USER owns nothing but DATABASE; PASSWORD is asked for."""

    def __init__(self, is_durable=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="framemill-postgres-"))
        self.port = free_port()
        self.is_durable = is_durable
        self.is_up = False
        self.user = pwd.getpwnam("postgres").pw_name if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            shutil.chown(self.folder, self.user)
        self.run("initdb", "-D", self.data, "-U", "admin", "-E", "UTF8", "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
        self.start()
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'", database="postgres")
        self.sql(f"CREATE DATABASE {DATABASE} OWNER {USER}", database="postgres")

    @property
    def data(self):
        return self.folder / "data"

    @property
    def url(self):
        return f"postgresql://127.0.0.1:{self.port}/{DATABASE}"

    def run(self, program, *arguments, check=True):
        as_user = ["runuser", "-u", self.user, "--"] if os.getuid() == 0 else []
        return subprocess.run([*as_user, str(PROGRAMS / program), *map(str, arguments)], check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, cwd=self.folder)

    def start(self, options=""):
        """Nothing where it runs already."""
        if self.is_up:
            return
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 {'' if self.is_durable else '-c fsync=off'} {options}"
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.folder / "log", "-o", options)
        self.is_up = True

    def stop(self, mode="immediate"):
        """immediate: as if it had been killed."""
        self.run("pg_ctl", "stop", "-D", self.data, "-m", mode, check=False)
        self.is_up = False

    def end(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text, database=DATABASE):
        """Rows as lists of texts, by the administrator over the socket."""
        done = subprocess.run([PROGRAMS / "psql", "-h", self.folder, "-p", str(self.port), "-U", "admin", "-d", database, "-X", "-At", "-F", "\t",
                               "-v", "ON_ERROR_STOP=1", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def count(self, table):
        """Of rows; 0 while the table is not there."""
        if self.sql(f"SELECT to_regclass('{table}') IS NULL")[0] == ["t"]:
            return 0
        return int(self.sql(f"SELECT count(*) FROM {table}")[0][0])

    def wait_for(self, table, rows, timeout_s):
        wait_until(lambda: self.count(table) >= rows, timeout_s, f"{rows} rows in {table}")
