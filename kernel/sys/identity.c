// SPDX-License-Identifier: MIT
/*
 * Users and groups: every program is root, and there is nobody else. Changing to root is a success
 * that changes nothing; to anybody else EPERM, so that no program believes that it dropped its
 * privileges.
 */
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define KEEP UINT32_MAX /* (uid_t)-1: leave as it is */

long sys_getuid(void)
{
	return 0;
}

long sys_getgid(void)
{
	return 0;
}

long sys_geteuid(void)
{
	return 0;
}

long sys_getegid(void)
{
	return 0;
}

static long change(uint32_t id)
{
	return id == 0 || id == KEEP ? 0 : -EPERM;
}

static long change_one(uint32_t id)
{
	return id == KEEP ? -EINVAL : change(id);
}

long sys_setuid(long a_uid)
{
	return change_one((uint32_t)a_uid);
}

long sys_setgid(long a_gid)
{
	return change_one((uint32_t)a_gid);
}

static long change_three(long a, long b, long c)
{
	long err = change((uint32_t)a);

	if (!err)
		err = change((uint32_t)b);
	return err ? err : change((uint32_t)c);
}

long sys_setreuid(long a_real, long a_effective)
{
	return change_three(a_real, a_effective, 0);
}

long sys_setregid(long a_real, long a_effective)
{
	return change_three(a_real, a_effective, 0);
}

long sys_setresuid(long a_real, long a_effective, long a_saved)
{
	return change_three(a_real, a_effective, a_saved);
}

long sys_setresgid(long a_real, long a_effective, long a_saved)
{
	return change_three(a_real, a_effective, a_saved);
}

static long get_three(long a, long b, long c)
{
	if (put_user_u32((uint64_t)a, 0) || put_user_u32((uint64_t)b, 0) ||
		put_user_u32((uint64_t)c, 0))
		return -EFAULT;
	return 0;
}

long sys_getresuid(long a_real, long a_effective, long a_saved)
{
	return get_three(a_real, a_effective, a_saved);
}

long sys_getresgid(long a_real, long a_effective, long a_saved)
{
	return get_three(a_real, a_effective, a_saved);
}

/* No supplementary groups. */
long sys_getgroups(long a_size, long a_list __unused)
{
	return (int)a_size < 0 ? -EINVAL : 0;
}
