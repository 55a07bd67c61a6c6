// SPDX-License-Identifier: MIT
/*
 * Robust futexes (set_robust_list(2)): a list in the program's memory of the locks that a thread
 * holds. When the thread ends, each lock's word that still names it gets FUTEX_OWNER_DIED, and one
 * waiter is woken. The list is the program's and is believed in nothing.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define FUTEX_WAITERS    0x80000000U
#define FUTEX_OWNER_DIED 0x40000000U
#define FUTEX_TID_MASK   0x3fffffffU
#define ROBUST_LIMIT     2048

struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};

/* pending: the thread was about to take or give the lock and may not be in its word. */
static void owner_died(uint64_t address, uint32_t tid, bool pending)
{
	uint32_t word, seen;

	if (address % 4 || get_user_u32(&word, address))
		return;
	if (pending && !word) {
		futex_wake_address(address, true, 1); /* it had unlocked and not yet woken */
		return;
	}
	for (;;) {
		if ((word & FUTEX_TID_MASK) != tid)
			return;
		seen = word;
		if (user_cmpxchg_u32(address, &seen, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
			return;
		if (seen == word)
			break;
		word = seen;
	}
	if (word & FUTEX_WAITERS)
		futex_wake_address(address, true, 1);
}

/* Bit 0 of a pointer marks priority-inheritance locks, which this kernel has not: left alone. */
static void entry_died(uint64_t entry, const struct robust_head *head, uint32_t tid, bool pending)
{
	if (entry && !(entry & 1))
		owner_died(entry + (uint64_t)head->futex_offset, tid, pending);
}

void robust_list_exit(struct thread *t)
{
	struct robust_head head;
	uint64_t entry, next;

	if (!t->robust_list || copy_from_user(&head, t->robust_list, sizeof(head)))
		return;
	entry = head.next;
	for (unsigned int i = 0; i < ROBUST_LIMIT && (entry & ~1UL) != t->robust_list; i++) {
		/* The next pointer first: once the lock is free its memory may go. */
		bool more = get_user_u64(&next, entry & ~1UL) == 0;

		if ((entry & ~1UL) != (head.pending & ~1UL))
			entry_died(entry, &head, (uint32_t)t->tid, false);
		if (!more)
			break;
		entry = next;
	}
	entry_died(head.pending, &head, (uint32_t)t->tid, true);
	t->robust_list = 0;
}

long sys_set_robust_list(long a_head, long a_size)
{
	if (a_size != sizeof(struct robust_head))
		return -EINVAL;
	current_thread()->robust_list = (uint64_t)a_head;
	return 0;
}

long sys_get_robust_list(long a_pid, long a_head, long a_size)
{
	pid_t pid = (pid_t)a_pid;
	struct thread *t;
	uint64_t head = 0;
	bool found = true;

	if (!pid) {
		head = current_thread()->robust_list;
	} else {
		spin_lock(&tree_lock);
		t = tree_thread(pid);
		found = t != NULL;
		if (t)
			head = t->robust_list;
		spin_unlock(&tree_lock);
	}
	if (!found)
		return -ESRCH;
	if (put_user_u64((uint64_t)a_size, sizeof(struct robust_head)) ||
		put_user_u64((uint64_t)a_head, head))
		return -EFAULT;
	return 0;
}
