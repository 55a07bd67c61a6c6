// SPDX-License-Identifier: MIT
// What the reference kernel says on its control stream (docs/guest.md), collected.
#ifndef VMTREE_TOOLS_CONTROL_H
#define VMTREE_TOOLS_CONTROL_H

#include "base.h"

enum ending {
	ENDING_NONE,   // it did not say
	ENDING_EXIT,   // `value` is the status
	ENDING_SIGNAL, // `value` is the signal's number
	ENDING_NOEXEC, // `value` is the errno value, `reason` says more
	ENDING_PANIC,  // `reason` says why
};

struct stat_record {
	char *name;
	uint64_t value;
};

struct syscall_record {
	uint64_t number;
	char *name;
	uint64_t count;
};

struct killed_record {
	uint64_t pid;
	char *name;
};

struct control {
	struct text line; // the part of a line that has come so far
	bool booted;
	char *version; // what the kernel calls itself; NULL: it has not booted
	bool done; // everything was said
	enum ending ending;
	unsigned value;
	bool core; // Linux would have left a core file
	char *reason;
	char *fault; // the first line that is not of the protocol; NULL: none
	struct stat_record *stats;
	size_t stat_count;
	struct syscall_record *syscalls;
	size_t syscall_count;
	struct killed_record *killed;
	size_t killed_count;
};

// Bytes of the stream, in any pieces. `log` and `killed` records are shown as they come, if `show`
// is set.
void control_feed(struct control *control, const char *data, size_t length, bool show);
// The figure of that name, or NULL when the kernel did not give it.
const uint64_t *control_stat(const struct control *control, const char *name);
void control_free(struct control *control);

#endif
