# SPDX-License-Identifier: MIT
"""An image on an emulated machine.

run.py GOOD EMULATOR WORD... IMAGE	the emulator's status for "nothing failed", and its command line
run.py --without WHAT			the image could not be built: one case is skipped

The image prints a line for each case and `N passed, N failed` at the end, and then ends the machine. A machine that
does not say so, or ends otherwise, is a failed case.
"""
import re
import shutil
import subprocess
import sys

# Stops a machine that hangs; no test depends on how long anything takes.
LIMIT = 300
LAST = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


def skip(why):
    print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def fail(why):
    print(f"FAILED  {why}\n0 passed, 1 failed")
    sys.exit(1)


def run(words):
    """The status and the output of the machine; the status is None where it had to be stopped."""
    machine = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = machine.communicate(timeout=LIMIT)
        status = machine.returncode
    except subprocess.TimeoutExpired:
        machine.kill()
        output, _ = machine.communicate()
        status = None
    return status, output.decode(errors="replace").replace("\r", "")


def main():
    if sys.argv[1] == "--without":
        skip(f"there is no {sys.argv[2]}")
    good, words = int(sys.argv[1]), sys.argv[2:]
    if not shutil.which(words[0]):
        skip(f"there is no {words[0]}")
    status, output = run(words)
    lines = output.splitlines()
    last = LAST.match(lines[-1]) if lines else None
    print(output, end="" if output.endswith("\n") else "\n")
    if status is None:
        fail(f"the machine was stopped after {LIMIT} seconds")
    if not last:
        fail(f"the machine ended with status {status} and did not say what passed")
    if last[2] == "0" and status != good:
        fail(f"the machine ended with status {status}, not {good}")
    sys.exit(0 if last[2] == "0" else 1)


main()
