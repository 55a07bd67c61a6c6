// SPDX-License-Identifier: MIT
/*
 * What /proc says of the machine, and /sys, which is a handful of RAM files.
 */
#include "proc.h"

#include <kernel/task.h>
#include <kernel/uts.h>

/* ---- cpuinfo ---- */

static const struct {
	uint32_t leaf, reg, bit; /* reg: 0 eax to 3 edx */
	const char *name;
} flag_names[] = {
	{ 1, 3, 0, "fpu" }, { 1, 3, 4, "tsc" }, { 1, 3, 6, "pae" }, { 1, 3, 8, "cx8" },
	{ 1, 3, 9, "apic" }, { 1, 3, 13, "pge" }, { 1, 3, 15, "cmov" }, { 1, 3, 19, "clflush" },
	{ 1, 3, 23, "mmx" }, { 1, 3, 24, "fxsr" }, { 1, 3, 25, "sse" }, { 1, 3, 26, "sse2" },
	{ 0x80000001, 3, 11, "syscall" }, { 0x80000001, 3, 20, "nx" },
	{ 0x80000001, 3, 26, "pdpe1gb" }, { 0x80000001, 3, 27, "rdtscp" },
	{ 0x80000001, 3, 29, "lm" }, { 1, 2, 0, "pni" }, { 1, 2, 1, "pclmulqdq" },
	{ 1, 2, 9, "ssse3" }, { 1, 2, 12, "fma" }, { 1, 2, 13, "cx16" }, { 1, 2, 17, "pcid" },
	{ 1, 2, 19, "sse4_1" }, { 1, 2, 20, "sse4_2" }, { 1, 2, 21, "x2apic" },
	{ 1, 2, 22, "movbe" }, { 1, 2, 23, "popcnt" }, { 1, 2, 25, "aes" }, { 1, 2, 26, "xsave" },
	{ 1, 2, 28, "avx" }, { 1, 2, 29, "f16c" }, { 1, 2, 30, "rdrand" },
	{ 1, 2, 31, "hypervisor" }, { 0x80000001, 2, 0, "lahf_lm" }, { 0x80000001, 2, 5, "abm" },
	{ 7, 1, 0, "fsgsbase" }, { 7, 1, 3, "bmi1" }, { 7, 1, 5, "avx2" }, { 7, 1, 7, "smep" },
	{ 7, 1, 8, "bmi2" }, { 7, 1, 9, "erms" }, { 7, 1, 10, "invpcid" }, { 7, 1, 18, "rdseed" },
	{ 7, 1, 19, "adx" }, { 7, 1, 20, "smap" }, { 7, 1, 29, "sha_ni" }, { 7, 2, 2, "umip" },
	{ 7, 3, 4, "fsrm" },
};

static void cpu_flags(struct text *t)
{
	uint32_t r[4];

	text_add(t, "flags\t\t:");
	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++) {
		cpuid(flag_names[i].leaf & 0x80000000, 0, r);
		if (r[0] < flag_names[i].leaf)
			continue;
		cpuid(flag_names[i].leaf, 0, r);
		if (r[flag_names[i].reg] >> flag_names[i].bit & 1)
			text_add(t, " %s", flag_names[i].name);
	}
	text_add(t, "\n");
}

static void cpu_identity(struct text *t)
{
	uint32_t r[4], name[13] = { 0 }, family, model;
	const char *start = (const char *)name;

	cpuid(0, 0, r);
	memcpy(name, &r[1], 4);
	memcpy(name + 1, &r[3], 4);
	memcpy(name + 2, &r[2], 4);
	text_add(t, "vendor_id\t: %s\n", (const char *)name);
	cpuid(1, 0, r);
	family = r[0] >> 8 & 15;
	model = r[0] >> 4 & 15;
	if (family == 6 || family == 15)
		model |= r[0] >> 12 & 0xf0;
	if (family == 15)
		family += r[0] >> 20 & 0xff;
	text_add(t, "cpu family\t: %u\nmodel\t\t: %u\n", family, model);
	for (uint32_t i = 0; i < 3; i++)
		cpuid(0x80000002 + i, 0, name + 4 * i);
	while (*start == ' ')
		start++;
	text_add(t, "model name\t: %s\nstepping\t: %u\n", start, r[0] & 15);
}

int proc_cpuinfo(struct text *t, struct inode *inode __unused)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		text_add(t, "processor\t: %u\n", cpu);
		cpu_identity(t);
		text_add(t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n"
			    "apicid\t\t: %u\nfpu\t\t: yes\nwp\t\t: yes\n",
			cpu_count(), cpu, cpu_count(), cpu);
		cpu_flags(t);
		text_add(t, "clflush size\t: %u\ncache_alignment\t: 64\n\n", (r[1] >> 8 & 0xff) * 8);
	}
	return 0;
}

/* ---- Memory, time and load ---- */

#define KB_OF_FRAMES(n) ((n) * (PAGE_SIZE / 1024))

int proc_meminfo(struct text *t, struct inode *inode __unused)
{
	uint64_t free = KB_OF_FRAMES(frame_count_free());

	text_add(t, "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n"
		    "Buffers:        %8u kB\nCached:         %8u kB\nSwapCached:     %8u kB\n",
		KB_OF_FRAMES(frame_count_total()), free, free, 0, 0, 0);
	text_add(t, "SwapTotal:      %8u kB\nSwapFree:       %8u kB\nSlab:           %8lu kB\n"
		    "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n",
		0, 0, kmalloc_outstanding() / 1024);
	return 0;
}

static uint64_t idle_ns(unsigned int cpu)
{
	return task_cpu_time(percpus[cpu].idle);
}

int proc_uptime(struct text *t, struct inode *inode __unused)
{
	uint64_t now = ktime_ns(), idle = 0;

	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		idle += idle_ns(cpu);
	text_add(t, "%lu.%02lu %lu.%02lu\n", now / NSEC_PER_SEC, now % NSEC_PER_SEC / 10000000,
		idle / NSEC_PER_SEC, idle % NSEC_PER_SEC / 10000000);
	return 0;
}

/* No averages are kept: all three figures are the runnable threads of this moment. */
int proc_loadavg(struct text *t, struct inode *inode __unused)
{
	unsigned int n = sched_runnable();

	text_add(t, "%u.00 %u.00 %u.00 %u/%u %d\n", n, n, n, n, thread_count(),
		current_process()->pid);
	return 0;
}

/* Busy time is not split by kind here: all of it counts as user time. */
static void cpu_line(struct text *t, const char *name, uint64_t idle, uint64_t all)
{
	uint64_t busy = all > idle ? all - idle : 0;

	text_add(t, "%s %lu 0 0 %lu 0 0 0 0 0 0\n", name, busy / 10000000, idle / 10000000);
}

int proc_stat(struct text *t, struct inode *inode __unused)
{
	uint64_t now = ktime_ns(), idle = 0, switches = 0, interrupts = 0;

	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		idle += idle_ns(cpu);
		switches += percpus[cpu].nr_switches;
		interrupts += percpus[cpu].nr_interrupts;
	}
	cpu_line(t, "cpu ", idle, now * cpu_count());
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		char name[16];

		snprintf(name, sizeof(name), "cpu%u", cpu);
		cpu_line(t, name, idle_ns(cpu), now);
	}
	text_add(t, "intr %lu\nctxt %lu\nbtime %lu\nprocs_running %u\nprocs_blocked 0\n", interrupts,
		switches, (wall_ns() - now) / NSEC_PER_SEC, sched_runnable());
	return 0;
}

/* ---- Constant texts ---- */

int proc_version(struct text *t, struct inode *inode __unused)
{
	text_add(t, "%s version %s (vmtree) %s\n", UTS_SYSNAME, UTS_RELEASE, UTS_VERSION);
	return 0;
}

int proc_filesystems(struct text *t, struct inode *inode __unused)
{
	text_add(t, "nodev\ttmpfs\nnodev\tproc\n");
	return 0;
}

int proc_mounts(struct text *t, struct inode *inode __unused)
{
	text_add(t, "tmpfs / tmpfs rw 0 0\nproc /proc proc rw 0 0\n");
	return 0;
}

/* A file with one constant line. */
#define CONSTANT(function, line) \
	static int function(struct text *t, struct inode *inode __unused) \
	{ \
		text_add(t, "%s\n", line); \
		return 0; \
	}

CONSTANT(text_ostype, UTS_SYSNAME)
CONSTANT(text_osrelease, UTS_RELEASE)
CONSTANT(text_version, UTS_VERSION)
CONSTANT(text_hostname, UTS_NODENAME)
CONSTANT(text_pid_max, "4194304")
CONSTANT(text_cap_last_cap, "40")
CONSTANT(text_overcommit, "1") /* mappings are never refused for lack of memory */
CONSTANT(text_max_map_count, "2147483647") /* no limit but memory */
CONSTANT(text_mmap_min_addr, "65536")
CONSTANT(text_zero, "0")
CONSTANT(text_nr_open, "1048576")
CONSTANT(text_pipe_max_size, "65536")

static const struct proc_entry kernel_entries[] = {
	{ .name = "ostype", .mode = S_IFREG | 0444, .text = text_ostype },
	{ .name = "osrelease", .mode = S_IFREG | 0444, .text = text_osrelease },
	{ .name = "version", .mode = S_IFREG | 0444, .text = text_version },
	{ .name = "hostname", .mode = S_IFREG | 0444, .text = text_hostname },
	{ .name = "pid_max", .mode = S_IFREG | 0444, .text = text_pid_max },
	{ .name = "cap_last_cap", .mode = S_IFREG | 0444, .text = text_cap_last_cap },
	{ .name = "randomize_va_space", .mode = S_IFREG | 0444, .text = text_zero },
};

static const struct proc_entry vm_entries[] = {
	{ .name = "overcommit_memory", .mode = S_IFREG | 0444, .text = text_overcommit },
	{ .name = "max_map_count", .mode = S_IFREG | 0444, .text = text_max_map_count },
	{ .name = "mmap_min_addr", .mode = S_IFREG | 0444, .text = text_mmap_min_addr },
	{ .name = "nr_hugepages", .mode = S_IFREG | 0444, .text = text_zero },
};

static const struct proc_entry fs_entries[] = {
	{ .name = "nr_open", .mode = S_IFREG | 0444, .text = text_nr_open },
	{ .name = "pipe-max-size", .mode = S_IFREG | 0444, .text = text_pipe_max_size },
};

const struct proc_entry proc_sys_entries[PROC_SYS_COUNT] = {
	{ .name = "kernel", .mode = S_IFDIR | 0555, .entries = kernel_entries,
		.count = ARRAY_SIZE(kernel_entries) },
	{ .name = "vm", .mode = S_IFDIR | 0555, .entries = vm_entries,
		.count = ARRAY_SIZE(vm_entries) },
	{ .name = "fs", .mode = S_IFDIR | 0555, .entries = fs_entries,
		.count = ARRAY_SIZE(fs_entries) },
};

/* ---- /sys ---- */

static int make_text(const char *path, const char *line)
{
	return make_file(path, S_IFREG | 0444, line, strlen(line));
}

int sysfs_init(void)
{
	static const char *const lists[] = { "online", "possible", "present" };
	char line[32], path[64];
	int err = 0;

	if (cpu_count() > 1)
		snprintf(line, sizeof(line), "0-%u\n", cpu_count() - 1);
	else
		snprintf(line, sizeof(line), "0\n");
	for (size_t i = 0; i < ARRAY_SIZE(lists) && !err; i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s", lists[i]);
		err = make_text(path, line);
	}
	for (unsigned int cpu = 0; cpu < cpu_count() && !err; cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u", cpu);
		err = make_node(path, DEFAULT_DIR_MODE, 0, NULL);
	}
	if (!err)
		err = make_text("/sys/kernel/mm/transparent_hugepage/enabled",
			"always [madvise] never\n");
	if (!err)
		err = make_text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n");
	return err;
}
