# vmtree: everything is built by Meson and Ninja; this file only calls them.
#
#   make            build/vmtree, the library build/libvmtree*.a and the reference kernel
#   make run        the demonstration: real Debian programs on the reference kernel
#   make check      all tests; ends with one line "N passed, N failed"
#   make check-fast the tests that take seconds
#   make bench      programs beside Linux, and the library in a process: writes bench/RESULTS.md (docs/bench.md);
#                   BENCH=name runs one subject and writes nothing
#   make profile    where the guest instructions of one operation go (OP=map; programs/operation lists them)
#   make proof      runs what the tables of docs/proof.md and docs/conflicts.md are made of, and writes them
#   make soak       explores interleavings until it is interrupted (or HOURS=8): more and more preemptions, random ones
#   make fuzz       the fuzzers of the library and of the reference kernel, FUZZ_SECONDS each; what is new goes to
#                   their corpora
#   make clean      removes the build folder
#
# run, check, check-fast and bench install the Debian packages that are missing (as root), or name them and stop.

BUILD ?= build
FUZZ_SECONDS ?= 300

.PHONY: all run check check-fast bench profile proof soak fuzz fuzz-library fuzz-kernel clean

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
	@scripts/setup.sh
	@scripts/build.sh $(BUILD)
	@PYTHONDONTWRITEBYTECODE=1 python3 bench/run.py $(BUILD) $(BENCH)

profile:
	@scripts/setup.sh
	@scripts/build.sh $(BUILD)
	@python3 bench/profile.py $(BUILD) $(or $(OP),map)

proof:
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)
	@ninja -C $(BUILD) proof-races proof-planted proof-orders proof-conflicts

soak:
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)
	@python3 explorer/soak.py $(BUILD)/explore --hours $(or $(HOURS),0)

fuzz: fuzz-library fuzz-kernel

fuzz-library:
	@scripts/setup.sh fuzz
	@mkdir -p $(BUILD)
	@scripts/fuzz.sh $(BUILD)/fuzz-clang $(FUZZ_SECONDS)

fuzz-kernel:
	@scripts/setup.sh
	@scripts/build.sh $(BUILD)
	@ninja -C $(BUILD) fuzz/kernel/kernel-coverage.elf
	@python3 fuzz/kernel/fuzz.py $(BUILD)/vmtree $(BUILD)/fuzz/kernel/kernel-fuzz \
		$(BUILD)/fuzz/kernel/kernel-coverage.elf fuzz/kernel/corpus.txt $(FUZZ_SECONDS)

clean:
	rm -rf $(BUILD)
