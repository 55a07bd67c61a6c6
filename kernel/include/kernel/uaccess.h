// SPDX-License-Identifier: MIT
/*
 * User memory. Every address is checked to lie below USER_END, access is opened only for the copy
 * (SMAP), and a fault goes to mm_user_fault. May sleep, except with preemption off: then a fault
 * that the tables do not resolve fails at once with -EFAULT (useful under spinlocks: try, and on
 * -EFAULT unlock, touch the page with a sleeping access, start over).
 */
#ifndef KERNEL_UACCESS_H
#define KERNEL_UACCESS_H

#include <kernel/errno.h>
#include <kernel/memory.h>

static inline bool user_range_ok(uint64_t address, size_t n)
{
	return n <= USER_END && address <= USER_END - n;
}

/* Return how many bytes at the end were not copied (0: all). For short reads and writes. */
size_t copy_from_user_left(void *dst, uint64_t src, size_t n);
size_t copy_to_user_left(uint64_t dst, const void *src, size_t n);

/* 0 or -EFAULT; on -EFAULT a part may have been copied. */
static inline int copy_from_user(void *dst, uint64_t src, size_t n)
{
	return copy_from_user_left(dst, src, n) ? -EFAULT : 0;
}

static inline int copy_to_user(uint64_t dst, const void *src, size_t n)
{
	return copy_to_user_left(dst, src, n) ? -EFAULT : 0;
}

/* Zeroes; 0 or -EFAULT. */
int clear_user(uint64_t dst, size_t n);

/*
 * Copies a string with its NUL. Returns its length without NUL, -EFAULT, or -ENAMETOOLONG when there
 * is no NUL in the first `size` bytes (nothing useful in dst then).
 */
ssize_t strncpy_from_user(char *dst, uint64_t src, size_t size);

/* One naturally aligned or unaligned value; 0 or -EFAULT. *v is unchanged on -EFAULT. */
int get_user_u8(uint8_t *v, uint64_t address);
int get_user_u32(uint32_t *v, uint64_t address);
int get_user_u64(uint64_t *v, uint64_t address);
int put_user_u8(uint64_t address, uint8_t v);
int put_user_u32(uint64_t address, uint32_t v);
int put_user_u64(uint64_t address, uint64_t v);

/*
 * Atomic on a 4-byte aligned word (-EINVAL otherwise), sequentially consistent. cmpxchg: stores
 * desired if the word is *expected, and always returns the old value in *expected.
 * 0 or -EFAULT.
 */
int user_cmpxchg_u32(uint64_t address, uint32_t *expected, uint32_t desired);

#endif
