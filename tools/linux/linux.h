// SPDX-License-Identifier: MIT
// The first process on Linux in `vmtree compare`: it starts the program as the reference kernel would, and says on the
// same ports how it ended and what it cost (docs/guest.md).
#ifndef VMTREE_TOOLS_LINUX_H
#define VMTREE_TOOLS_LINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// ---- ports.c ----
enum { PORT_OUTPUT = 0xe9, PORT_ERROR = 0xea, PORT_CONTROL = 0xeb, PORT_END = 0xf4 };

void port_write(unsigned port, const void *data, size_t length);
// Everything that `fd` holds, from its beginning.
void port_file(unsigned port, int fd);
// A record of the control stream, the newline added.
void record(const char *format, ...) __attribute__((format(printf, 1, 2)));
void stat_record(const char *name, uint64_t value);
// A line on the kernel's console, and the machine stops: for what is wrong with this kernel.
void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void machine_off(void) __attribute__((noreturn));

// ---- orders.c ----
struct orders {
	char **args, **env;
	char *exec, *cwd;
	int64_t epoch;   // nanoseconds
	bool one_output; // standard output and error are one file
	bool watch;      // look at memory while the program runs, and trace flushes
	int input;       // standard input
};

// Reads `/.vmtree` and removes it.
void orders_read(struct orders *orders);
// All of a file, a zero byte behind it; NULL when it cannot be read. The caller frees it.
char *read_file(const char *path, size_t *length);

// ---- start.c ----
struct program {
	pid_t pid;
	int output, error; // files with what it wrote; the same one with one_output
	volatile int *exec_error; // errno value of what failed before the program ran; 0: it ran
};

// `held`: it starts only once start_release() is called. Without it the program runs when this returns.
void start_program(struct program *program, const struct orders *orders, bool held);
void start_release(void);

// ---- watch.c: a run that is watched, and not timed ----
// Before the program is started.
void watch_prepare(void);
// Follows the program to its end; its wait status.
int watch_program(struct program *program);
// The figures, as records.
void watch_report(void);

#endif
