#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""command.py EXPLORE: what the command promises. It ends with 0, 1 or 2; a failure can be run again from what it
printed, by schedule and by seed; and the reductions of the exhaustive search find the same ends as the search without
them."""
import re
import subprocess
import sys

FAILING = ["--without", "FLUSH_UNDER_LOCK", "r06"]
WORDS = "a page that was released can still be used"
REDUCED = ["C2", "E2-fork-against-faults", "r02-reference-to-leaving", "r05", "r06", "r16-two-faults", "r22",
           "r23", "C3", "C5", "E3", "B2-written-while-coming"]
REDUCED_WEAK = ["C2", "r02-reference-to-leaving", "r05", "r22-reference-to-reused", "r23", "r20-copy-against-read"]

failures = []


def explore(*arguments):
    done = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout + done.stderr


def expect(good, what, said=""):
    if not good:
        failures.append(what)
        print(f"{what}\n{said}")


def check_codes():
    expect(explore("--list")[0] == 0, "--list does not end with 0")
    expect(explore("--quiet", "C2")[0] == 0, "a scenario in which nothing is found does not end with 0")
    for bad in [[], ["--no-such"], ["no-such"], ["--seed", "x", "C2"], ["--budget", "1m", "C2"],
                ["--replay", "1", "C2"], ["--without", "NO_SUCH", "C2"], ["--random", "C2"], ["--preemptions"],
                ["--stale", "x", "C2"], ["--weaken", "1=strong", "C2"], ["--weaken", "relaxed", "C2"]]:
        code, said = explore(*bad)
        expect(code == 2, f"{bad} ends with {code}", said)


def check_proof():
    """What another protection's absence does is no proof of a scenario, whether its own assertion fails or not."""
    for without, words in [("FLUSH_ZAP", "not at what it asserts: a page is freed"), ("FOLD_MARK", "nothing found")]:
        code, said = explore("--prove", "--without", without, "--budget", "10", "r02-reference-to-leaving")
        expect(code == 1 and words in said, f"a proof without {without} ends with {code}", said)
    code, said = explore("--prove", "--budget", "10", "r02-reference-to-leaving")
    expect(code == 0, f"a proof ends with {code}", said)


def check_again(found, option):
    """`found` is how to find a failure; what it prints says how to see it again."""
    code, said = explore(*found, *FAILING)
    expect(code == 1 and WORDS in said, f"{found} finds nothing", said)
    again = re.search(r"--replay '(.*)'" if option == "--replay" else r"^  seed (\d+)", said, re.M)
    expect(again, f"{found} does not say how to see it again", said)
    code, said = explore(option, again.group(1), *FAILING)
    expect(code == 1 and WORDS in said, f"{option} {again.group(1)} does not show it again", said)
    for words in ["CPU 0, called at explorer/scenarios/space.c:", "CPU 1, called at ", "src/tree/lock.h:"]:
        expect(words in said, f"the interleaving does not say {words}", said)


def check_reductions():
    for name, *weak in [[name] for name in REDUCED] + [[name, "--weak"] for name in REDUCED_WEAK]:
        ends = []
        for more in [weak, [*weak, "--plain"]]:
            code, said = explore("--quiet", "--preemptions", "1", *more, name)
            found = re.findall(r", (\d+) ends, exhausted$", said, re.M)
            expect(code == 0 and found, f"{name} with {more} does not come to an end", said)
            ends.append(found)
        expect(ends[0] == ends[1], f"{name} ends in {ends[0]} ways, and without reductions in {ends[1]}")


def check_weak():
    """An order that is missing is found, and its interleaving can be run again; and r22 needs one."""
    said = explore("--weak", "--quiet", "--orders", "r22-reference-to-reused")[1]
    for address in re.findall(r"^  (0x\w+) release$", said, re.M):
        missing = ["--weak", "--weaken", f"{address}=relaxed"]
        code, said = explore(*missing, "--quiet", "r22-reference-to-reused")
        again = re.search(r"--replay '(.*)'", said)
        if "a reference leads to another page" in said and again:
            code, said = explore(*missing, "--replay", again.group(1), "r22-reference-to-reused")
            expect(code == 1 and "an older value" in said, "--replay does not show an older value again", said)
            return
    expect(False, "no release is missed")


def main():
    check_codes()
    check_weak()
    check_proof()
    check_again(["--quiet"], "--replay")
    check_again(["--quiet", "--random", "--budget", "20000"], "--seed")
    check_reductions()
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
