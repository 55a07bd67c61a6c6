# SPDX-License-Identifier: MIT
"""The benchmark programs, small, on the reference kernel: they end well, and each line is a figure (docs/bench.md).

bench.py COMMAND PROGRAMS BENCH_PROGRAMS
"""
import os
import sys
import tempfile
import xml.dom.minidom

from harness import ACCEL, check, clip, finish, vmtree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
import figures  # noqa: E402
import plot  # noqa: E402
import results  # noqa: E402
import subjects  # noqa: E402
import targets  # noqa: E402

FOLDER = sys.argv[3]


def run(cpus, *words):
    """What a program prints, or None when it failed."""
    result = vmtree("run", "-q", "--icount", "--accel", ACCEL, "--cpus", str(cpus), "--", *words)
    return clip(result.out, 1 << 20) if result.status == 0 and not result.err else None


def prints(cpus, *words):
    """A case: at least one figure, each name once, and no figure that is less than nothing."""
    text = run(cpus, os.path.join(FOLDER, words[0]), *words[1:])
    try:
        lines = figures.parse(text or "")
    except figures.Unreadable as error:
        lines, text = [], str(error)
    good = lines and len({line.name for line in lines}) == len(lines) and all(line.value >= 0 for line in lines)
    check(" ".join(words), good, text)
    return {line.name: line.value for line in lines}


def refuses(line):
    """A case: what is no figure is seen."""
    try:
        figures.parse(line)
    except figures.Unreadable:
        check(f"refused: {line}", True)
    else:
        check(f"refused: {line}", False)


def medians():
    """A case: of what several runs printed the medians are read."""
    run_of = subjects.Run("x", "x", 1, "1G", 3, ())
    with tempfile.TemporaryDirectory() as folder:
        for number, value in enumerate((7, 1000, 3)):
            for ending, text in ((".vmtree", f"a {value} ns\n"), (".linux", f"a {2 * value} ns\n"), (".json", "{}")):
                with open(figures.base(folder, run_of, number) + ending, "w", encoding="utf-8") as file:
                    file.write(text)
        kept = figures.read(folder, run_of)
    check("medians", [kept.vmtree[0].value, kept.linux[0].value] == [7, 14], kept)


def missed(raised=None, value=0.0):
    """How many targets are not met when all are just met, but for one row that costs `value` of Linux."""
    linux = [figures.Line(row.name, 1000.0, "ns") for row in targets.ROWS]
    # The row without a target is next to nothing, so that the mean has room.
    shares = [value if row.name == raised else row.share or 0.001 for row in targets.ROWS]
    vmtree = [line._replace(value=share * 1000) for line, share in zip(linux, shares)]
    return results.held(list(zip(vmtree, linux)), linux).count(results.MISSED)


def verdicts():
    """Cases: a target that is missed is shown as missed, and so is the mean."""
    check("all targets met", missed() == 0, missed())
    for row in targets.ROWS:
        value = row.share + 0.001 if row.share else 1000.0  # of the row without a target the mean tells
        check(f"missed: {row.name}", missed(row.name, value) == 1, missed(row.name, value))


medians()
verdicts()
for line in ("mmap 12", "mmap twelve ns", "mmap 12 miles", "mmap and more 12 ns"):
    refuses(line)
prints(2, "five", "2", "threads")
prints(2, "five", "2", "processes")
prints(2, "sharing", "2")
prints(2, "cycles", "2", "threads", "guard-install-remove", "50")
prints(1, "forks", "4")
prints(1, "stacks")
left = prints(1, "released", "2")
check("no tables are left", left and left["tables-left/2MiB"] <= 12288 and left["tables-left/page"] <= 12288, left)
prints(1, "guarded", "2000")
prints(1, "sparse")
prints(1, "follow", "20000")
sizes = prints(1, "ranges")
check("an untouched TiB costs less than a hundred pages",
      sizes and sizes["untouched/mprotect/549755813888"] < 100 * sizes["untouched/mprotect/4096"], sizes)
rows = figures.parse(run(1, os.path.join(sys.argv[2], "figures")) or "", named_freely=True)
check("the rows of figures are those with targets", [row.name for row in rows] == [row.name for row in targets.ROWS])
points = [(int(name.rpartition("/")[2]), value) for name, value in sizes.items() if name.startswith("untouched/mmap/")]
drawn = xml.dom.minidom.parseString(plot.lines("a <title>", "x", "y", [("mmap", points, True, 0)]))
paths = [path for path in drawn.getElementsByTagName("path") if path.getAttribute("fill") == "none"]
check("a plot has a point for each figure", paths and paths[0].getAttribute("d").count("L") == len(points) - 1)
finish()
