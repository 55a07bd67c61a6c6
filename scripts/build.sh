#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh FOLDER: configures the build folder when that was not done yet, and builds.
set -eu

build=$1
cd "$(dirname "$0")/.."
if [ ! -f "$build/build.ninja" ]; then
	# A configuration that did not finish leaves a folder that Meson cannot use.
	rm -rf "$build/meson-private" "$build/meson-info"
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	if ! meson setup "$build" >"$log" 2>&1; then
		cat "$log" >&2
		echo "vmtree: the build could not be configured" >&2
		exit 1
	fi
fi
ninja -C "$build" --quiet
