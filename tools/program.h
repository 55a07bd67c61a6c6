// SPDX-License-Identifier: MIT
// Finding the program on the host and refusing what the reference kernel cannot run.
#ifndef VMTREE_TOOLS_PROGRAM_H
#define VMTREE_TOOLS_PROGRAM_H

#include "base.h"

struct program {
	const char *typed; // as on the command line; the program's argv[0]
	char *path;        // absolute, still through symbolic links
	char *real;        // absolute, without links
};

// Looks `typed` up as execvp() would and checks the file. Returns -1 when it can run, or the status
// to exit with after one line said why.
int program_find(struct program *program, const char *typed);
void program_free(struct program *program);

// Whether `path` is a static or static-PIE ELF program for x86-64 Linux. `name` is for the message.
// Returns -1, or EXIT_NOT_EXEC after one line.
int elf_check(const char *path, const char *name);

#endif
