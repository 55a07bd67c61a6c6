#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""soak.py EXPLORE [--hours N] [--jobs N] [--seed N]: explores as long as it is let, or so many hours.

First all interleavings of every scenario with at most two preemptions, then with three, and so on, without any other
limit; after each scenario, random ones of it. A line says what is at work every minute (from the explorer itself), and
one what has ended. What is found is printed as the explorer prints it, and makes this end with 1."""
import argparse
import itertools
import os
import subprocess
import sys
import threading
import time

RANDOM_BATCH = 20000  # interleavings
LOCK = threading.Lock()


def say(text):
    with LOCK:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def work(scenarios, seed):
    """Endless: what to call the explorer with."""
    for preemptions in itertools.count(2):
        for name in scenarios:
            yield ["--preemptions", str(preemptions), name]
            yield ["--random", "--seed", str(seed), "--budget", str(RANDOM_BATCH), name]
        seed += RANDOM_BATCH


class Soak:
    def __init__(self, options):
        self.options = options
        listed = subprocess.run([options.explore, "--list"], check=True, capture_output=True, text=True).stdout
        self.work = work([line.split()[0] for line in listed.splitlines()], options.seed)
        self.end = time.monotonic() + options.hours * 3600 if options.hours else float("inf")
        self.running, self.done, self.found = set(), 0, 0

    def next(self):
        with LOCK:
            return next(self.work) if time.monotonic() < self.end else None

    def explore(self, arguments):
        command = [self.options.explore, "--quiet", "--progress", "60", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace") as process:
            self.running.add(process)
            for line in process.stdout:
                say(line.rstrip("\n") if " at work" in line else f"{' '.join(arguments[:-1])}: {line.rstrip()}")
            process.wait()
            self.running.discard(process)
        if process.returncode >= 0:  # else it was ended
            self.done += 1
            self.found += process.returncode != 0

    def worker(self):
        arguments = self.next()
        while arguments:
            self.explore(arguments)
            arguments = self.next()

    def run(self):
        workers = [threading.Thread(target=self.worker, daemon=True) for _ in range(self.options.jobs)]
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers) and time.monotonic() < self.end:
                time.sleep(0.5)
        except KeyboardInterrupt:
            pass
        self.end = 0
        for process in list(self.running):
            process.terminate()
        for worker in workers:
            worker.join()
        print(f"{self.done} searches, {self.found} found something")
        return 1 if self.found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("explore")
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"random interleavings begin with seed {options.seed}")
    return Soak(options).run()


if __name__ == "__main__":
    sys.exit(main())
