// SPDX-License-Identifier: MIT
/*
 * mmap(2) and munmap(2).
 */
#include "mm_internal.h"
#include "mmabi.h"
#include <kernel/file.h>
#include <kernel/syscall.h>
#include <kernel/task.h>

/* What a mapping is of. object carries a reference. */
struct backing {
	struct vmt_object *object;
	uint64_t offset;
	vmt_prot prot_max;
	bool shared;
};

/* PROT_* and VMT_* are the same bits; what else programs pass (PROT_SEM) means nothing here. */
_Static_assert(PROT_READ == VMT_READ && PROT_WRITE == VMT_WRITE && PROT_EXEC == VMT_EXEC,
	"permissions are Linux's bits");

/* The type of a mapping of memory. As on Linux all this is looked at after the place. */
static int check_type(uint32_t flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED:
		return flags & MAP_GROWSDOWN ? -EINVAL : 0;
	case MAP_PRIVATE:
		return 0;
	default:
		return -EINVAL;
	}
}

/* And of a file: how it was opened, and what MAP_SHARED_VALIDATE does not know. */
static int check_file(
	struct file *f, uint64_t flags, const struct vmt_map_request *r, uint64_t offset)
{
	uint64_t limit = file_map_limit(f);

	if (r->length > limit || offset > limit - r->length)
		return -EOVERFLOW;
	switch (flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		return flags & ~(uint64_t)MAP_SHARED_KNOWN ? -EOPNOTSUPP : 0;
	case MAP_SHARED:
	case MAP_PRIVATE:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Finds out what is to be mapped. f: NULL for memory. */
static int get_backing(struct file *f, uint64_t flags, const struct vmt_map_request *r,
	uint64_t offset, struct backing *b)
{
	int err;

	*b = (struct backing){
		.prot_max = VMT_RWX,
		.shared = (flags & MAP_TYPE) != MAP_PRIVATE,
	};
	if (!f)
		return check_type((uint32_t)flags);
	err = check_file(f, flags, r, offset);
	if (!err)
		err = file_map_object(f, r->prot, b->shared, &b->prot_max, &b->object);
	if (!err && flags & MAP_GROWSDOWN)
		err = -EINVAL;
	if (!err && b->object) /* not /dev/zero: anonymous memory */
		b->offset = offset;
	return err;
}

/* An address that is asked for: where it may not be. 0, or the error. */
static int check_fixed(struct mm *mm, uint64_t address, uint64_t length, uint32_t flags)
{
	struct vmt_area a;

	if (flags & MAP_HUGETLB && address % HUGE_SIZE)
		return -EINVAL;
	if (address > USER_END - length)
		return -ENOMEM;
	if (address % PAGE_SIZE)
		return -EINVAL;
	if (address < MM_LOWEST)
		return -EPERM;
	/* Only to say so before what else is wrong: the mapping itself looks again. */
	if (flags & MAP_FIXED_NOREPLACE &&
		mm_try(vmt_area_within(mm->space, address, address + length, &a)) == VMT_OK)
		return -EEXIST;
	return 0;
}

/* Length and place, before anything is said of what is mapped. */
static int check_range(struct mm *mm, const struct vmt_map_request *r, bool empty, uint32_t flags)
{
	if (empty)
		return -EINVAL;
	if (r->length == 0 || r->length > USER_END ||
		(flags & MAP_HUGETLB && ALIGN_UP(r->length, HUGE_SIZE) > USER_END))
		return -ENOMEM;
	return flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)
		       ? check_fixed(mm, r->addr, r->length, flags)
		       : 0;
}

/*
 * Finds a place and maps: below the stack's room (the space's own search range), and if all that is
 * full anywhere.
 */
static enum vmt_status place(struct mm *mm, struct vmt_map_request *r, bool low, uint64_t *at)
{
	enum vmt_status s;

	if (low) {
		r->addr = 0;
		r->search_start = MAP_32BIT_START;
		r->search_end = MAP_32BIT_END;
	}
	s = mm_try(vmt_map(mm->space, r, at));
	if (s == VMT_ERR_NO_SPACE && !low) {
		r->search_start = MM_LOWEST;
		r->search_end = USER_END;
		s = mm_try(vmt_map(mm->space, r, at));
	}
	return s;
}

static long map(struct mm *mm, struct vmt_map_request *r, uint32_t flags)
{
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	bool shared = r->flags & VMT_MAP_SHARED, data = r->prot & VMT_WRITE && !shared;
	bool promised = shared ? !r->object : data; /* memory that has to come from somewhere */
	enum vmt_status s;
	uint64_t at;

	if (!limit_allows(mm, r->length, data))
		return -ENOMEM;
	if (promised && !(flags & MAP_NORESERVE) && !commit_allows(r->length))
		return -ENOMEM;
	if (!fixed) {
		r->addr = ALIGN_DOWN(r->addr, PAGE_SIZE);
		if (r->addr && r->addr < MM_LOWEST)
			r->addr = MM_LOWEST;
		if (r->addr > USER_END - r->length)
			r->addr = 0;
		s = place(mm, r, flags & MAP_32BIT, &at);
	} else {
		if (flags & MAP_FIXED_NOREPLACE)
			r->flags |= VMT_MAP_FIXED_NOREPLACE;
		else
			r->flags |= VMT_MAP_FIXED;
		mm_note_size(mm, r->length);
		s = mm_change(vmt_map(mm->space, r, &at));
	}
	return s == VMT_OK ? (long)at : mm_errno(s);
}

static uint32_t request_flags(struct mm *mm, uint32_t flags, bool shared)
{
	uint32_t f = shared ? VMT_MAP_SHARED : 0;
	/* Relaxed: set by another thread's mlockall, which orders nothing else. */
	bool lock =
		flags & MAP_LOCKED || atomic_load_explicit(&mm->lock_future, memory_order_relaxed);

	if (flags & MAP_GROWSDOWN)
		f |= VMT_MAP_GROWS_DOWN;
	if (flags & MAP_NORESERVE)
		f |= VMT_MAP_NO_RESERVE;
	/* Nothing is ever paged out, so that what is populated is locked. */
	if (lock || (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		f |= VMT_MAP_POPULATE;
	return f;
}

long sys_mmap(long addr, long len, long prot, long flags_arg, long fd, long offset)
{
	struct mm *mm = current()->mm;
	uint32_t flags = (uint32_t)flags_arg;
	struct vmt_map_request r = {
		.addr = (uint64_t)addr,
		.length = ALIGN_UP((uint64_t)len, PAGE_SIZE),
		.prot = (vmt_prot)prot & VMT_RWX,
	};
	struct backing b = {0};
	struct file *f = NULL;
	long result;

	if ((uint64_t)offset % PAGE_SIZE)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		f = fd_get((int)fd);
		if (!f)
			return -EBADF;
	}
	result = f && flags & MAP_HUGETLB ? -EINVAL : check_range(mm, &r, len == 0, flags);
	if (!result)
		result = get_backing(f, (uint64_t)flags_arg, &r, (uint64_t)offset, &b);
	if (f)
		file_put(f);
	if (!result && flags & MAP_HUGETLB)
		result = -ENOMEM; /* as where no huge pages were set aside */
	if (!result) {
		r.prot_max = b.prot_max;
		r.object = b.object;
		r.offset = b.offset;
		r.flags = request_flags(mm, flags, b.shared);
		result = map(mm, &r, flags);
	}
	if (b.object)
		vmt_object_put(b.object);
	return result;
}

long sys_munmap(long addr, long len)
{
	struct mm *mm = current()->mm;
	uint64_t start = (uint64_t)addr, length = ALIGN_UP((uint64_t)len, PAGE_SIZE);

	if (start % PAGE_SIZE || (uint64_t)len > USER_END || start > USER_END - (uint64_t)len)
		return -EINVAL;
	if (length == 0)
		return -EINVAL;
	mm_note_size(mm, length); /* within USER_END as well, which is a page's start like `start` */
	return mm_errno(mm_change(vmt_unmap(mm->space, start, length)));
}
