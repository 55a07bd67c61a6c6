#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""freestanding.py NM OBJDUMP LIBRARY...: the undefined symbols of the library are those that the embedder provides, no others;
nothing but the public names of its format is defined; and it has no data that can be written.
"""
import re
import subprocess
import sys

ALLOWED = re.compile(r"^(memset|memcpy|memmove|memcmp|vmt_port_[a-z_]+)$")
# Every port function of vmtree/port.h, so that a new one is noticed.
PORT = {"frame_alloc", "frame_free", "frame_ptr", "frame_meta", "mem_alloc", "mem_free", "cpu", "preempt_off",
        "preempt_on", "relax", "flush", "publish", "read_enter", "read_exit", "defer", "log", "fatal"}


def symbols(nm, library):
    text = subprocess.run([nm, "-P", library], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and len(words[1]) == 1:
            yield words[0], words[1]


def sections(objdump, library):
    text = subprocess.run([objdump, "-h", library], check=True, capture_output=True, text=True).stdout
    for name, size in re.findall(r"^ *\d+ (\S+) +([0-9a-f]{8,}) ", text, re.M):
        yield name, int(size, 16)


def faults(nm, objdump, library):
    kind = re.search(r"libvmtree-(\w+)\.a$", library)
    ours = re.compile(rf"^vmt_{kind.group(1)}_[a-z_]+$" if kind else r"^vmt_(status_name|copy_done)$")
    defined = 0
    for name, letter in symbols(nm, library):
        if letter in "Uw" and not ALLOWED.match(name):
            yield f"{name} is undefined"
        if letter in "Uw" and name.startswith("vmt_port_") and name[len("vmt_port_"):] not in PORT:
            yield f"{name} is not in vmtree/port.h"
        if letter in "TDBRC" and not ours.match(name):
            yield f"{name} is defined and not public"
        defined += letter == "T"
    if not defined:
        yield "nothing is defined"
    for section, size in sections(objdump, library):
        if re.match(r"^\.(data|bss|tdata|tbss)", section) and not section.startswith(".data.rel.ro") and size:
            yield f"{section} has {size} bytes of data that can be written"


def main():
    passed = failed = 0
    for library in sys.argv[3:]:
        wrong = list(faults(sys.argv[1], sys.argv[2], library))
        for what in wrong:
            print(f"{library}: {what}")
        passed += not wrong
        failed += bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


sys.exit(main())
