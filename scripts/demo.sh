#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh FOLDER: runs real programs on the reference kernel and on this machine's Linux, and compares what they say.
set -eu

cd "$(dirname "$0")/.."
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
busybox=$(command -v busybox)
script=$PWD/programs/text.sh
failed=0

bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

# The names of all characters, which come with perl, on which git depends; else the manual in SQLite's header.
text=
for file in /usr/share/perl/*/unicore/Name.pl /usr/include/sqlite3.h; do
	[ -f "$file" ] && text=$file && break
done
[ -n "$text" ] || { echo "vmtree: no large text to work on" >&2; exit 1; }

title() {
	printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

# compare NAME OPTIONS... -- PROGRAM ARGUMENTS...: the program on both, its output once, and whether they agree.
compare() {
	name=$1
	shift
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	env -i PATH="$PATH" HOME=/root USER=root "$@" >"$work/host" 2>&1 </dev/null && host=0 || host=$?
	# The report goes to a file first, so that it follows what is compared.
	{
		# The options hold no spaces: they are paths of this project and of the system.
		# shellcheck disable=SC2086
		"$build/vmtree" run --check $options -- "$@" 2>"$work/report" </dev/null && guest=0 || guest=$?
		echo "$guest" >"$work/status"
	} | tee "$work/guest" | sed 's/^/    /'
	guest=$(cat "$work/status")
	if [ "$host" = "$guest" ] && cmp -s "$work/host" "$work/guest"; then
		printf '%s: the same on vmtree as on this machine (%s): yes\n\n' "$name" "$(uname -sr)"
	else
		printf '%s: the same on vmtree as on this machine: NO (status %s here, %s there)\n' "$name" "$host" "$guest"
		diff "$work/host" "$work/guest" || true
		failed=1
	fi
	cat "$work/report"
}

title "1. Debian's busybox: a shell script with pipes and forks on $text"
compare "The shell script" --cpus 2 --file "$script" --file "$text" -- "$busybox" sh "$script" "$text"

title "2. Four threads churn through memory with jemalloc, on four CPUs"
compare "The allocator" --cpus 4 -- "$PWD/$build/programs/churn-jemalloc" 4 200000

exit $failed
