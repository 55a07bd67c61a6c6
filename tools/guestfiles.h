// SPDX-License-Identifier: MIT
// What the machine finds in its initial RAM disk: the program, the files brought along, a minimal
// tree, and what docs/guest.md puts into `.vmtree/`.
#ifndef VMTREE_TOOLS_GUESTFILES_H
#define VMTREE_TOOLS_GUESTFILES_H

#include "options.h"
#include "program.h"

// What the program's descriptors 0, 1 and 2 are on this side.
struct terminal {
	unsigned mask; // bit n: descriptor n is a terminal
	unsigned rows;
	unsigned columns;
};

// What the RAM disk is made of.
struct guest {
	const struct options *options;
	const struct program *program;
	struct terminal terminal;
	int input; // standard input that goes along whole, or -1
	// For Linux: the file that is its first process, and what that shall do.
	const char *linux_init; // NULL: for the reference kernel
	bool one_output;        // standard output and error are one file
	bool watch;
};

// Makes the archive in memory; the caller closes `fd`, which is -1 where that failed. Returns -1, or the status to exit
// with after one line.
int guestfiles_ramdisk(int *fd, const struct guest *guest);

// An archive with nothing but a program of a few instructions that exits with status 0: for trying
// a machine.
int guestfiles_write_probe(int fd);

#endif
