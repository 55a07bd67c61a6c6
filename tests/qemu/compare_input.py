# SPDX-License-Identifier: MIT
"""`vmtree compare` where something is wrong, and its judgement, without a network and without Linux: a kernel that runs
nothing takes Linux's place. compare_input.py COMMAND PROGRAMS FAKE_KERNEL"""
import json
import os
import shutil
import subprocess
import sys

from harness import check, clip, folder, finish, program, vmtree

FAKE = os.path.abspath(sys.argv[3])
BUSYBOX = shutil.which("busybox")
PACKAGE = "linux-image-cloud-amd64"


def compare(*words, **more):
    return vmtree("compare", "--accel", "tcg", "--timeout", "60", *words, **more)


def fakes(order, *options, **more):
    """Both sides are the kernel that runs nothing."""
    return compare("--linux", FAKE, *options, "--", program("eat"), order, env={"VMTREE_KERNEL": FAKE}, **more)


def said(name, result, status, *parts, out=b""):
    err = clip(result.err)
    good = result.status == status and all(part in err for part in parts) and (out is None or result.out == out)
    check(name, good, f"wanted status {status} and {parts!r}; got {result}")


def refused(name, result, status, part):
    """One line that says why, nothing on standard output."""
    err = clip(result.err)
    good = result.status == status and part in err and not result.out
    good = good and err.startswith("vmtree: ") and err.count("\n") == 1
    check(name, good, f"wanted {status} and {part!r}; got {result}")


def options():
    for option, values in {
        "--repeat": ["0", "-1", "some", "", "1001"],
        "--boot-timeout": ["0", "-1", "soon", "nan", "inf"],
    }.items():
        for value in values:
            result = compare(option, value, "--", BUSYBOX, "true")
            refused(f"{option} '{value}'", result, 125, f"{option} {value}: must be")
    refused("--linux ''", compare("--linux", "", "--", BUSYBOX), 125, "must be stable, newest or")
    refused("--linux-output ''", compare("--linux-output", "", "--", BUSYBOX), 125, "names no file")
    refused("no device there", compare("--device", "edu", "--", BUSYBOX), 125, "--device: not an option")
    refused("not of run", vmtree("run", "--repeat", "2", "--", BUSYBOX), 125, "--repeat: not an option")
    refused("no program", compare(), 125, "no program given; wants: vmtree compare")
    refused("not found", compare("--linux", FAKE, "--", "/no/such"), 127, "not found")
    refused("no program of ours", compare("--linux", FAKE, "--", "/bin/ls"), 126, "linked dynamically")
    result = vmtree("compare", "--help")
    good = result.status == 0 and "--linux stable|newest|FILE" in clip(result.out)
    check("help", good and not result.err, str(result))


def images(where):
    """What --linux is given and cannot be."""
    text = os.path.join(where, "text")
    with open(text, "w", encoding="ascii") as file:
        file.write("no kernel\n" * 100)
    empty = os.path.join(where, "empty")
    open(empty, "w", encoding="ascii").close()
    # The head of a kernel's image, and nothing that could run behind it.
    hollow = os.path.join(where, "hollow")
    with open(hollow, "wb") as file:
        head = bytearray(1 << 16)
        head[0x1F1], head[0x1FE:0x200], head[0x202:0x206] = 4, b"\x55\xaa", b"HdrS"
        file.write(head)
    for name, path, part in [
        ("absent", where + "/absent", "No such file"),
        ("a folder", where, "is not a file"),
        ("a device", "/dev/null", "is not a file"),
        ("text", text, "is not a Linux kernel's image"),
        ("empty", empty, "is not a Linux kernel's image"),
    ]:
        refused("image: " + name, compare("--linux", path, "--", BUSYBOX, "true"), 125, part)
    result = compare("--linux", hollow, "--boot-timeout", "5", "--", BUSYBOX, "true")
    err = clip(result.err)
    good = "Linux did not boot in time" in err or "Linux did not start" in err
    check("image: hollow", result.status == 125 and good and not result.out, str(result))


def endings():
    said("the same on both", fakes("exit"), 5, "same output                                     yes", "  fake: fake-kernel\n")
    said("a signal on both", fakes("signal"), 139, "SIGSEGV", "same end")
    said("both lack a system call", fakes("lacks"), 1, "vmtree lacks (ENOSYS): futex_waitv (3)",
         "Linux lacks (ENOSYS): futex_waitv (3)")
    said("advice is refused", fakes("refuses"), 1, "Linux refused advice to madvise (EINVAL): 2 times", "killed 1 processes")
    said("quiet", fakes("exit", "-q"), 5)
    check("quiet says nothing", fakes("exit", "-q").err == b"")
    said("memory was lost", fakes("lost"), 125, "MEMORY WAS LOST: frames_lost is 3")
    said("both stop", fakes("panic"), 125, "the reference kernel stopped: it went wrong")
    said("repeated", fakes("exit", "--repeat", "3"), 5, "median of 3")
    # busybox knows no such applet and says so; the other kernel does what the word is for it.
    real = lambda order, *more: compare("--linux", FAKE, *more, "--", BUSYBOX, order)
    said("outputs differ", real("flood"), 3, "standard output differs first in line 1, byte 1", "vmtree  (ends there)",
         "Linux   0123456789abcde", "same output                                      NO", "same end                                         NO")
    said("Linux stops", real("panic"), 125, "Linux stopped: it went wrong")
    said("Linux hangs", real("hang", "--timeout", "20"), 124, "stopped after 20 seconds on Linux (--timeout)")
    result = real("oops")
    said("Linux stops with an oops", result, 125, "Linux did not start", "console: Kernel panic - not syncing")
    check("it was booted four times", clip(result.err).count("is booted again") == 3, str(result))
    # Timed, and watched; busybox's own words are on standard error.
    result = real("oops-twice")
    said("an oops that goes away", result, 3, "same end                                        yes")
    check("it was booted three times, twice", clip(result.err).count("is booted again") == 4, str(result))
    check("quiet about it", b"booted again" not in real("oops-twice", "-q").err)
    said("Linux says nothing", real("silent"), 125, "Linux did not start")
    said("Linux ends early", real("triple-fault-not"), 125, "the machine ended before its report on Linux was complete")
    said("it cannot run on Linux", real("no-exec"), 126, "could not be started on Linux: bad format")
    said("Linux does not boot", real("stuck", "--boot-timeout", "4"), 125, "Linux did not boot in time\n",
         "vmtree: console: one line\n", "vmtree: console: and the last one\n")


def reports(where):
    file, out = where + "/report", where + "/out"
    result = fakes("exit", "--json", file, "--linux-output", out, "--repeat", "2")
    data = json.load(open(file, encoding="utf-8"))
    good = data["same_output"] and data["same_end"] and data["exit_status"] == 5 and len(data["linux_runs"]) == 2
    good = good and data["linux"]["version"] == "fake" and data["linux_watched"]["ended"] == {"by": "exit", "status": 5}
    check("JSON", good and data["figures"]["time"]["vmtree"] is None, f"{data} {result}")
    check("Linux's output", os.path.getsize(out) == 0)
    result = compare("--linux", FAKE, "--linux-output", out, "-q", "--", BUSYBOX, "flood")
    check("Linux's own output", result.status == 3 and os.path.getsize(out) == 3000000, str(result))
    refused("no place for it", compare("--linux-output", where + "/no/out", "--", BUSYBOX), 125, "--linux-output")
    result = vmtree("compare", "--linux", FAKE, "--accel", "tcg", "-q", "--", program("eat"), "flood",
                    env={"VMTREE_KERNEL": FAKE})
    check("the output comes once", result.status == 0 and result.out == b"0123456789abcde\n" * 187500, str(result)[:300])


# ---- Packages ----


def make_package(repository, suite, name, depends, files):
    """A Debian package with these files; returns its paragraph of the index."""
    build = os.path.join(repository, "build")
    shutil.rmtree(build, ignore_errors=True)
    os.makedirs(build + "/DEBIAN")
    control = f"Package: {name}\nVersion: 9.9-1\nArchitecture: amd64\nMaintainer: nobody <nobody@localhost>\n"
    control += f"Depends: {depends}\n" if depends else ""
    control += "Description: for a test\n"
    with open(build + "/DEBIAN/control", "w", encoding="ascii") as file:
        file.write(control)
    for path, source in files.items():
        os.makedirs(os.path.dirname(build + path))
        shutil.copy(source, build + path)
    archive = f"pool/{suite}/{name}_9.9-1_amd64.deb"
    whole = os.path.join(repository, archive)
    os.makedirs(os.path.dirname(whole), exist_ok=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", build, whole], check=True, capture_output=True)
    digest = subprocess.run(["sha256sum", whole], check=True, capture_output=True).stdout.split()[0].decode()
    return control + f"Filename: {archive}\nSize: {os.path.getsize(whole)}\nSHA256: {digest}\n\n"


def make_repository(where, suites):
    """An archive in a folder; it is not signed, which the configuration that is returned allows."""
    repository = where + "/debian"
    for suite, packages in suites.items():
        index = os.path.join(repository, "dists", suite, "main/binary-amd64")
        os.makedirs(index)
        with open(index + "/Packages", "w", encoding="ascii") as file:
            file.write("".join(make_package(repository, suite, *package) for package in packages))
    return apt_config(where, f"deb [trusted=yes] file:{repository} stable main\n")


def apt_config(where, sources):
    with open(where + "/sources.list", "w", encoding="ascii") as file:
        file.write(sources)
    with open(where + "/apt.conf", "w", encoding="ascii") as file:
        file.write(f'Dir::Etc {{ sourcelist "{where}/sources.list"; sourceparts "-"; }};\n')
        file.write('Acquire { AllowInsecureRepositories "true"; Retries "0"; };\nAPT::Get::AllowUnauthenticated "true";\n')
    return {"APT_CONFIG": where + "/apt.conf", "XDG_CACHE_HOME": where + "/cache", "VMTREE_KERNEL": FAKE}


def fetched(env, *words):
    return compare(*words, "--", program("eat"), "exit", env=env)


def packages():
    old = [(PACKAGE, "linux-image-9.9-cloud-amd64", {}), ("linux-image-9.9-cloud-amd64", "", {"/boot/vmlinuz-9.9": FAKE})]
    new = [(PACKAGE, "linux-base, linux-image-9.9-cloud-amd64", {}),
           ("linux-image-9.9-cloud-amd64", "linux-binary-9.9-cloud-amd64", {}),
           ("linux-binary-9.9-cloud-amd64", "", {"/usr/lib/modules/9.9/vmlinuz": FAKE})]
    with folder() as where:
        env = make_repository(where, {"stable": old, "unstable": new})
        said("stable", fetched(env), 5, "fetching linux-image-9.9-cloud-amd64 9.9-1", "fake: linux-image-9.9-cloud-amd64_9.9-1")
        said("newest", fetched(env, "--linux", "newest"), 5, "fake: linux-binary-9.9-cloud-amd64_9.9-1")
        shutil.rmtree(where + "/debian")
        result = fetched(env)
        said("kept", result, 5, "fake: linux-image-9.9-cloud-amd64_9.9-1")
        check("nothing was fetched", "fetching" not in clip(result.err), str(result))
        said("asked for again", fetched(env, "--linux-again"), 125, PACKAGE + " of stable, could not be fetched from file:",
             "--linux FILE takes a kernel's image instead")
    with folder() as where:
        env = make_repository(where, {"stable": [("other", "", {})], "unstable": [(PACKAGE, "nothing", {})]})
        said("no such package", fetched(env, "-q"), 125, PACKAGE + " of stable, could not be fetched", "No packages found",
             "--linux FILE")
        said("a package of no kernel", fetched(env, "-q", "--linux", "newest"), 125, PACKAGE + " of unstable",
             "no such package, or it names no kernel", "--linux FILE")
    with folder() as where:
        env = make_repository(where, {"stable": [(PACKAGE, "linux-image-9.9", {}), ("linux-image-9.9", "", {})]})
        said("a package without its image", fetched(env, "-q"), 125, "linux-image-9.9 holds no kernel image", "--linux FILE")
    with folder() as where:
        # Nobody listens on that port.
        env = apt_config(where, "deb http://127.0.0.1:9/debian stable main\n")
        said("no network", fetched(env, "-q"), 125, PACKAGE + " of stable, could not be fetched from http://127.0.0.1:9/debian",
             "--linux FILE")
        env = apt_config(where, "deb http://127.0.0.1:9/else stable main\n")
        said("no archive", fetched(env, "-q"), 125, "name no archive of Debian's", "--linux FILE")
        env = dict(env, XDG_CACHE_HOME="/proc/no")
        said("no place to keep it", fetched(env, "-q"), 125, "/proc/no/vmtree/linux: No such file", "--linux FILE")


options()
with folder() as temporary:
    images(temporary)
endings()
with folder() as temporary:
    reports(temporary)
packages()
finish()
