# SPDX-License-Identifier: MIT
"""The command around a program that runs: input, output, statuses, signals, time limits, files, environment, report."""
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

from harness import ACCEL, COMMAND, check, clip, command, expect, finish, folder, guest, program, same, vmtree

BUSYBOX = shutil.which("busybox")


def shell(script, **more):
    return guest(BUSYBOX, "sh", "-c", script, **more)


def statuses():
    for status in (0, 1, 42, 124, 127, 255):
        expect(f"status {status}", shell(f"exit {status}"), status, b"", b"")
    for name, number in (("SEGV", 11), ("KILL", 9), ("TERM", 15), ("ABRT", 6)):
        expect(f"killed by SIG{name}", shell(f"kill -{name} $$"), 128 + number, b"", f"killed by signal {number} (SIG{name})")
    expect("a program that is stopped", guest(BUSYBOX, "sleep", "1000", options=["--timeout", "2"]), 124, b"", "stopped after 2 seconds")
    loop = shell("echo before; while :; do :; done", options=["--timeout", "3"])
    expect("a program that never ends", loop, 124, b"before\n", "stopped after 3 seconds")


def streams():
    both = shell("echo out; echo err >&2; echo out2")
    expect("output and error are apart", both, 0, b"out\nout2\n", b"err\n")
    script = "i=0; while [ $i -lt 50 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
    merged = command("sh", "-c", f"'{COMMAND}' run -q --accel {ACCEL} -- {BUSYBOX} sh -c '{script}' 2>&1")
    wanted = "".join(f"out {i}\nerr {i}\n" for i in range(50)).encode()
    expect("in one place they keep their order", merged, 0, wanted)
    data = random.Random(1).randbytes(100000)
    expect("all bytes go in and out", guest(BUSYBOX, "cat", stdin=data), 0, data, b"")
    expect("input in lines", shell("while read a b; do echo \"$b $a\"; done", stdin=b"1 2\n3 4\n"), 0, b"2 1\n4 3\n")
    expect("no input", guest(BUSYBOX, "wc", "-c"), 0, b"0\n")
    expect("input that is not read", shell("exit 3", stdin=data), 3, b"", b"")
    closed = command("sh", "-c", f"'{COMMAND}' run -q --accel {ACCEL} -- {BUSYBOX} cat <&- 2>&1")
    expect("input closed", closed, 0, b"")
    pipe = command("bash", "-c", f"'{COMMAND}' run -q --accel {ACCEL} -- {BUSYBOX} yes | head -n 1; echo ${{PIPESTATUS[0]}}")
    expect("nobody reads the output", pipe, 0, b"y\n141\n", b"")
    full = command("sh", "-c", f"'{COMMAND}' run -q --accel {ACCEL} -- {BUSYBOX} echo hello > /dev/full")
    expect("the output cannot be written", full, 125, b"", "No space left")


def surroundings(where):
    expect("arguments", guest(BUSYBOX, "printf", "[%s]", "a b", "", "ä", "*"), 0, "[a b][][ä][*]".encode())
    result = guest(BUSYBOX, "env", options=["--env", "A=1", "--env", "HOME=/x", "--env", "B=x y=z"])
    lines = set(clip(result.out).splitlines())
    check("environment", {"A=1", "HOME=/x", "B=x y=z", "USER=root"} <= lines and "HOME=/root" not in lines, str(result))
    expect("working directory", guest(BUSYBOX, "pwd", options=["--cwd", "/tmp"]), 0, b"/tmp\n")
    expect("a working directory that is made", guest(BUSYBOX, "pwd", options=["--cwd", "/new/one"]), 0, b"/new/one\n")
    result = guest(BUSYBOX, "pwd", options=["--cwd", "/etc/passwd"])
    expect("a working directory that is a file", result, 125, b"", "is not a folder in the machine")
    os.makedirs(where + "/tree/sub")
    for name, text in (("one", "1\n"), ("sub/two", "22\n"), ("sub/.three", "333\n")):
        with open(f"{where}/tree/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    os.symlink("sub/two", where + "/tree/link")
    files = ["--file", where + "/tree:/data", "--file", f"{where}/tree/one:/etc/deep/er/file"]
    script = "cd /data; find . | sort; cat one link sub/.three /etc/deep/er/file; readlink link"
    wanted = b".\n./link\n./one\n./sub\n./sub/.three\n./sub/two\n1\n22\n333\n1\nsub/two\n"
    expect("files and folders", shell(script, options=files), 0, wanted, b"")
    expect("same path as on the host", guest(BUSYBOX, "cat", where + "/tree/one", options=["--file", where + "/tree/one"]), 0, b"1\n")
    expect("the minimal tree", shell("ls -d /tmp /dev /proc /root /etc/passwd /dev/null; ls -a / | grep vmtree"), 1, b"/dev\n/dev/null\n/etc/passwd\n/proc\n/root\n/tmp\n")
    expect("applets by their paths", shell("/usr/bin/env true && which sort gzip"), 0, b"/usr/bin/sort\n/bin/gzip\n")
    here = os.getcwd()
    os.chdir(where)
    shutil.copy(program("eat"), "eat")
    expect("a relative path", guest("./eat", "map", "1"), 0, b"granted\n")
    os.chdir(here)


def memory():
    expect("a request that is too large", guest(program("eat"), "map", "100000000"), 1, b"Cannot allocate memory\n")
    result = guest(program("eat"), "touch", "400", options=["--memory", "128M"])
    told = result.status == 1 and b"Cannot allocate" in result.out
    killed = result.status == 137 and "memory ran out" in clip(result.err)
    check("memory exhausted", told or killed, str(result))
    script = f"{program('eat')} touch 400 >/dev/null 2>&1; echo ended; echo still here | md5sum"
    result = shell(script, options=["--memory", "128M", "--file", program("eat")])
    good = result.status == 0 and result.out.startswith(b"ended\n") and len(result.out) > 30
    check("memory exhausted: the others go on", good, str(result))


def alive():
    """Machines that this process started, through the command."""
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                line = file.read()
        except OSError:  # it has just ended
            continue
        name = line[line.index("(") + 1 : line.rindex(")")]
        parents[int(pid)] = (int(line[line.rindex(")") + 2 :].split()[1]), name)
    found = []
    for pid, (_, name) in parents.items():
        at = pid
        while at in parents and at != os.getpid():
            at = parents[at][0]
        if at == os.getpid() and name.startswith("qemu-system"):
            found.append(pid)
    return found


def stopped_by(number, wanted):
    words = [COMMAND, "run", "-q", "--accel", ACCEL, "--", BUSYBOX, "sh", "-c", "echo up; sleep 1000"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        process.stdout.readline()
        machines = alive()
        process.send_signal(number)
        _, err = process.communicate()
    for _ in range(100):  # an orphan is no child of ours any more: look for the processes themselves
        gone = not any(os.path.exists(f"/proc/{pid}") for pid in machines)
        if gone:
            break
        time.sleep(0.1)
    name = f"stopped by {signal.Signals(number).name}"
    check(name, process.returncode == wanted and machines and gone and not err, f"{process.returncode} {machines} {err}")


def report(where):
    path = where + "/report.json"
    words = ["run", "--check", "--cpus", "2", "--accel", ACCEL, "--json", path, "--", BUSYBOX, "sh", "-c", "echo x | cat; exit 3"]
    result = vmtree(*words)
    text = clip(result.err, 100000)
    parts = ["Page faults", "first write: a fresh page", "page tables, peak", "Flushes", "frames not returned at exit"]
    check("the report", result.status == 3 and result.out == b"x\n" and all(p in text for p in parts), str(result))
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    check("the report as JSON", data["exit_status"] == 3 and data["ended"] == {"by": "exit", "status": 3}, str(data))
    check("its machine", data["machine"]["cpus"] == 2 and data["machine"]["accel"] in ("tcg", "kvm"), str(data))
    check("its program", data["program"][1:] == ["sh", "-c", "echo x | cat; exit 3"], str(data))
    root = os.path.join(os.path.dirname(__file__), "..", "..")
    with open(os.path.join(root, "docs", "report.md"), encoding="utf-8") as file:
        documented = set(re.findall(r"^\| `([a-z_0-9]+)` \|", file.read().split("## JSON")[0], re.M))
    check("every figure is documented", set(data["stats"]) <= documented, str(set(data["stats"]) - documented))
    check("every documented figure is there", documented <= set(data["stats"]), str(documented - set(data["stats"])))
    check("nothing was lost", data["stats"]["frames_lost"] == 0 and data["stats"]["kmem_lost_bytes"] == 0, str(data))
    check("only the report is left", os.listdir(where) == ["report.json"], str(os.listdir(where)))
    vmtree("run", "-q", "--accel", ACCEL, "--timeout", "1", "--json", where + "/none", "--", BUSYBOX, "sleep", "1000")
    check("no report of a run that was stopped", not os.path.exists(where + "/none"))


def counted(where):
    """With --icount the same input gives the same figures."""
    result = guest(BUSYBOX, "true", options=["--icount"], stdin=bytes((2 << 20) + 1))
    expect("--icount: too much input", result, 125, b"", "bring more with --file")
    reports = []
    for number in range(2):
        path = f"{where}/{number}"
        script = "seq 1 2000 | sort -rn | md5sum; date; md5sum"
        words = ["run", "-q", "--check", "--icount", "--cpus", "2", "--json", path, "--", BUSYBOX, "sh", "-c", script]
        result = vmtree(*words, stdin=b"some input\n" * 5000)
        with open(path, encoding="utf-8") as file:
            reports.append((result.out, file.read()))
    wanted = hashlib.md5(b"some input\n" * 5000).hexdigest()
    check("--icount: all of the input", wanted in clip(reports[0][0]), str(reports[0][0]))
    check("--icount: same output", reports[0][0] == reports[1][0], str(reports))
    check("--icount: same figures", reports[0][1] == reports[1][1], f"{reports[0][1]}\n{reports[1][1]}")
    spent = []
    for options in ([], ["--check"]):
        path = f"{where}/check{len(spent)}"
        vmtree("run", "-q", "--icount", "--cpus", "1", *options, "--json", path, "--", BUSYBOX, "sh", "-c", "true | true")
        with open(path, encoding="utf-8") as file:
            spent.append(json.load(file)["stats"]["wall_ns"])
    check("--check: takes its instructions", spent[1] > spent[0] * 1.05, str(spent))


statuses()
streams()
memory()
for the_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    stopped_by(the_signal, -the_signal)
for part in (surroundings, report, counted):
    with folder() as temporary:
        part(temporary)
same("the program's own name", program("musl"), "a", "b c")
finish()
