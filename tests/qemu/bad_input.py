# SPDX-License-Identifier: MIT
"""Everything that the command must refuse: each time one clear line, a defined status, and no report."""
import os
import shutil

from harness import COMMAND, check, clip, command, finish, folder, program, vmtree

BUSYBOX = shutil.which("busybox")


def refused(name, result, status, words):
    """One line that says why, nothing on standard output."""
    err = clip(result.err)
    good = result.status == status and words in err and not result.out
    good = good and err.startswith("vmtree: ") and err.count("\n") == 1 and err.endswith("\n")
    check(name, good, f"wanted status {status} and one line with {words!r}; got {result}")


def options():
    for words, status, part in [
        ([], 125, "vmtree run [options] -- PROGRAM"),
        (["walk"], 125, "not a command"),
        (["run"], 125, "no program given"),
        (["run", "--"], 125, "no program given"),
        (["run", "--sideways", "--", "x"], 125, "--sideways: not an option"),
        (["run", "-x", "--", "x"], 125, "-x: not an option"),
        (["run", "--cpus"], 125, "--cpus: wants a value"),
        (["run", "--icount", "--accel", "kvm", "x"], 125, "cannot go with --accel kvm"),
    ]:
        refused("options: " + " ".join(words), vmtree(*words), status, part)
    for option, values in {
        "--cpus": ["0", "9", "-1", "two", "", "2x", "99999999999999999999"],
        "--memory": ["0", "1M", "63M", "17G", "-1G", "much", "", "1T", "1Gx", "65537K", "99999999999999999999G"],
        "--timeout": ["0", "-1", "soon", "", "nan", "inf", "1e300"],
        "--accel": ["hax", ""],
        "--device": ["", "vga", "edu2", "edu,dma_mask=1", "EDU"],
        "--env": ["NAME", "=VALUE", ""],
        "--cwd": ["tmp", ""],
    }.items():
        for value in values:
            result = vmtree("run", option, value, "--", BUSYBOX, "true")
            refused(f"{option} '{value}'", result, 125, f"{option} {value}: must be")


def write(path, data, mode=0o755):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    return path


def patched(path, source, changes):
    """A copy of an ELF file with bytes changed."""
    data = bytearray(open(source, "rb").read())
    for offset, value in changes.items():
        data[offset : offset + len(value)] = value
    return write(path, bytes(data))


def programs(where):
    good = program("eat")
    data = open(good, "rb").read()
    cases = [
        ("not in PATH", "no-such-program-anywhere", 127, "not found in PATH"),
        ("not there", where + "/absent", 127, "not found"),
        ("below a file", good + "/x", 127, "not found"),
        ("an empty name", "", 127, "empty"),
        ("a folder", where, 126, "is a directory"),
        ("a device", "/dev/null", 126, "is not a regular file"),
        ("not executable", write(where + "/plain", data, 0o644), 126, "no x permission"),
        ("an empty file", write(where + "/empty", b""), 126, "is not an ELF program"),
        ("text", write(where + "/text", b"hello\n" * 99), 126, "is not an ELF program"),
        ("a script", write(where + "/script", b"#!/bin/sh\necho hello\n"), 126, "is a script"),
        ("cut in the header", write(where + "/cut1", data[:40]), 126, "is cut short"),
        ("cut in the data", write(where + "/cut2", data[:9000]), 126, "is cut short"),
        ("Arm", patched(where + "/arm", good, {18: b"\xb7\0"}), 126, "AArch64; only x86-64"),
        ("RISC-V", patched(where + "/riscv", good, {18: b"\xf3\0"}), 126, "RISC-V; only x86-64"),
        ("32-bit", patched(where + "/i386", good, {4: b"\1", 18: b"\3\0"}), 126, "32-bit x86; only"),
        ("x32", patched(where + "/x32", good, {4: b"\1"}), 126, "x32 program"),
        ("big-endian", patched(where + "/big", good, {5: b"\2"}), 126, "big-endian"),
        ("unknown machine", patched(where + "/odd", good, {18: b"\xfe\xca"}), 126, "ELF machine 51966"),
        ("an object", patched(where + "/object", good, {16: b"\1\0"}), 126, "not a program"),
        ("no program headers", patched(where + "/none", good, {56: b"\0\0"}), 126, "program headers"),
        ("dynamic", "/bin/ls", 126, "linked dynamically, which is not supported yet: link it with -static"),
    ]
    for name, path, status, part in cases:
        refused("program: " + name, vmtree("run", "--", path), status, part)


def files(where):
    plain = write(where + "/data", b"x" * 100)
    os.mkfifo(where + "/fifo")
    os.mkdir(where + "/folder")
    os.mkfifo(where + "/folder/fifo")
    large = where + "/large"
    with open(large, "wb") as file:
        file.truncate(60 << 20)
    for name, words, part in [
        ("a file that is not there", ["--file", where + "/absent"], "No such file"),
        ("no name", ["--file", ":/x"], "names no file"),
        ("a named pipe", ["--file", where + "/fifo"], "cannot be brought along"),
        ("a named pipe in a folder", ["--file", where + "/folder"], "cannot be brought along"),
        ("two for one place", ["--file", plain + ":/x", "--file", plain + ":/x"], "already a /x"),
        ("in place of a folder", ["--file", plain + ":/tmp"], "already a /tmp"),
        ("in place of the root", ["--file", plain + ":/"], "already a /"),
        ("the kernel's own folder", ["--file", plain + ":/.vmtree/args"], "belongs to the kernel"),
        ("more than fits", ["--memory", "64M", "--file", large], "--memory must be more"),
        ("a report in no folder", ["--json", where + "/no/report"], "No such file"),
        ("a report in place of a folder", ["--json", where], "Is a directory"),
    ]:
        refused("files: " + name, vmtree("run", *words, "--", BUSYBOX, "true"), 125, part)


def surroundings(where):
    """No QEMU, no kernel, no usable kernel: the report's file is not made either."""
    report = where + "/report.json"
    run = ["run", "--accel", "tcg", "--timeout", "20", "--json", report, "--", BUSYBOX, "true"]
    nowhere = where + "/nowhere"
    refused("no QEMU", command(COMMAND, *run, env={"PATH": nowhere}), 125, "was not found in PATH")
    result = vmtree(*run, env={"VMTREE_KERNEL": nowhere})
    refused("no kernel", result, 125, "the reference kernel cannot be read")
    text = write(where + "/kernel", b"no kernel\n" * 1000)
    result = vmtree(*run, env={"VMTREE_KERNEL": text})
    refused("a kernel that is none", result, 125, "the reference kernel did not start")
    os.mkdir(where + "/bin")
    write(where + "/bin/qemu-system-x86_64", b"#!/bin/sh\necho 'qemu: no such thing' >&2\nexit 1\n")
    result = vmtree(*run, env={"PATH": where + "/bin:" + os.environ["PATH"]})
    refused("a QEMU that fails", result, 125, "QEMU says: no such thing")
    check("no report was left", not os.path.exists(report))


def help_texts():
    for words, part in [(["--help"], "usage: vmtree run"), (["run", "-h"], "--icount"),
                        (["compare", "-h"], "--repeat N"), (["--version"], "vmtree ")]:
        result = vmtree(*words)
        check(" ".join(words), result.status == 0 and part in clip(result.out) and not result.err, str(result))
    result = command("sh", "-c", f"'{COMMAND}' --help > /dev/full")
    check("help that cannot be written", result.status == 125, str(result))


options()
with folder() as temporary:
    programs(temporary)
with folder() as temporary:
    files(temporary)
with folder() as temporary:
    surroundings(temporary)
help_texts()
finish()
