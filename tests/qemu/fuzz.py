# SPDX-License-Identifier: MIT
"""The fuzzer's corpus on the reference kernel (docs/fuzz-kernel.md): each input does what it did on Linux, and hostile
calls of several threads at once leave the kernel whole."""
import os
import sys

from harness import check, finish, guest

PROGRAM, CORPUS = (os.path.abspath(path) for path in sys.argv[3:5])


def replay():
    result = guest(PROGRAM, "replay", "vmtree", "/corpus", options=["--cpus", "1", "--file", CORPUS + ":/corpus"])
    check("the corpus is run to its end", result.status == 0 and not result.err, str(result))
    with open(CORPUS, "rb") as file:
        wanted = file.read().splitlines()
    got = result.out.splitlines()
    for number, line in enumerate(wanted):
        answer = got[number] if number < len(got) else b"nothing"
        if answer != line:
            check(f"input {number + 1}", False, f"Linux: {line.decode()}\nvmtree: {answer.decode()}")
    same = sum(a == b for a, b in zip(wanted, got))
    check(f"{same} of {len(wanted)} inputs as on Linux", wanted == got and same > 100)


def storm():
    result = guest(PROGRAM, "storm", "/corpus", "1", "30", options=["--cpus", "4", "--file", CORPUS + ":/corpus"])
    check("hostile threads", result.status == 0 and result.out.startswith(b"30 rounds"), str(result))


replay()
storm()
finish()
