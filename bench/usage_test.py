#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage_test.py PROGRAM...: what the benchmarks of the library in a process say to a wrong command line, and whether
the lines of those that print figures can be read (docs/bench.md)."""
import os
import subprocess
import sys

import figures

WRONG = (["--round", "1"], ["--rounds"], ["--rounds", "0"], ["--rounds", "-1"], ["--rounds", "1x"], ["--rounds", ""],
         ["--rounds", "99999999999999999999"], ["7"])
WRONG_THREADS = (["--threads", "0"], ["--threads", "257"], ["--flush", "never"], ["--flush"])


def run(*words):
    """What came of it."""
    return subprocess.run(words, capture_output=True, text=True, check=False)


def refuses(program, words):
    """One line on standard error that names the program and where help is, status 2."""
    done = run(program, *words)
    name = os.path.basename(program)
    return (done.returncode == 2 and not done.stdout and done.stderr.startswith(name + ": ") and
            done.stderr.endswith("--help lists the options\n") and done.stderr.count("\n") == 1)


def helps(program):
    """The usage on standard output."""
    done = run(program, "--help")
    return done.returncode == 0 and done.stdout.startswith(f"usage: {os.path.basename(program)} ") and not done.stderr


def prints(program, numbers, *words):
    """Figures above zero, but for shares, which too many threads bring down to it; no name twice; the last parts of the
    names are these numbers (None: any)."""
    done = run(program, *words)
    try:
        lines = figures.parse(done.stdout)
    except figures.Unreadable:
        return False
    found = {line.name.rpartition("/")[2] for line in lines}
    return (done.returncode == 0 and lines and all(line.value > 0 or line.unit == "ratio" for line in lines) and
            len({line.name for line in lines}) == len(lines) and (numbers is None or found == numbers))


def cases(programs):
    """(what, whether it is so)"""
    for program in programs:
        name = os.path.basename(program)
        yield f"{name} --help", helps(program)
        for words in WRONG + (WRONG_THREADS if name == "bench_threads" else ()):
            yield f"{name} {' '.join(words)}", refuses(program, words)
        if name == "bench_spaces":
            yield f"{name} prints figures", prints(program, None, "--rounds", "1")
        if name == "bench_threads":
            for flush in ("counted", "answered"):
                words = ("--rounds", "1", "--threads", "3", "--flush", flush)
                yield f"{name} prints figures, flushes {flush}", prints(program, {"1", "2", "3"}, *words)


def main(programs):
    """Exit status."""
    results = list(cases(programs))
    for what, good in results:
        if not good:
            print(f"failed: {what}")
    passed = sum(bool(good) for _, good in results)
    print(f"{passed} passed, {len(results) - passed} failed")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
