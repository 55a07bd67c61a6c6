# SPDX-License-Identifier: MIT
"""What the tests of the command share: running it, running the same on the host, counting.

Every test program gets the path of the `vmtree` command and the folder of the example programs. The accelerator is
TCG unless VMTREE_TEST_ACCEL says otherwise, so that a run means the same on every machine.
"""
import os
import subprocess
import sys
import tempfile

COMMAND = os.path.abspath(sys.argv[1])
PROGRAMS = os.path.abspath(sys.argv[2])
ACCEL = os.environ.get("VMTREE_TEST_ACCEL", "tcg")
# Stops a machine that hangs; no test depends on how long anything takes.
LIMIT = "400"

passed = 0
failed = 0
skipped = 0


class Result:
    """What a command left: its status (128 + n for signal n, as in a shell) and its output."""

    def __init__(self, status, out, err):
        self.status = status if status >= 0 else 128 - status
        self.out = out
        self.err = err

    def __str__(self):
        return f"status {self.status}\n--- stdout\n{clip(self.out)}--- stderr\n{clip(self.err)}"


def clip(data, limit=4000):
    text = data.decode(errors="replace")
    return text if len(text) <= limit else text[: limit // 2] + "\n[...]\n" + text[-limit // 2 :]


def command(*words, stdin=b"", env=None, **more):
    """Runs a command to its end."""
    done = subprocess.run(
        [str(word) for word in words],
        input=stdin,
        capture_output=True,
        env=dict(os.environ, **(env or {})),
        check=False,
        **more,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def vmtree(*words, **more):
    return command(COMMAND, *words, **more)


def guest(*words, options=(), **more):
    """A program on the reference kernel, without the report."""
    return vmtree("run", "-q", "--check", "--accel", ACCEL, "--timeout", LIMIT, *options, "--", *words, **more)


def host(*words, **more):
    """The same on this machine's Linux, in the environment that a program on the reference kernel has."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return command("env", "-i", "PATH=" + path, "HOME=/root", "USER=root", *words, **more)


def program(name):
    return os.path.join(PROGRAMS, name)


def check(name, good, detail=""):
    """One case. `detail` is shown when it failed."""
    global passed, failed
    if good:
        passed += 1
        print(f"ok      {name}")
    else:
        failed += 1
        print(f"FAILED  {name}\n{detail}")
    sys.stdout.flush()
    return good


def skip(name, why):
    global skipped
    skipped += 1
    print(f"skipped {name}: {why}")


def expect(name, result, status=0, out=None, err=None):
    """The status, and what else is given: bytes that must be equal, or words that must be in it."""
    good = result.status == status
    if out is not None:
        good = good and (result.out == out if isinstance(out, bytes) else out in clip(result.out))
    if err is not None:
        good = good and (result.err == err if isinstance(err, bytes) else err in clip(result.err))
    return check(name, good, f"wanted status {status}, stdout {out!r}, stderr {err!r}; got {result}")


def same(name, *words, options=(), stdin=b"", stderr=True):
    """The same program on the host and on the reference kernel says the same and ends the same."""
    there = host(*words, stdin=stdin)
    here = guest(*words, options=options, stdin=stdin)
    good = (there.status, there.out) == (here.status, here.out)
    good = good and (not stderr or there.err == here.err)
    return check(name, good, f"on the host: {there}\non vmtree: {here}{difference(there.out, here.out)}")


def difference(there, here):
    """The first line that differs."""
    pairs = zip(there.split(b"\n") + [b"(end)"], here.split(b"\n") + [b"(end)"])
    for number, (a, b) in enumerate(pairs, 1):
        if a != b:
            return f"line {number}: host {a!r}, vmtree {b!r}\n"
    return ""


def folder():
    return tempfile.TemporaryDirectory(prefix="vmtree-test-")


def finish():
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    sys.exit(1 if failed else 0)
