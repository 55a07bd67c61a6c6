#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""summary.py TESTLOG STATUS: sums the cases of a `meson test` run.

A test program may report several cases: with cmocka's lines "[  PASSED  ] N test(s)", or with a last line
"N passed, N failed" (and ", N skipped"). A program that reports neither counts as one case. A program that ends
badly without naming a failed case counts as one failed case.
"""
import json
import re
import sys

COUNTED = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", re.M)
CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] (?:[^:\n]*: )?(\d+) test\(s\)", re.M)


def cases(test):
    """(passed, failed, skipped) of one entry of the log"""
    if test["result"] == "SKIP":
        return 0, 0, 1
    text = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    counted = COUNTED.findall(text)
    if counted:
        passed, failed, skipped = (int(word or 0) for word in counted[-1])
    else:
        sums = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
        for word, number in CMOCKA.findall(text):
            sums[word] += int(number)
        passed, failed, skipped = sums["PASSED"], sums["FAILED"], sums["SKIPPED"]
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    if passed + failed + skipped == 0:
        passed, failed = (1, 0) if good else (0, 1)
    elif not good and failed == 0:
        failed = 1
    return passed, failed, skipped


def main():
    total = [0, 0, 0]
    broken = []
    try:
        with open(sys.argv[1], encoding="utf-8") as log:
            tests = [json.loads(line) for line in log if line.strip()]
    except (OSError, ValueError) as error:
        print(f"the test log cannot be read: {error}")
        tests = []
    for test in tests:
        counts = cases(test)
        total = [a + b for a, b in zip(total, counts)]
        if counts[1]:
            broken.append(f"{test['name']} ({test['result'].lower()})")
    passed, failed, skipped = total
    if failed == 0 and (int(sys.argv[2]) != 0 or not tests):
        failed = 1
        broken.append("the test run itself")
    for name in broken:
        print(f"failed: {name}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


sys.exit(main())
