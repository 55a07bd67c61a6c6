// SPDX-License-Identifier: MIT
/*
 * Looking at the areas of a space: /proc/PID/maps and smaps, kinds of memory, and the keys of
 * futexes.
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
		.prot_max = a.prot_max,
		.shared = a.flags & VMT_MAP_SHARED,
		.grows_down = a.flags & VMT_MAP_GROWS_DOWN,
		.no_reserve = a.flags & VMT_MAP_NO_RESERVE,
		.huge = a.flags & VMT_MAP_HUGE,
		.huge_fits = !a.object && huge_fits(a.start, a.end),
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

/*
 * Nobody keeps the page meanwhile: it may be another's by now, and its metadata, which stay
 * readable, say something of that one. Relaxed: figures to show.
 */
static void usage_page(struct mm_usage *u, uint64_t pa, bool dirty)
{
	struct vmt_data *data = &frame_meta(pa)->data;
	uint32_t flags = atomic_load_explicit(&data->flags, memory_order_relaxed);
	uint32_t refs = atomic_load_explicit(&data->refs, memory_order_relaxed);

	if (flags & VMT_FRAME_OBJECT)
		refs--; /* the object's own */
	else
		u->anon += PAGE_SIZE;
	if (flags & VMT_FRAME_LAZY && !dirty)
		u->lazy += PAGE_SIZE;
	if ((int32_t)refs > 1)
		*(dirty ? &u->shared_dirty : &u->shared_clean) += PAGE_SIZE;
	else
		*(dirty ? &u->private_dirty : &u->private_clean) += PAGE_SIZE;
	u->proportional += (int32_t)refs > 1 ? PAGE_SIZE / refs : PAGE_SIZE;
}

void mm_region_usage(struct mm *mm, const struct mm_region *region, struct mm_usage *u)
{
	struct vmt_run run;

	*u = (struct mm_usage){0};
	VMT_FOR_EACH_RUN(mm->space, region->start, region->end, &run) {
		uint64_t bytes = run.end - run.start;

		if ((run.state != VMT_STATE_PRESENT && run.state != VMT_STATE_PARKED) || run.zero)
			continue;
		u->resident += bytes;
		u->referenced += run.accessed ? bytes : 0;
		u->huge += run.size >= HUGE_SIZE ? bytes : 0;
		for (uint64_t at = 0; at < bytes; at += PAGE_SIZE)
			usage_page(u, run.pa + at, run.dirty);
	}
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
static enum vmt_status futex_page(struct mm *mm, uint64_t address, uint64_t *pa, bool *writable)
{
	enum vmt_status s = mm_try(vmt_page_get(mm->space, address, VMT_WRITE, pa));

	*writable = s == VMT_OK;
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
	bool writable;

	*key = (struct futex_key){(uint64_t)mm, address};
	if (address % 4)
		return -EINVAL;
	if (!mm || address > USER_END - 4)
		return -EFAULT;
	if (!shared)
		return 0;
	s = futex_page(mm, address, &pa, &writable);
	if (s != VMT_OK)
		return s == VMT_ERR_NO_MEMORY ? -ENOMEM : -EFAULT;
	/* Relaxed: constant while we have a reference. */
	if (atomic_load_explicit(&frame_meta(pa)->data.flags, memory_order_relaxed) &
		VMT_FRAME_OBJECT) {
		*key = (struct futex_key){pa | 1, address % PAGE_SIZE};
		return 0;
	}
	/*
	 * A page of the mm's own, whatever it once was a copy of. As on Linux, what nobody can
	 * write is no futex.
	 */
	vmt_page_put(the_vmt, pa);
	return writable ? 0 : -EFAULT;
}

void futex_key_put(struct futex_key *key)
{
	if (key->where & 1)
		vmt_page_put(the_vmt, key->where & ~1UL);
	key->where = 0;
}
