# SPDX-License-Identifier: MIT
"""What the rows of `programs/figures` are held to, and what has to be known beside them."""
import collections

# `share`: of Linux's instructions, from the same run. `radixvm`: its instructions on the same emulator and clock (16
# CPUs configured), and how many of them clear the page; of its copy-on-write fault, which clears the new page and then
# copies, twice as many. `cleared`: how many pages the operation clears or copies here, each with one string instruction
# that the emulator counts by byte. `lacks`: what Linux does there and the reference kernel does not, but for what the
# system call alone shows.
Row = collections.namedtuple("Row", "name share radixvm cleared lacks")

PAGE = 4096  # counts of the string instruction for a page
GEOMETRIC_MEAN = 0.32
TABLES_LEFT = 12 << 10  # bytes
RADIXVM_MAP_UNMAP = 2366  # mmap of one page and munmap, untouched, which `programs/figures` does with four

ENTRY = "audit, seccomp, tracing, an offset of the stack: also in each row with a call below"
AREA = "security hooks, performance events, clearing what it allocates for an area"
PAGES = "accounting to groups, lists for reclaim (it swaps nothing), memory policies"
FORK = "security hooks, groups, namespaces and accounting of processes; for each page: " + PAGES

ROWS = [
    Row("getppid (system call alone)", None, (121, 0), 0, ENTRY),
    Row("mmap 4 pages + munmap, untouched", 0.30, (7545, 0), 0, AREA),
    Row("mmap 1 page + write fault + munmap", 0.40, (4266, 643), 1, AREA + "; " + PAGES),
    Row("write fault on anonymous memory", 0.70, (1716, 643), 1, PAGES),
    Row("read fault on anonymous memory", 0.60, None, 0, "accounting to groups, memory policies"),
    Row("madvise(MADV_DONTNEED), per page of 2,000", 0.40, None, 0, PAGES),
    Row("madvise(MADV_DONTNEED), one page a call", 0.40, None, 0, PAGES),
    Row("munmap, per page of 2,000", 0.40, None, 0, PAGES),
    Row("munmap of one faulted page out of 2,000", 0.17, (1414, 0), 0, AREA + "; " + PAGES),
    Row("mprotect of one page inside an area", 0.25, None, 0, AREA),
    Row("mprotect, per page of 2,000", 0.30, None, 0, ""),
    Row("guard install on an untouched page", 0.40, None, 0, ""),
    Row("fork + exit + wait, 64 MiB resident", 0.25, None, 0, FORK),
    Row("copy-on-write fault (copy included)", 0.75, (3209, 1286), 1,
        "clearing the new page before it is copied over (4,096); " + PAGES),
    Row("mprotect of half of an untouched TiB", 0.30, None, 0, AREA),
]
