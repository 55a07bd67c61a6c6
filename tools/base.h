// SPDX-License-Identifier: MIT
// What every part of the `vmtree` command uses: exit statuses, messages, memory that grows.
#ifndef VMTREE_TOOLS_BASE_H
#define VMTREE_TOOLS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Exit statuses of the command itself; every other one is the program's. The same four as
// timeout(1) and a shell.
enum {
	EXIT_TIMEOUT = 124,
	EXIT_FAILED = 125,    // vmtree, QEMU or the reference kernel failed
	EXIT_NOT_EXEC = 126,  // the program is there and cannot run
	EXIT_NOT_FOUND = 127, // the program is not there
	EXIT_SIGNAL = 128,    // plus the number of the signal that killed the program
};

// One line on standard error, "vmtree: ..." with a newline added. Control characters are shown as
// '?'.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// A growing piece of text or bytes. All zero is an empty one. It is always followed by a zero byte
// that `length` does not count, once something was added.
struct text {
	char *data;
	size_t length;
	size_t room;
};

void text_add(struct text *text, const void *data, size_t length);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *text);

// Memory or the end: these print a line and exit with EXIT_FAILED when there is none.
void *must_alloc(size_t size);
void *must_grow(void *data, size_t size);
char *must_copy(const char *string);
char *must_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Writes all of it, over short writes and interruptions. Returns 0, or -1 with errno.
int write_all(int fd, const void *data, size_t length);

// Nanoseconds of a clock that only goes forward.
int64_t now_ns(void);

// "SIGSEGV" for 11; "signal N" for one that has no name.
const char *signal_name(int number);

#endif
