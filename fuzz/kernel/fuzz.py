# SPDX-License-Identifier: MIT
"""fuzz.py VMTREE FUZZ COVERAGE_KERNEL CORPUS [SECONDS [SEED]]: looks for inputs that reach new places of the kernel,
runs what was found and variations of the corpus on the host's Linux and on the reference kernel, and says where they
differ. Inputs that both answer alike are added to the corpus."""
import os
import subprocess
import sys
import tempfile
import time

VMTREE, FUZZ, KERNEL, CORPUS = sys.argv[1:5]
SECONDS = int(sys.argv[5]) if len(sys.argv) > 5 else 300
SEED = int(sys.argv[6]) if len(sys.argv) > 6 else int(time.time())
VARIATIONS = 5000


def on_vmtree(corpus, *words, cpus=1, kernel=None):
    """Lines of the fuzzer's output. A kernel that fails ends everything."""
    environment = dict(os.environ, **({"VMTREE_KERNEL": kernel} if kernel else {}))
    command = [VMTREE, "run", "-q", "--check", "--accel", "tcg", "--cpus", str(cpus), "--timeout", str(SECONDS + 900),
               "--file", corpus + ":/corpus", "--", FUZZ, *(str(word) for word in words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False, text=True)
    if done.returncode:
        sys.exit(f"status {done.returncode} of: {' '.join(command)}\n{done.stdout[-2000:]}")
    return done.stdout.splitlines()


def on_linux(*words):
    command = [FUZZ, *(str(word) for word in words)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()


def compare(what, there, here):
    """The inputs that both answered alike; shows the others."""
    same = [a for a, b in zip(there, here) if a == b]
    for a, b in zip(there, here):
        if a != b:
            print(f"DIFFERENT {what}: {a.split()[0]}")
    print(f"{what}: {len(same)} alike, {len(there) - len(same)} different")
    return same, len(there) - len(same)


def main():
    print(f"seed {SEED}, {SECONDS} seconds")
    lines = on_vmtree(CORPUS, "guide", "/corpus", SEED, SECONDS, kernel=KERNEL)
    print("\n".join(line for line in lines if line.startswith("#")))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(line + "\n" for line in lines if not line.startswith("#"))
        file.flush()
        found, bad = compare("found", on_linux("replay", "linux", file.name),
                             on_vmtree(file.name, "replay", "vmtree", "/corpus"))
    varied, worse = compare("varied", on_linux("vary", "linux", CORPUS, SEED, VARIATIONS),
                            on_vmtree(CORPUS, "vary", "vmtree", "/corpus", SEED, VARIATIONS))
    print("\n".join(on_vmtree(CORPUS, "storm", "/corpus", SEED, 200, cpus=4)))
    with open(CORPUS, "a", encoding="ascii") as file:
        file.writelines(line + "\n" for line in found)
    print(f"{len(found)} inputs added to {CORPUS}; {len(varied)} variations alike")
    sys.exit(1 if bad or worse else 0)


main()
