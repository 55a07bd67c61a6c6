// SPDX-License-Identifier: MIT
// The command line of `vmtree run` and `vmtree compare`.
#ifndef VMTREE_TOOLS_OPTIONS_H
#define VMTREE_TOOLS_OPTIONS_H

#include "base.h"

enum accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG };

struct file_option {
	const char *host;
	const char *guest; // absolute; NULL: the host's path
};

struct options {
	bool compare; // the command: compare, not run
	unsigned cpus;         // 1 to 8
	uint64_t memory_bytes; // a multiple of 1 MiB
	bool icount;
	enum accel accel;
	bool edu; // --device edu
	int64_t timeout_ns; // 0: none
	bool quiet;
	bool dump; // the program's address space when it ends
	bool check; // walk the invariants of each that ends
	const char *json; // NULL: none
	const char *cwd;  // absolute
	struct file_option *files;
	size_t file_count;
	const char **env;
	size_t env_count;
	// Of compare alone.
	const char *linux_kernel;  // "stable", "newest" or a file
	const char *linux_args;    // more for its command line; NULL: nothing
	const char *linux_output;  // a file for what it wrote on Linux; NULL: none
	bool linux_again;          // ask for a newer package
	int64_t boot_timeout_ns;
	unsigned repeat;           // 1 to 1000
	char **program; // PROGRAM and its arguments, NULL at the end
};

// Fills `options` from the command line. Returns -1 to go on, or the status to exit with (help was
// shown, or a line says what is wrong).
int options_parse(struct options *options, int argc, char **argv);

#endif
