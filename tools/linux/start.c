// SPDX-License-Identifier: MIT
// Starting the program: a session of its own, descriptors 0 to 2, nothing else of this process.
//
// A run that is timed uses vfork(), which copies nothing: page tables copied for a child that throws them away at once
// would be counted as the program's. A run that is watched uses fork(), since the child waits until it is followed.
#include "linux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int gate[2];

static int make_output(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	// Append: whoever opens it anew, by /dev/stdout, does not write over what is there.
	if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND))
		give_up("no file for the program's output: %s", strerror(errno));
	return fd;
}

// In the child.
static void __attribute__((noreturn)) become_program(
	const struct program *program, const struct orders *orders, bool held)
{
	sigset_t none;
	char byte;

	if (held) {
		close(gate[1]);
		(void)!read(gate[0], &byte, 1); // the end of the pipe is the sign
	}
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(orders->input, STDIN_FILENO);
	dup2(program->output, STDOUT_FILENO);
	dup2(program->error, STDERR_FILENO);
	if (chdir(orders->cwd) == 0)
		execve(orders->exec, orders->args, orders->env);
	*program->exec_error = errno;
	_exit(127);
}

void start_program(struct program *program, const struct orders *orders, bool held)
{
	// Shared with the child.
	program->exec_error = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (program->exec_error == MAP_FAILED || (held && pipe2(gate, O_CLOEXEC)))
		give_up("the program cannot be started: %s", strerror(errno));
	program->output = make_output("stdout");
	program->error = orders->one_output ? program->output : make_output("stderr");
	program->pid = held ? fork() : vfork();
	if (program->pid == 0)
		become_program(program, orders, held);
	if (program->pid < 0)
		give_up("the program cannot be started: %s", strerror(errno));
}

void start_release(void)
{
	close(gate[0]);
	close(gate[1]);
}
