# vmtree: everything is built by Meson and Ninja; this file only calls them.
#
#   make            build/vmtree, the library build/libvmtree*.a and the reference kernel
#   make run        the demonstration: real Debian programs on the reference kernel
#   make check      all tests; ends with one line "N passed, N failed"
#   make check-fast the tests that take seconds
#   make bench      what the page-table layer and secondaries cost on this machine, in nanoseconds
#   make proof      runs what the tables of docs/proof.md and docs/conflicts.md are made of, and writes them
#   make soak       explores interleavings until it is interrupted (or HOURS=8): more and more preemptions, random ones
#   make fuzz       the fuzzers, FUZZ_SECONDS for each page size; what they find new goes to fuzz/corpus
#   make clean      removes the build folder
#
# run, check and check-fast install the Debian packages that are missing (as root), or name them and stop.

BUILD ?= build
FUZZ_SECONDS ?= 300

.PHONY: all run check check-fast bench proof soak fuzz clean

all:
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)

run:
	@scripts/setup.sh
	@scripts/build.sh $(BUILD)
	@scripts/demo.sh $(BUILD)

check:
	@scripts/setup.sh
	@scripts/build.sh $(BUILD)
	@scripts/check.sh $(BUILD) full

check-fast:
	@scripts/setup.sh
	@scripts/build.sh $(BUILD)
	@scripts/check.sh $(BUILD) fast

bench:
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)
	@$(BUILD)/bench/bench_tables
	@$(BUILD)/bench/bench_secondaries

proof:
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)
	@ninja -C $(BUILD) proof-races proof-planted proof-conflicts

soak:
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)
	@python3 explorer/soak.py $(BUILD)/explore --hours $(or $(HOURS),0)

fuzz:
	@scripts/setup.sh fuzz
	@mkdir -p $(BUILD)
	@scripts/fuzz.sh $(BUILD)/fuzz-clang $(FUZZ_SECONDS)

clean:
	rm -rf $(BUILD)
