# SPDX-License-Identifier: MIT
"""A device behind an IOMMU (programs/dma.c), and the option that brings it. With `full` on many CPUs, where a transfer
takes as long as the host's clock says."""
import os
import re
import shutil
import sys

from harness import check, clip, finish, folder, guest, program, same

BUSYBOX = shutil.which("busybox")
QEMU = shutil.which("qemu-system-x86_64")


def dma(name, *words, options=(), cases=178, **more):
    """The program's own cases: none failed, and none is missing."""
    result = guest(program("dma"), *words, options=["--device", "edu", *options], **more)
    match = re.fullmatch(rb"(\d+) passed, 0 failed\n", result.out)
    check(name, result.status == 0 and match and int(match[1]) >= cases and not result.err, str(result))


def changed(where, *changes):
    """An environment whose QEMU gets other words than it was given."""
    lines = ["#!/usr/bin/env python3", "import os, sys", "words = sys.argv[1:]"]
    for old, new in changes:
        lines.append(f"words = [word.replace({old!r}, {new!r}) for word in words]")
    lines.append(f"os.execv({QEMU!r}, [{QEMU!r}] + words)")
    path = where + "/qemu-system-x86_64"
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.chmod(path, 0o755)
    return {"PATH": where + ":" + os.environ["PATH"]}


def option(where):
    device = ["--device", "edu"]
    result = guest(BUSYBOX, "test", "-e", "/dev/edu")
    check("without the option there is no device", result.status == 1, str(result))
    result = guest(BUSYBOX, "test", "-c", "/dev/edu", options=device * 2)
    check("with it there is one, also if it is told twice", result.status == 0, str(result))
    result = guest(program("dma"))
    check("the program says that there is none", result.status == 77, str(result))
    result = guest(BUSYBOX, "test", "-e", "/dev/edu", options=device, env=changed(where, ("intel-iommu", "pci-testdev"),
                   (",intremap=off,caching-mode=off,aw-bits=48", "")))
    check("without an IOMMU it is not used", result.status == 1 and b"no VT-d unit" in result.err, str(result))
    result = guest(BUSYBOX, "true", options=device, env=changed(where, ("edu,", "edux,")))
    good = result.status == 125 and result.err.count(b"\n") == 1 and "not a valid device model name" in clip(result.err)
    check("a QEMU without the device", good, str(result))
    same("the same program on the other board", program("mapping"), options=device + ["--cpus", "4"])


def transfers(where):
    dma("transfers", options=["--icount"])
    dma("transfers on four CPUs", options=["--icount", "--cpus", "4"])
    dma("an IOMMU in caching mode", options=["--icount"], env=changed(where, ("caching-mode=off", "caching-mode=on")))


if sys.argv[3:] == ["full"]:
    dma("changes while a transfer runs, on four CPUs at once", "races", options=["--cpus", "4"], cases=36)
    dma("other processes, on four CPUs at once", "shared", options=["--cpus", "4"], cases=38)
    result = guest(program("hammer-mirrored"), "4", "20", options=["--device", "edu", "--cpus", "4"])
    check("a device that follows the hammer", result.status == 0 and result.out == b"hammer: 4 threads, 0 bad\n", str(result))
else:
    with folder() as temporary:
        option(temporary)
    with folder() as temporary:
        transfers(temporary)
finish()
