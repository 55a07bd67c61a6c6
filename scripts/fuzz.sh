#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh FOLDER SECONDS [4k|16k|64k]...: builds the fuzzers with clang and its sanitizers in a folder of their own and
# runs each for so many seconds, from the corpus on (docs/fuzzing.md). What it has found new goes into the corpus, which
# is then made anew of the smallest inputs that together reach all that any does. An input that fails stops it: it lies
# in FOLDER/failures-*, and `fuzz_replay_* --show FILE` says what it does.
set -eu

build=$1
seconds=$2
shift 2
[ $# -gt 0 ] || set -- 4k 16k 64k
cd "$(dirname "$0")/.."

if [ ! -f "$build/build.ninja" ]; then
	# What is covered counts in the library only, and in a few formats, for all are made of the same code.
	CC=clang meson setup "$build" -Dfuzzer=true -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false \
		-Dformats=x86_64_4,riscv_sv39,aarch64_s1_16k,aarch64_s1_64k \
		-Dc_args="-fsanitize-coverage=inline-8bit-counters,pc-table -fsanitize-coverage-allowlist=$PWD/fuzz/covered.txt" \
		>"$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
fi
for name; do
	ninja -C "$build" --quiet "fuzz/fuzz_$name" "fuzz/fuzz_replay_$name"
done

# Leaks are counted by the machine, which knows of frames too.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
for name; do
	inputs=$build/corpus-$name
	rm -rf "$inputs" "$build/merged-$name"
	mkdir -p "$build/failures-$name" "$build/merged-$name"
	python3 scripts/corpus.py unpack "fuzz/corpus/$name.hex" "$inputs"
	"$build/fuzz/fuzz_$name" -max_len=770 -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 \
		-artifact_prefix="$build/failures-$name/" "$inputs"
	"$build/fuzz/fuzz_$name" -max_len=770 -timeout=60 -use_counters=0 -merge=1 "$build/merged-$name" "$inputs" \
		>"$build.log" 2>&1 || { tail -40 "$build.log" >&2; exit 1; }
	python3 scripts/corpus.py pack "$build/merged-$name" "fuzz/corpus/$name.hex"
done
