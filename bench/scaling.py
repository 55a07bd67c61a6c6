#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an operation executes on several CPUs: `scaling.py BUILD [CYCLE...]`.

Runs `cycles` (bench/programs) on the reference kernel with 1, 2 and 4 workers on as many CPUs, each on memory of its
own, with the plugin of profile.py. What a run with more rounds executes more, on all CPUs together, is the operations'.
Told apart are, by function: waiting until other CPUs have flushed, asking them and serving what they ask, and all the
rest, which should be what one CPU executes: otherwise the exit status is 1.
"""
import bisect
import collections
import os
import subprocess
import sys
import tempfile

import profile

CYCLES = ("map-unmap", "map-fault-unmap", "fault-release", "protect-twice", "guard-install-remove")
CPUS = (1, 2, 4)
LESS, MORE = 200, 1200
LIMIT = 1.05  # of what one CPU executes

WAITING = {"wait_done", "halt_until_done", "ktime_ns"}  # the clock is read to know when to halt
# The way of an interrupt that asks for a flush, from sending to return. Some of these have other uses, which one CPU
# has too: only what several CPUs execute more in them is meant.
FLUSH = {"ipi_call", "ipi_serve", "ipi_call_interrupt", "apic_send", "apic_eoi", "flush_here", "invalidate",
         "vmt_port_flush", "trap_entry_common", "trap_dispatch", "trap_return", "grace_irq_enter"}

Count = collections.namedtuple("Count", "total waiting by_name")
Row = collections.namedtuple("Row", "how cycle cpus total waiting flush rest share")


class Names:
    """The function of each address; inside ipi_call, of which function that was inlined there an instruction is."""

    def __init__(self, kernel):
        self.kernel, (self.addresses, self.names) = kernel, profile.functions(kernel)
        self.inlined = {}

    def _innermost(self, address):
        if address not in self.inlined:
            done = subprocess.run(["addr2line", "-i", "-f", "-e", self.kernel, hex(address)], capture_output=True,
                                  text=True, check=True)
            found = WAITING.intersection(done.stdout.splitlines()[::2])
            self.inlined[address] = found.pop() if found else "ipi_call"
        return self.inlined[address]

    def of(self, address):
        """A name; programs have none."""
        name = self.names[bisect.bisect_right(self.addresses, address) - 1] if address else "(the program)"
        return self._innermost(address) if name == "ipi_call" else name


def count(build, where, names, how, cycle, cpus):
    """Instructions of one operation, by function."""
    program = build + "/bench/programs/cycles"
    few, many = (profile.run(build, where, cpus, program, str(cpus), how, cycle, str(rounds))[0]
                 for rounds in (LESS, MORE))
    by_name = collections.Counter()
    for address in few.keys() | many.keys():
        by_name[names.of(address)] += (many[address] - few[address]) / ((MORE - LESS) * cpus)
    return Count(sum(by_name.values()), sum(by_name[name] for name in WAITING), by_name)


def row(how, cycle, cpus, one, now):
    """What several CPUs executed, beside what one does."""
    flush = max(0, sum(now.by_name[name] - one.by_name[name] for name in FLUSH))
    rest = now.total - now.waiting - flush
    return Row(how, cycle, cpus, now.total, now.waiting, flush, rest, (now.total - now.waiting) / one.total)


def measure(build, cycles=CYCLES):
    """Rows, one for each kind of worker, cycle and number of CPUs, as they come."""
    names = Names(build + "/kernel/vmtree-kernel.elf")
    with tempfile.TemporaryDirectory() as where:
        profile.wrap_qemu(build, where)
        for how in ("threads", "processes"):
            for cycle in cycles:
                counts = {cpus: count(build, where, names, how, cycle, cpus) for cpus in CPUS}
                for cpus in CPUS:
                    yield row(how, cycle, cpus, counts[1], counts[cpus])


def main(build, *cycles):
    """Exit status."""
    bad, one = 0, 0
    print(f"{'operation':34} CPUs     total   waiting     flush      rest  its share  without waiting")
    for r in measure(os.path.abspath(build), cycles or CYCLES):
        one = r.total if r.cpus == 1 else one
        print(f"{r.how + '/' + r.cycle:34} {r.cpus:4} {r.total:9.0f} {r.waiting:9.0f} {r.flush:9.0f} {r.rest:9.0f}"
              f"      {r.rest / one:.3f}            {r.share:.3f}", flush=True)
        bad += r.rest > LIMIT * one
    return bad > 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(CYCLES):
        sys.exit(f"usage: scaling.py BUILD [CYCLE...]; CYCLE is one of {' '.join(CYCLES)}")
    try:
        sys.exit(main(*sys.argv[1:]))
    except profile.NotCounted as error:
        sys.exit(f"scaling: {error}")
