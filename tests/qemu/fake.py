# SPDX-License-Identifier: MIT
"""The command with a kernel that stops, lies or says nothing: fake.py COMMAND PROGRAMS FAKE_KERNEL"""
import os
import random
import sys

from harness import check, clip, expect, finish, folder, program, vmtree

os.environ["VMTREE_KERNEL"] = os.path.abspath(sys.argv[3])


def fake(order, *options, **more):
    return vmtree("run", "-q", "--accel", "tcg", "--timeout", "30", *options, "--", program("eat"), order, **more)


def line(name, order, status, part, *options):
    """One line that says it, the status, and no report file."""
    with folder() as where:
        result = fake(order, "--json", where + "/report", *options)
        err = clip(result.err)
        good = result.status == status and part in err and err.count("\n") == 1 and err.startswith("vmtree: ")
        check(name, good and not os.listdir(where), f"wanted {status} and {part!r}; got {result}")


def reported(name, order, status, part):
    """The same, where the account is complete and so there is a report."""
    with folder() as where:
        result = fake(order, "--json", where + "/report")
        err = clip(result.err)
        good = result.status == status and part in err and os.listdir(where) == ["report"]
        check(name, good, f"wanted {status} and {part!r}; got {result}")


expect("a good end", fake("exit"), 5, b"", b"")
expect("input is not lost and not changed", fake("echo", stdin=b"one\ntwo"), 0, b"one\ntwo", b"")
expect("no input", fake("echo"), 0, b"", b"")
data = random.Random(5).randbytes(20000)
expect("any bytes", fake("echo", stdin=data), 0, data, b"")
expect("much output", fake("flood"), 0, b"0123456789abcde\n" * 187500, b"")
expect("a machine that stays after the end", fake("stays"), 0, b"", b"")
line("the kernel stops", "panic", 125, "the reference kernel stopped: it went wrong")
line("it says nothing", "silent", 125, "the reference kernel did not start")
line("it hangs", "hang", 124, "stopped after 2.5 seconds", "--timeout", "2.5")
line("it faults three times", "triple-fault", 125, "ended before its report was complete")
line("it does not say how the program ended", "no-end", 125, "did not say how the program ended")
line("it says it twice", "two-ends", 125, "not in its protocol")
line("it says what is no record", "garbage", 125, 'not in its protocol: "what is this"')
line("a status that is none", "bad-number", 125, 'not in its protocol: "exit 256"')
line("a figure with a bad name", "bad-stat", 125, "not in its protocol")
line("a figure twice", "twice", 125, "not in its protocol")
line("a figure below zero", "negative", 125, "not in its protocol")
line("the program is not there", "no-program", 127, "could not be started: not there")
line("the program is no program", "no-exec", 126, "could not be started: bad format")
reported("a signal", "signal", 139, "killed by signal 11 (SIGSEGV)")
reported("memory ran out", "killed", 0, "process 7 (some program) was killed")
reported("frames were lost", "lost", 125, "MEMORY WAS LOST: frames_lost is 3")
reported("frames were lost, and the program failed", "lost-failed", 9, "MEMORY WAS LOST: frames_lost is 3")
reported("bytes were lost", "bytes-lost", 125, "MEMORY WAS LOST: kmem_lost_bytes is 8")
reported("no account of lost memory", "no-account", 125, "lacks frames_lost")
finish()
