// SPDX-License-Identifier: MIT
/*
 * Restartable sequences (rseq): a word in the program's memory that always says on which CPU the
 * thread runs, and short sequences of instructions that are taken back to their abort address when
 * the thread was interrupted in them.
 *
 * The scheduler sets WORK_OTHER whenever it switches to a thread that has registered, so the thread
 * comes by rseq_update before it runs in user mode again; if it moves meanwhile the same happens
 * again. Without locks: all of it belongs to the thread itself.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define RSEQ_FLAG_UNREGISTER 1

struct rseq_area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t section; /* of the sequence that is under way, or 0 */
	uint32_t flags, node_id, mm_cid, pad;
};

struct rseq_section {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

/* Does the section hold together? Its abort address must be outside, with the signature before it. */
static bool section_ok(const struct thread *t, const struct rseq_section *s)
{
	uint32_t signature;

	if (s->version || s->start >= USER_END || s->length > USER_END - s->start ||
	    s->abort < sizeof(signature) || s->abort >= USER_END || s->abort - s->start < s->length)
		return false;
	return !get_user_u32(&signature, s->abort - sizeof(signature)) &&
	       signature == t->rseq_signature;
}

/* The sequence that is registered is over, by abort if r is in it. False: the program is wrong. */
static bool leave_section(struct thread *t, struct regs *r)
{
	uint64_t at = t->rseq + offsetof(struct rseq_area, section), address;
	struct rseq_section s;

	if (get_user_u64(&address, at))
		return false;
	if (!address)
		return true;
	if (copy_from_user(&s, address, sizeof(s)) || !section_ok(t, &s) || put_user_u64(at, 0))
		return false;
	if (r->rip - s.start < s.length)
		r->rip = s.abort;
	return true;
}

static bool write_ids(uint64_t address, uint32_t start, uint32_t cpu)
{
	const uint32_t ids[2] = { start, cpu };
	/* No nodes; one thread runs on a CPU, so its number serves as the concurrency id too. */
	const uint32_t more[2] = { 0, start };

	return !copy_to_user(address, ids, sizeof(ids)) &&
	       !copy_to_user(address + offsetof(struct rseq_area, node_id), more, sizeof(more));
}

void rseq_update(struct thread *t, struct regs *r)
{
	/* A switch from here on sets WORK_OTHER again. */
	unsigned int cpu = cpu_id();

	if (t->rseq && (!leave_section(t, r) || !write_ids(t->rseq, cpu, cpu))) {
		rseq_clear(t);
		signal_fault(SIGSEGV, SI_KERNEL, 0);
	}
}

void rseq_before_handler(struct thread *t, struct regs *r)
{
	if (t->rseq && !leave_section(t, r)) {
		rseq_clear(t);
		signal_fault(SIGSEGV, SI_KERNEL, 0);
	}
}

void rseq_clear(struct thread *t)
{
	t->rseq = 0;
	t->task->notify_switch = false;
}

void rseq_inherit(struct thread *t, const struct thread *from, struct task *task)
{
	t->rseq = from->rseq;
	t->rseq_size = from->rseq_size;
	t->rseq_signature = from->rseq_signature;
	task->notify_switch = t->rseq != 0;
}

static long unregister(struct thread *t, uint64_t address, uint32_t size, uint32_t signature)
{
	if (!t->rseq || t->rseq != address || t->rseq_size != size)
		return -EINVAL;
	if (t->rseq_signature != signature)
		return -EPERM;
	if (!write_ids(address, 0, UINT32_MAX))
		return -EFAULT;
	rseq_clear(t);
	return 0;
}

long sys_rseq(long a_address, long a_size, long a_flags, long a_signature)
{
	struct thread *t = current_thread();
	uint64_t address = (uint64_t)a_address;
	uint32_t size = (uint32_t)a_size, signature = (uint32_t)a_signature;

	if ((int)a_flags == RSEQ_FLAG_UNREGISTER)
		return unregister(t, address, size, signature);
	if ((int)a_flags)
		return -EINVAL;
	if (t->rseq) {
		if (t->rseq != address || t->rseq_size != size)
			return -EINVAL;
		return t->rseq_signature == signature ? -EBUSY : -EPERM;
	}
	if (size < RSEQ_AREA_SIZE || !address || address % RSEQ_AREA_SIZE)
		return -EINVAL;
	if (!user_range_ok(address, size))
		return -EFAULT;
	t->rseq = address;
	t->rseq_size = size;
	t->rseq_signature = signature;
	current()->notify_switch = true;
	task_notify(current(), WORK_OTHER); /* fills the area on the way back */
	return 0;
}
