#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the guest instructions of one operation go: `profile.py BUILD OPERATION [LESS MORE]`.

Runs `operation OPERATION LESS` and `... MORE` on the reference kernel, with the plugin in QEMU that counts each
instruction, and lists by function of the kernel what the second run has executed more, for one operation. What the
program's clock says, which counts instructions too, has to be the same; otherwise the exit status is 1. Counts of
operations whose memory is given back at the program's end contain that as well, and the clock's do not.
"""
import bisect
import collections
import os
import subprocess
import sys
import tempfile

TIMEOUT = "300"  # seconds of one machine


class NotCounted(Exception):
    """A run under the plugin that did not end well, or that the plugin said nothing of."""


def functions(kernel):
    """Addresses and names of the kernel's functions, ascending."""
    lines = subprocess.check_output(["nm", "-n", kernel], text=True).splitlines()
    found = [line.split() for line in lines if line.split()[1] in "tT"]
    return [int(address, 16) for address, _, _ in found], [name for _, _, name in found]


def run(build, where, cpus, *program):
    """Instructions by address, and what the program printed."""
    with tempfile.NamedTemporaryFile("r", dir=where, encoding="ascii") as file:
        env = dict(os.environ, PATH=where + ":" + os.environ["PATH"], VMTREE_PROFILE=file.name)
        words = [build + "/vmtree", "run", "-q", "--icount", "--timeout", TIMEOUT, "--cpus", str(cpus), "--", *program]
        done = subprocess.run(words, env=env, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise NotCounted(f"{' '.join(program)} with --cpus {cpus} ended with {done.returncode}")
        counts = collections.Counter()
        for line in file:
            address, number = line.split()
            counts[int(address, 16)] += int(number)
    if not counts:
        raise NotCounted(f"QEMU's plugin counted nothing of {' '.join(program)}")
    return counts, done.stdout


def wrap_qemu(build, where):
    """A `qemu-system-x86_64` that loads the plugin, in a folder that comes first in PATH."""
    qemu = subprocess.check_output(["sh", "-c", "command -v qemu-system-x86_64"], text=True).strip()
    path = os.path.join(where, "qemu-system-x86_64")
    with open(path, "w", encoding="ascii") as file:
        file.write(f'#!/bin/sh\nexec {qemu} "$@" -plugin {build}/bench/libprofile_plugin.so\n')
    os.chmod(path, 0o755)


def main(build, operation, less=100, more=900):
    build, less, more = os.path.abspath(build), int(less), int(more)
    addresses, names = functions(build + "/kernel/vmtree-kernel.elf")
    with tempfile.TemporaryDirectory() as where:
        wrap_qemu(build, where)
        program = build + "/programs/operation"
        (few, short), (many, long) = (run(build, where, 1, program, operation, str(count)) for count in (less, more))
    by_name = collections.Counter()
    for address in few.keys() | many.keys():
        name = names[bisect.bisect_right(addresses, address) - 1] if address else "(the program)"
        by_name[name] += many[address] - few[address]
    total, clock = (n / (more - less) for n in (sum(by_name.values()), int(long) - int(short)))
    print(f"{operation}: {total:.0f} instructions, {clock:.0f} by the program's clock")
    for name, count in by_name.most_common():
        if count >= more - less:
            print(f"{count / (more - less):10.1f} {name}")
    return 0 if clock * 0.99 <= total else 1


if __name__ == "__main__":
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except NotCounted as error:
        sys.exit(f"profile: {error}")
