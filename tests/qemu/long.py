# SPDX-License-Identifier: MIT
"""What takes minutes: long.py COMMAND PROGRAMS WHICH, where WHICH is one of the functions below."""
import shutil
import sys

from harness import check, clip, expect, finish, guest, host, program, same

BUSYBOX = shutil.which("busybox")


def pipeline():
    script = "seq 1 300000 | sort -rn | gzip -c | gunzip -c | md5sum"
    same("300,000 lines sorted, compressed and summed", BUSYBOX, "sh", "-c", script)
    same("sqlite, 100,000 rows", program("sqlite"))


def allocators():
    """The same checksum ten times in a row, on four CPUs."""
    for name in ("churn-jemalloc", "churn-tcmalloc"):
        wanted = host(program(name), "4", "20000").out
        for number in range(1, 11):
            result = guest(program(name), "4", "20000", options=["--cpus", "4"])
            expect(f"{name}, run {number}", result, 0, wanted, b"")


def reclaim():
    """50 GiB touched and released: at most 12 kB of tables more."""
    result = guest(program("reclaim"), "50")
    check("50 GiB leave no tables behind", result.status == 0 and "after single pages" in clip(result.out), str(result))
    print(clip(result.out))


def hammer():
    result = guest(program("hammer"), "4", "60", options=["--cpus", "4"])
    expect("four CPUs, one address space, a minute", result, 0, b"hammer: 4 threads, 0 bad\n")


{f.__name__: f for f in (pipeline, allocators, reclaim, hammer)}[sys.argv[3]]()
finish()
