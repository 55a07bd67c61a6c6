#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py DRIVER DOCUMENT: the driver has less than 100 lines, each piece of code that the document says is the driver's
is in it word for word and in this order, and nothing of the driver but its head is left out.
"""
import re
import sys

LIMIT = 100


def faults(driver, document):
    if driver.count("\n") >= LIMIT:
        yield f"the driver has {driver.count(chr(10))} lines: {LIMIT} or more"
    pieces = re.findall(r"^```c driver\.c\n(.*?)^```$", document, re.M | re.S)
    if not pieces:
        yield "the document quotes nothing"
    rest = driver
    for piece in pieces:
        before, found, after = rest.partition(piece)
        if not found:
            yield "not in the driver, or not behind the piece before: " + piece.split("\n", 1)[0]
            continue
        if before.strip() and rest is not driver:
            yield "not in the document: " + before.strip().split("\n", 1)[0]
        rest = after
    if rest.strip():
        yield "not in the document: " + rest.strip().split("\n", 1)[0]


def main():
    texts = [open(name, encoding="utf-8").read() for name in sys.argv[1:3]]
    wrong = list(faults(*texts))
    for line in wrong:
        print(line)
    print("1 passed, 0 failed" if not wrong else f"0 passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
