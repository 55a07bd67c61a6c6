#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""names.py PROTECTIONS_H SCENARIO... -- LIST SCENARIOS: writes PROTECTION(name) for each protection of the header into
LIST, and SCENARIO(name) for each struct scenario that the files define into SCENARIOS."""
import re
import sys


def write(path, what, names):
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(f"{what}({name})\n" for name in names)


def main():
    split = sys.argv.index("--")
    header, *sources = sys.argv[1:split]
    with open(header, encoding="utf-8") as file:
        body = re.search(r"enum protection \{(.*?)\};", file.read(), re.S).group(1)
    write(sys.argv[split + 1], "PROTECTION", re.findall(r"^\t([A-Z_]+),", body, re.M)[1:])
    scenarios = []
    for source in sources:
        with open(source, encoding="utf-8") as file:
            scenarios += re.findall(r"^const struct scenario (\w+) =", file.read(), re.M)
    write(sys.argv[split + 2], "SCENARIO", scenarios)


if __name__ == "__main__":
    main()
