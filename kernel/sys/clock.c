// SPDX-License-Identifier: MIT
/*
 * Clocks and sleeping. All clocks advance together: the monotonic ones with ktime, the real-time
 * ones with the epoch added; CPU-time clocks are those of the caller.
 */
#include <kernel/mm.h>
#include <kernel/process.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define CLOCK_REALTIME           0
#define CLOCK_MONOTONIC          1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID  3
#define CLOCK_MONOTONIC_RAW      4
#define CLOCK_REALTIME_COARSE    5
#define CLOCK_MONOTONIC_COARSE   6
#define CLOCK_BOOTTIME           7
#define CLOCK_TAI                11
#define TIMER_ABSTIME            1

int timespec_from_user(uint64_t *ns, uint64_t address)
{
	struct timespec ts;

	if (copy_from_user(&ts, address, sizeof(ts)))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	if ((uint64_t)ts.tv_sec >= INT64_MAX / NSEC_PER_SEC)
		*ns = INT64_MAX;
	else
		*ns = (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
	return 0;
}

int timespec_to_user(uint64_t address, uint64_t ns)
{
	struct timespec ts = {(int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC)};

	return copy_to_user(address, &ts, sizeof(ts));
}

uint64_t deadline_after(uint64_t ns)
{
	uint64_t now = ktime_ns();

	return ns < INT64_MAX - now ? now + ns : INT64_MAX;
}

static uint64_t process_time(void)
{
	struct process_info info;

	process_info(current_process(), &info);
	return info.user_ns + info.system_ns;
}

/* False: no such clock. */
static bool clock_read(int clock, uint64_t *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
		*ns = wall_ns();
		return true;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = ktime_ns();
		return true;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = process_time();
		return true;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = task_cpu_time(current());
		return true;
	default:
		return false;
	}
}

long sys_clock_gettime(long a_clock, long a_ts)
{
	uint64_t ns;

	if (!clock_read((int)a_clock, &ns))
		return -EINVAL;
	return timespec_to_user((uint64_t)a_ts, ns);
}

long sys_clock_getres(long a_clock, long a_ts)
{
	int clock = (int)a_clock;
	bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
	uint64_t ns;

	if (!clock_read(clock, &ns))
		return -EINVAL;
	return a_ts ? timespec_to_user((uint64_t)a_ts, coarse ? TICK_NS : 1) : 0;
}

long sys_gettimeofday(long a_tv, long a_tz)
{
	uint64_t now = wall_ns(), tv[2] = {now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000};
	uint32_t tz[2] = {0, 0};

	if (a_tv && copy_to_user((uint64_t)a_tv, tv, sizeof(tv)))
		return -EFAULT;
	if (a_tz && copy_to_user((uint64_t)a_tz, tz, sizeof(tz)))
		return -EFAULT;
	return 0;
}

long sys_time(long a_time)
{
	uint64_t now = wall_ns() / NSEC_PER_SEC;

	if (a_time && put_user_u64((uint64_t)a_time, now))
		return -EFAULT;
	return (long)now;
}

/* ---- Sleeping ---- */

/* What is left is told to the program, or the call goes on by itself when no handler ran. */
static long sleep_again(struct restart_block *b);

static long sleep_for(uint64_t deadline, uint64_t left_address)
{
	uint64_t now;
	int err = task_sleep_until(deadline, true);

	if (!err)
		return 0;
	now = ktime_ns();
	if (left_address && timespec_to_user(left_address, deadline > now ? deadline - now : 0))
		return -EFAULT;
	current_thread()->restart =
		(struct restart_block){.fn = sleep_again, .arg = {deadline, left_address}};
	return -ERESTART_RESTARTBLOCK;
}

static long sleep_again(struct restart_block *b)
{
	return sleep_for(b->arg[0], b->arg[1]);
}

long sys_nanosleep(long a_time, long a_left)
{
	uint64_t ns;
	int err = timespec_from_user(&ns, (uint64_t)a_time);

	return err ? err : sleep_for(deadline_after(ns), (uint64_t)a_left);
}

long sys_clock_nanosleep(long a_clock, long a_flags, long a_time, long a_left)
{
	int clock = (int)a_clock;
	uint64_t ns, now;
	int err;

	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return -EOPNOTSUPP; /* sleeping on CPU time is not there */
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
		clock != CLOCK_TAI)
		return clock_read(clock, &now) && clock != CLOCK_THREAD_CPUTIME_ID ? -EOPNOTSUPP
										   : -EINVAL;
	err = timespec_from_user(&ns, (uint64_t)a_time);
	if (err)
		return err;
	if (!((int)a_flags & TIMER_ABSTIME))
		return sleep_for(deadline_after(ns), (uint64_t)a_left);
	clock_read(clock, &now);
	if (ns <= now)
		return 0;
	err = task_sleep_until(deadline_after(ns - now), true);
	return err ? -ERESTARTNOHAND : 0;
}

/* ---- Times used ---- */

#define RUSAGE_SELF     0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD   1
#define CLOCK_TICK_NS   (NSEC_PER_SEC / 100)

long sys_times(long a_buf)
{
	struct process_info info;
	uint64_t t[4];

	process_info(current_process(), &info);
	t[0] = info.user_ns / CLOCK_TICK_NS;
	t[1] = info.system_ns / CLOCK_TICK_NS;
	t[2] = info.child_user_ns / CLOCK_TICK_NS;
	t[3] = info.child_system_ns / CLOCK_TICK_NS;
	if (a_buf && copy_to_user((uint64_t)a_buf, t, sizeof(t)))
		return -EFAULT;
	return (long)(ktime_ns() / CLOCK_TICK_NS);
}

struct rusage {
	int64_t user_sec, user_usec, system_sec, system_usec;
	int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock;
	int64_t msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};

static void rusage_times(struct rusage *ru, uint64_t user, uint64_t system)
{
	ru->user_sec = (int64_t)(user / NSEC_PER_SEC);
	ru->user_usec = (int64_t)(user % NSEC_PER_SEC / 1000);
	ru->system_sec = (int64_t)(system / NSEC_PER_SEC);
	ru->system_usec = (int64_t)(system % NSEC_PER_SEC / 1000);
}

long sys_getrusage(long a_who, long a_usage)
{
	struct rusage ru = {0};
	struct process_info info;
	struct mm_stats st;
	uint64_t user, system;

	process_info(current_process(), &info);
	mm_stats_get(current()->mm, &st);
	switch ((int)a_who) {
	case RUSAGE_THREAD:
		task_cpu_times(current(), &user, &system);
		rusage_times(&ru, user, system);
		ru.maxrss = (int64_t)(st.rss_peak / 1024);
		break;
	case RUSAGE_SELF:
		rusage_times(&ru, info.user_ns, info.system_ns);
		ru.maxrss = (int64_t)(st.rss_peak / 1024);
		ru.minflt = (int64_t)st.minor_faults;
		ru.majflt = (int64_t)st.major_faults;
		break;
	case RUSAGE_CHILDREN:
		rusage_times(&ru, info.child_user_ns, info.child_system_ns);
		break;
	default:
		return -EINVAL;
	}
	return copy_to_user((uint64_t)a_usage, &ru, sizeof(ru));
}
