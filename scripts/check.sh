#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh FOLDER full|fast: runs the tests and ends with one line that sums their cases.
set -eu

build=$1
suite=$2
cd "$(dirname "$0")/.."
log=$build/meson-logs/testlog.json
rm -f "$log"
set --
[ "$suite" = full ] || set -- --suite "$suite"
# The summary decides: it counts what failed, and a log that is missing or cut short is a failure.
meson test -C "$build" --no-rebuild --print-errorlogs "$@" && status=0 || status=$?
exec python3 scripts/summary.py "$log" "$status"
