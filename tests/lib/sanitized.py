#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sanitized.py SOURCE BUILD SANITIZERS FORMATS NAME...: builds the tests of the library again in a folder of their own
with the sanitizers, for some formats, and runs the fast ones whose names begin with one of NAME. A report of a
sanitizer ends a program, which is then a failure.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys

COUNTED = re.compile(r"^(\d+) passed, (\d+) failed", re.M)
CMOCKA = re.compile(r"^\[  (PASSED|FAILED) +\] (\d+) test\(s\)", re.M)

# Leaks are counted by the machine, which knows of frames too.
ENVIRONMENT = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1:history_size=4",
}


def call(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def build(source, folder, sanitizers, formats, prefixes):
    """Returns the tests: [(name, command, variables)]."""
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        call(["meson", "setup", folder, source, f"-Db_sanitize={sanitizers}", "-Db_lundef=false", "-Dwerror=false",
              f"-Dformats={formats}"])
    known = json.loads(call(["meson", "introspect", "--tests", folder]))
    tests = [(test["name"], test["cmd"], test["env"]) for test in known
             if test["name"].startswith(tuple(prefixes)) and any(suite.endswith("fast") for suite in test["suite"])]
    if not tests:
        sys.exit(f"no test begins with any of {prefixes}")
    call(["ninja", "-C", folder, *sorted({os.path.relpath(command[0], folder) for _, command, _ in tests})])
    return tests


def run(test):
    """(passed, failed)"""
    name, command, variables = test
    done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                          env={**os.environ, **variables, **ENVIRONMENT})
    text = done.stdout + "\n" + done.stderr
    counted = COUNTED.findall(text)
    if counted:
        passed, failed = (int(word) for word in counted[-1])
    else:
        sums = {"PASSED": 0, "FAILED": 0}
        for word, number in CMOCKA.findall(text):
            sums[word] += int(number)
        passed, failed = sums["PASSED"], sums["FAILED"]
    if done.returncode and not failed or passed + failed == 0:
        failed += 1
    if failed:
        print(f"{name}: status {done.returncode}\n{text[-12000:]}", flush=True)
    return passed, failed


def main():
    source, folder, sanitizers, formats, *prefixes = sys.argv[1:]
    tests = build(source, folder, sanitizers, formats, prefixes)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(pool.map(run, tests))
    passed, failed = (sum(count[i] for count in counts) for i in range(2))
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
