// SPDX-License-Identifier: MIT
/*
 * Building the memory of a new program, and copying to and from an mm that need not be loaded.
 */
#include "mm_internal.h"
#include <kernel/string.h>

/* Bytes of stack that are mapped from the start; the rest grows. */
#define STACK_START (132UL << 10)

static int map_fixed(struct mm *mm, const struct vmt_map_request *request)
{
	uint64_t at;

	return mm_errno(mm_try(vmt_map(mm->space, request, &at)));
}

/* The pages of the file, and zeroes behind its last byte in the last of them. */
static int map_file_part(struct mm *mm, const struct mm_segment *s, uint64_t end)
{
	uint64_t start = ALIGN_DOWN(s->address, PAGE_SIZE);
	struct vmt_map_request request = {
		.addr = start,
		.length = end - start,
		.prot = s->prot,
		.flags = VMT_MAP_FIXED,
		.object = s->object,
		.offset = ALIGN_DOWN(s->offset, PAGE_SIZE),
	};
	uint64_t file_end = s->address + s->file_size, tail = end - file_end;
	int err = map_fixed(mm, &request);

	/* As on Linux, only a segment that can be written has something after its file's bytes. */
	while (!err && tail && s->mem_size > s->file_size && s->prot & VMT_WRITE) {
		static const uint8_t zeroes[256];
		uint64_t n = MIN(tail, sizeof(zeroes));

		err = mm_copy_to(mm, file_end, zeroes, n);
		file_end += n;
		tail -= n;
	}
	return err;
}

int mm_map_segment(struct mm *mm, const struct mm_segment *s)
{
	struct vmt_map_request zero = {.prot = s->prot, .flags = VMT_MAP_FIXED};
	uint64_t zero_start, end;
	int err = 0;

	if (s->mem_size == 0)
		return 0;
	if (s->file_size > s->mem_size || (s->address - s->offset) % PAGE_SIZE ||
		s->address < MM_LOWEST || s->mem_size > USER_END ||
		s->address > USER_END - s->mem_size)
		return -EINVAL;
	end = ALIGN_UP(s->address + s->mem_size, PAGE_SIZE);
	zero_start = s->file_size ? ALIGN_UP(s->address + s->file_size, PAGE_SIZE)
				  : ALIGN_DOWN(s->address, PAGE_SIZE);
	if (s->file_size)
		err = map_file_part(mm, s, zero_start);
	if (!err && end > zero_start) {
		if (!commit_allows(end - zero_start))
			return -ENOMEM;
		zero.addr = zero_start;
		zero.length = end - zero_start;
		err = map_fixed(mm, &zero);
	}
	return err;
}

void mm_set_brk(struct mm *mm, uint64_t end)
{
	mm->brk_start = ALIGN_UP(end, PAGE_SIZE);
	/* Relaxed: the program does not run yet. */
	atomic_store_explicit(&mm->brk, mm->brk_start, memory_order_relaxed);
}

int mm_map_stack(struct mm *mm, bool exec, uint64_t *top)
{
	struct vmt_map_request request = {
		.addr = MM_STACK_TOP - STACK_START,
		.length = STACK_START,
		.prot = VMT_READ | VMT_WRITE | (exec ? VMT_EXEC : 0),
		.flags = VMT_MAP_FIXED | VMT_MAP_GROWS_DOWN,
	};

	mm->stack_top = MM_STACK_TOP;
	*top = MM_STACK_TOP;
	return map_fixed(mm, &request);
}

/* One step of a copy: within a page. */
static int copy_page(struct mm *mm, uint64_t address, void *kernel, size_t n, vmt_prot access)
{
	uint64_t pa;
	enum vmt_status s = mm_try(vmt_page_get(mm->space, address, access, &pa));
	void *page;

	if (s != VMT_OK)
		return s == VMT_ERR_NO_MEMORY ? -ENOMEM : -EFAULT;
	pa = ALIGN_DOWN(pa, PAGE_SIZE);
	page = (char *)phys_to_virt(pa) + address % PAGE_SIZE;
	if (access == VMT_WRITE)
		memcpy(page, kernel, n);
	else
		memcpy(kernel, page, n);
	vmt_page_put(the_vmt, pa);
	return 0;
}

static int copy_range(struct mm *mm, uint64_t address, void *kernel, size_t n, vmt_prot access)
{
	if (n > USER_END || address > USER_END - n)
		return -EFAULT;
	while (n) {
		size_t part = MIN(n, PAGE_SIZE - address % PAGE_SIZE);
		int err = copy_page(mm, address, kernel, part, access);

		if (err)
			return err;
		address += part;
		kernel = (char *)kernel + part;
		n -= part;
	}
	return 0;
}

int mm_copy_to(struct mm *mm, uint64_t address, const void *src, size_t n)
{
	/* Only read from: VMT_WRITE is the direction. */
	return copy_range(mm, address, (void *)(uintptr_t)src, n, VMT_WRITE);
}

int mm_copy_from(struct mm *mm, void *dst, uint64_t address, size_t n)
{
	return copy_range(mm, address, dst, n, VMT_READ);
}
