# SPDX-License-Identifier: MIT
"""Which plots there are, and from which figures each is drawn."""
import os

import native
import plot
import targets

SIDES = (("vmtree", "vmtree"), ("Linux", "linux"))
GIB = 1 << 30


def _points(kept, side, prefix):
    """(number in the last part of the name, value) of the lines that begin so."""
    lines = [line for line in getattr(kept, side) if line.name.rpartition("/")[0] == prefix]
    return [(int(line.name.rpartition("/")[2]), line.value) for line in lines]


def _both(kept, prefixes):
    """A colour for each prefix, solid for vmtree and dashed for Linux."""
    return [(f"{words}, {name}", _points(kept, side, prefix), side == "linux", i)
            for i, (prefix, words) in enumerate(prefixes) for name, side in SIDES]


def _shares(kept):
    rows = zip(kept["figures"].vmtree, kept["figures"].linux, targets.ROWS)
    shares = [(vmtree.name, vmtree.value / linux.value, row.share) for vmtree, linux, row in rows]
    return plot.bars("Instructions as a share of Linux's (red line: at most; orange: above it)", shares, 1)


def _ranges(kept, kind, names):
    return plot.lines(f"Cost against range size, {kind}", "size of the range", "instructions, whole range",
                      _both(kept["ranges"], [(f"{kind}/{name}", name) for name in names]))


def _forks(kept):
    return plot.lines("fork + exit + wait against resident size", "resident", "instructions",
                      _both(kept["forks"], [("fork-exit-wait", "fork")]))


def _tables(kept):
    """The second way follows the first."""
    series = []
    for i, (name, side) in enumerate(SIDES):
        first, second = (_points(kept["released"], side, f"tables/{way}") for way in ("2MiB", "page"))
        end = max(x for x, _ in first)
        series.append((name, [(x / GIB, y) for x, y in first] + [((x + end) / GIB, y) for x, y in second],
                       side == "linux", i))
    return plot.lines("Page tables: 50 GiB released 2 MiB at a time, then page by page", "GiB touched and released",
                      "bytes", series, x_base=0, y_base=2, x_text=plot.short, y_text=plot.short_bytes)


def _scaling(kept):
    """Instructions of an operation on 1, 2 and 4 CPUs."""
    series = []
    for i, name in enumerate(("mmap", "fault", "unmap-untouched", "unmap-faulted")):
        for words, side in SIDES:
            points = [_points(kept[f"five-threads-{n}"], side, f"threads/private/{name}")[0] for n in (1, 2, 4)]
            series.append((f"{name}, {words}", points, side == "linux", i))
    return plot.lines("Threads in regions of their own: instructions of all CPUs for an operation", "threads and CPUs",
                      "instructions", series, x_text=plot.short)


def _throughput(in_process, ranges, words):
    return plot.lines(f"The library in a process, {words} (dashed: flushes are answered)", "threads",
                      "operations in a second", native.throughput(in_process, ranges), x_text=plot.short)


def draw(folder, kept, in_process):
    """Writes the plots; their file names and titles."""
    drawn = (
        ("figures.svg", "instructions of an operation against Linux", _shares(kept)),
        ("ranges-untouched.svg", "cost against the size of an untouched range",
         _ranges(kept, "untouched", ("mmap", "mprotect", "release", "munmap"))),
        ("ranges-touched.svg", "cost against the size of a touched range",
         _ranges(kept, "touched", ("fault", "mprotect", "mremap", "release", "munmap"))),
        ("forks.svg", "fork against resident size", _forks(kept)),
        ("tables.svg", "bytes of tables over time", _tables(kept)),
        ("scaling.svg", "instructions for an operation on several CPUs", _scaling(kept)),
        ("throughput-separate.svg", "throughput against threads, separate spaces",
         _throughput(in_process, "separate", "separate spaces")),
        ("throughput-disjoint.svg", "throughput against threads, disjoint ranges",
         _throughput(in_process, "disjoint", "disjoint ranges")),
        ("throughput-shared.svg", "throughput against threads, one range",
         _throughput(in_process, "shared", "one range")),
    )
    os.makedirs(folder, exist_ok=True)
    for name, _, text in drawn:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return [(name, title) for name, title, _ in drawn]
