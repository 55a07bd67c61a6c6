#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""anchors.py SOURCE: the table of what in the model stands for what in the source.

A step of the model says what it stands for in a comment `// FILE: FUNCTION: TEXT`. TEXT has to be in that function,
where white space and comments count for nothing; if not, the source has changed and the model must be looked at again.
Without --check the table is printed as docs/model.md holds it; with it the table there must be the one printed, but for
line numbers of the source, which may have moved by NEAR lines; what stands in one function, in the same order."""
import os
import re
import sys

NEAR = 200
ANCHOR = re.compile(r"^\s*// (src/\S+\.h): (\w+): (.+)$")
STEP = re.compile(r"\s*(?:inline|#define)\s+(\w+)")
BEGIN, END = "<!-- model/anchors.py begins -->\n", "<!-- model/anchors.py ends -->\n"


def squeezed(text):
    return re.sub(r"\s+", "", text)


def function_lines(lines, name):
    """(first, last) of the function's definition, counted from 0."""
    for first, line in enumerate(lines):
        if re.match(rf"\w[^=;]*\b{name}\(", line):
            for last in range(first, len(lines)):
                if lines[last].startswith("}"):
                    return first, last
                if lines[last].rstrip().endswith(";") and not lines[last].startswith("\t"):
                    break
    return None


def find(source, path, function, text):
    """The line of the source, from 1."""
    try:
        with open(os.path.join(source, path), encoding="utf-8") as file:
            lines = file.read().split("\n")
    except OSError:
        return None
    where = function_lines(lines, function)
    if not where:
        return None
    wanted = squeezed(text)
    for first in range(where[0], where[1] + 1):
        code = ""
        for line in lines[first:where[1] + 1]:
            code += squeezed(re.sub(r"//.*", "", line))
            if wanted in code:
                break
        if wanted in code and code.index(wanted) < len(squeezed(re.sub(r"//.*", "", lines[first]))):
            return first + 1
    return None


def anchors(folder):
    """(model file, step, source file, function, text) of each."""
    found = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".pml"):
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            lines = file.read().split("\n")
        step = None
        for at, line in enumerate(lines):
            match = ANCHOR.match(line)
            if STEP.match(line):
                step = STEP.match(line).group(1)
            if match:
                inside = line.startswith("\t")
                following = next((STEP.match(l).group(1) for l in lines[at:] if STEP.match(l)), None)
                found.append((name, step if inside else following, *match.groups()))
    return found


def main():
    source = sys.argv[1]
    rows, lost = [], 0
    for name, step, path, function, text in anchors(os.path.dirname(os.path.abspath(__file__))):
        line = find(source, path, function, text)
        if line is None:
            print(f"{name}: {step}: {path}: {function} has no longer: {text}")
            lost += 1
        else:
            rows.append((f"{name}: `{step}`", f"{path}:", line, f"`{function}`: `{text}`".replace("|", "\\|")))
    if "--check" not in sys.argv:
        print(BEGIN + "| step of the model | source | what it stands for |\n|---|---|---|")
        print("\n".join(f"| {a} | {b}{c} | {d} |" for a, b, c, d in rows) + "\n" + END, end="")
        return lost != 0
    with open(os.path.join(source, "docs/model.md"), encoding="utf-8") as file:
        table = file.read().split(BEGIN)[1].split(END)[0]
    told = [re.match(r"\| (.*?) \| (.*?:)(\d+) \| (.*) \|$", line) for line in table.strip().split("\n")[2:]]
    told = [(m.group(1), m.group(2), int(m.group(3)), m.group(4)) if m else None for m in told]
    wrong = [row for row in rows if not any(t and (t[0], t[1], t[3]) == (row[0], row[1], row[3]) and
                                            abs(t[2] - row[2]) <= NEAR for t in told)]
    for row in wrong:
        print("docs/model.md says otherwise of:", *row)
    for row, other in zip(rows, told) if len(told) == len(rows) and not wrong else ():
        for row2, other2 in zip(rows, told):
            function = row[3].split(":")[0]
            if row[1] == row2[1] and row2[3].split(":")[0] == function and row[2] < row2[2] and other[2] >= other2[2]:
                print("the source has another order than docs/model.md:", *row, "before", *row2)
                wrong.append(row)
    if len(told) != len(rows):
        print(f"docs/model.md has {len(told)} lines, there are {len(rows)}")
        wrong.append(None)
    print(f"{len(rows) - len([w for w in wrong if w])} passed, {lost + len(wrong)} failed")
    return lost + len(wrong) != 0


if __name__ == "__main__":
    sys.exit(main())
