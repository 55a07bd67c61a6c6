# SPDX-License-Identifier: MIT
"""`vmtree compare` with Debian's stable kernel, which apt fetches (44 MB once, kept in the user's cache folder). Without
a network and without a kept kernel there is nothing to compare with: skipped, and said. compare.py COMMAND PROGRAMS"""
import json
import shutil

from harness import check, clip, finish, folder, program, skip, vmtree

BUSYBOX = shutil.which("busybox")


def compare(*words, options=(), stdin=b""):
    # One CPU and a counted clock: what is fetched decides the figures, and nothing else.
    limits = ["--timeout", "900", "--boot-timeout", "900"]
    return vmtree("compare", "--icount", "--cpus", "1", *limits, *options, "--", *words, stdin=stdin)


def said(name, result, status, *parts, out=None):
    err = clip(result.err, 20000)
    good = result.status == status and all(part in err for part in parts) and (out is None or result.out == out)
    check(name, good, f"wanted status {status} and {parts!r}; got {result}")


def same(where):
    """A pipeline, files, input, both outputs, a status; and figures that a person can check."""
    script = "cat; ls -a / /tmp; cat /b; pwd; echo $X $HOME; echo err >&2; seq 3000 | sort -rn | md5sum; exit 7"
    brought = where + "/b"
    with open(brought, "w", encoding="ascii") as file:
        file.write("brought\n")
    report = where + "/report"
    result = compare(BUSYBOX, "sh", "-c", script, stdin=b"typed\n",
                     options=["--json", report, "--file", brought + ":/b", "--env", "X=5", "--cwd", "/tmp"])
    said("the same on both", result, 7, "same output                                     yes", "Linux 6.")
    good = result.out.startswith(b"typed\n/:\n") and b"brought\n/tmp\n5 /root\n" in result.out
    check("its output", good, str(result))
    figures = json.load(open(report, encoding="utf-8"))["figures"]
    for name, figure in figures.items():
        linux_tells = not name.startswith("id_arrays")
        good = figure["vmtree"] is not None and (figure["linux"] is not None) == linux_tells
        check("figure " + name, good, str(figure))
    ratio = figures["resident_last"]["vmtree"]["median"] / figures["resident_last"]["linux"]["median"]
    check("resident memory is of the same order", 0.2 < ratio < 5, str(figures["resident_last"]))
    ratio = figures["faults"]["vmtree"]["median"] / figures["faults"]["linux"]["median"]
    check("the same faults, nearly", 0.5 < ratio < 2, str(figures["faults"]))


def memory():
    """64 MiB that are touched are 16,384 pages and their tables on either side."""
    with folder() as where:
        report = where + "/report"
        words = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
        result = compare(BUSYBOX, *words, options=["--json", report, "-q"])
        check("dd", result.status == 0, str(result))
        figures = json.load(open(report, encoding="utf-8"))["figures"]
        for name, least, most in [("resident_peak", 64 << 20, 66 << 20), ("tables_peak", 32 * 4096, 64 * 4096)]:
            for side in ["vmtree", "linux"]:
                value = figures[name][side]["median"]
                check(f"{name} {side}", least <= value <= most, f"{value}, wanted {least} to {most}")


def different():
    result = compare(BUSYBOX, "uname", "-r")
    said("a program that says where it runs", result, 3, "standard output differs first in line 1, byte",
         "vmtree  6.1.0-vmtree", "Linux   6.", "same output                                      NO")


def lacking():
    # Linux has guard pages since 6.13.
    result = compare(program("guards"))
    said("Linux lacks something", result, 3, "Linux refused advice to madvise (EINVAL)")
    result = compare(BUSYBOX, "unshare", "-n", BUSYBOX, "true")
    said("vmtree lacks something", result, 3, "vmtree lacks (ENOSYS): unshare")


def killed():
    result = compare(BUSYBOX, "sh", "-c", "kill -SEGV $$")
    said("a signal", result, 139, "SIGSEGV              SIGSEGV", "same end                                        yes")


first = compare(BUSYBOX, "true")
if first.status == 125 and "could not be fetched" in clip(first.err):
    skip("compare with Linux", clip(first.err).strip())
else:
    said("busybox true", first, 0)
    with folder() as temporary:
        same(temporary)
    memory()
    different()
    lacking()
    killed()
finish()
