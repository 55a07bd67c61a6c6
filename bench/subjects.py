# SPDX-License-Identifier: MIT
"""What `make bench` runs beside Linux: for each run its name, the machine, and the program with its arguments."""
import collections

# `times`: how often, on a machine that boots anew; what is kept are medians. `linux_args`: added to the command line of
# Linux.
Run = collections.namedtuple("Run", "name subject cpus memory times words linux_args", defaults=("",))

# What Debian's kernel does in these paths, the reference kernel does not, and a command line can switch off: clearing
# all memory when it is allocated (a page that is then copied over, too), an offset of the stack for each call,
# accounting to groups, security modules, audit.
BARE = "init_on_alloc=0 randomize_kstack_offset=off cgroup_disable=memory lsm= audit=0"


def _run(name, *words, cpus=1, memory="1G", times=1, folder="bench/programs", linux_args=""):
    """A run; its name begins with the subject."""
    return Run(name, name.split("-")[0], cpus, memory, times, (f"{folder}/{words[0]}",) + words[1:], linux_args)


RUNS = [
    # When Linux's timers tick differs from time to time, and with it what the rows of few instructions in all show.
    _run("figures", "figures", times=3, folder="programs"),
    _run("figures-bare", "figures", folder="programs", linux_args=BARE),
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
