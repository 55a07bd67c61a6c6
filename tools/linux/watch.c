// SPDX-License-Identifier: MIT
// A run that is watched. Linux keeps no peak of its page tables and tells of flushes only where it is traced; both slow
// the program, so that a watched run is not the one that is timed.
//
// Memory: every millisecond the sum over all processes of what /proc/PID/status says, and once more at the moment when
// the program ends and has its memory still, for which it is followed by ptrace. Flushes and refused system calls: the
// kernel's own histograms of its trace events.
#include "linux.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 1000000

struct amounts {
	uint64_t resident, tables; // KiB
};

static struct amounts peak, last;
static uint64_t samples;
static int flush_histogram = -1, refused_histogram = -1;

// ---- Memory ----

static uint64_t field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

// Adds a process's. Those of the kernel have no such lines.
static void add_process(const char *pid, struct amounts *sum)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length < 0 ? 0 : length] = 0;
	uint64_t highest = field(text, "\nVmHWM:");
	sum->resident += field(text, "\nVmRSS:");
	sum->tables += field(text, "\nVmPTE:");
	if (highest > peak.resident)
		peak.resident = highest;
}

static void sample(void)
{
	struct amounts sum = {0};
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	pid_t self = getpid();

	if (!proc)
		give_up("/proc cannot be read: %s", strerror(errno));
	while ((entry = readdir(proc)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != self)
			add_process(entry->d_name, &sum);
	closedir(proc);
	// Nobody has memory any more: what was before is the last.
	if (!sum.resident)
		return;
	samples++;
	last = sum;
	if (sum.resident > peak.resident)
		peak.resident = sum.resident;
	if (sum.tables > peak.tables)
		peak.tables = sum.tables;
}

// ---- Traces ----

// Starts a histogram over an event and opens it. -1 where this kernel has no such event or no histograms.
static int start_histogram(const char *root, const char *event, const char *trigger)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/events/%s/trigger", root, event);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	bool good = write(fd, trigger, strlen(trigger)) > 0;
	close(fd);
	snprintf(path, sizeof(path), "%s/events/%s/hist", root, event);
	return good ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

// The folder of the traces is there only until the histograms are open.
void watch_prepare(void)
{
	static const char root[] = "/.trace";

	if (mkdir(root, 0700))
		give_up("%s cannot be made: %s", root, strerror(errno));
	if (mount("tracefs", root, "tracefs", 0, NULL) == 0) {
		// Process 1 is this one.
		flush_histogram = start_histogram(root, "tlb/tlb_flush", "hist:keys=reason if common_pid != 1");
		refused_histogram = start_histogram(root, "raw_syscalls/sys_exit",
			"hist:keys=id.syscall,ret if common_pid != 1 && (ret == -38 || (id == 28 && ret == -22))");
		umount2(root, MNT_DETACH);
	}
	rmdir(root);
}

static char *histogram_text(int fd)
{
	static char text[1 << 16];
	size_t used = 0;
	ssize_t got;

	while ((got = pread(fd, text + used, sizeof(text) - used - 1, (off_t)used)) > 0)
		used += (size_t)got;
	text[used] = 0;
	return text;
}

// The reasons of include/linux/mm_types.h, in their order.
enum { FLUSH_SWITCH, FLUSH_REMOTE, FLUSH_LOCAL, FLUSH_LOCAL_ALL, FLUSH_IPI, FLUSH_REASONS };

static void report_flushes(void)
{
	uint64_t counts[FLUSH_REASONS] = {0};
	char *text;

	if (flush_histogram < 0)
		return;
	text = histogram_text(flush_histogram);
	for (char *at = text; (at = strstr(at, "{ reason:")) != NULL; at++) {
		const char *hits = strstr(at, "hitcount:");
		unsigned long reason = strtoul(at + 9, NULL, 10);
		if (hits && reason < FLUSH_REASONS)
			counts[reason] += strtoull(hits + 9, NULL, 10);
	}
	stat_record("flush_local", counts[FLUSH_LOCAL] + counts[FLUSH_LOCAL_ALL]);
	stat_record("flush_ipi", counts[FLUSH_IPI]);
}

// "{ id: sys_name                [number], ret: value } hitcount: count". The value is a word without a sign.
static void report_refused(void)
{
	uint64_t advice = 0;
	char *text;

	if (refused_histogram < 0)
		return;
	text = histogram_text(refused_histogram);
	for (char *at = text; (at = strstr(at, "{ id: ")) != NULL; at++) {
		char name[64];
		unsigned number;
		unsigned long long ret, count;
		if (sscanf(at, "{ id: %63s [%u], ret: %llu } hitcount: %llu", name, &number, &ret, &count) != 4)
			continue;
		if ((int64_t)ret == -EINVAL)
			advice += count;
		else
			record("syscall %u %s %llu", number, strncmp(name, "sys_", 4) ? name : name + 4, count);
	}
	stat_record("madvise_refused", advice);
}

void watch_report(void)
{
	if (samples) {
		stat_record("pages_resident_peak", peak.resident / 4);
		stat_record("pages_resident_last", last.resident / 4);
		stat_record("table_bytes_peak", peak.tables * 1024);
		stat_record("table_bytes_last", last.tables * 1024);
	}
	stat_record("samples", samples);
	report_flushes();
	report_refused();
}

// ---- Following ----

// The program stopped. It goes on as it would have without us.
static void go_on(pid_t pid, int status)
{
	int event = status >> 16, number = WSTOPSIG(status);

	if (event == PTRACE_EVENT_EXIT) {
		sample();
		number = 0;
	} else if (event == PTRACE_EVENT_STOP) {
		// A stop of the whole process lasts until SIGCONT.
		if (number != SIGTRAP) {
			ptrace(PTRACE_LISTEN, pid, 0, 0);
			return;
		}
		number = 0;
	}
	ptrace(PTRACE_CONT, pid, 0, (long)number);
}

// Whoever has something to tell. True: the program's end, in *status.
static bool serve_children(const struct program *program, int *status)
{
	pid_t pid;

	while ((pid = waitpid(-1, status, WNOHANG | __WALL)) > 0) {
		if (WIFSTOPPED(*status))
			go_on(pid, *status);
		else if (pid == program->pid)
			return true;
	}
	return false;
}

int watch_program(struct program *program)
{
	const struct timespec period = {.tv_nsec = PERIOD_NS};
	sigset_t child;
	int status;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	if (ptrace(PTRACE_SEIZE, program->pid, 0, (long)PTRACE_O_TRACEEXIT))
		give_up("the program cannot be followed: %s", strerror(errno));
	start_release();
	while (!serve_children(program, &status)) {
		if (sigtimedwait(&child, NULL, &period) < 0 && errno == EAGAIN)
			sample();
	}
	return status;
}
