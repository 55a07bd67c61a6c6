#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py RUNS SUITE... -- CC...: has Spin search the model for each line of RUNS (runs.txt says what these are) whose
suite is named, all states of it, and sees that it ends as the line says."""
import os
import re
import resource
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 600  # after which something is wrong with the run; none takes a tenth of it
# A hash table of 2^20 places and a stack of this depth; what is more than 4 GiB ends the run.
SEARCH = ["-w20", "-m3000000"]
VERDICTS = [("violated: (.*)", r"\1"), (r"pan:\d+: invalid end state", "nobody can go on"),
            (r"pan:\d+: non-progress cycle", "it goes on and nothing is done")]


def read_runs(path):
    with open(path, encoding="utf-8") as file:
        rows = [[word.strip() for word in line.split("|")] for line in file
                if line.strip() and not line.startswith("#")]
    return [dict(zip(("suite", "shape", "does", "without", "says"), row)) for row in rows]


def build(folder, shape, compiler):
    """The search program for (actors, top, frames, all|cycles); one serves for all runs of this shape."""
    program = os.path.join(folder, "-".join(shape))
    if not os.path.exists(program):
        work = program + ".d"
        os.mkdir(work)
        subprocess.run(["spin", f"-DACTORS={shape[0]}", f"-DTOP={shape[1]}", f"-DFRAMES={shape[2]}", "-a",
                        os.path.join(HERE, "tree.pml")], cwd=work, check=True)
        subprocess.run([*compiler, "-O1", "-w", "-DNP" if shape[3] == "cycles" else "-DSAFETY", "-DCOLLAPSE",
                        "-DMEMLIM=4096", "-o", program, os.path.join(work, "pan.c")], check=True)
    return program


def protections():
    with open(os.path.join(HERE, "protections.pml"), encoding="utf-8") as file:
        return dict(re.findall(r"^#define (\w+)\s+(\d+)\b", file.read(), re.M))


def settings(run):
    """The variables of the environment."""
    values = dict(word.split("=") for word in run["does"].split())
    values["WITHOUT"] = protections()[run["without"]] if run["without"] else "0"
    return values


def search(program, run):
    """(what it says, states, depth, MiB, seconds)"""
    options = SEARCH + (["-l", "-E"] if "cycles" in program else [])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([program, *options], cwd=folder, env={**os.environ, **settings(run)}, timeout=SECONDS,
                              capture_output=True, text=True)
    said = done.stdout + done.stderr
    figures = [re.search(pattern, said) for pattern in
               (r"(\d+) states, stored", r"depth reached (\d+)", r"([\d.]+)\s+total actual")]
    seconds = f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before:.1f}"
    if None in figures:
        return said, "?", "?", "?", "?"
    verdict = "nothing"
    if "errors: 0" not in said or "Search not completed" in said or "max search depth too small" in said:
        verdict = next((re.search(pattern, said).expand(text) for pattern, text in VERDICTS
                        if re.search(pattern, said)), said)
    return (verdict, *(figure.group(1) for figure in figures), seconds)


def main():
    split = sys.argv.index("--")
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for run in read_runs(sys.argv[1]):
            if run["suite"] not in sys.argv[2:split]:
                continue
            program = build(folder, run["shape"].split(), sys.argv[split + 1:])
            verdict, states, depth, memory, seconds = search(program, run)
            good = verdict == run["says"]
            passed, failed = passed + good, failed + (not good)
            print(f"| {run['shape']} | {run['does']} | {run['without'] or '-'} | {states} | {depth} | {memory} | "
                  f"{seconds} | {verdict} |" + ("" if good else f"  <-- expected: {run['says']}"), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
