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
MISSED = "**no**"
UNIT_NAMES = {"ns": "instructions", "bytes": "bytes", "count": ""}


def share(vmtree, linux):
    """As a table's cell; nothing where there is nothing to divide by."""
    return f"{vmtree / linux:.2f}" if linux > 0 and vmtree >= 0 else ""


def first_line(*words):
    """What a command says first."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def git(*words):
    """What git says of this folder; nothing where there is none."""
    try:
        return subprocess.run(["git", "-C", HERE, *words], capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def commit():
    """Of what was measured. What this file writes is no change of it."""
    changed = git("status", "--porcelain", "--", ":/", ":!RESULTS.md", ":!results")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def versions(kept):
    """Of everything that has a part in the figures."""
    report = kept["figures"].report
    rows = [("vmtree", f"{report['vmtree']}, commit {commit()}"), ("Linux", report["linux"]["version"]),
            ("command line of Linux", "`mitigations=off transparent_hugepage=madvise` (docs/compare.md)"),
            ("QEMU", first_line("qemu-system-x86_64", "--version")), ("compiler", first_line("gcc", "--version"))]
    for package in PACKAGES:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True,
                              check=False)
        rows.append((f"Debian's {package}", done.stdout if done.returncode == 0 else "not installed"))
    return table(("", "version"), rows)


def verdict(is_met):
    """A target's cell. `write` counts the missed ones by it."""
    return "yes" if is_met else MISSED


def mean(shares):
    """The geometric one."""
    return math.exp(sum(map(math.log, shares)) / len(shares))


def held(rows, bare):
    """The figures against their targets; `bare`: Linux with all switched off that a command line can switch off."""
    by_name = {row.name: row for row in targets.ROWS}
    out, shares, bare_shares = [], [], []
    for (vmtree, linux), less in zip(rows, bare):
        row, got = by_name[vmtree.name], vmtree.value / linux.value
        shares.append(got)
        bare_shares.append(vmtree.value / less.value)
        out.append((vmtree.name, number(vmtree.value), number(linux.value), f"{got:.3f}",
                    f"{row.share:.2f}" if row.share else "", verdict(got <= row.share) if row.share else "",
                    f"{bare_shares[-1]:.3f}", row.lacks))
    out.append((f"geometric mean of these {len(shares)}", "", "", f"{mean(shares):.3f}",
                f"{targets.GEOMETRIC_MEAN:.2f}", verdict(mean(shares) <= targets.GEOMETRIC_MEAN),
                f"{mean(bare_shares):.3f}", ""))
    head = ("operation", "vmtree", "Linux", "share", "at most", "met", "share of Linux with less",
            "what Linux does here and vmtree does not")
    return table(head, out)


def tables_left(released):
    """What the tables have kept after 50 GiB were touched and released."""
    rows = []
    for way, words in (("2MiB", "2 MiB at a time"), ("page", "then page by page")):
        vmtree, linux = ({line.name: line.value for line in side}[f"tables-left/{way}"]
                         for side in (released.vmtree, released.linux))
        rows.append((f"50 GiB, four pages of each 2 MiB touched and released: {words}", number(vmtree), number(linux),
                     number(targets.TABLES_LEFT), verdict(vmtree <= targets.TABLES_LEFT)))
    return table(("tables left, bytes more than before", "vmtree", "Linux", "at most", "met"), rows)


def radixvm(rows, ranges):
    """RadixVM's counts beside the same rows, clearing and copying of pages set aside."""
    by_name, pairs = {row.name: row for row in targets.ROWS}, []
    for vmtree, _ in rows:
        row = by_name[vmtree.name]
        if row.radixvm:
            count, clearing = row.radixvm
            pairs.append((row.name, vmtree.value - row.cleared * targets.PAGE, count - clearing))
    one_page = next(line.value for line in ranges.vmtree if line.name == "untouched/mmap-munmap/4096")
    pairs.append(("mmap 1 page, munmap, untouched (`ranges`)", one_page, targets.RADIXVM_MAP_UNMAP))
    out = [(name, number(round(ours)), number(theirs), f"{ours / theirs:.2f}", verdict(ours < theirs))
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


def behind(kept):
    """Where Linux executes less."""
    rows = [(f"{name}: {ours.name}", number(ours.value), number(theirs.value), share(ours.value, theirs.value))
            for name, one in kept.items() for ours, theirs in zip(one.vmtree, one.linux)
            if ours.unit == "ns" and ours.value > 1.05 * theirs.value]
    return table(("figure, instructions", "vmtree", "Linux", "share"), rows) if rows else "Nowhere."


def report_table(runs, kept):
    """What `vmtree compare` says of each run."""
    rows = []
    for run in runs:
        # The rows of `figures` are apart from each other by sleep, which the clock counts.
        for name, words in ((("time", "instructions in all"),) if run.subject != "figures" else ()) + REPORTED:
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
        machine += f", Linux with `{run.linux_args}`" if run.linux_args else ""
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
serving what is asked. *Rest*: all else, the operation's own path. Shares are of what one CPU executes, and the limit
is 1.05: once with the whole flush apart, once with waiting alone left out. Threads of one space have to ask each other,
for a table that one has filled may be in the TLB of any of them; separate processes ask nobody. The clock runs the CPUs
in turn, so that one interrupt may serve what several CPUs have asked: side by side they would be interrupted more
often."""


def load_scaling(folder):
    """What scaling.py measured."""
    with open(os.path.join(folder, "scaling.json"), encoding="utf-8") as file:
        return [scaling.Row(**row) for row in json.load(file)]


def scaling_table(measured):
    """Beside what one CPU executes; and the verdicts with the flush apart, and with it counted."""
    alone = {(row.how, row.cycle): row.total for row in measured if row.cpus == 1}
    rows, apart, counted = [], [], []
    for row in measured:
        counts = [f"{abs(value):,.0f}" for value in (row.total, row.waiting, row.flush, row.rest)]
        own = row.rest / alone[row.how, row.cycle]
        apart.append(verdict(own <= scaling.LIMIT) if row.cpus > 1 else "")
        counted.append(verdict(row.share <= scaling.LIMIT) if row.cpus > 1 else "")
        rows.append((f"{row.how}: {row.cycle}", str(row.cpus), *counts, f"{own:.3f}", apart[-1], f"{row.share:.3f}",
                     counted[-1]))
    head = ("operation", "CPUs", "in all", "waiting", "flush", "rest", "rest's share", "met, flush apart",
            "share without waiting", "met, flush counted")
    return table(head, rows), " ".join(apart), " ".join(counted)


HEAD = """# Results

Made by `make bench` ([docs/bench.md](../docs/bench.md)). The clock counts guest instructions (QEMU's TCG; of
a string instruction each element is one); both kernels ran the same programs on the same machine. A share is vmtree's
count divided by Linux's. Caches, TLB misses and what an access to memory costs are in no count.
"""


BARE = f"""*Linux with less* is the same kernel with `{subjects.BARE}`: no clearing of what is allocated, no
offset of the stack in each call, no accounting to groups, no security modules and no audit; of what stands in the last
column, all that a command line can switch off. No target is held to it."""


def prepare():
    """Whether RESULTS.md and the plots can be written is known before all has run."""
    os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
    path = os.path.join(HERE, "RESULTS.md")
    with open(path, "a", encoding="utf-8") as file:
        is_new = file.tell() == 0
    if is_new:
        os.remove(path)


def missed(sections):
    """What the sections with targets say in one line."""
    counts = {title: text.count(MISSED) for title, text in sections}
    if not any(counts.values()):
        return "All targets are met."
    return "Targets missed: " + ", ".join(f"{count} of {title}" for title, count in counts.items() if count) + "."


RADIXVM = """RadixVM clears the new page of a copy-on-write fault before it copies; what the copy takes was not
measured, so that twice the clearing is set aside there. It has no protection of ranges, no shared or file memory and no
accounting, and never frees a table; its frames are freed later, in the timer's tick, which is not in these figures
(about 650 for each page)."""


def write(build, folder):
    """RESULTS.md and the plots."""
    kept = load(folder, subjects.RUNS)
    rows = list(zip(kept["figures"].vmtree, kept["figures"].linux))
    scaled, apart, counted = scaling_table(load_scaling(folder))
    checked = (("operations beside Linux", held(rows, kept["figures-bare"].linux)),
               ("tables left", tables_left(kept["released"])),
               ("RadixVM's operations", radixvm(rows, kept["ranges"])),
               ("operations on several CPUs with the flush apart", apart),
               ("operations on several CPUs with the flush counted", counted))
    beside_linux, left, beside_radixvm = (text for _, text in checked[:3])
    in_process = native.measure(build)
    names = pictures.draw(os.path.join(HERE, "results"), kept, in_process)
    parts = [HEAD.strip(), "## Versions", versions(kept), "## Targets", missed(checked), beside_linux, BARE, left,
             "## RadixVM", beside_radixvm, RADIXVM, "## Where Linux executes less", "By more than 5 %.", behind(kept),
             "## Plots"]
    parts += [f"![{title}](results/{name})" for name, title in names]
    parts += ["## Several CPUs", SCALING, scaled, "## Subjects", tables(folder, subjects.RUNS)]
    parts += ["## Native: the library in a process on the machine that ran this", native.text(in_process)]
    with open(os.path.join(HERE, "RESULTS.md"), "w", encoding="utf-8") as file:
        file.write("\n\n".join(parts) + "\n")
    print(f"bench: wrote {os.path.join(HERE, 'RESULTS.md')}. {missed(checked)}")
