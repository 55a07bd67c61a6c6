# SPDX-License-Identifier: MIT
"""Writes bench/RESULTS.md from what the runs left behind (docs/bench.md)."""
import json
import math
import os
import re
import subprocess

import figures
from markdown import number, table
import native
import pictures
import scaling
import subjects
import targets

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ("qemu-system-x86", "gcc", "libc6-dev", "musl-dev", "libjemalloc-dev", "libgoogle-perftools-dev")
REPORTED = (("faults", "faults"), ("resident_peak", "resident, peak"), ("tables_peak", "tables, peak"),
            ("tables_last", "tables, at the end"), ("flush_local", "flushes of one CPU"),
            ("flush_ipi", "flushes of others"))
UNIT_NAMES = {"ns": "instructions", "bytes": "bytes", "count": ""}


def share(vmtree, linux):
    """As a table's cell; nothing where there is nothing to divide by."""
    return f"{vmtree / linux:.2f}" if linux > 0 and vmtree >= 0 else ""


def first_line(*words):
    """What a command says first."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def versions(kept):
    """Of everything that has a part in the figures."""
    commit = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False).stdout.strip() or "unknown"
    report = kept["figures"].report
    rows = [("vmtree", f"{report['vmtree']}, commit {commit}"), ("Linux", report["linux"]["version"]),
            ("command line of Linux", "`mitigations=off transparent_hugepage=madvise` (docs/compare.md)"),
            ("QEMU", first_line("qemu-system-x86_64", "--version")), ("compiler", first_line("gcc", "--version"))]
    for package in PACKAGES:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True,
                              check=False)
        rows.append((f"Debian's {package}", done.stdout if done.returncode == 0 else "not installed"))
    return table(("", "version"), rows)


def held(rows):
    """The figures against their targets."""
    by_name = {row.name: row for row in targets.ROWS}
    out, shares = [], []
    for vmtree, linux in rows:
        row, got = by_name[vmtree.name], vmtree.value / linux.value
        shares.append(got)
        met = "" if row.share is None else "yes" if got <= row.share else "**no**"
        out.append((vmtree.name, number(vmtree.value), number(linux.value), f"{got:.3f}",
                    f"{row.share:.2f}" if row.share else "", met, row.lacks))
    mean = math.exp(sum(map(math.log, shares)) / len(shares))
    met = mean <= targets.GEOMETRIC_MEAN
    out.append(("geometric mean of all", "", "", f"{mean:.3f}", f"{targets.GEOMETRIC_MEAN:.2f}",
                "yes" if met else "**no**", ""))
    head = ("operation", "vmtree", "Linux", "share", "at most", "met", "what Linux does here and vmtree does not")
    return table(head, out)


def tables_left(released):
    """What the tables have kept after 50 GiB were touched and released."""
    rows = []
    for way, words in (("2MiB", "2 MiB at a time"), ("page", "then one page at a time")):
        vmtree, linux = ({line.name: line.value for line in side}[f"tables-left/{way}"]
                         for side in (released.vmtree, released.linux))
        rows.append((f"50 GiB touched and released {words}", number(vmtree), number(linux), number(targets.TABLES_LEFT),
                     "yes" if vmtree <= targets.TABLES_LEFT else "**no**"))
    return table(("tables left, bytes more than before", "vmtree", "Linux", "at most", "met"), rows)


def radixvm(rows, measured):
    """RadixVM's counts beside the same rows, clearing and copying of pages set aside."""
    by_name, pairs = {row.name: row for row in targets.ROWS}, []
    for vmtree, _ in rows:
        row = by_name[vmtree.name]
        if row.radixvm:
            count, clearing = row.radixvm
            pairs.append((row.name, vmtree.value - row.cleared * targets.PAGE, count - clearing))
    one_page = next(row.total for row in measured if (row.how, row.cycle, row.cpus) == ("processes", "map-unmap", 1))
    pairs.append(("mmap 1 page + munmap, untouched (`scaling`)", one_page, targets.RADIXVM_MAP_UNMAP))
    out = [(name, number(round(ours)), number(theirs), f"{ours / theirs:.2f}", "yes" if ours < theirs else "**no**")
           for name, ours, theirs in pairs]
    return table(("operation, without clearing pages", "vmtree", "RadixVM", "share", "beaten"), out)


def is_series(name):
    """One point of many, which is in a plot."""
    return re.fullmatch(r"(tables|resident)/(2MiB|page)/\d+", name) is not None


def figure_table(kept):
    """The lines that a program printed."""
    rows = [(vmtree.name, UNIT_NAMES[vmtree.unit], number(vmtree.value), number(linux.value),
             share(vmtree.value, linux.value))
            for vmtree, linux in zip(kept.vmtree, kept.linux) if not is_series(vmtree.name)]
    return table(("figure", "unit", "vmtree", "Linux", "share"), rows) if rows else ""


def report_table(runs, kept):
    """What `vmtree compare` says of each run."""
    rows = []
    for run in runs:
        for name, words in (("time", "instructions in all"),) + REPORTED:
            sides = [kept[run.name].report["figures"][name][side] for side in ("vmtree", "linux")]
            values = [side["median"] if side else None for side in sides]
            if not any(values):
                continue
            rows.append((f"{run.name}: {words}",) + tuple("" if v is None else number(v) for v in values) +
                        (share(*values) if None not in values else "",))
    return table(("whole run", "vmtree", "Linux", "share"), rows)


def subject_text(runs, kept):
    """All of one subject."""
    parts = [f"### {runs[0].subject}"]
    for run in runs:
        machine = f"{run.cpus} CPU{'s' if run.cpus > 1 else ''}, {run.memory}"
        machine += f", median of {run.times}" if run.times > 1 else ""
        parts.append(f"`{' '.join((os.path.basename(run.words[0]),) + run.words[1:])}` on {machine}")
        parts.append(figure_table(kept[run.name]))
    parts.append(report_table(runs, kept))
    return "\n\n".join(part for part in parts if part)


def load(folder, runs):
    """What is kept of each run, by its name."""
    return {run.name: figures.read(folder, run) for run in runs}


def tables(folder, runs):
    """Of some runs, for the terminal."""
    kept = load(folder, runs)
    by_subject = [[run for run in runs if run.subject == subject] for subject in subjects.SUBJECTS]
    return "\n\n".join(subject_text(part, kept) for part in by_subject if part)


SCALING = """Operations of workers that share no table, on as many CPUs, on the reference kernel: guest instructions of
all CPUs for one operation (`bench/scaling.py`). *Waiting*: until the other CPUs have flushed. *Flush*: asking them, and
serving what is asked. *Rest*: all else. Shares are of what one CPU executes; at most 1.05 is wanted, waiting apart."""


def load_scaling(folder):
    """What scaling.py measured."""
    with open(os.path.join(folder, "scaling.json"), encoding="utf-8") as file:
        return [scaling.Row(**row) for row in json.load(file)]


def scaling_table(measured):
    """Beside what one CPU executes."""
    alone = {(row.how, row.cycle): row.total for row in measured if row.cpus == 1}
    rows = []
    for row in measured:
        counts = [f"{abs(value):,.0f}" for value in (row.total, row.waiting, row.flush, row.rest)]
        shares = [row.rest / alone[row.how, row.cycle], row.share]
        marked = [f"{value:.3f}" if value <= scaling.LIMIT else f"**{value:.3f}**" for value in shares]
        rows.append((f"{row.how}: {row.cycle}", str(row.cpus), *counts, *marked))
    return table(("operation", "CPUs", "in all", "waiting", "flush", "rest", "rest's share", "share without waiting"),
                 rows)


HEAD = """# Results

Made by `make bench` ([docs/bench.md](../docs/bench.md)). The clock counts guest instructions (QEMU's TCG; of
a string instruction each element is one); both kernels ran the same programs on the same machine. A share is vmtree's
count divided by Linux's. Caches, TLB misses and what an access to memory costs are in no count.
"""


def write(build, folder):
    """RESULTS.md and the plots."""
    kept = load(folder, subjects.RUNS)
    rows = list(zip(kept["figures"].vmtree, kept["figures"].linux))
    measured = load_scaling(folder)
    wanted = held(rows) + "\n\n" + tables_left(kept["released"])
    missed = wanted.count("**no**")
    in_process = native.measure(build)
    names = pictures.draw(os.path.join(HERE, "results"), kept, in_process)
    parts = [HEAD.strip(), "## Versions", versions(kept), "## Targets", wanted,
             f"{missed} missed." if missed else "All are met.", "## RadixVM", radixvm(rows, measured),
             "What RadixVM's copy of a page takes was not measured: it is set aside as twice its clearing, a load for "
             "each store. It has no protection of ranges, no shared or file memory and no accounting, and never frees "
             "a table.",
             "## Plots"]
    parts += [f"![{title}](results/{name})" for name, title in names]
    parts += ["## Several CPUs", SCALING, scaling_table(measured), "## Subjects", tables(folder, subjects.RUNS)]
    parts += ["## Native: the library in a process on the machine that ran this", native.text(in_process)]
    with open(os.path.join(HERE, "RESULTS.md"), "w", encoding="utf-8") as file:
        file.write("\n\n".join(parts) + "\n")
    print(f"bench: wrote {os.path.join(HERE, 'RESULTS.md')}")
