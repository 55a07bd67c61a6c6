// SPDX-License-Identifier: MIT
// Processes beyond plain fork: the kinds of clone, vfork, execve from threads, scripts and long
// argument lists, all ways to wait, groups and sessions, orphans, limits.
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[4096];
static char *no_variables[] = {NULL};
static volatile int written;

// Waits for a child: its exit status, or 1000 and the signal.
static long ended(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// fork() with nothing in the buffer that both would write.
static pid_t split(void)
{
	fflush(stdout);
	return fork();
}

static void start(const char *path, const char *const *words)
{
	execve(path, (char *const *)words, no_variables);
}

static void ignore(int number)
{
	(void)number;
}

// ---- clone -------------------------------------------------------------------------------------

static int write_nine(void *unused)
{
	(void)unused;
	written = 9;
	return 5;
}

static void clones(void)
{
	char *stack = malloc(65536), *top = stack + 65536;
	volatile int seen = 0;
	pid_t child, told = 0;
	uint64_t arguments[11] = {[4] = SIGCHLD};

	child = vfork();
	if (!child) {
		seen = 5;
		_exit(1);
	}
	figure("after vfork", seen);
	figure("its status", ended(child));
	figure("same memory", ended(clone(write_nine, top, CLONE_VM | SIGCHLD, NULL)));
	figure("written there", written);
	child = clone(write_nine, top, CLONE_VM, NULL);
	answer("no signal at its end, a plain wait", waitpid(child, NULL, 0));
	answer("wait for all kinds", waitpid(child, NULL, __WALL));
	answer("a thread without handlers", clone(write_nine, top, CLONE_THREAD, NULL));
	answer("handlers without memory", clone(write_nine, top, CLONE_SIGHAND, NULL));
	fflush(stdout);
	child = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, &told, 0, 0);
	if (!child)
		_exit(0);
	figure("told its number", told == child);
	ended(child);
	fflush(stdout);
	child = (pid_t)syscall(SYS_clone3, arguments, sizeof(arguments));
	if (!child)
		_exit(6);
	figure("clone3", ended(child));
	answer("too short", syscall(SYS_clone3, arguments, 40));
	arguments[4] = 1000;
	answer("no such signal", syscall(SYS_clone3, arguments, sizeof(arguments)));
	free(stack);
}

// ---- execve ------------------------------------------------------------------------------------

static void *execute(void *unused)
{
	const char *words[] = {self, "status", "77", NULL};

	start(self, words);
	return unused;
}

static void put(const char *path, const char *text, mode_t mode)
{
	int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, mode);

	if (write(file, text, strlen(text)) < 0)
		perror(path);
	fchmod(file, mode);
	close(file);
}

static long run(const char *path, const char *const *words)
{
	pid_t child = split();

	if (!child) {
		start(path, words);
		_exit(100 + (errno & 63));
	}
	return ended(child);
}

static void executing(const char *folder)
{
	const char *status[] = {self, "status", "33", NULL}, *script[] = {"ignored", "last", NULL};
	const char **many = malloc(20003 * sizeof(*many));
	char path[64], text[4200], *large = malloc(200000);
	pid_t child;
	pthread_t thread;

	answer("spawn", posix_spawn(&child, self, NULL, NULL, (char *const *)status, no_variables)
				? -1
				: 0);
	figure("its status", ended(child));
	child = split();
	if (!child) {
		for (int i = 0; i < 4; i++)
			pthread_create(&thread, NULL, execute, NULL);
		for (;;)
			pause();
	}
	figure("one of four threads executed", ended(child));
	snprintf(path, sizeof(path), "%s/script", folder);
	snprintf(text, sizeof(text), "#! %s  two words \nrest\n", self);
	put(path, text, 0755);
	figure("a script", run(path, script));
	put(path, "neither of the two", 0755);
	figure("no program", run(path, script) - 100 == ENOEXEC);
	put(path, "#!/not/there\n", 0755);
	figure("no interpreter", run(path, script) - 100 == ENOENT);
	put(path, "", 0644);
	figure("not executable", run(path, script) - 100 == EACCES);
	unlink(path);
	many[0] = self;
	many[1] = "count";
	for (int i = 2; i < 20002; i++)
		many[i] = "forty characters are what each of them has";
	many[20002] = NULL;
	figure("many arguments", run(self, many));
	memset(large, 'x', 199999);
	large[199999] = 0;
	many[2] = large;
	many[3] = NULL;
	figure("one that is too long", run(self, many) - 100 == E2BIG);
	free(large);
	free(many);
}

static void kept_over_execve(void)
{
	char closed[12], open_one[12];
	const char *words[] = {self, "look", closed, open_one, NULL};

	snprintf(closed, sizeof(closed), "%d", open("/", O_RDONLY | O_CLOEXEC));
	snprintf(open_one, sizeof(open_one), "%d", open("/", O_RDONLY));
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, ignore);
	figure("descriptors and signals after execve", run(self, words));
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

static int look(char **words)
{
	struct sigaction one, two;

	sigaction(SIGUSR1, NULL, &one);
	sigaction(SIGUSR2, NULL, &two);
	return (fcntl(atoi(words[2]), F_GETFD) == -1) + 2 * (fcntl(atoi(words[3]), F_GETFD) == 0) +
	       4 * (one.sa_handler == SIG_IGN) + 8 * (two.sa_handler == SIG_DFL);
}

// ---- Waiting, groups ---------------------------------------------------------------------------

static void waiting(void)
{
	siginfo_t info;
	pid_t child = split();

	if (!child)
		_exit(9);
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	figure("status, left where it was", info.si_status);
	figure("the same again", ended(child));
	answer("nobody left", waitpid(-1, NULL, WNOHANG));
	answer("no such option", waitpid(-1, NULL, 0x100));
	signal(SIGCHLD, SIG_IGN);
	child = split();
	if (!child)
		_exit(0);
	answer("children that are ignored", waitpid(child, NULL, 0));
	signal(SIGCHLD, SIG_DFL);
	child = split();
	if (!child)
		for (;;)
			;
	figure("not yet", waitpid(child, NULL, WNOHANG));
	kill(child, SIGTERM);
	figure("killed by", ended(child) - 1000);
}

static void groups(void)
{
	int pipes[2];
	pid_t child, parent;
	char byte;

	if (pipe(pipes))
		return;
	child = split();
	if (!child) {
		setpgid(0, 0);
		if (write(pipes[1], "x", 1) == 1)
			for (;;)
				pause();
	}
	if (read(pipes[0], &byte, 1) == 1)
		figure("in a group of its own", getpgid(child) == child);
	answer("kill the group", kill(-child, SIGUSR2));
	figure("by", ended(child) - 1000);
	child = split();
	if (!child)
		_exit(setsid() == getpid() && getsid(0) == getpid() && setsid() == -1 ? 3 : 1);
	figure("a session of its own", ended(child));
	answer("a group that is not", setpgid(0, 999999));
	child = split();
	if (!child) {
		parent = getpid();
		if (!fork()) {
			while (getppid() == parent)
				usleep(1000);
			_exit(write(pipes[1], "o", 1) != 1);
		}
		_exit(0);
	}
	ended(child);
	figure("the orphan has another parent", read(pipes[0], &byte, 1));
}

static void limits(void)
{
	struct rlimit limit;

	limit = (struct rlimit){20, 30};
	answer("fewer descriptors", setrlimit(RLIMIT_NOFILE, &limit));
	answer("beyond them", dup2(0, 25));
	limit = (struct rlimit){40, 30};
	answer("more than the most", setrlimit(RLIMIT_NOFILE, &limit));
	answer("no such limit", getrlimit(99, &limit));
	answer("no such call", syscall(1000));
}

int main(int count, char **words)
{
	char folder[] = "/tmp/processes.XXXXXX";
	ssize_t length;

	if (count > 2 && !strcmp(words[1], "status"))
		return atoi(words[2]);
	if (count > 2 && !strcmp(words[1], "two words"))
		return count == 4 && strstr(words[2], "/script") && !strcmp(words[3], "last") ? 55
											      : 1;
	if (count > 2 && !strcmp(words[1], "count"))
		return count % 251;
	if (count > 3 && !strcmp(words[1], "look"))
		return look(words);
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length < 0 || !mkdtemp(folder))
		return 1;
	clones();
	executing(folder);
	kept_over_execve();
	waiting();
	groups();
	limits();
	rmdir(folder);
	return 0;
}
