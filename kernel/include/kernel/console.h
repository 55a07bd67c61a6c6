// SPDX-License-Identifier: MIT
/*
 * The guest's side of docs/guest.md: output ports, standard input, the end.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <kernel/types.h>
#include <kernel/wait.h>

enum console_stream {
	CONSOLE_OUT = 0xe9, /* standard output of the program */
	CONSOLE_ERR = 0xea, /* standard error */
};

/* Writes n bytes of kernel memory. Up to 4096 bytes go out together; any context but NMI. */
void console_write(enum console_stream stream, const void *buf, size_t n);

/*
 * Standard input, frames already taken apart. Returns 1..n bytes copied to kernel memory, 0 at end of
 * file, -EAGAIN when nothing is there and !block, -ERESTARTSYS on a signal. Sleeps on stdin_queue.
 */
ssize_t stdin_read(void *buf, size_t n, bool block);

/* Would stdin_read return without sleeping? For poll; waiters wait on stdin_queue. */
bool stdin_ready(void);
/* Bytes there now (FIONREAD). */
size_t stdin_available(void);
extern struct waitqueue stdin_queue;

/* Writes `done` and ends the machine. Other CPUs are stopped. Any context. */
_Noreturn void machine_exit(void);

#endif
