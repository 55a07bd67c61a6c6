#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""planted.py SOURCE TABLE LIBRARY... -- CC...: makes each error of TABLE in a copy of the source, compiles the core of
it, links that with the explorer (LIBRARY: its parts but for the core), and sees that it is found, and how soon."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

SECONDS = 60  # the longest that finding one may take


def read_table(path):
    with open(path, encoding="utf-8") as table:
        return [line.rstrip("\n").split(" | ") for line in table if line.strip() and not line.startswith("#")]


def plant(source, folder, row):
    """A copy of the source with the error in it."""
    _, name, old, new, _, _ = row
    shutil.copytree(os.path.join(source, "src"), os.path.join(folder, "src"))
    path = os.path.join(folder, name)
    with open(path, encoding="utf-8") as file:
        text, count = re.subn(old, new, file.read())
    if count != 1:
        sys.exit(f"{row[0]}: what is to be replaced is there {count} times")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def build(source, folder, libraries, compiler):
    program, core = os.path.join(folder, "explore"), os.path.join(folder, "core.o")
    subprocess.run([*compiler, "-ffreestanding", "-fsanitize=thread", "-I" + os.path.join(source, "include"),
                    "-I" + os.path.join(folder, "src"), "-c", os.path.join(folder, "src/vmtree.c"), "-o", core],
                   check=True)
    subprocess.run([*compiler, "-no-pie", "-Wl,--wrap=memcpy", "-Wl,--wrap=memset", "-o", program,
                    core, "-Wl,--whole-archive", *libraries, "-Wl,--no-whole-archive"], check=True)
    return program


def main():
    split = sys.argv.index("--")
    source, table, *libraries = sys.argv[1:split]
    wrong = 0
    for row in read_table(table):
        with tempfile.TemporaryDirectory() as folder:
            plant(source, folder, row)
            program = build(source, folder, libraries, sys.argv[split + 1:])
            start = time.monotonic()
            done = subprocess.run([program, "--quiet", "--budget", f"{SECONDS}s", row[4]], capture_output=True,
                                  text=True, errors="replace")
            seconds = time.monotonic() - start
        if done.returncode == 1 and row[5].strip() in done.stdout:
            print(f"| {row[0]} | {row[4]} | {row[5].strip()} | {seconds:.2f} s |", flush=True)
        else:
            wrong += 1
            print(f"{row[0]} is not found by {row[4]} (ended with {done.returncode}):\n{done.stdout}{done.stderr}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
