// SPDX-License-Identifier: MIT
/*
 * alarm(2) and setitimer(2) on the real clock. The clocks of CPU time (ITIMER_VIRTUAL, ITIMER_PROF)
 * are not there: EINVAL.
 *
 * itimer_mutex serialises changes and is never taken by the timer. process->lock guards the times;
 * the timer's function takes it, so it is not held over timer_cancel. With the interval at 0 the
 * function does not arm again, so the second cancel is final.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define ITIMER_REAL 0

struct itimerval {
	int64_t interval_sec, interval_usec, value_sec, value_usec;
};

static void itimer_fire(struct timer *timer)
{
	struct process *p = container_of(timer, struct process, itimer);
	struct siginfo info = {.si_signo = SIGALRM, .si_code = SI_KERNEL};
	uint64_t flags = spin_lock_irqsave(&p->lock), now = ktime_ns();

	if (p->itimer_expires) {
		signal_send_locked(p, NULL, SIGALRM, &info);
		if (p->itimer_interval) {
			while (p->itimer_expires <= now)
				p->itimer_expires += p->itimer_interval;
			timer_start(timer, p->itimer_expires);
		} else {
			p->itimer_expires = 0;
		}
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

void itimer_init(struct process *p)
{
	timer_init(&p->itimer, itimer_fire);
}

void itimer_stop(struct process *p)
{
	uint64_t flags;

	flags = spin_lock_irqsave(&p->lock);
	p->itimer_expires = 0;
	p->itimer_interval = 0;
	spin_unlock_irqrestore(&p->lock, flags);
	timer_cancel(&p->itimer);
	timer_cancel(&p->itimer);
}

static void itimer_read(struct process *p, uint64_t *left, uint64_t *interval)
{
	uint64_t flags = spin_lock_irqsave(&p->lock), now = ktime_ns();

	*interval = p->itimer_interval;
	*left = 0;
	if (p->itimer_expires)
		*left = p->itimer_expires > now ? p->itimer_expires - now : 1000;
	spin_unlock_irqrestore(&p->lock, flags);
}

/* Changes it and tells what was; value 0: off. */
static void itimer_set(
	uint64_t value, uint64_t interval, uint64_t *old_value, uint64_t *old_interval)
{
	struct process *p = current_process();
	uint64_t flags, expires;

	mutex_lock(&p->itimer_mutex);
	itimer_read(p, old_value, old_interval);
	itimer_stop(p);
	if (value) {
		expires = deadline_after(value);
		flags = spin_lock_irqsave(&p->lock);
		p->itimer_expires = expires;
		p->itimer_interval = interval;
		timer_start(&p->itimer, expires);
		spin_unlock_irqrestore(&p->lock, flags);
	}
	mutex_unlock(&p->itimer_mutex);
}

static int timeval_ns(int64_t sec, int64_t usec, uint64_t *ns)
{
	if (sec < 0 || usec < 0 || usec >= 1000000)
		return -EINVAL;
	*ns = (uint64_t)sec > INT64_MAX / NSEC_PER_SEC - 1
		      ? INT64_MAX
		      : (uint64_t)sec * NSEC_PER_SEC + (uint64_t)usec * 1000;
	return 0;
}

static struct itimerval itimerval_from(uint64_t value, uint64_t interval)
{
	return (struct itimerval){
		.interval_sec = (int64_t)(interval / NSEC_PER_SEC),
		.interval_usec = (int64_t)(interval % NSEC_PER_SEC / 1000),
		.value_sec = (int64_t)(value / NSEC_PER_SEC),
		.value_usec = (int64_t)(value % NSEC_PER_SEC / 1000),
	};
}

long sys_setitimer(long a_which, long a_new, long a_old)
{
	struct itimerval it = {0};
	uint64_t value, interval, old_value, old_interval;

	if (a_new && copy_from_user(&it, (uint64_t)a_new, sizeof(it)))
		return -EFAULT;
	if ((int)a_which != ITIMER_REAL)
		return -EINVAL;
	if (timeval_ns(it.value_sec, it.value_usec, &value) ||
		timeval_ns(it.interval_sec, it.interval_usec, &interval))
		return -EINVAL;
	itimer_set(value, interval, &old_value, &old_interval);
	it = itimerval_from(old_value, old_interval);
	if (a_old && copy_to_user((uint64_t)a_old, &it, sizeof(it)))
		return -EFAULT;
	return 0;
}

long sys_getitimer(long a_which, long a_value)
{
	uint64_t value, interval;
	struct itimerval it;

	if ((int)a_which != ITIMER_REAL)
		return -EINVAL;
	itimer_read(current_process(), &value, &interval);
	it = itimerval_from(value, interval);
	return copy_to_user((uint64_t)a_value, &it, sizeof(it));
}

/* Whole seconds left, rounded, and never 0 for a timer that is set. */
long sys_alarm(long a_seconds)
{
	uint64_t old_value, old_interval, seconds = (uint32_t)a_seconds;

	itimer_set(seconds * NSEC_PER_SEC, 0, &old_value, &old_interval);
	if (!old_value)
		return 0;
	seconds = (old_value + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return seconds ? (long)seconds : 1;
}
