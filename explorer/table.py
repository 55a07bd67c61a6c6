#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table.py check|write DOCUMENT TABLE -- COMMAND...: the rows of a table of the document are what the command prints.

The table stands behind a line "<!-- table TABLE, may differ: COLUMN, ... -->". `write` puts the rows of this run there.
`check` compares: the columns named may differ from run to run and from machine to machine, the others not."""
import re
import subprocess
import sys


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


class Table:
    """A table in the lines of a document."""

    def __init__(self, lines, name):
        marker = re.compile(rf"<!-- table {re.escape(name)}(?:, may differ: (.*))? -->$")
        found = [(i, marker.match(line)) for i, line in enumerate(lines) if marker.match(line)]
        if len(found) != 1:
            sys.exit(f"the document has {len(found)} tables {name}")
        line, match = found[0]
        may_differ = match.group(1).split(", ") if match.group(1) else []
        self.columns = cells(lines[line + 1])
        self.first = self.last = line + 3
        while self.last < len(lines) and lines[self.last].startswith("|"):
            self.last += 1
        self.rows = lines[self.first:self.last]
        self.fixed = [i for i, column in enumerate(self.columns) if column not in may_differ]
        if len(self.columns) != len(self.fixed) + len(may_differ):
            sys.exit(f"not all of {may_differ} are columns of {self.columns}")

    def fixed_cells(self, row):
        row = cells(row)
        return " | ".join(row[i] for i in self.fixed) if len(row) == len(self.columns) else " | ".join(row)


def run(command):
    """The rows that it prints, and whether all was well; what else it prints is printed."""
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("|"):
                rows.append(line.rstrip("\n"))
    return rows, process.returncode == 0


def check(table, rows):
    there, here = [[table.fixed_cells(row) for row in some] for some in (table.rows, rows)]
    for row in there:
        if row not in here:
            print(f"in the document, but not in this run: {row}")
    for row in here:
        if row not in there:
            print(f"in this run, but not in the document: {row}")
    same = sum(row in there for row in here)
    return same, max(len(there), len(here)) - same


def main():
    what, path, name, dashes, *command = sys.argv[1:]
    if what not in ("check", "write") or dashes != "--":
        sys.exit(__doc__)
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    table = Table(lines, name)
    rows, good = run(command)
    if what == "check":
        passed, failed = check(table, rows)
        print(f"{passed} passed, {failed + (not good)} failed")
        return 1 if failed or not good else 0
    if not good:
        sys.exit("the command has failed, the document is as it was")
    lines[table.first:table.last] = rows
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
