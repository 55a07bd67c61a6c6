#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing, and does nothing when none is.
# `setup.sh build` asks only for what `make` needs; without a word, for what `make run` and `make check` need too;
# `setup.sh fuzz` for what `make fuzz` needs.
# Without root it names the packages and stops.
set -eu

build="meson ninja-build pkg-config gcc libc6-dev libcmocka-dev libzstd-dev"
# The machine, the programs that run on it, and what the tests are made of.
rest="qemu-system-x86 busybox-static musl-tools g++ libjemalloc-dev libgoogle-perftools-dev libsqlite3-dev"
# What searches the model of the lock protocol (docs/model.md).
rest="$rest spin"
# The machines that judge page tables (docs/judges.md), about 520 MB.
rest="$rest qemu-system-misc qemu-system-arm gcc-riscv64-linux-gnu gcc-aarch64-linux-gnu"

# clang, and its libFuzzer and sanitizers.
fuzz="clang libclang-rt-dev"

case ${1-} in
build) packages=$build ;;
fuzz) packages="$build $fuzz" ;;
*) packages="$build $rest" ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "vmtree: this is not a Debian system: install what corresponds to:" $packages >&2
	exit 1
fi

missing=
for package in $packages; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
	installed*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "vmtree: these packages are missing, install them as root: apt-get install$missing" >&2
	exit 1
fi

install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o Dpkg::Use-Pty=0 $missing >"$log" 2>&1
}

echo "vmtree: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists of a fresh system are empty, and those of an old one stale: fetch them only then.
if ! install; then
	apt-get update -qq >"$log" 2>&1 && install || {
		cat "$log" >&2
		echo "vmtree: could not install$missing" >&2
		exit 1
	}
fi
# A build folder that was configured without them has to look again.
touch -c "$(dirname "$0")/../meson.build"
