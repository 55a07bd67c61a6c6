// SPDX-License-Identifier: MIT
// The first process: makes the tree that the reference kernel has, waits until the kernel has nothing of its own to do,
// runs the program, and says what it cost.
#include "linux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_NS  500000000 // in which the kernel has to be idle
#define MAX_WINDOW 40

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void mount_on(const char *type, const char *path)
{
	if (mount(type, path, type, 0, NULL) && errno != EBUSY)
		give_up("%s cannot be mounted on %s: %s", type, path, strerror(errno));
}

static void link_to(const char *target, const char *path)
{
	if (symlink(target, path) && errno != EEXIST)
		give_up("%s cannot be made: %s", path, strerror(errno));
}

static void make_tree(void)
{
	mount_on("proc", "/proc");
	mkdir("/sys", 0555);
	mount_on("sysfs", "/sys");
	mount_on("devtmpfs", "/dev");
	link_to("/proc/self/fd", "/dev/fd");
	link_to("/proc/self/fd/0", "/dev/stdin");
	link_to("/proc/self/fd/1", "/dev/stdout");
	link_to("/proc/self/fd/2", "/dev/stderr");
	if (mkdir("/dev/shm", 01777) == 0)
		chmod("/dev/shm", 01777);
}

static void set_clock(int64_t epoch)
{
	const struct timespec t = {.tv_sec = epoch / 1000000000, .tv_nsec = epoch % 1000000000};

	if (clock_settime(CLOCK_REALTIME, &t))
		give_up("the clock cannot be set: %s", strerror(errno));
}

// Clock ticks that all CPUs spent idle since boot: the fourth figure.
static uint64_t idle_ticks(void)
{
	unsigned long long idle = 0;
	char *text = read_file("/proc/stat", NULL);

	if (!text || sscanf(text, "cpu %*u %*u %*u %llu", &idle) != 1)
		give_up("/proc/stat is not readable");
	free(text);
	return idle;
}

// What a kernel does after its start (freeing memory, looking for devices) would be counted as the program's.
static void wait_until_idle(void)
{
	const struct timespec window = {.tv_nsec = WINDOW_NS};
	uint64_t whole = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) * (uint64_t)sysconf(_SC_CLK_TCK) * WINDOW_NS / 1000000000;

	for (int i = 0; i < MAX_WINDOW; i++) {
		uint64_t before = idle_ticks();
		nanosleep(&window, NULL);
		// A tick may fall on either side of the window's ends.
		if (idle_ticks() - before + 2 >= whole)
			return;
	}
	record("log Linux was not idle after %d half seconds: its figures include what it did", MAX_WINDOW);
}

// A line "NAME VALUE" of /proc/vmstat.
static uint64_t vmstat(const char *name)
{
	char *text = read_file("/proc/vmstat", NULL);
	char *key = NULL;
	uint64_t value = 0;

	if (text && asprintf(&key, "\n%s ", name) > 0) {
		const char *at = strstr(text, key);
		value = at ? strtoull(at + strlen(key), NULL, 10) : 0;
	}
	free(key);
	free(text);
	return value;
}

// Interrupts that told CPUs to flush, summed over them; the line "TLB:" of /proc/interrupts.
static uint64_t flush_interrupts(void)
{
	char *text = read_file("/proc/interrupts", NULL);
	char *at = text ? strstr(text, "TLB:") : NULL;
	uint64_t sum = 0;

	for (at = at ? at + 4 : NULL; at;) {
		char *end;
		uint64_t value = strtoull(at, &end, 10);
		if (end == at)
			break;
		sum += value;
		at = end;
	}
	free(text);
	return sum;
}

static int wait_for(pid_t pid)
{
	int status;
	pid_t ended;

	do
		ended = waitpid(-1, &status, 0);
	while (ended != pid && (ended > 0 || errno == EINTR));
	if (ended < 0)
		give_up("the program's end is not known: %s", strerror(errno));
	return status;
}

// As on the reference kernel, nothing outlives the program.
static void kill_rest(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

static bool dumps_core(int number)
{
	static const int signals[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (signals[i] == number)
			return true;
	return false;
}

static void report_end(const struct program *program, int status)
{
	if (*program->exec_error)
		record("noexec %d %s", *program->exec_error, strerror(*program->exec_error));
	else if (WIFSIGNALED(status))
		record("signal %d %d", WTERMSIG(status), dumps_core(WTERMSIG(status)));
	else
		record("exit %d", WEXITSTATUS(status));
}

static void report_usage(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	stat_record("faults_minor", (uint64_t)usage.ru_minflt);
	stat_record("faults_major", (uint64_t)usage.ru_majflt);
	stat_record("context_switches", (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw));
	stat_record("pages_resident_largest", (uint64_t)usage.ru_maxrss / 4);
	stat_record("cpus", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	stat_record("memory_bytes", (uint64_t)sysconf(_SC_PHYS_PAGES) * 4096);
}

static void run(const struct orders *orders)
{
	struct program program;
	int status;

	if (orders->watch)
		watch_prepare();
	uint64_t kills = vmstat("oom_kill"), interrupts = flush_interrupts();
	int64_t start = now();
	start_program(&program, orders, orders->watch);
	status = orders->watch ? watch_program(&program) : wait_for(program.pid);
	int64_t end = now();
	kill_rest();
	port_file(PORT_OUTPUT, program.output);
	if (program.error != program.output)
		port_file(PORT_ERROR, program.error);
	report_end(&program, status);
	stat_record("wall_ns", (uint64_t)(end - start));
	stat_record("flush_interrupts", flush_interrupts() - interrupts);
	stat_record("killed_for_memory", vmstat("oom_kill") - kills);
	report_usage();
	if (orders->watch)
		watch_report();
}

int main(void)
{
	struct orders orders;
	struct utsname names;

	make_tree();
	orders_read(&orders);
	// What the kernel says while the program runs would cost time; of its end it tells in any case.
	klogctl(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, 1);
	set_clock(orders.epoch);
	if (sethostname("vmtree", 6) || uname(&names))
		give_up("no name for the machine: %s", strerror(errno));
	record("boot %s %s", names.sysname, names.release);
	wait_until_idle();
	run(&orders);
	record("done");
	machine_off();
}
