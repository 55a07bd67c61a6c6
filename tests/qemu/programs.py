# SPDX-License-Identifier: MIT
"""Programs whose output on the reference kernel must be the same as on the host's Linux."""
import os
import re
import shutil
import tempfile

from harness import check, finish, guest, host, program, same, skip

BUSYBOX = shutil.which("busybox")

# /proc/self/smaps at each stop of programs/huge.c.
HUGE_KB = [0, 16384, 16384, 16384, 0, 14336, 12288, 12288, 10240, 8192, 16384, 16384, 16384, 0, 0, 0, 8192, 0, 2048,
           2048, 4096, 6144, 6144, 6144, 8192, 10240, 8192]

SCRIPTS = {
    "sort, compress, sum": "seq 1 20000 | sort -rn | gzip -c | gunzip -c | md5sum",
    "loops and arithmetic": "i=0; s=0; while [ $i -lt 2000 ]; do s=$((s+i*i)); i=$((i+1)); done; echo $s",
    "here-documents and substitution": "x=$(cat <<E\na\nb\nE\n); echo \"$x\" | tr a-z A-Z | tac",
    "awk": "seq 1 3000 | awk '{s+=$1; a[$1%7]++} END {for (i=0;i<7;i++) print i, a[i]; print s}'",
    "background jobs": "for i in 1 2 3 4; do (sleep 0.$i; echo $i) & done; wait; echo done",
    "a pipe that breaks": "yes | head -n 3; echo ${?}",
    "files": "cd /tmp; d=$(mktemp -d); cd $d; mkdir a a/b; echo hi > a/b/c; cp -r a z; mv z/b z/y; ln -s y z/l; "
    "find . | sort; cat z/l/c; rm -r a; ls -R; tar c z | tar t | sort; cd /; rm -r $d; ls -d $d 2>&1 | wc -l",
    "find and xargs": "cd /tmp; d=$(mktemp -d); cd $d; for i in 1 2 3; do echo $i > f$i; done; "
    "find . -type f | sort | xargs cat; find . -name 'f*' -exec wc -c {} \\; | sort; rm -r $d",
    "traps": "trap 'echo caught' TERM; kill -TERM $$; trap 'echo leaving' EXIT; exit 7",
    "statuses": "false; echo $?; sh -c 'exit 9'; echo $?; sh -c 'kill -9 $$'; echo $?; nonexistent 2>/dev/null; echo $?",
    "read-only variables in a subshell": "( x=5; exit $x ); echo $?",
    "dd and od": "printf '%1000s' x | dd bs=100 count=7 2>/dev/null | od -A d -c | tail -n 2",
}


def shells():
    for name, script in SCRIPTS.items():
        same("sh: " + name, BUSYBOX, "sh", "-c", script)


def questions():
    """The programs that ask about memory, files, processes and signals."""
    for name in ("mapping", "moving", "advice", "forking", "forking-pie", "faults", "threads", "corners", "files", "pipes",
                 "signals", "futexes", "processes", "sequences"):
        same(name, program(name), options=["--cpus", "4"])
    if host(program("guards")).status == 77:
        skip("guards", "the host's kernel has no guard markers to compare with")
    else:
        same("guards", program("guards"))
    same("musl", program("musl"), "one", "", "three")


def huge_pages():
    if host(program("huge")).status == 77:
        skip("huge", "the host's kernel has no huge pages to compare with")
    else:
        same("huge", program("huge"), options=["--cpus", "2"])
    # What Linux says of itself, where it finds memory for all of them.
    result = guest(program("huge"), "count", options=["--cpus", "2"])
    sizes = [int(size) for size in re.findall(rb": (\d+) kB in huge pages", result.out)]
    check("huge pages in /proc/self/smaps", sizes == HUGE_KB and not result.status, f"{sizes}, {result}")


def databases():
    same("sqlite in memory", program("sqlite"), "20000")
    # The host's file must not be there twice, and the machine has a /tmp of its own.
    handle, path = tempfile.mkstemp(dir="/tmp")
    os.close(handle)
    os.unlink(path)
    same("sqlite in a file", program("sqlite"), "5000", path)
    os.unlink(path)


def threads():
    for name in ("churn", "churn-jemalloc", "churn-tcmalloc"):
        same(name, program(name), "4", "10000", options=["--cpus", "4"])
    same("storm", program("storm"), "4", "2000", options=["--cpus", "4"])
    same("hammer", program("hammer"), "4", "3", options=["--cpus", "4"], stderr=False)


shells()
questions()
huge_pages()
databases()
threads()
finish()
