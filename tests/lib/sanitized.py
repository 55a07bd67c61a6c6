#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sanitized.py SOURCE BUILD SANITIZERS FORMATS PROGRAM[:ARGUMENT...]...: builds the tests of the library again in a
folder of their own with the sanitizers, for some formats, and runs them. A report of a sanitizer ends a program, which is then a failure.
"""
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


def build(source, folder, sanitizers, formats, programs):
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        command = ["meson", "setup", folder, source, f"-Db_sanitize={sanitizers}", "-Db_lundef=false",
                   "-Dwerror=false", f"-Dformats={formats}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
    targets = [f"tests/lib/{name}" for name in programs]
    done = subprocess.run(["ninja", "-C", folder] + targets, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def run(folder, name, arguments):
    """(passed, failed)"""
    done = subprocess.run([os.path.join(folder, "tests/lib", name)] + arguments, capture_output=True, text=True,
                          errors="replace", env={**os.environ, **ENVIRONMENT})
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
        print(f"{name} {' '.join(arguments)}: status {done.returncode}\n{text[-12000:]}")
    return passed, failed


def main():
    source, folder, sanitizers, formats = sys.argv[1:5]
    programs = [word.split(":") for word in sys.argv[5:]]
    build(source, folder, sanitizers, formats, [words[0] for words in programs])
    passed = failed = 0
    for name, *arguments in programs:
        counts = run(folder, name, arguments)
        passed += counts[0]
        failed += counts[1]
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
