#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py SOURCE FORMAT TABLE ARCHIVE... -- CC...: switches each protection of the library off, one at a time, and sees
that its case fails with the words that TABLE has for it.

For each switch only the core is compiled, and linked with the archives, of which one has the cases. With everything on,
all cases must pass first.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

SECONDS = 60  # a program that takes longer hangs


def protections(source):
    with open(os.path.join(source, "src/tree/protections.h"), encoding="utf-8") as header:
        body = re.search(r"enum protection \{(.*?)\};", header.read(), re.S).group(1)
    return re.findall(r"^\t([A-Z_]+),", body, re.M)[1:]


def read_table(path):
    rows = []
    with open(path, encoding="utf-8") as table:
        for line in table:
            if line.strip() and not line.startswith("#"):
                rows.append(line.split(None, 4))
    return [(name, formats, case, seed, words.strip()) for name, formats, case, seed, words in rows]


class Program:
    def __init__(self, source, form, archives, compiler, folder):
        self.source, self.form, self.folder, self.compiler = source, form, folder, compiler
        self.rest = ["-Wl,--start-group", *archives, "-Wl,--end-group", "-lcmocka", "-lpthread"]

    def build(self, without):
        """The program without this protection."""
        path = os.path.join(self.folder, without)
        at = [os.path.join(self.source, name) for name in ("include", "src", "tests/protections")]
        command = [*self.compiler, "-std=c11", "-O0", "-ffreestanding", *("-I" + name for name in at),
                   f"-DVMT_FORMAT={self.form}", '-DVMT_PORT_INLINE="hooks.h"', f"-DVMT_WITHOUT={without}"]
        done = subprocess.run([*command, "-c", os.path.join(self.source, "src/vmtree.c"), "-o", path + ".o"],
                              capture_output=True, text=True)
        if done.returncode == 0:
            done = subprocess.run([*self.compiler, "-o", path, path + ".o", *self.rest], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{without} cannot be built\n{done.stderr}")
        return path

    def run(self, without, *arguments):
        """How the program ends, and what it says."""
        path = self.build(without)
        try:
            done = subprocess.run([path, *arguments], capture_output=True, text=True, errors="replace", timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return None, f"took more than {SECONDS} s"
        finally:
            os.remove(path)
            os.remove(path + ".o")
        return done.returncode, done.stdout + done.stderr


def judge(program, row):
    """None, or why the case does not show that the protection is off."""
    name, _, case, seed, words = row
    code, said = program.run(name, case, seed)
    if code == 0:
        return f"{name} is off, and {case} passes"
    if code is None or words not in said:
        tail = "\n".join(said.splitlines()[:12])
        return f"{name} is off, and {case} does not say \"{words}\" (ended with {code}):\n{tail}"
    return None


def main():
    split = sys.argv.index("--")
    source, form, table, *archives = sys.argv[1:split]
    rows = [row for row in read_table(table) if row[1] == "*" or form.startswith(row[1])]
    known, named = set(protections(source)), {row[0] for row in read_table(table)}
    if known != named:
        sys.exit(f"protections.h and the table differ: {', '.join(sorted(known ^ named))}")
    with tempfile.TemporaryDirectory() as folder:
        program = Program(source, form, archives, sys.argv[split + 1:], folder)
        code, said = program.run("PROTECTION_NONE")
        if code != 0:
            sys.exit(f"with all protections on it ended with {code}:\n{said}")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            wrong = [text for text in pool.map(lambda row: judge(program, row), rows) if text]
    for text in wrong:
        print(text)
    print(f"{len(rows) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
