// SPDX-License-Identifier: MIT
/*
 * Process and thread objects, their numbers, and the process tree.
 *
 * tree_lock (spinlock) guards the two number tables, the list of all processes, parents, children,
 * groups and sessions. It is taken before any process->lock.
 *
 * A number is in use while a process or a thread bears it, or a group or a session is named by it.
 */
#include "proc.h"
#include <kernel/hooks.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#define HASH_SIZE 256
#define PID_LIMIT 32768

struct spinlock tree_lock = SPINLOCK_INIT;
struct list tree_all = LIST_INIT(tree_all);

static struct list pids[HASH_SIZE], tids[HASH_SIZE]; /* next NULL: empty, not yet set up */
static pid_t last_pid = 1;
static bool wrapped; /* numbers have come round: look before giving one */
static unsigned int nr_processes, nr_threads_all;
static atomic_uint nr_objects;

struct process init_process;

static struct list *bucket(struct list *table, pid_t pid)
{
	struct list *l = &table[(unsigned int)pid % HASH_SIZE];

	if (!l->next)
		list_init(l);
	return l;
}

struct process *tree_process(pid_t pid)
{
	struct process *p;

	list_for_each(p, bucket(pids, pid), pid_link)
	{
		if (p->pid == pid)
			return p;
	}
	return NULL;
}

struct thread *tree_thread(pid_t tid)
{
	struct thread *t;

	list_for_each(t, bucket(tids, tid), tid_link)
	{
		if (t->tid == tid)
			return t;
	}
	return NULL;
}

static bool pid_in_use(pid_t pid)
{
	struct process *p;

	if (tree_process(pid) || tree_thread(pid))
		return true;
	tree_for_each(p)
	{
		if (p->pgid == pid || p->sid == pid)
			return true;
	}
	return false;
}

/* Tree lock held. 0: none free. */
static pid_t pid_alloc(void)
{
	for (int tries = 0; tries < PID_LIMIT; tries++) {
		if (++last_pid >= PID_LIMIT) {
			last_pid = 2;
			wrapped = true;
		}
		if (!wrapped || !pid_in_use(last_pid))
			return last_pid;
	}
	return 0;
}

static const struct rlimit default_limits[RLIMIT_COUNT] = {
	[RLIMIT_CPU] = {RLIM_INFINITY, RLIM_INFINITY},
	[RLIMIT_FSIZE] = {RLIM_INFINITY, RLIM_INFINITY},
	[RLIMIT_DATA] = {RLIM_INFINITY, RLIM_INFINITY},
	[RLIMIT_STACK] = {8UL << 20, RLIM_INFINITY},
	[RLIMIT_CORE] = {0, RLIM_INFINITY},
	[RLIMIT_RSS] = {RLIM_INFINITY, RLIM_INFINITY},
	[RLIMIT_NPROC] = {PID_LIMIT, PID_LIMIT},
	[RLIMIT_NOFILE] = {1024, 4096},
	[RLIMIT_MEMLOCK] = {8UL << 20, 8UL << 20},
	[RLIMIT_AS] = {RLIM_INFINITY, RLIM_INFINITY},
	[RLIMIT_LOCKS] = {RLIM_INFINITY, RLIM_INFINITY},
	[RLIMIT_SIGPENDING] = {4096, 4096},
	[RLIMIT_MSGQUEUE] = {819200, 819200},
	[RLIMIT_NICE] = {0, 0},
	[RLIMIT_RTPRIO] = {0, 0},
	[RLIMIT_RTTIME] = {RLIM_INFINITY, RLIM_INFINITY},
};

/* p is not published yet. */
static void limits_set(struct process *p, const struct rlimit *limits)
{
	for (int i = 0; i < RLIMIT_COUNT; i++) {
		atomic_init(&p->rlimits[i].current, limits[i].current);
		atomic_init(&p->rlimits[i].maximum, limits[i].maximum);
	}
}

static void process_init(struct process *p)
{
	/* Relaxed: not published yet. */
	atomic_store_explicit(&p->refs, 1, memory_order_relaxed);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->all_link);
	list_init(&p->pid_link);
	list_init(&p->threads);
	waitqueue_init(&p->child_wait);
	waitqueue_init(&p->stop_wait);
	waitqueue_init(&p->exec_wait);
	spin_init(&p->lock);
	mutex_init(&p->itimer_mutex);
	sigpending_init(&p->pending);
	itimer_init(p);
	limits_set(p, default_limits);
	p->start_ns = ktime_ns();
}

/* Arguments and program of the parent go to the child; best effort for the arguments. */
static void process_copy_names(struct process *p, struct process *from)
{
	char *args = kmalloc(PROCESS_ARGS_MAX);
	uint64_t flags = spin_lock_irqsave(&from->lock);

	for (unsigned int i = 0; i < RLIMIT_COUNT; i++) {
		struct rlimit limit = process_limit_get(from, i);

		atomic_init(&p->rlimits[i].current, limit.current);
		atomic_init(&p->rlimits[i].maximum, limit.maximum);
	}
	p->nice = from->nice;
	if (args && from->args) {
		memcpy(args, from->args, from->args_size);
		p->args = args;
		p->args_size = from->args_size;
	}
	if (from->exe)
		file_get(from->exe);
	p->exe = from->exe;
	spin_unlock_irqrestore(&from->lock, flags);
	if (!p->args)
		kfree(args);
}

struct process *process_alloc(struct process *from)
{
	struct process *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	process_init(p);
	if (from)
		process_copy_names(p, from);
	return p;
}

struct thread *thread_alloc(struct process *p)
{
	struct thread *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	/* Relaxed: a count, looked at when all threads have ended. */
	atomic_fetch_add_explicit(&nr_objects, 1, memory_order_relaxed);
	process_get(p);
	t->process = p;
	list_init(&t->process_link);
	list_init(&t->tid_link);
	sigpending_init(&t->pending);
	t->altstack.flags = SS_DISABLE;
	return t;
}

void thread_free(struct thread *t)
{
	process_put(t->process);
	kfree(t);
	/* Release pairs with the acquire in thread_objects: all is freed by then. */
	atomic_fetch_sub_explicit(&nr_objects, 1, memory_order_release);
}

unsigned int thread_objects(void)
{
	/* Acquire pairs with the release in thread_free. */
	return atomic_load_explicit(&nr_objects, memory_order_acquire);
}

void process_get(struct process *p)
{
	/* Relaxed: the caller has a reference or a lock that keeps one alive. */
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void process_put(struct process *p)
{
	/* Release our accesses to the one who frees; acquire those of all others before us. */
	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(p != &init_process && !p->exe && list_empty(&p->pending.queue));
	if (p->sighand)
		sighand_put(p->sighand);
	kfree(p->args);
	kfree(p);
}

void task_free_hook(struct task *t)
{
	struct thread *thread = t->thread;

	if (!thread)
		return;
	assert(list_empty(&thread->pending.queue) && !thread->files && !thread->fs);
	thread_free(thread);
}

int tree_add_thread(struct thread *t)
{
	struct process *p = t->process;
	pid_t tid = t->tid ? t->tid : pid_alloc();

	if (!tid)
		return -EAGAIN;
	t->tid = tid;
	list_add_tail(&p->threads, &t->process_link);
	list_add_tail(bucket(tids, tid), &t->tid_link);
	p->nr_threads++;
	p->nr_live++;
	nr_threads_all++;
	return 0;
}

void tree_set_parent(struct process *p, struct process *parent)
{
	p->parent = parent;
	/* Relaxed: see sys_getppid. */
	atomic_store_explicit(&p->ppid, parent->pid, memory_order_relaxed);
	list_add_tail(&parent->children, &p->sibling);
}

int tree_add_process(struct process *p, struct process *parent, struct thread *leader)
{
	pid_t pid = pid_alloc();

	if (!pid)
		return -EAGAIN;
	p->pid = pid;
	tree_set_parent(p, parent);
	list_add_tail(&tree_all, &p->all_link);
	list_add_tail(bucket(pids, pid), &p->pid_link);
	process_get(p); /* the tree's */
	nr_processes++;
	leader->tid = pid;
	return tree_add_thread(leader);
}

void tree_remove_thread(struct thread *t)
{
	list_del(&t->process_link);
	list_del(&t->tid_link);
	t->process->nr_threads--;
	nr_threads_all--;
}

void tree_become_leader(struct thread *t)
{
	list_del(&t->tid_link);
	t->tid = t->process->pid;
	list_add_tail(bucket(tids, t->tid), &t->tid_link);
}

void tree_reap(struct process *p)
{
	assert(p->zombie && !p->reaped);
	list_del(&p->sibling);
	list_del(&p->all_link);
	list_del(&p->pid_link);
	p->parent = NULL;
	p->reaped = true;
	nr_processes--;
	process_put(p);
}

bool tree_only_init(void)
{
	bool only;

	spin_lock(&tree_lock);
	only = nr_processes == 0 && nr_threads_all == 0;
	spin_unlock(&tree_lock);
	return only;
}

unsigned int process_count(void)
{
	unsigned int n;

	spin_lock(&tree_lock);
	n = nr_processes;
	spin_unlock(&tree_lock);
	return n;
}

unsigned int thread_count(void)
{
	unsigned int n;

	spin_lock(&tree_lock);
	n = nr_threads_all;
	spin_unlock(&tree_lock);
	return n;
}

/* pid 1: in the tables, so that it can be found, but not counted and never freed. */
void tree_init(void)
{
	struct process *p = &init_process;

	process_init(p);
	p->pid = p->pgid = p->sid = 1;
	strlcpy(p->name, "kernel", sizeof(p->name));
	spin_lock(&tree_lock);
	list_add_tail(&tree_all, &p->all_link);
	list_add_tail(bucket(pids, 1), &p->pid_link);
	spin_unlock(&tree_lock);
}
