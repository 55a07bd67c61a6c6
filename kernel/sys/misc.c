// SPDX-License-Identifier: MIT
/*
 * Calls about the machine and the caller that fit nowhere else.
 */
#include <kernel/memory.h>
#include <kernel/process.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include <kernel/uts.h>

/* uname(2) */
struct utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

long sys_uname(long a_buf)
{
	static const struct utsname name = {
		.sysname = UTS_SYSNAME,
		.nodename = UTS_NODENAME,
		.release = UTS_RELEASE,
		.version = UTS_VERSION,
		.machine = "x86_64",
		.domainname = "(none)",
	};

	return copy_to_user((uint64_t)a_buf, &name, sizeof(name));
}

struct sysinfo {
	int64_t uptime;
	uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad;
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit;
};

long sys_sysinfo(long a_info)
{
	struct sysinfo info = {
		.uptime = (int64_t)(ktime_ns() / NSEC_PER_SEC),
		.totalram = frame_count_total() * PAGE_SIZE,
		.freeram = frame_count_free() * PAGE_SIZE,
		.procs = (uint16_t)thread_count(),
		.mem_unit = 1,
	};

	/* There is no average: the load is what runs now (16 bits of fraction). */
	info.loads[0] = info.loads[1] = info.loads[2] = (uint64_t)sched_runnable() << 16;
	return copy_to_user((uint64_t)a_info, &info, sizeof(info));
}

#define GRND_NONBLOCK 1
#define GRND_RANDOM   2
#define GRND_INSECURE 4

long sys_getrandom(long a_buf, long a_size, long a_flags)
{
	uint64_t chunk[32], done = 0, size = MIN((uint64_t)a_size, (uint64_t)INT32_MAX);

	if ((uint32_t)a_flags & ~(uint32_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	while (done < size) {
		uint64_t n = MIN(size - done, sizeof(chunk)), left;

		for (unsigned int i = 0; i < ARRAY_SIZE(chunk); i++)
			chunk[i] = random_u64();
		left = copy_to_user_left((uint64_t)a_buf + done, chunk, n);
		done += n - left;
		if (left)
			return done ? (long)done : -EFAULT;
		if (process_fatal_pending())
			break;
	}
	return (long)done;
}

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

long sys_arch_prctl(long a_code, long a_address)
{
	uint64_t address = (uint64_t)a_address;

	switch ((int)a_code) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (address >= USER_END)
			return -EPERM;
		if ((int)a_code == ARCH_SET_FS)
			user_set_fs_base(address);
		else
			user_set_gs_base(address);
		return 0;
	case ARCH_GET_FS:
		return put_user_u64(address, user_fs_base());
	case ARCH_GET_GS:
		return put_user_u64(address, user_gs_base());
	default:
		return -EINVAL;
	}
}

#define PR_SET_PDEATHSIG 1
#define PR_GET_PDEATHSIG 2
#define PR_GET_DUMPABLE  3
#define PR_SET_NAME      15
#define PR_GET_NAME      16

static long set_name(uint64_t address)
{
	char name[16];
	ssize_t n = strncpy_from_user(name, address, sizeof(name));

	if (n == -ENAMETOOLONG && !copy_from_user(name, address, sizeof(name) - 1))
		name[sizeof(name) - 1] = 0;
	else if (n < 0)
		return -EFAULT;
	strlcpy(current()->name, name, sizeof(current()->name));
	return 0;
}

static long set_pdeath_signal(long sig)
{
	if (sig < 0 || sig > SIG_COUNT)
		return -EINVAL;
	current_process()->pdeath_signal = (int)sig;
	return 0;
}

long sys_prctl(long a_option, long a_2, long a_3 __unused, long a_4 __unused, long a_5 __unused)
{
	switch ((int)a_option) {
	case PR_SET_NAME:
		return set_name((uint64_t)a_2);
	case PR_GET_NAME:
		return copy_to_user((uint64_t)a_2, current()->name, sizeof(current()->name));
	case PR_SET_PDEATHSIG:
		return set_pdeath_signal(a_2);
	case PR_GET_PDEATHSIG:
		return put_user_u32((uint64_t)a_2, (uint32_t)current_process()->pdeath_signal);
	case PR_GET_DUMPABLE:
		return 0; /* nothing dumps core here */
	default:
		return -EINVAL;
	}
}

/* personality(2): only the Linux one; the question 0xffffffff and setting it to 0 are answered. */
long sys_personality(long a_persona)
{
	uint32_t persona = (uint32_t)a_persona;

	return persona == 0 || persona == UINT32_MAX ? 0 : -EINVAL;
}
