# SPDX-License-Identifier: MIT
"""What `make bench` runs beside Linux: for each run its name, the machine, and the program with its arguments."""
import collections

# `times`: how often, on a machine that boots anew; what is kept are medians.
Run = collections.namedtuple("Run", "name subject cpus memory times words")


def _run(name, *words, cpus=1, memory="1G", times=1, folder="bench/programs"):
    """A run; its name begins with the subject."""
    return Run(name, name.split("-")[0], cpus, memory, times, (f"{folder}/{words[0]}",) + words[1:])


RUNS = [
    # Where Linux places memory differs from boot to boot, and what some operations cost depends on it.
    _run("figures", "figures", times=5, folder="programs"),
    *(_run(f"five-threads-{n}", "five", str(n), "threads", cpus=n) for n in (1, 2, 4)),
    *(_run(f"five-processes-{n}", "five", str(n), "processes", cpus=n) for n in (1, 2, 4)),
    *(_run(f"sharing-{n}", "sharing", str(n), cpus=n) for n in (1, 2, 4)),
    _run("forks", "forks", "1024", memory="3G"),
    _run("stacks", "stacks"),
    _run("churn-glibc", "churn", "4", "10000", folder="programs"),
    _run("churn-jemalloc", "churn-jemalloc", "4", "10000", folder="programs"),
    _run("churn-tcmalloc", "churn-tcmalloc", "4", "10000", folder="programs"),
    _run("churn-musl", "churn-musl", "4", "10000"),
    _run("released", "released", "50"),
    _run("guarded", "guarded", "1000000"),
    _run("ranges", "ranges"),
    _run("sparse", "sparse"),
    _run("follow", "follow", "500000"),
]
SUBJECTS = list(dict.fromkeys(run.subject for run in RUNS))
