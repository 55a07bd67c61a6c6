// SPDX-License-Identifier: MIT
/*
 * fork, vfork, clone and clone3.
 *
 * Everything is made before the new thread is linked under the tree lock; from then on others can
 * find it and it only has to be started. A parent in vfork waits on an object that both have a
 * reference to, so that either may end first.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

struct vfork_wait {
	atomic_uint refs;
	atomic_bool done;
	struct waitqueue queue;
};

static void vfork_put(struct vfork_wait *v)
{
	/* Release our accesses to the one who frees; acquire those of the other before us. */
	if (atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
		kfree(v);
}

void vfork_done(struct thread *t)
{
	struct vfork_wait *v = t->vfork;

	if (!v)
		return;
	t->vfork = NULL;
	/* Release: what the child did to the memory; pairs with the acquire in vfork_is_done. */
	atomic_store_explicit(&v->done, true, memory_order_release);
	wake_all(&v->queue);
	vfork_put(v);
}

static bool vfork_is_done(struct vfork_wait *v)
{
	/* Acquire pairs with the release in vfork_done. */
	return atomic_load_explicit(&v->done, memory_order_acquire) || process_fatal_pending();
}

/*
 * Only the child or the parent's own end breaks the wait. Other signals stay pending; while there
 * are some an interruptible sleep would end at once, so the parent then looks every few ticks.
 */
static void vfork_wait_child(struct vfork_wait *v)
{
	int err = 0;

	while (!vfork_is_done(v)) {
		if (!task_signal_pending(current()))
			err = wait_event_interruptible(&v->queue, vfork_is_done(v));
		else
			err = wait_event_timeout(
				&v->queue, vfork_is_done(v), ktime_ns() + 2 * TICK_NS);
	}
	(void)err; /* the loop looks again */
	vfork_put(v);
}

/* ---- Making the pieces ---- */

struct clone_parts {
	struct process *process; /* a reference; the current one for threads */
	struct thread *thread;
	struct mm *mm;
	struct files *files;
	struct fs_state *fs;
	struct vfork_wait *vfork;
	struct task *task;
};

static void drop_process(struct process *p, bool fresh)
{
	if (fresh && p->exe)
		file_put(p->exe);
	if (fresh)
		p->exe = NULL;
	process_put(p);
}

/* Nothing is linked yet: everything goes back. */
static void drop_parts(struct clone_parts *c, const struct clone_request *r)
{
	if (c->task) {
		c->task->mm = NULL;
		c->task->process = NULL;
		c->task->thread = NULL;
		task_put(c->task); /* ours */
		task_put(c->task); /* the scheduler's: never started */
	}
	mm_put(c->mm);
	if (c->files)
		files_put(c->files);
	if (c->fs)
		fs_put(c->fs);
	if (c->thread)
		thread_free(c->thread);
	if (c->vfork) {
		vfork_put(c->vfork);
		vfork_put(c->vfork);
	}
	if (c->process)
		drop_process(c->process, !(r->flags & CLONE_THREAD));
}

static struct process *make_process(const struct clone_request *r)
{
	struct process *self = current_process(), *p = process_alloc(self);

	if (!p)
		return NULL;
	if (r->flags & CLONE_SIGHAND) {
		sighand_get(self->sighand);
		p->sighand = self->sighand;
	} else {
		p->sighand = sighand_copy(self->sighand);
	}
	if (!p->sighand) {
		drop_process(p, true);
		return NULL;
	}
	if (r->flags & CLONE_CLEAR_SIGHAND) {
		for (int i = 0; i < SIG_COUNT; i++) {
			if (p->sighand->actions[i].handler != SIG_IGN)
				p->sighand->actions[i] = (struct sigaction){0};
		}
	}
	p->exit_signal = (r->flags & CLONE_PARENT) ? self->exit_signal : r->exit_signal;
	return p;
}

static struct vfork_wait *make_vfork(void)
{
	struct vfork_wait *v = kzalloc(sizeof(*v));

	if (v) {
		/* Relaxed: not shared yet. */
		atomic_store_explicit(&v->refs, 2, memory_order_relaxed);
		waitqueue_init(&v->queue);
	}
	return v;
}

static void inherit(struct thread *t, const struct thread *self, const struct clone_request *r)
{
	bool same_stack = (r->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM;

	t->blocked = self->blocked;
	if (same_stack)
		t->altstack = self->altstack;
	t->set_child_tid = (r->flags & CLONE_CHILD_SETTID) ? r->child_tid : 0;
	t->clear_child_tid = (r->flags & CLONE_CHILD_CLEARTID) ? r->child_tid : 0;
}

static int make_parts(struct clone_parts *c, const struct clone_request *r)
{
	struct thread *self = current_thread();
	struct task *task = current();

	if (r->flags & CLONE_THREAD) {
		process_get(self->process);
		c->process = self->process;
	} else {
		c->process = make_process(r);
	}
	if (c->process)
		c->thread = thread_alloc(c->process);
	if (!c->thread)
		return -ENOMEM;
	inherit(c->thread, self, r);
	if ((r->flags & CLONE_VFORK) && !(c->vfork = make_vfork()))
		return -ENOMEM;
	c->files = (r->flags & CLONE_FILES) ? files_get(self->files) : files_copy(self->files);
	c->fs = (r->flags & CLONE_FS) ? fs_get(self->fs) : fs_copy(self->fs);
	if (!c->files || !c->fs)
		return -ENOMEM;
	if (r->flags & CLONE_VM) {
		mm_get(task->mm);
		c->mm = task->mm;
		return 0;
	}
	return mm_fork(task->mm, &c->mm);
}

static int make_task(struct clone_parts *c, const struct clone_request *r)
{
	struct regs regs = *task_regs(current());

	regs.rax = 0;
	regs.error = (uint64_t)-1;
	if (r->stack)
		regs.rsp = r->stack;
	c->task = task_create_user(current()->name, &regs, current());
	if (!c->task)
		return -ENOMEM;
	if (r->flags & CLONE_SETTLS)
		c->task->fs_base = r->tls;
	c->task->mm = c->mm;
	c->task->process = c->process;
	c->task->thread = c->thread;
	c->thread->task = c->task;
	if (!(r->flags & CLONE_VM))
		rseq_inherit(c->thread, current_thread(), c->task);
	c->thread->files = c->files;
	c->thread->fs = c->fs;
	c->thread->vfork = c->vfork;
	return 0;
}

/*
 * A signal that came while we were making the child would reach only us and not the child, although
 * to the sender (kill of the group) both were there: as on Linux, it is handled first.
 */
static int link_parts(struct clone_parts *c, const struct clone_request *r)
{
	struct process *self = current_process(), *p = c->process;
	uint64_t flags;
	int err;

	spin_lock(&tree_lock);
	flags = spin_lock_irqsave(&p->lock);
	if (task_signal_pending(current())) {
		err = -ERESTARTNOINTR;
	} else if (r->flags & CLONE_THREAD) {
		err = tree_add_thread(c->thread);
	} else {
		p->pgid = self->pgid;
		p->sid = self->sid;
		err = tree_add_process(
			p, (r->flags & CLONE_PARENT) ? self->parent : self, c->thread);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	spin_unlock(&tree_lock);
	return err;
}

long clone_run(const struct clone_request *r)
{
	struct clone_parts c = {0};
	struct process *p;
	pid_t tid;
	int err = make_parts(&c, r);

	if (!err)
		err = make_task(&c, r);
	if (!err)
		err = link_parts(&c, r);
	if (err) {
		drop_parts(&c, r);
		return err;
	}
	p = c.process;
	tid = c.thread->tid;
	if (r->flags & CLONE_PARENT_SETTID)
		put_user_u32(r->parent_tid, (uint32_t)tid);
	if (c.thread->set_child_tid)
		task_notify(c.task, WORK_OTHER);
	task_start(c.task);
	task_put(c.task);
	process_put(p);
	if (c.vfork)
		vfork_wait_child(c.vfork);
	return tid;
}

/* ---- System calls ---- */

#define CLONE_KNOWN                                                                                \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PTRACE | CLONE_VFORK |          \
		CLONE_PARENT | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | \
		CLONE_CHILD_CLEARTID | CLONE_UNTRACED | CLONE_CHILD_SETTID | CLONE_IO)

/*
 * clone(2), ERRORS. Namespaces, pidfds and cgroups are not there: EINVAL. Nobody traces, so
 * CLONE_PTRACE and CLONE_UNTRACED change nothing; nor do CLONE_SYSVSEM and CLONE_IO, which share
 * what no program here has.
 */
static int check(const struct clone_request *r, uint64_t known)
{
	if (r->flags & ~known)
		return -EINVAL;
	if ((r->flags & CLONE_THREAD) && !(r->flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((r->flags & CLONE_SIGHAND) && !(r->flags & CLONE_VM))
		return -EINVAL;
	if ((r->flags & CLONE_CLEAR_SIGHAND) && (r->flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((r->flags & CLONE_SETTLS) && r->tls >= USER_END)
		return -EPERM;
	return 0;
}

long sys_fork(void)
{
	return clone_run(&(struct clone_request){.exit_signal = SIGCHLD});
}

long sys_vfork(void)
{
	return clone_run(
		&(struct clone_request){.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD});
}

long sys_clone(long a_flags, long a_stack, long a_parent_tid, long a_child_tid, long a_tls)
{
	struct clone_request r = {
		.flags = (uint64_t)a_flags & 0xffffff00,
		.exit_signal = (int)(a_flags & 0xff),
		.stack = (uint64_t)a_stack,
		.parent_tid = (uint64_t)a_parent_tid,
		.child_tid = (uint64_t)a_child_tid,
		.tls = (uint64_t)a_tls,
	};
	int err = check(&r, CLONE_KNOWN | CLONE_DETACHED);

	if (!err && r.exit_signal && !sig_valid(r.exit_signal))
		err = -EINVAL;
	return err ? err : clone_run(&r);
}

struct clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup;
};

#define CLONE_ARGS_SIZE_MIN 64

/* Copies a structure that may be longer or shorter than ours; bytes beyond must be zero. */
static int clone_args_from_user(struct clone_args *a, uint64_t address, uint64_t size)
{
	uint8_t byte;

	if (size < CLONE_ARGS_SIZE_MIN)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	*a = (struct clone_args){0};
	for (uint64_t i = sizeof(*a); i < size; i++) {
		if (get_user_u8(&byte, address + i))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	return copy_from_user(a, address, MIN(size, sizeof(*a)));
}

long sys_clone3(long a_args, long a_size)
{
	struct clone_args a;
	struct clone_request r;
	int err = clone_args_from_user(&a, (uint64_t)a_args, (uint64_t)a_size);

	if (err)
		return err;
	if (a.set_tid || a.set_tid_size || a.exit_signal > SIG_COUNT || !a.stack != !a.stack_size)
		return -EINVAL;
	if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal)
		return -EINVAL;
	if (a.stack && !user_range_ok(a.stack, a.stack_size))
		return -EINVAL;
	r = (struct clone_request){
		.flags = a.flags,
		.exit_signal = (int)a.exit_signal,
		.stack = a.stack + a.stack_size,
		.parent_tid = a.parent_tid,
		.child_tid = a.child_tid,
		.tls = a.tls,
	};
	err = check(&r, CLONE_KNOWN | CLONE_CLEAR_SIGHAND);
	return err ? err : clone_run(&r);
}
