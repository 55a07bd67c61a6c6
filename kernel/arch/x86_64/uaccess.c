// SPDX-License-Identifier: MIT
/*
 * Checks in front of the instructions in user.S (kernel/uaccess.h).
 */
#include <kernel/uaccess.h>

#include <kernel/cpu.h>
#include <kernel/task.h>

struct got {
	uint64_t value;
	int64_t err; /* second return register */
};

size_t user_copy_raw(void *dst, const void *src, size_t n);
size_t user_clear_raw(void *dst, size_t n);
ssize_t user_strncpy_raw(char *dst, const char *src, size_t size);
int user_cmpxchg_raw(uint32_t *address, uint32_t *expected, uint32_t desired);
struct got user_get_raw8(uint64_t address);
struct got user_get_raw32(uint64_t address);
struct got user_get_raw64(uint64_t address);
int user_put_raw8(uint64_t address, uint8_t v);
int user_put_raw32(uint64_t address, uint32_t v);
int user_put_raw64(uint64_t address, uint64_t v);

size_t copy_from_user_left(void *dst, uint64_t src, size_t n)
{
	return user_range_ok(src, n) ? user_copy_raw(dst, (const void *)src, n) : n;
}

size_t copy_to_user_left(uint64_t dst, const void *src, size_t n)
{
	return user_range_ok(dst, n) ? user_copy_raw((void *)dst, src, n) : n;
}

int clear_user(uint64_t dst, size_t n)
{
	return user_range_ok(dst, n) && user_clear_raw((void *)dst, n) == 0 ? 0 : -EFAULT;
}

ssize_t strncpy_from_user(char *dst, uint64_t src, size_t size)
{
	size_t room;
	ssize_t n;

	if (src >= USER_END)
		return -EFAULT;
	room = MIN(size, USER_END - src);
	n = user_strncpy_raw(dst, (const char *)src, room);
	if (n < 0 || (size_t)n < room)
		return n;
	return room < size ? -EFAULT : -ENAMETOOLONG;
}

int user_cmpxchg_u32(uint64_t address, uint32_t *expected, uint32_t desired)
{
	if (address & 3)
		return -EINVAL;
	if (!user_range_ok(address, 4))
		return -EFAULT;
	return user_cmpxchg_raw((uint32_t *)address, expected, desired);
}

#define USER_ACCESSORS(bits) \
	int get_user_u##bits(uint##bits##_t *v, uint64_t address) \
	{ \
		struct got g; \
		if (!user_range_ok(address, bits / 8)) \
			return -EFAULT; \
		g = user_get_raw##bits(address); \
		if (g.err) \
			return (int)g.err; \
		*v = (uint##bits##_t)g.value; \
		return 0; \
	} \
	int put_user_u##bits(uint64_t address, uint##bits##_t v) \
	{ \
		return user_range_ok(address, bits / 8) ? user_put_raw##bits(address, v) : -EFAULT; \
	}
USER_ACCESSORS(8)
USER_ACCESSORS(32)
USER_ACCESSORS(64)
