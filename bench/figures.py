# SPDX-License-Identifier: MIT
"""Reads what a run left behind: the lines of both kernels and the figures of `vmtree compare` (docs/bench.md)."""
import collections
import json
import os

Line = collections.namedtuple("Line", "name value unit")
Kept = collections.namedtuple("Kept", "vmtree linux report")
UNITS = ("ns", "bytes", "count")


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


def read(folder, run):
    """What is kept of a run; its figures in the order in which they were printed, the same on both sides."""
    def text(end):
        with open(os.path.join(folder, run.name + end), encoding="utf-8") as file:
            return file.read()

    report = json.loads(text(".json"))
    sides = []
    for end in (".vmtree", ".linux"):
        sides.append(parse(text(end), run.subject == "figures") if prints_figures(run) else [])
    vmtree, linux = sides
    if [line.name for line in vmtree] != [line.name for line in linux]:
        raise Unreadable(f"{run.name}: the two kernels' figures have different names")
    return Kept(vmtree, linux, report)
