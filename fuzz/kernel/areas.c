// SPDX-License-Identifier: MIT
// Steps that change mappings.
#include "calls.h"

#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LOWEST       0x10000ul /* docs/kernel-mm.md: below it nothing can be mapped */
#define USER_END     0x7ffffffff000ul

/* Memory that can only be executed is readable or not as the host's processor has protection keys
 * or not. */
static uint64_t protection_of(uint8_t byte, uint8_t odd)
{
	static const uint32_t more[] = {
		8, 16, 0x80, 0x01000000, 0x02000000, 0x03000000, 0x80000000, 0x40};
	uint32_t prot = byte % 8 == PROT_EXEC ? PROT_EXEC | PROT_READ : byte % 8;

	return odd < 232 ? prot : wide(prot | more[odd % COUNT(more)], (uint8_t)(odd * 4));
}

static uint32_t flags_of(uint8_t type, uint8_t more)
{
	static const uint32_t types[] = {MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE,
		MAP_SHARED, MAP_SHARED_VALIDATE, 0, 4};
	static const uint32_t extra[] = {MAP_POPULATE, MAP_NORESERVE, MAP_GROWSDOWN, MAP_LOCKED,
		MAP_STACK, MAP_NONBLOCK, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_POPULATE | MAP_NONBLOCK,
		MAP_HUGETLB, MAP_UNINITIALIZED, MAP_SYNC, 0x200, 0x40000000,
		MAP_NORESERVE | MAP_POPULATE, MAP_GROWSDOWN | MAP_POPULATE};

	return types[type < 240 ? type % 5 : type % 8] |
	       (more < 96 ? 0 : extra[more % COUNT(extra)]);
}

/*
 * Linux refuses some calls on locked memory, and the reference kernel does not know it: there, what
 * was locked is unlocked again at once.
 */
static int64_t locked(int64_t result)
{
	if (on_linux)
		munlockall();
	return result;
}

static int64_t map_at(const uint8_t *b, uint32_t flags, int fd, uint64_t offset)
{
	uint64_t address = address_of(b[0], b[1]), length = length_of(b[2]);
	int64_t result;

	/* Linux lets root map there, if nothing else is wrong. */
	if (address < LOWEST && (fd >= 0 || (flags & MAP_TYPE) != MAP_PRIVATE))
		address += LOWEST;
	/* Linux would take these numbers for errors of its own and return them. */
	if (address > -PAGE)
		address = -PAGE;
	flags |= b[6] < 224 ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	result = ask(SYS_mmap, address, length, protection_of(b[3], b[6]), wide(flags, b[5]),
		(uint64_t)fd, offset);
	if (on_linux && result >= 0 && (uint64_t)result < LOWEST) {
		munmap((void *)result, length);
		result = -EPERM;
	}
	return locked(result);
}

static int64_t map_memory(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return map_at(
		b, flags_of(b[4], b[5]) | MAP_ANONYMOUS, -1, b[6] < 250 ? 0 : offset_of(b[4]));
}

static int64_t map_file(const uint8_t *b, uint64_t *detail)
{
	int fd = descriptor_of(b[5]);

	(void)detail;
	/* Linux keeps pipes where nothing can be executed, and says that first. */
	if (fd == FD_PIPE_IN || fd == FD_PIPE_OUT)
		fd = FD_FOLDER;
	/* On Linux shared memory of /dev/zero that begins at an offset lacks as much at its end. */
	return map_at(
		b, flags_of(b[4], (uint8_t)(b[5] * 3)), fd, fd == FD_ZERO ? 0 : offset_of(b[6]));
}

/* Kernels place differently: what is placed is looked at and goes again. */
static int64_t map_anywhere(const uint8_t *b, uint64_t *detail)
{
	uint64_t hint = address_of(b[0], b[1]), length = length_of(b[2]), value = 0;
	uint32_t flags = flags_of(b[4], b[5]) | MAP_ANONYMOUS | (b[6] % 4 ? 0 : MAP_32BIT);
	int64_t result =
		ask(SYS_mmap, hint, length, protection_of(b[3], b[6]), flags, (uint64_t)-1, 0);

	if (result < 0)
		return result;
	*detail = try_load((uint64_t)result, &value) >> 48 | value << 16 |
		  (uint64_t)(result % (int64_t)PAGE) << 32;
	if (flags & MAP_32BIT && (uint64_t)result != (hint & -PAGE) &&
		(uint64_t)result + length > 1ul << 31)
		*detail |= 1ul << 63;
	return locked(munmap((void *)result, length));
}

static int64_t unmap(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return ask(SYS_munmap, address_of(b[0], b[1]), length_of(b[2]), 0, 0, 0, 0);
}

static int64_t protect(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return ask(SYS_mprotect, address_of(b[0], b[1]), length_of(b[2]), protection_of(b[3], b[4]),
		0, 0, 0);
}

/* What was moved to a place of the kernel's choice is moved back. */
static int64_t move(const uint8_t *b, uint64_t *detail)
{
	uint64_t from = address_of(b[0], b[1]), old_length = length_of(b[2]),
		 new_length = length_of(b[3]);
	uint32_t flags = b[4] % 4 ? MREMAP_MAYMOVE : 0;
	int64_t result;

	if (b[4] > 240)
		flags |= 8u << b[4] % 8;
	result = ask(SYS_mremap, from, old_length, new_length, wide(flags, b[5]),
		address_of(b[5], b[6]), 0);
	if (result < 0 || (uint64_t)result == from)
		return result < 0 ? result : 0;
	*detail = (uint64_t)result % PAGE;
	if (!old_length || mremap((void *)result, new_length, new_length,
				   MREMAP_MAYMOVE | MREMAP_FIXED, from) == MAP_FAILED)
		munmap((void *)result, new_length);
	return 1;
}

/* Since 6.17 Linux moves several areas at once, and the reference kernel one, as before. */
static bool moves_several(uint64_t from, uint64_t old_length, uint64_t new_length, uint64_t to)
{
	return old_length && old_length == new_length && from % PAGE == 0 && to % PAGE == 0 &&
	       old_length <= USER_END && to <= USER_END - old_length &&
	       (to >= from + old_length || from >= to + old_length) &&
	       !in_one_area(from, old_length);
}

static int64_t move_fixed(const uint8_t *b, uint64_t *detail)
{
	uint64_t from = address_of(b[0], b[1]), old_length = length_of(b[2]);
	uint64_t new_length = b[3] < 160 ? old_length : length_of(b[3]),
		 to = address_of(b[4], b[5]);
	uint32_t flags = MREMAP_FIXED | (b[6] < 250 ? MREMAP_MAYMOVE : 0);

	(void)detail;
	/* Linux maps there for root, and the reference kernel does not. */
	if (to < LOWEST)
		to += LOWEST;
	if (on_linux && flags & MREMAP_MAYMOVE &&
		moves_several(
			from, (old_length + PAGE - 1) & -PAGE, (new_length + PAGE - 1) & -PAGE, to))
		return -EFAULT;
	return ask(SYS_mremap, from, old_length, new_length, flags, to, 0);
}

static const uint32_t advices[] = {
	MADV_DONTNEED,
	MADV_DONTNEED,
	MADV_DONTNEED,
	MADV_FREE,
	MADV_POPULATE_READ,
	MADV_POPULATE_WRITE,
	MADV_GUARD_INSTALL,
	MADV_GUARD_INSTALL,
	MADV_GUARD_REMOVE,
	MADV_HUGEPAGE,
	MADV_NOHUGEPAGE,
	MADV_COLLAPSE,
	MADV_DONTNEED_LOCKED,
	MADV_NORMAL,
	MADV_RANDOM,
	MADV_SEQUENTIAL,
	MADV_WILLNEED,
	MADV_DOFORK,
	MADV_KEEPONFORK,
	MADV_DONTDUMP,
	MADV_DODUMP,
	MADV_REMOVE,
	MADV_DONTFORK,
	MADV_WIPEONFORK,
	MADV_MERGEABLE,
	MADV_COLD,
	MADV_PAGEOUT,
	MADV_HWPOISON,
	5,
	99,
	0x7fffffff,
	0xffffffff,
};

/* docs/kernel-mm.md: EINVAL on the reference kernel. On the host, as root, some of it would do
 * harm. */
static bool advice_refused(uint32_t advice)
{
	return advice == MADV_REMOVE || advice == MADV_DONTFORK || advice == MADV_WIPEONFORK ||
	       advice == MADV_MERGEABLE || advice == MADV_COLD || advice == MADV_PAGEOUT ||
	       advice == MADV_HWPOISON;
}

static int64_t advise(const uint8_t *b, uint64_t *detail)
{
	uint32_t advice = advices[b[3] % COUNT(advices)];
	uint64_t address = address_of(b[0], b[1]), length = length_of(b[2]);
	int64_t result;

	(void)detail;
	/* Not up to where Linux has special pages of its own, and programs their stack. */
	if (length > 1ul << 40 && address + length > address)
		length = 1ul << 40;
	if (on_linux && advice_refused(advice))
		return -EINVAL;
	/* Later than guards came those in files, to Linux. */
	if ((advice == MADV_GUARD_INSTALL || advice == MADV_GUARD_REMOVE) &&
		shows_file(address, length)) {
		length = PAGE;
		if (on_linux && shows_file(address, length))
			return -EINVAL;
	}
	result = ask(SYS_madvise, address, length, wide(advice, b[4]), 0, 0, 0);
	/* Freed lazily means freed at a time of the kernel's choice: now. */
	if (advice == MADV_FREE && result == 0)
		madvise((void *)address, length, MADV_DONTNEED);
	/* What becomes of it depends on free memory and on who holds the pages. */
	return advice == MADV_COLLAPSE ? 0 : result;
}

static int64_t synchronise(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return ask(
		SYS_msync, address_of(b[0], b[1]), length_of(b[2]), wide(b[3] % 16, b[4]), 0, 0, 0);
}

static int64_t lock(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return locked(ask(SYS_mlock, address_of(b[0], b[1]), length_of(b[2]), 0, 0, 0, 0));
}

static int64_t unlock(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return ask(SYS_munlock, address_of(b[0], b[1]), length_of(b[2]), 0, 0, 0, 0);
}

static int64_t lock_how(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return locked(ask(SYS_mlock2, address_of(b[0], b[1]), length_of(b[2]), wide(b[3] % 3, b[4]),
		0, 0, 0));
}

static int64_t lock_all(const uint8_t *b, uint64_t *detail)
{
	(void)detail;
	return b[0] % 4 ? locked(ask(SYS_mlockall, wide(b[1] % 9, b[4]), 0, 0, 0, 0, 0))
			: ask(SYS_munlockall, 0, 0, 0, 0, 0, 0);
}

static int64_t set_break(const uint8_t *b, uint64_t *detail)
{
	uint64_t wanted = b[0] < 200 ? first_break + length_of(b[2] % 224) : address_of(b[1], b[2]),
		 value;
	int64_t result = ask(SYS_brk, wanted, 0, 0, 0, 0, 0);

	/* In the heap's last page, if it has one. */
	*detail = (uint64_t)result / PAGE > first_break / PAGE
			  ? try_load((uint64_t)result - PAGE, &value) >> 56
			  : 0;
	return result - (int64_t)first_break;
}

/* The program's own text or stack: the end of most programs that do so. */
static int64_t saw_branch(const uint8_t *b, uint64_t *detail)
{
	uint64_t here =
		(b[0] % 2 ? (uint64_t)(uintptr_t)&saw_branch : (uint64_t)(uintptr_t)&here) & -PAGE;

	(void)detail;
	if (b[1] < 192 || (b[1] % 4 == 2 && b[0] % 2)) /* guards are for memory */
		return ask(SYS_mprotect, here, PAGE, PROT_READ, 0, 0, 0);
	switch (b[1] % 4) {
	case 0:
		return ask(SYS_munmap, here, PAGE, 0, 0, 0, 0);
	case 1:
		return ask(SYS_mprotect, here, PAGE, PROT_NONE, 0, 0, 0);
	case 2:
		return ask(SYS_madvise, here, PAGE, MADV_GUARD_INSTALL, 0, 0, 0);
	default:
		return ask(SYS_mremap, here, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, ARENA, 0);
	}
}

const struct call area_calls[] = {
	{"mmap memory", map_memory},
	{"mmap memory", map_memory},
	{"mmap a file", map_file},
	{"mmap a file", map_file},
	{"mmap anywhere", map_anywhere},
	{"munmap", unmap},
	{"mprotect", protect},
	{"mprotect", protect},
	{"mremap", move},
	{"mremap to", move_fixed},
	{"madvise", advise},
	{"madvise", advise},
	{"msync", synchronise},
	{"mlock", lock},
	{"munlock", unlock},
	{"mlock2", lock_how},
	{"mlockall", lock_all},
	{"brk", set_break},
	{"own memory", saw_branch},
};
const unsigned area_call_count = COUNT(area_calls);
