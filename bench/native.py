# SPDX-License-Identifier: MIT
"""The benchmarks of the library in a process on this machine: runs them and makes their tables (docs/bench.md)."""
import collections
import os
import subprocess

import figures
from markdown import number, table
import plot

FLUSHES = ("counted", "answered")
RANGES = ("separate", "disjoint", "shared")

# What `bench_tables` and `bench_secondaries` print, by name; lines of `bench_spaces`, and of `bench_threads` with all
# kinds of flushes.
Native = collections.namedtuple("Native", "plain spaces threads")

SPACES = """### Operations of a space in one thread

`bench_spaces`: nanoseconds of one call that is about so many pages, the best of 60 rounds. `nothing` is the loop around
the call, which is in all figures, and `clear-page` a page taken, cleared and given back. Flushes are counted and reach
nobody."""

THREADS = """### Threads {ranges}, flushes {flush}

`bench_threads --flush {flush}`: operations in a second of all threads, of each, and each thread's share of what one
thread does alone; the best of 200 rounds. {means}"""
RANGE_WORDS = {"separate": "each in a space of its own", "disjoint": "in one space, on ranges without a common table",
               "shared": "in one range"}
FLUSH_WORDS = {
    "counted": "No other CPU is asked for a flush.",
    "answered": "Each other CPU in the space is asked for a\nflush by a flag and waited for; it looks at it between "
                "two operations and where it waits.",
}


def _output(build, name, *words):
    return subprocess.run([os.path.join(build, "bench", name), *words], capture_output=True, text=True,
                          check=True).stdout


def measure(build):
    """Runs all of them, one at a time."""
    plain = [(name, _output(build, name)) for name in ("bench_tables", "bench_secondaries")]
    spaces = figures.parse(_output(build, "bench_spaces"))
    threads = [line for flush in FLUSHES for line in figures.parse(_output(build, "bench_threads", "--flush", flush))]
    return Native(plain, spaces, threads)


def _values(native, flush, ranges):
    """By operation, what, and threads."""
    values = {}
    for line in native.threads:
        *prefix, operation, what, threads = line.name.split("/")
        if prefix == [flush, ranges]:
            values.setdefault(operation, {}).setdefault(what, {})[int(threads)] = line.value
    return values


def _threads_table(native, flush, ranges):
    values = _values(native, flush, ranges)
    counts = list(next(iter(values.values()))["all"])
    rows = [(operation,) + tuple(f"{plot.short(by['all'][n])}, {plot.short(by['each'][n])} each, {by['share'][n]:.2f}"
                                 for n in counts) for operation, by in values.items()]
    return table(("operation",) + tuple(f"{n} thread{'s' if n > 1 else ''}" for n in counts), rows)


def throughput(native, ranges):
    """Series for a plot: dashed where flushes are answered."""
    return [(f"{operation}, {flush}", list(by["all"].items()), flush == "answered", i)
            for flush in FLUSHES for i, (operation, by) in enumerate(_values(native, flush, ranges).items())]


def _machine():
    """What this machine says of its processors."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} processors ({models[0] if models else 'of an unknown model'})"


def text(native):
    """All tables."""
    rows = []
    for line in native.spaces:
        name, _, pages = line.name.rpartition("/")
        rows.append((name, f"{int(pages):,}", number(line.value)))
    parts = [f"On {_machine()}, which others may use too: what stands here is "
             "the best of many rounds. The programs are built with -O2."]
    parts += [f"`{name}`:\n\n```\n{output}```" for name, output in native.plain]
    parts += [SPACES, table(("operation", "pages", "ns"), rows)]
    for ranges in RANGES:
        for flush in FLUSHES:
            parts.append(THREADS.format(ranges=RANGE_WORDS[ranges], flush=flush, means=FLUSH_WORDS[flush]))
            parts.append(_threads_table(native, flush, ranges))
    return "\n\n".join(parts)
