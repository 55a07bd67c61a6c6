#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the benchmarks beside Linux: `run.py [--list] [BUILD [SUBJECT]]`. See docs/bench.md.

With all subjects it writes bench/RESULTS.md and the plots; with one, its figures go to the terminal.
"""
import concurrent.futures
import functools
import json
import os
import subprocess
import sys
import threading
import time

import figures
import native
import profile
import results
import scaling
import subjects

SAME, DIFFERENT = 0, 3  # exit statuses of `vmtree compare`: figures differ, a churn's checksum does not
TIMEOUT = "1500"
OTHERS = ["scaling", "native"]  # what runs without Linux


class Failed(Exception):
    """A run that did not end as it should."""


def last_words(log):
    """What a command said last about itself: why it failed."""
    with open(log, encoding="utf-8", errors="replace") as file:
        said = [line.strip() for line in file if line.startswith("vmtree:")]
    return said[-1] if said else "it does not say why"


class Progress:
    """Which runs are going on and how many have ended, a line for each end."""

    def __init__(self, total):
        self.lock, self.total, self.ended, self.started = threading.Lock(), total, 0, time.monotonic()

    def end(self, name, seconds):
        """One more."""
        with self.lock:
            self.ended += 1
            whole = time.monotonic() - self.started
            print(f"[{self.ended}/{self.total}] {name}: {seconds:.0f} s ({whole:.0f} s in all)", flush=True)


def compare_once(build, run, number, base):
    """One program on both kernels; what it printed and cost is kept in files. The same machine with the same files does
    the same each time, so that each time the program's environment has another size."""
    words = [os.path.join(build, "vmtree"), "compare", "--icount", "--cpus", str(run.cpus), "--memory", run.memory,
             "--linux", os.environ.get("BENCH_LINUX", "newest"), "--timeout", TIMEOUT,
             "--linux-args", run.linux_args, "--env", f"BENCH_TIME={'.' * 100 * number}", "--json", base + ".json",
             "--linux-output", base + ".linux", "--", os.path.join(build, run.words[0]), *run.words[1:]]
    for end in (".json", ".linux"):
        if os.path.exists(base + end):
            os.remove(base + end)
    with open(base + ".vmtree", "wb") as output, open(base + ".log", "wb") as log:
        status = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=output, stderr=log, check=False).returncode
    wanted = (SAME, DIFFERENT) if figures.prints_figures(run) else (SAME,)
    if status not in wanted:
        raise Failed(f"{run.name} ended with {status} (see {base}.log): {last_words(base + '.log')}")
    with open(base + ".json", encoding="utf-8") as file:
        report = json.load(file)
    ends = [one["ended"] for side in ("vmtree_runs", "linux_runs") for one in report[side]]
    if any(end != {"by": "exit", "status": 0} for end in ends):
        raise Failed(f"{run.name} failed on one of the kernels or on both (see {base}.log): {ends}")


def compare(build, folder, run):
    """As often as it is wanted; what is kept can be read."""
    for number in range(run.times):
        compare_once(build, run, number, figures.base(folder, run, number))
    figures.read(folder, run)


def scale(build, folder):
    """The same operations on several CPUs, without Linux."""
    measured = [row._asdict() for row in scaling.measure(build)]
    with open(os.path.join(folder, "scaling.json"), "w", encoding="utf-8") as file:
        json.dump(measured, file)


def timed(name, action, progress):
    """Does it, with a word when it has ended."""
    start = time.monotonic()
    action()
    progress.end(name, time.monotonic() - start)


def run_all(build, folder, chosen, scaled):
    """Two machines at a time on two processors or more: the clock counts instructions, not seconds. The first is alone,
    because it may have to fetch Linux."""
    jobs = [(run.name, functools.partial(compare, build, folder, run)) for run in chosen]
    if scaled:  # early, for it takes long
        jobs.insert(1, ("scaling", functools.partial(scale, build, folder)))
    progress = Progress(len(jobs))
    timed(*jobs[0], progress)
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        waiting = [pool.submit(timed, *job, progress) for job in jobs[1:]]
        try:
            ended, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_EXCEPTION)
        finally:
            for future in waiting:
                future.cancel()
        for future in ended:
            future.result()


def bench(build, subject, chosen, scaled):
    """Runs what was asked for, and shows or writes it."""
    if subject == "native":
        print(native.text(native.measure(build)))
        return
    folder = os.path.join(build, "bench", "out")
    os.makedirs(folder, exist_ok=True)
    if not subject:
        results.prepare()
    run_all(build, folder, chosen, scaled)
    if subject == "scaling":
        print(results.scaling_table(results.load_scaling(folder))[0])
    elif subject:
        print(results.tables(folder, chosen))
    else:
        results.write(build, folder)


def main(arguments):
    """Exit status."""
    if arguments == ["--list"]:
        print("\n".join(subjects.SUBJECTS + OTHERS))
        return 0
    build, *wanted = arguments or ["build"]
    subject = " ".join(wanted)
    chosen = [run for run in subjects.RUNS if subject in ("", run.subject, run.name)]
    scaled = subject in ("", "scaling")
    if not (chosen or subject in OTHERS):
        print(f"bench: there is no subject {subject!r}, but {' '.join(subjects.SUBJECTS + OTHERS)}", file=sys.stderr)
        return 2
    try:
        bench(os.path.abspath(build), subject, chosen, scaled)
    except (Failed, figures.Unreadable, profile.NotCounted, OSError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
