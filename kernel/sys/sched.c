// SPDX-License-Identifier: MIT
/*
 * Scheduling calls. There is one class, SCHED_OTHER, with one priority; a request for another is
 * refused with EPERM. Nice values are recorded and have no effect.
 */
#include <kernel/ipi.h>
#include <kernel/process.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define SCHED_OTHER         0
#define SCHED_BATCH         3
#define SCHED_IDLE          5
#define SCHED_RESET_ON_FORK 0x40000000

long sys_sched_yield(void)
{
	task_yield();
	return 0;
}

static long check_tid(long a_tid)
{
	struct task *task;

	if ((pid_t)a_tid < 0)
		return -EINVAL;
	task = process_task((pid_t)a_tid);
	if (!task)
		return -ESRCH;
	task_put(task);
	return 0;
}

long sys_sched_setaffinity(long a_tid, long a_size, long a_mask)
{
	cpumask_t mask = 0;
	struct task *task;
	long err;

	if (copy_from_user(&mask, (uint64_t)a_mask, MIN((uint64_t)(uint32_t)a_size, sizeof(mask))))
		return -EFAULT;
	task = process_task((pid_t)a_tid);
	if (!task)
		return -ESRCH;
	err = task_set_affinity(task, mask);
	task_put(task);
	return err;
}

long sys_sched_getaffinity(long a_tid, long a_size, long a_mask)
{
	struct task *task;
	cpumask_t mask;
	uint32_t size = (uint32_t)a_size;

	if (size < sizeof(mask) || size % sizeof(mask))
		return -EINVAL;
	task = process_task((pid_t)a_tid);
	if (!task)
		return -ESRCH;
	/* Relaxed: a momentary answer. */
	mask = atomic_load_explicit(&task->affinity, memory_order_relaxed) & cpu_all();
	task_put(task);
	if (copy_to_user((uint64_t)a_mask, &mask, sizeof(mask)))
		return -EFAULT;
	return sizeof(mask);
}

long sys_getcpu(long a_cpu, long a_node, long a_unused __unused)
{
	if (a_cpu && put_user_u32((uint64_t)a_cpu, cpu_id()))
		return -EFAULT;
	if (a_node && put_user_u32((uint64_t)a_node, 0))
		return -EFAULT;
	return 0;
}

/* The one policy with the one priority is all that can be set. */
static long set_policy(long a_tid, int policy, long a_param)
{
	uint32_t priority;
	long err = check_tid(a_tid);

	if (!a_param)
		return -EINVAL;
	if (err)
		return err;
	if (get_user_u32(&priority, (uint64_t)a_param))
		return -EFAULT;
	policy &= ~SCHED_RESET_ON_FORK;
	if (policy < 0 || policy > 6 || policy == 4)
		return -EINVAL;
	if (policy == SCHED_OTHER)
		return priority ? -EINVAL : 0;
	return -EPERM;
}

long sys_sched_setparam(long a_tid, long a_param)
{
	return set_policy(a_tid, SCHED_OTHER, a_param);
}

long sys_sched_setscheduler(long a_tid, long a_policy, long a_param)
{
	return set_policy(a_tid, (int)a_policy, a_param);
}

long sys_sched_getparam(long a_tid, long a_param)
{
	long err = check_tid(a_tid);

	if (!a_param)
		return -EINVAL;
	return err ? err : put_user_u32((uint64_t)a_param, 0);
}

long sys_sched_getscheduler(long a_tid)
{
	long err = check_tid(a_tid);

	return err ? err : SCHED_OTHER;
}

static long priority_limit(int policy, long realtime)
{
	if (policy == 1 || policy == 2)
		return realtime;
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE ? 0 : -EINVAL;
}

long sys_sched_get_priority_max(long a_policy)
{
	return priority_limit((int)a_policy, 99);
}

long sys_sched_get_priority_min(long a_policy)
{
	return priority_limit((int)a_policy, 1);
}

long sys_sched_rr_get_interval(long a_tid, long a_time)
{
	long err = check_tid(a_tid);

	return err ? err : timespec_to_user((uint64_t)a_time, 2 * TICK_NS);
}

/* ---- Nice values ---- */

#define PRIO_PROCESS 0

static struct process *prio_target(long a_which, long a_who)
{
	if ((int)a_which != PRIO_PROCESS)
		return NULL;
	if (!a_who) {
		process_get(current_process());
		return current_process();
	}
	return process_find((pid_t)a_who);
}

static long prio_error(long a_which)
{
	return (unsigned int)a_which > 2 ? -EINVAL : -ESRCH;
}

/*
 * Only for processes: groups and users are answered with ESRCH. Returns 20 - nice, as the kernel.
 */
long sys_getpriority(long a_which, long a_who)
{
	struct process *p = prio_target(a_which, a_who);
	uint64_t flags;
	long result;

	if (!p)
		return prio_error(a_which);
	flags = spin_lock_irqsave(&p->lock);
	result = 20 - p->nice;
	spin_unlock_irqrestore(&p->lock, flags);
	process_put(p);
	return result;
}

long sys_setpriority(long a_which, long a_who, long a_nice)
{
	struct process *p = prio_target(a_which, a_who);
	uint64_t flags;

	if (!p)
		return prio_error(a_which);
	flags = spin_lock_irqsave(&p->lock);
	p->nice = MAX(-20, MIN(19, (int)a_nice));
	spin_unlock_irqrestore(&p->lock, flags);
	process_put(p);
	return 0;
}

/* ---- Memory barriers on other CPUs ---- */

#define MEMBARRIER_CMD_QUERY                      0
#define MEMBARRIER_CMD_GLOBAL                     1
#define MEMBARRIER_CMD_PRIVATE_EXPEDITED          8
#define MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED 16

static void barrier_here(void *arg __unused)
{
	/* Orders the interrupted program's accesses; that is what membarrier(2) promises. */
	atomic_thread_fence(memory_order_seq_cst);
}

/*
 * Every CPU is interrupted, whatever it runs: more than PRIVATE_EXPEDITED has to do, and so there
 * is nothing to register either.
 */
long sys_membarrier(long a_cmd, long a_flags, long a_cpu __unused)
{
	if (a_flags)
		return -EINVAL;
	switch ((int)a_cmd) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		ipi_call(cpu_all(), barrier_here, NULL);
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		return 0;
	default:
		return -EINVAL;
	}
}
