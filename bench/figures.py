# SPDX-License-Identifier: MIT
"""Reads what a run left behind: the lines of both kernels and the figures of `vmtree compare` (docs/bench.md)."""
import collections
import json
import os
import statistics

Line = collections.namedtuple("Line", "name value unit")
Kept = collections.namedtuple("Kept", "vmtree linux report")
UNITS = ("ns", "bytes", "count", "per-second", "ratio")  # the last two: only of the native ones


class Unreadable(Exception):
    """A line that is no figure."""


def parse(text, named_freely=False):
    """Lines `NAME VALUE UNIT`; `named_freely`: those of programs/figures, `NAME WITH SPACES VALUE`, in ns."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if named_freely:
            words = [" ".join(words[:-1]), words[-1], "ns"] if len(words) > 1 else []
        try:
            name, value, unit = words
            lines.append(Line(name, float(value), unit))
        except ValueError:
            raise Unreadable(f"no figure: {line!r}") from None
        if unit not in UNITS:
            raise Unreadable(f"no unit: {line!r}")
    return lines


def prints_figures(run):
    """The churns print a checksum instead, which is the same on both kernels; what they cost is in the report."""
    return run.subject != "churn"


def base(folder, run, number):
    """Where what one of the times left is kept, without the ending."""
    return os.path.join(folder, run.name + (f".{number}" if run.times > 1 else ""))


def _text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _side(folder, run, ending):
    """Medians of what one kernel's runs printed."""
    if not prints_figures(run):
        return []
    all_lines = [parse(_text(base(folder, run, number) + ending), run.subject == "figures")
                 for number in range(run.times)]
    if any([line.name for line in lines] != [line.name for line in all_lines[0]] for lines in all_lines):
        raise Unreadable(f"{run.name}: figures have different names each time")
    return [Line(lines[0].name, statistics.median(line.value for line in lines), lines[0].unit)
            for lines in zip(*all_lines)]


def read(folder, run):
    """What is kept of a run; its figures in the order in which they were printed, the same on both sides. The report is
    of the first time."""
    vmtree, linux = (_side(folder, run, ending) for ending in (".vmtree", ".linux"))
    if [line.name for line in vmtree] != [line.name for line in linux]:
        raise Unreadable(f"{run.name}: the two kernels' figures have different names")
    return Kept(vmtree, linux, json.loads(_text(base(folder, run, 0) + ".json")))
