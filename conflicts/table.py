#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table.py check|write DOCUMENT REASONS PROGRAM: runs PROGRAM (main.c says what it prints) and makes tables of it, those
between the two marks of DOCUMENT. `check` says in which lines the document differs, `write` writes them. Each field that
two CPUs share needs a line of REASONS, and each of these a field."""
import difflib
import fnmatch
import subprocess
import sys

BEGIN, END = "<!-- made by conflicts/table.py: begin -->\n", "<!-- end -->\n"
SETTINGS = {"anonymous": "Private anonymous memory", "file": "One file, shared", "shared": "Shared anonymous memory"}
TIMES = {"first": "the first time", "steady": "in the steady state"}
DISTANCES = ["page", "leaf", "upper", "top"]


def read_reasons(path):
    """[(where, pattern of fields, reason)]"""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    return [tuple(part.strip() for part in line.split("|", 2)) for line in lines]


def where_of(time, distance):
    """Which reasons apply: neighbouring pages have their table in common, whatever the time."""
    return "page" if distance == "page" else time


class Results:
    def __init__(self, text, reasons):
        self.pairs, self.alone, self.ops, self.shared = {}, {}, {}, {}
        self.reasons, self.used = reasons, set()
        for line in text.splitlines():
            kind, *rest = line.split("\t")
            (self.add_pair if kind == "pair" else self.add_alone)(*rest)

    def add_pair(self, setting, time, distance, first, second, lines, fields):
        self.pairs[setting, time, distance, first, second] = int(lines)
        ops = self.ops.setdefault(setting, [])
        if first not in ops:
            ops.append(first)
        if bool(int(lines)) != bool(fields):
            sys.exit(f"{first} and {second}: {lines} lines, but the fields are '{fields}'")
        for field in filter(None, fields.split(";")):
            where = where_of(time, distance)
            reason = self.reason(where, field)
            rows = self.shared.setdefault((setting, where), {})
            names, places = rows.setdefault(reason, ({}, {}))
            names[field] = True
            places.setdefault(distance if where != "page" else time, set()).add((first, second))

    def add_alone(self, setting, time, first, touched, written, asked):
        self.alone[setting, time, first] = (touched, written, asked)

    def reason(self, where, field):
        for number, (place, pattern, reason) in enumerate(self.reasons):
            if place == where and fnmatch.fnmatchcase(field, pattern):
                self.used.add(number)
                return reason
        sys.exit(f"no reason is given why, at '{where}', two CPUs share: {field}")


def pairs_table(results, setting, time):
    ops = results.ops[setting]
    lines = [f"\n### {SETTINGS[setting]}, {TIMES[time]}\n\n", "| |" + "".join(f" {op} |" for op in ops) + "\n",
             "|---|" + "---|" * len(ops) + "\n"]
    for first in ops:
        cells = (" ".join(str(results.pairs[setting, time, distance, first, second]) for distance in DISTANCES)
                 for second in ops)
        lines.append(f"| {first} |" + "".join(f" {cell} |" for cell in cells) + "\n")
    return lines


def fields_text(fields):
    """Fields of one structure together: vmt_node: lock, live."""
    groups = {}
    for field in fields:
        owner, dot, name = field.partition(".")
        if " beside " in field or not dot:
            groups.setdefault(field, [])
        else:
            groups.setdefault(owner, []).append(name)
    for field in [field for field in groups if " beside " in field]:
        left, right = field.split(" beside ")
        del groups[field]
        if left != right:
            both = groups.setdefault((left.partition(".")[0], right.partition(".")[0]), ([], []))
            for names, name in zip(both, (left, right)):
                if name.partition(".")[2] not in names:
                    names.append(name.partition(".")[2])
    texts = []
    for owner, names in groups.items():
        if isinstance(owner, tuple):
            texts.append(f"{owner[0]}: {', '.join(names[0])} (written) beside {owner[1]}: {', '.join(names[1])}")
        else:
            texts.append(f"{owner}: {', '.join(names)}" if names else owner)
    return "; ".join(texts)


def reasons_table(results, setting, where):
    rows = results.shared.get((setting, where))
    if not rows:
        return []
    columns = list(TIMES) if where == "page" else DISTANCES[1:]
    title = "In one table" if where == "page" else "In different tables, " + TIMES[where]
    lines = [f"\n{title}:\n\n", "| fields |" + "".join(f" {column} |" for column in columns) + " why |\n",
             "|---|" + "---|" * (len(columns) + 1) + "\n"]
    for reason, (fields, places) in rows.items():
        counts = "".join(f" {len(places.get(column, ()))} |" for column in columns)
        lines.append(f"| {fields_text(fields)} |{counts} {reason} |\n")
    return lines


def alone_table(results):
    columns = [(setting, time) for setting in SETTINGS for time in TIMES]
    lines = ["\n### One CPU\n\n",
             "| |" + "".join(f" {setting}, {time} |" for setting, time in columns) + " asks |\n",
             "|---|" + "---|" * (len(columns) + 1) + "\n"]
    for op in results.ops["anonymous"]:
        found = [results.alone.get((*column, op)) for column in columns]
        cells = "".join(f" {cell[0]} ({cell[1]}) |" if cell else " |" for cell in found)
        lines.append(f"| {op} |{cells} {'yes' if any(cell and cell[2] != '0' for cell in found) else ''} |\n")
    return lines


def make(results):
    lines = []
    for setting in SETTINGS:
        for time in TIMES:
            lines += pairs_table(results, setting, time)
        for where in ["page", *TIMES]:
            lines += reasons_table(results, setting, where)
    lines += alone_table(results)
    for number, (where, pattern, _) in enumerate(results.reasons):
        if number not in results.used:
            sys.exit(f"a reason is given why two CPUs share what they do not, at '{where}': {pattern}")
    return lines


def main():
    what, document, reasons, program = sys.argv[1:]
    if what not in ("check", "write"):
        sys.exit(__doc__)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    new = make(Results(done.stdout, read_reasons(reasons)))
    with open(document, encoding="utf-8") as file:
        text = file.read()
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    if what == "write":
        with open(document, "w", encoding="utf-8") as file:
            file.write(head + BEGIN + "".join(new) + END + tail)
        return 0
    new, old = "".join(new).splitlines(), old.splitlines()
    wrong = list(difflib.unified_diff(old, new, "said", "now", lineterm="", n=0))
    print("\n".join(wrong))
    missing = sum(line not in old for line in new)
    print(f"{len(new) - missing} passed, {max(missing, 1) if wrong else 0} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
