#!/usr/bin/env python3
"""Makes what the Debian package has beside the program: manual page and bash completion from the binary's --help, change logs.

make_documents.py --binary build/release/framemill --version 0.1.0 --changelog CHANGELOG.md FOLDER
"""
import argparse
import email.utils
import gzip
import os
import pathlib
import re
import subprocess
import time


def help_of(binary, *command):
    return subprocess.run([binary, *command, "--help"], check=True, capture_output=True, text=True).stdout


def subcommands(usage):
    """name -> what it is for, from the list in `framemill --help`."""
    found = dict(re.findall(r"^  ([a-z]+) +(.+)$", usage, re.M))
    if not found:
        raise SystemExit("make_documents: `framemill --help` lists no command")
    return found


def options(text):
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)))


def roff(text):
    """Plain text as it stands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in escaped.rstrip().split("\n"))


def manual_page(version, commands, helps, day):
    lines = [f'.TH FRAMEMILL 1 "{day}" "framemill {version}" "User Commands"', ".SH NAME", "framemill \\- many\\-camera YOLO detection, every frame answered",
             ".SH SYNOPSIS", ".B framemill", ".I COMMAND", "[\\fIOPTIONS\\fR]", ".SH DESCRIPTION",
             "Runs YOLO detectors on many cameras at once. Each sampled frame gets exactly one answer by its deadline, or the reason why there is none.",
             ".SH COMMANDS"]
    for name, purpose in commands.items():
        lines += [f".SS {name}", roff(purpose) + ".", ".PP", ".nf", roff(helps[name]), ".fi"]
    lines += [".SH FILES", ".TP", ".I /etc/framemill/site.yaml", "What the service runs; \\fBframemill config explain\\fR lists all settings.",
              ".TP", ".I /etc/framemill/secrets.env", "Tokens and passwords of the service, lines NAME=value.",
              ".TP", ".I /var/lib/framemill", "Data of the service: alarms, spools, summary, databases.",
              ".SH EXIT STATUS", "0 where all was done, 1 where the work failed, 2 for wrong usage or configuration: then nothing was started.",
              ".SH SIGNALS", "SIGINT and SIGTERM end a run within 5 s, after what was taken is answered; a second one ends it at once. SIGHUP reads the configuration again."]
    return "\n".join(lines) + "\n"


COMPLETION = """# bash completion of framemill; made from its --help.
_framemill() {{
  local word=${{COMP_WORDS[COMP_CWORD]}}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{commands} --help --version" -- "$word"))
    return
  fi
  case "$word" in
    -*) ;;
    *) return ;;  # files, as bash itself completes them
  esac
  local options
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) return ;;
  esac
  COMPREPLY=($(compgen -W "$options" -- "$word"))
}}
complete -o default -F _framemill framemill
"""


def completion(helps):
    cases = "\n".join(f'    {name}) options="{" ".join(options(text))}" ;;' for name, text in helps.items())
    return COMPLETION.format(commands=" ".join(helps), cases=cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--changelog", type=pathlib.Path, required=True)
    parser.add_argument("folder", type=pathlib.Path)
    a = parser.parse_args()
    now = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    a.folder.mkdir(parents=True, exist_ok=True)
    commands = subcommands(help_of(a.binary))
    helps = {name: help_of(a.binary, name) for name in commands}

    def write_compressed(name, text):
        (a.folder / name).write_bytes(gzip.compress(text.encode(), 9, mtime=now))

    write_compressed("framemill.1.gz", manual_page(a.version, commands, helps, time.strftime("%Y-%m-%d", time.gmtime(now))))
    (a.folder / "framemill").write_text(completion(helps))
    write_compressed("changelog.gz", a.changelog.read_text())
    write_compressed("changelog.Debian.gz", f"framemill ({a.version}-1) bookworm; urgency=medium\n\n  * Version {a.version}; changelog.gz says what is new.\n\n"
                     f" -- The framemill authors <maintainers@framemill.example>  {email.utils.formatdate(now)}\n")


if __name__ == "__main__":
    main()
