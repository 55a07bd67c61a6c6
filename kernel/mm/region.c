// SPDX-License-Identifier: MIT
/*
 * Looking at the areas of a space: /proc/PID/maps, kinds of memory, and the keys of futexes.
 */
#include "mm_internal.h"
#include <kernel/task.h>

static const char *region_name(struct mm *mm, const struct vmt_area *a)
{
	uint64_t brk = atomic_load_explicit(&mm->brk, memory_order_relaxed);

	if (a->object)
		return NULL;
	if (a->start < brk && a->end > mm->brk_start)
		return "[heap]";
	if (a->flags & VMT_MAP_GROWS_DOWN && a->start < mm->stack_top && a->end >= mm->stack_top)
		return "[stack]";
	return NULL;
}

bool mm_region_next(struct mm *mm, uint64_t from, struct mm_region *region)
{
	struct vmt_area a;

	if (from >= USER_END || mm_try(vmt_area_get(mm->space, from, &a)) != VMT_OK)
		return false;
	*region = (struct mm_region){
		.start = a.start,
		.end = a.end,
		.prot = a.prot,
		.shared = a.flags & VMT_MAP_SHARED,
		.object = a.object,
		.offset = a.offset,
		.name = region_name(mm, &a),
	};
	return true;
}

void mm_region_put(struct mm_region *region)
{
	if (region->object)
		vmt_object_put(region->object);
	region->object = NULL;
}

void mm_kinds_get(struct mm *mm, struct mm_kinds *kinds)
{
	struct vmt_area a;
	uint64_t from = 0;

	*kinds = (struct mm_kinds){0};
	while (from < USER_END && mm_try(vmt_area_find(mm->space, from, &a)) == VMT_OK) {
		uint64_t bytes = a.end - a.start;

		if (a.flags & VMT_MAP_GROWS_DOWN)
			kinds->stack += bytes;
		else if (a.prot & VMT_WRITE && !(a.flags & VMT_MAP_SHARED))
			kinds->data += bytes;
		else if (a.prot & VMT_EXEC)
			kinds->exec += bytes;
		from = a.end;
	}
}

/* The page that a shared futex lies in, as the program itself would reach it. */
static enum vmt_status futex_page(struct mm *mm, uint64_t address, uint64_t *pa)
{
	enum vmt_status s = mm_try(vmt_page_get(mm->space, address, VMT_WRITE, pa));

	if (s == VMT_ERR_ACCESS)
		s = mm_try(vmt_page_get(mm->space, address, VMT_READ, pa));
	*pa = ALIGN_DOWN(*pa, PAGE_SIZE);
	return s;
}

int futex_key_get(struct futex_key *key, uint64_t address, bool shared)
{
	struct mm *mm = current()->mm;
	enum vmt_status s;
	uint64_t pa = 0;

	*key = (struct futex_key){(uint64_t)mm, address};
	if (address % 4)
		return -EINVAL;
	if (!mm || address > USER_END - 4)
		return -EFAULT;
	if (!shared)
		return 0;
	s = futex_page(mm, address, &pa);
	if (s != VMT_OK)
		return s == VMT_ERR_NO_MEMORY ? -ENOMEM : -EFAULT;
	/* Relaxed: constant while we have a reference. */
	if (atomic_load_explicit(&frame_meta(pa)->data.flags, memory_order_relaxed) &
		VMT_FRAME_OBJECT) {
		*key = (struct futex_key){pa | 1, address % PAGE_SIZE};
		return 0;
	}
	/* A page of the mm's own, whatever it once was a copy of. */
	vmt_page_put(the_vmt, pa);
	return 0;
}

void futex_key_put(struct futex_key *key)
{
	if (key->where & 1)
		vmt_page_put(the_vmt, key->where & ~1UL);
	key->where = 0;
}
