#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""orders.py EXPLORE [--survey BUDGET] [--check TABLE] [--only TEXT] [SCENARIO...]: which memory orders of the library's
source are needed.

With --survey each order that is stronger than relaxed and that a scenario comes by is made weaker, one at a time, and
the scenarios that come by are run with weak memory and this budget each, exhaustively and at random, until one fails. A
row for each: where, the order and the weaker one, with whose accesses it was seen to pair, and what was found. With
--check the lines of TABLE are tried in their scenarios, and have to fail as they say; a row of docs/proof.md for each.
--source is the top of the source (.), --budget for finding out what scenarios come by (200), --only a part of the
row's beginning."""
import argparse
import collections
import re
import subprocess
import sys

WEAKER = {"load": {"acquire": ["relaxed"], "seq_cst": ["acquire", "relaxed"]},
          "store": {"release": ["relaxed"], "seq_cst": ["release", "relaxed"]},
          "both": {"acquire": ["relaxed"], "release": ["relaxed"], "acq_rel": ["acquire", "release", "relaxed"],
                   "seq_cst": ["acq_rel", "acquire", "release", "relaxed"]}}
CHECK_SECONDS = 60

Place = collections.namedtuple("Place", "file function line order failed")


def explore(program, *arguments):
    done = subprocess.run([program, "--weak", "--quiet", *arguments], capture_output=True, text=True, errors="replace")
    if done.returncode not in (0, 1):
        sys.exit(f"{arguments}: {done.stderr}")
    return done.returncode, done.stdout


def lines_of(program, addresses):
    """The innermost function and line of each address that a call returns to."""
    asked = "".join(f"{int(address, 16) - 1:#x}\n" for address in addresses)
    said = subprocess.run(["addr2line", "-f", "-e", program], input=asked, capture_output=True, text=True, check=True)
    answers = said.stdout.splitlines()
    found = {}
    for i, address in enumerate(addresses):
        file, line = re.sub(r" \(.*", "", answers[2 * i + 1]).rsplit(":", 1)
        # The names of the public functions have the format in them.
        function = re.sub(r"^vmt_riscv_sv39_", "vmt_", answers[2 * i])
        found[address] = (re.sub(r".*/(?=src/)", "", file), function, int(line))
    return found


def gather(program, scenarios, budget):
    """What the scenarios come by: {place: {"addresses", "scenarios", "pairs"}}."""
    places = collections.defaultdict(lambda: {"addresses": set(), "scenarios": [], "pairs": set(), "met": []})
    for name in scenarios:
        said = explore(program, "--orders", "--random", "--budget", budget, name)[1]
        orders = re.findall(r"^  (0x\w+) (\w+)( failed)?$", said, re.M)
        where = lines_of(program, [address for address, _, _ in orders])
        for address, order, failed in orders:
            file, function, line = where[address]
            place = places[Place(file, function, line, order, bool(failed))]
            place["addresses"].add(address)
            if name not in place["scenarios"]:
                place["scenarios"].append(name)
        for reads, released in re.findall(r"^  (0x\w+) reads (0x\w+)$", said, re.M):
            for one, other in ((reads, released), (released, reads)):
                for place in places:
                    if one in places[place]["addresses"] and not place.failed and other in where:
                        places[place]["pairs"].add(where[other][1])
                        places[place]["met"] += [name] * (name not in places[place]["met"])
    return places


def kind_of(source, place):
    with open(f"{source}/{place.file}", encoding="utf-8") as file:
        text = file.read().splitlines()[place.line - 1]
    if place.failed or "atomic_load" in text:
        return "load"
    return "store" if "atomic_store" in text else "both"


def name_of(places, place):
    """The function; where it has several of this order, which of them."""
    alike = sorted(p.line for p in places if p[:2] == place[:2] and p[3:] == place[3:])
    number = f" {alike.index(place.line) + 1}" if len(alike) > 1 else ""
    return f"{place.file} | {place.function}{number} | {'failed ' if place.failed else ''}{place.order}"


def try_one(program, places, place, weaker, scenarios, budget):
    weaken = ("failed:" if place.failed else "") + ",".join(sorted(places[place]["addresses"])) + "=" + weaker
    for how in [], ["--random"]:
        for name in scenarios:
            code, said = explore(program, "--weaken", weaken, "--budget", budget, *how, name)
            if code:
                return name, re.match(r"[^:]*: (.*?)(, \d+ interleavings|$)", said, re.S).group(1)
    return None


def row_of(places, place, weaker, found):
    pairs = ", ".join(sorted(places[place]["pairs"]))
    return f"| {name_of(places, place)} | {weaker} | {pairs} | {' | '.join(found) if found else '- | -'} |"


def survey(arguments, places):
    for place in sorted(places):
        if arguments.only not in name_of(places, place):
            continue
        # What the weakest one does not show no other will.
        for weaker in reversed(WEAKER[kind_of(arguments.source, place)].get(place.order, [])):
            # Without a pair an order says nothing, but for what seq_cst orders besides.
            which = places[place]["scenarios" if place.order == "seq_cst" else "met"]
            found = try_one(arguments.explore, places, place, weaker, which, arguments.survey)
            print(row_of(places, place, weaker, found), flush=True)
            if not found:
                break


def read_table(path):
    with open(path, encoding="utf-8") as table:
        return [line.strip().split(" | ") for line in table if line.strip() and not line.startswith("#")]


def check(arguments, places, rows):
    wrong = 0
    names = {name_of(places, place): place for place in places}
    for row in rows:
        name, (weaker, scenario, says) = " | ".join(row[:3]), row[3:]
        found = name in names and try_one(arguments.explore, places, names[name], weaker, [scenario],
                                          f"{CHECK_SECONDS}s")
        if found and says in found[1]:
            print(row_of(places, names[name], weaker, (scenario, says)), flush=True)
            continue
        wrong += 1
        print(f"{' | '.join(row)}: {found[1] if found else 'not found' if name in names else 'no such place'}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("explore")
    parser.add_argument("--source", default=".")
    parser.add_argument("--survey")
    parser.add_argument("--check")
    parser.add_argument("--budget", default="200")
    parser.add_argument("--only", default="")
    parser.add_argument("scenarios", nargs="*")
    arguments = parser.parse_intermixed_args()
    rows = read_table(arguments.check) if arguments.check else []
    scenarios = arguments.scenarios or list(dict.fromkeys(row[4] for row in rows))
    if not scenarios:
        listed = subprocess.run([arguments.explore, "--list"], capture_output=True, text=True, check=True).stdout
        scenarios = [line.split()[0] for line in listed.splitlines()]
    places = gather(arguments.explore, scenarios, arguments.budget)
    if arguments.survey:
        survey(arguments, places)
    return 1 if check(arguments, places, rows) else 0


if __name__ == "__main__":
    sys.exit(main())
