#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py SOURCE FORMAT TABLE ARCHIVE... -- CC...: switches each protection of the library off, one at a time, and sees
that its cases fail with the words that TABLE has for them; and that no race is without a case.

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

# Of docs/races.md: each is a case that begins with this and fails when what protects against it is switched off.
RACES = ["B1", "B2", "B3", "C1", "C2", "C3", "C4", "C5", "D3", "r05", "r08", "r09", "r10", "r11", "r14", "r15", "r17",
         "r18", "r21", "r24", "r26"]


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

    def remove(self, without):
        path = os.path.join(self.folder, without)
        os.remove(path)
        os.remove(path + ".o")


def run(path, *arguments):
    """How the program ends, and what it says."""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None, f"took more than {SECONDS} s"
    return done.returncode, done.stdout + done.stderr


def judge(path, row):
    """None, or why the case does not show that the protection is off."""
    name, _, case, seed, words = row
    code, said = run(path, case, seed)
    if code == 0:
        return f"{name} is off, and {case} passes"
    if code is None or words not in said:
        tail = "\n".join(said.splitlines()[:12])
        return f"{name} is off, and {case} does not say \"{words}\" (ended with {code}):\n{tail}"
    return None


def judge_all(program, name, rows):
    """What is wrong with the cases of one protection."""
    path = program.build(name)
    wrong = [text for text in (judge(path, row) for row in rows if row[0] == name) if text]
    program.remove(name)
    return wrong


def main():
    split = sys.argv.index("--")
    source, form, table, *archives = sys.argv[1:split]
    rows = [row for row in read_table(table) if row[1] == "*" or form.startswith(row[1])]
    known, named = set(protections(source)), {row[0] for row in read_table(table)}
    if known != named:
        sys.exit(f"protections.h and the table differ: {', '.join(sorted(known ^ named))}")
    covered = {race: sorted({row[2] for row in rows if row[2].startswith(race + "-")}) for race in RACES}
    for race in RACES:
        print(f"{race}: {', '.join(covered[race]) or 'no case'}")
    if not all(covered.values()):
        sys.exit("a race has no case")
    with tempfile.TemporaryDirectory() as folder:
        program = Program(source, form, archives, sys.argv[split + 1:], folder)
        code, said = run(program.build("PROTECTION_NONE"))
        if code != 0:
            sys.exit(f"with all protections on it ended with {code}:\n{said}")
        names = sorted({row[0] for row in rows})
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            wrong = [text for texts in pool.map(lambda name: judge_all(program, name, rows), names) for text in texts]
    for text in wrong:
        print(text)
    print(f"{len(rows) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
