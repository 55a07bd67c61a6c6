// SPDX-License-Identifier: MIT
/*
 * mremap(2). The library does the work; here is what Linux says of bad requests.
 */
#include "mm_internal.h"
#include "mmabi.h"
#include <kernel/syscall.h>
#include <kernel/task.h>

struct move {
	uint64_t from, old_length, new_length;
};

static long move_errno(enum vmt_status s)
{
	switch (s) {
	case VMT_ERR_UNMAPPED: /* a hole, or more than one mapping */
		return -EFAULT;
	case VMT_ERR_EXISTS: /* no room to grow, and it may not move */
		return -ENOMEM;
	default:
		return mm_errno(s);
	}
}

static long do_move(struct mm *mm, const struct move *m, uint32_t flags, uint64_t to)
{
	uint64_t result;
	enum vmt_status s;

	mm_note_size(mm, m->old_length);
	s = mm_change(vmt_move(mm->space, m->from, m->old_length, m->new_length, flags, to, &result));
	return s == VMT_OK ? (long)result : move_errno(s);
}

/* An address of the program's choice: looked at before what is to be moved there. */
static int check_fixed(const struct move *m, uint64_t to)
{
	if (to % PAGE_SIZE || to > USER_END - m->new_length)
		return -EINVAL;
	return to < m->from + m->old_length && m->from < to + m->new_length ? -EINVAL : 0;
}

/* Smaller, or the same: only the end goes, which may be of several mappings. */
static long shrink(struct mm *mm, const struct move *m)
{
	uint64_t cut = m->old_length - m->new_length;
	enum vmt_status s = VMT_OK;

	if (m->old_length > USER_END - m->from)
		return -EINVAL;
	if (cut) {
		mm_note_size(mm, cut);
		s = mm_change(vmt_unmap(mm->space, m->from + m->new_length, cut));
	}
	return s == VMT_OK ? (long)m->from : mm_errno(s);
}

/* What is cut off goes first, as on Linux, and only it may be of several mappings. */
static long move_fixed(struct mm *mm, struct move *m, const struct vmt_area *a, uint64_t to)
{
	if (m->old_length > m->new_length) {
		long result = shrink(mm, m);

		if (result < 0)
			return result;
		m->old_length = m->new_length;
	}
	if (m->old_length > a->end - m->from)
		return -EFAULT; /* more than one mapping */
	if (to < MM_LOWEST)
		return -EPERM;
	return do_move(mm, m, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, to);
}

static long grow(struct mm *mm, const struct move *m, const struct vmt_area *a, bool may_move)
{
	uint64_t more = m->new_length - m->old_length;
	bool data = a->prot & VMT_WRITE && !(a->flags & VMT_MAP_SHARED);

	if (m->old_length > a->end - m->from)
		return -EFAULT; /* more than one mapping */
	if (!limit_allows(mm, more, data))
		return -ENOMEM;
	if (data && !(a->flags & VMT_MAP_NO_RESERVE) && !commit_allows(more))
		return -ENOMEM;
	return do_move(mm, m, may_move ? VMT_MOVE_MAY_MOVE : 0, 0);
}

long sys_mremap(long addr, long old_len, long new_len, long flags, long new_addr)
{
	struct mm *mm = current()->mm;
	struct move m = {
		.from = (uint64_t)addr,
		.old_length = ALIGN_UP((uint64_t)old_len, PAGE_SIZE),
		.new_length = ALIGN_UP((uint64_t)new_len, PAGE_SIZE),
	};
	bool may_move = flags & MREMAP_MAYMOVE, fixed = flags & MREMAP_FIXED;
	struct vmt_area a;
	uint64_t end;

	if (flags & ~(long)(MREMAP_MAYMOVE | MREMAP_FIXED) || (fixed && !may_move))
		return -EINVAL;
	if (m.from % PAGE_SIZE || m.new_length == 0 || m.new_length > USER_END)
		return -EINVAL;
	if (fixed && check_fixed(&m, (uint64_t)new_addr))
		return -EINVAL;
	if (m.from >= USER_END)
		return -EFAULT;
	end = m.from + MIN(MAX(m.old_length, PAGE_SIZE), USER_END - m.from);
	if (mm_try(vmt_area_within(mm->space, m.from, end, &a)) != VMT_OK || a.start > m.from)
		return -EFAULT;
	/* Length 0 asks for a second mapping, which only shared memory can have. */
	if (m.old_length == 0 && (!(a.flags & VMT_MAP_SHARED) || !may_move))
		return -EINVAL;
	if (fixed)
		return move_fixed(mm, &m, &a, (uint64_t)new_addr);
	if (m.new_length <= m.old_length)
		return shrink(mm, &m);
	return grow(mm, &m, &a, may_move);
}
