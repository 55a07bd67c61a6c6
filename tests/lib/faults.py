#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""faults.py SOURCES PROGRAM...: runs the programs of faults_test.c and demands that at each place of the sources where
the library asks for something that can fail or take long, that has happened at least once.

The places are found in the sources' text, so that a new one is missed until a sequence reaches it. There is none that
cannot be reached.
"""
import os
import re
import subprocess
import sys

CALLS = {
    "frame": re.compile(r"\bvmt_port_frame_alloc\("),
    "mem": re.compile(r"\bvmt_port_mem_alloc\("),
    "flush": re.compile(r"\bvmt_port_flush\("),
    "defer": re.compile(r"\bvmt_port_defer\("),
    "copy": re.compile(r"->ops->copy\("),
    "fill": re.compile(r"->ops->fill\("),
}
# The library calls these in one place each, and the test's own functions know no more than that.
BY_KIND = ("copy", "fill")
PLACE = re.compile(r"^place (\S+?)(?::(\d+)| 0) (\w+) (\d+) (\d+)$", re.M)


def places(folder):
    """(file, line, kind) of each"""
    found = set()
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            file = os.path.relpath(os.path.join(path, name), folder)
            with open(os.path.join(path, name), encoding="utf-8") as source:
                for number, text in enumerate(source, 1):
                    for kind, call in CALLS.items():
                        if call.search(text.split("//")[0]):
                            found.add((file, number, kind))
    return found


def main():
    folder, programs = sys.argv[1], sys.argv[2:]
    found = places(folder)
    reached, passed, failed = {}, 0, 0
    for program in programs:
        done = subprocess.run([program], capture_output=True, text=True, errors="replace")
        passed += done.returncode == 0
        failed += done.returncode != 0
        if done.returncode:
            print(f"{program}: status {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
        else:
            print(done.stdout.splitlines()[-1])
        for file, line, kind, _, faults in PLACE.findall(done.stdout):
            key = kind if kind in BY_KIND else (file.split("src/")[-1], int(line), kind)
            reached[key] = reached.get(key, 0) + int(faults)
    for kind in BY_KIND:
        if sum(place[2] == kind for place in found) != 1:
            print(f"`{kind}` is called in more than one place by now: tell them apart")
            failed += 1
    for file, line, kind in sorted(found):
        faults = reached.get(kind if kind in BY_KIND else (file, line, kind), 0)
        print(f"{file}:{line}: {kind}, {faults} faults")
        passed += faults > 0
        failed += faults == 0
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
