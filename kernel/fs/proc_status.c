// SPDX-License-Identifier: MIT
/*
 * What /proc/PID says of a process, in the formats of proc(5).
 */
#include "proc.h"

#include <kernel/mm.h>

#define KB(bytes) ((bytes) / 1024)
#define CLOCK_TICKS(ns) ((ns) / 10000000) /* sysconf(_SC_CLK_TCK) is 100 */

/* A process, what is known of it, and its memory (NULL when it has none). */
struct subject {
	struct process *p;
	struct process_info info;
	struct mm *mm;
	struct mm_stats stats;
};

static int subject_get(struct subject *s, struct inode *inode)
{
	*s = (struct subject){ .p = proc_process(inode) };
	if (!s->p)
		return -ESRCH;
	process_info(s->p, &s->info);
	s->mm = process_mm_get(s->p);
	if (s->mm)
		mm_stats_get(s->mm, &s->stats);
	return 0;
}

static void subject_put(struct subject *s)
{
	mm_put(s->mm);
	process_put(s->p);
}

/* ---- status ---- */

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'T':
		return "T (stopped)";
	default:
		return "Z (zombie)";
	}
}

static void status_memory(struct text *t, const struct subject *s)
{
	struct mm_kinds kinds;

	mm_kinds_get(s->mm, &kinds);
	text_add(t, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8u kB\nVmPin:\t%8u kB\n",
		KB(s->stats.size_peak), KB(s->stats.size), 0, 0);
	text_add(t, "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\nRssAnon:\t%8lu kB\nRssFile:\t%8lu kB\n"
		    "RssShmem:\t%8u kB\n",
		KB(s->stats.rss_peak), KB(s->stats.rss), KB(s->stats.rss_anon),
		KB(s->stats.rss_object), 0);
	text_add(t, "VmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\nVmLib:\t%8u kB\n"
		    "VmPTE:\t%8lu kB\nVmSwap:\t%8u kB\n",
		KB(kinds.data), KB(kinds.stack), KB(kinds.exec), 0, KB(s->stats.tables), 0);
}

/* CPU lists as in Cpus_allowed_list: "0-3,6". */
static void cpu_list(struct text *t, cpumask_t mask)
{
	const char *comma = "";

	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++) {
		unsigned int last = cpu;

		if (!(mask & CPU_BIT(cpu)))
			continue;
		while (last + 1 < MAX_CPUS && mask & CPU_BIT(last + 1))
			last++;
		text_add(t, last > cpu ? "%s%u-%u" : "%s%u", comma, cpu, last);
		comma = ",";
		cpu = last;
	}
}

static void status_tail(struct text *t, const struct subject *s)
{
	cpumask_t mask = cpu_all();
	struct thread *leader;
	uint64_t flags = spin_lock_irqsave(&s->p->lock);

	if (!list_empty(&s->p->threads)) {
		leader = list_first(&s->p->threads, struct thread, process_link);
		/* Relaxed: a figure to show. */
		mask = atomic_load_explicit(&leader->task->affinity, memory_order_relaxed);
	}
	spin_unlock_irqrestore(&s->p->lock, flags);
	mask &= cpu_all();
	text_add(t, "Threads:\t%u\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n"
		    "SigIgn:\t%016lx\nSigCgt:\t%016lx\n",
		s->info.threads, 0UL, s->info.sig_pending, s->info.sig_blocked,
		s->info.sig_ignored, s->info.sig_caught);
	text_add(t, "NoNewPrivs:\t0\nSeccomp:\t0\nCpus_allowed:\t%lx\nCpus_allowed_list:\t", mask);
	cpu_list(t, mask);
	text_add(t, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int proc_pid_status(struct text *t, struct inode *inode)
{
	struct subject s;
	struct files *files;
	struct fs_state *fs;
	int err = subject_get(&s, inode);

	if (err)
		return err;
	files = process_files_get(s.p);
	fs = process_fs_get(s.p);
	text_add(t, "Name:\t%s\n", s.info.name);
	if (fs)
		text_add(t, "Umask:\t%04o\n", fs_state_umask(fs));
	text_add(t, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		state_name(s.info.state), s.info.pid, s.info.pid, s.info.ppid);
	text_add(t, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t%u\nGroups:\t \n",
		files ? files_size(files) : 0);
	text_add(t, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", s.info.pid, s.info.pid,
		s.info.pgid, s.info.sid);
	if (s.mm)
		status_memory(t, &s);
	status_tail(t, &s);
	if (files)
		files_put(files);
	if (fs)
		fs_put(fs);
	subject_put(&s);
	return 0;
}

/* ---- stat and statm ---- */

int proc_pid_stat(struct text *t, struct inode *inode)
{
	struct subject s;
	int err = subject_get(&s, inode);

	if (err)
		return err;
	/* 1 pid to 8 tpgid, 9 flags, 10 minflt to 13 cmajflt, 14 utime to 17 cstime */
	text_add(t, "%d (%s) %c %d %d %d 0 -1 0 %lu 0 %lu 0 %lu %lu %lu %lu ", s.info.pid,
		s.info.name, s.info.state, s.info.ppid, s.info.pgid, s.info.sid,
		s.stats.minor_faults, s.stats.major_faults, CLOCK_TICKS(s.info.user_ns),
		CLOCK_TICKS(s.info.system_ns), CLOCK_TICKS(s.info.child_user_ns),
		CLOCK_TICKS(s.info.child_system_ns));
	/* 18 priority, 19 nice, 20 threads, 21 itrealvalue, 22 starttime, 23 vsize, 24 rss, 25 rsslim */
	text_add(t, "%d %d %u 0 %lu %lu %lu %lu ", 20 + s.info.nice, s.info.nice, s.info.threads,
		CLOCK_TICKS(s.info.start_ns), s.stats.size, s.stats.rss / PAGE_SIZE, UINT64_MAX);
	/* 26 startcode, 27 endcode, 28 startstack, 29 kstkesp, 30 kstkeip, 31 to 34 signals */
	text_add(t, "0 0 %lu 0 0 %lu %lu %lu %lu ", s.mm ? s.mm->stack_top : 0,
		s.info.sig_pending & INT32_MAX, s.info.sig_blocked & INT32_MAX,
		s.info.sig_ignored & INT32_MAX, s.info.sig_caught & INT32_MAX);
	/* 35 wchan to 38 exit_signal, 39 processor to 44 cguest_time, 45 start_data to 52 exit_code */
	text_add(t, "0 0 0 %d 0 0 0 0 0 0 0 0 %lu 0 0 0 0 0\n", s.p->exit_signal,
		s.mm ? s.mm->brk_start : 0);
	subject_put(&s);
	return 0;
}

int proc_pid_statm(struct text *t, struct inode *inode)
{
	struct mm_kinds kinds = { 0 };
	struct subject s;
	int err = subject_get(&s, inode);

	if (err)
		return err;
	if (s.mm)
		mm_kinds_get(s.mm, &kinds);
	text_add(t, "%lu %lu %lu %lu 0 %lu 0\n", s.stats.size / PAGE_SIZE,
		s.stats.rss / PAGE_SIZE, s.stats.rss_object / PAGE_SIZE, kinds.exec / PAGE_SIZE,
		(kinds.data + kinds.stack) / PAGE_SIZE);
	subject_put(&s);
	return 0;
}

/* ---- The small ones ---- */

int proc_pid_comm(struct text *t, struct inode *inode)
{
	struct process_info info;
	struct process *p = proc_process(inode);

	if (!p)
		return -ESRCH;
	process_info(p, &info);
	process_put(p);
	text_add(t, "%s\n", info.name);
	return 0;
}

int proc_pid_cmdline(struct text *t, struct inode *inode)
{
	struct process *p = proc_process(inode);
	char part[256];
	ssize_t n;

	if (!p)
		return -ESRCH;
	while ((n = process_args(p, part, sizeof(part), t->len)) > 0 && !t->failed)
		text_bytes(t, part, (size_t)n);
	process_put(p);
	return 0;
}

static const struct {
	const char *name, *unit;
} limit_names[RLIMIT_COUNT] = {
	[RLIMIT_CPU] = { "Max cpu time", "seconds" },
	[RLIMIT_FSIZE] = { "Max file size", "bytes" },
	[RLIMIT_DATA] = { "Max data size", "bytes" },
	[RLIMIT_STACK] = { "Max stack size", "bytes" },
	[RLIMIT_CORE] = { "Max core file size", "bytes" },
	[RLIMIT_RSS] = { "Max resident set", "bytes" },
	[RLIMIT_NPROC] = { "Max processes", "processes" },
	[RLIMIT_NOFILE] = { "Max open files", "files" },
	[RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" },
	[RLIMIT_AS] = { "Max address space", "bytes" },
	[RLIMIT_LOCKS] = { "Max file locks", "locks" },
	[RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
	[RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" },
	[RLIMIT_NICE] = { "Max nice priority", "" },
	[RLIMIT_RTPRIO] = { "Max realtime priority", "" },
	[RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
};

static void limit_value(struct text *t, uint64_t value)
{
	if (value == RLIM_INFINITY)
		text_add(t, "%-20s ", "unlimited");
	else
		text_add(t, "%-20lu ", value);
}

int proc_pid_limits(struct text *t, struct inode *inode)
{
	struct rlimit limits[RLIMIT_COUNT];
	struct process *p = proc_process(inode);
	uint64_t flags;

	if (!p)
		return -ESRCH;
	flags = spin_lock_irqsave(&p->lock);
	for (unsigned int i = 0; i < RLIMIT_COUNT; i++)
		limits[i] = process_limit_get(p, i);
	spin_unlock_irqrestore(&p->lock, flags);
	process_put(p);
	text_add(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < RLIMIT_COUNT; i++) {
		text_add(t, "%-25s ", limit_names[i].name);
		limit_value(t, limits[i].current);
		limit_value(t, limits[i].maximum);
		text_add(t, "%-10s\n", limit_names[i].unit);
	}
	return 0;
}
