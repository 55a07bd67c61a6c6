// SPDX-License-Identifier: MIT
// Steps that touch memory: by the program itself, and by the kernel for it.
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The first byte is a return instruction, so that what was written can be executed. */
static uint64_t value_of(uint8_t byte)
{
	return 0x0101010101010101 * byte << 8 | 0xc3;
}

static int64_t load(const uint8_t *b, uint64_t *detail)
{
	uint64_t value = 0, fault = try_load(address_of(b[0], b[1]), &value);

	*detail = fault ? fault : value;
	return fault != 0;
}

static int64_t store(const uint8_t *b, uint64_t *detail)
{
	*detail = try_store(address_of(b[0], b[1]), value_of(b[2]));
	return *detail != 0;
}

static int64_t fill(const uint8_t *b, uint64_t *detail)
{
	uint64_t length = length_of(b[2]);

	*detail = try_fill(address_of(b[0], b[1]), length < LARGE_BYTES ? length : LARGE_BYTES,
		value_of(b[3]));
	return *detail != 0;
}

/* Executes what is sure to return, or what cannot be read. */
static int64_t execute(const uint8_t *b, uint64_t *detail)
{
	uint64_t address = address_of(b[0], b[1]), value = 0, fault = try_load(address, &value);

	/* Where a file has no page either, Linux tells the one or the other as the page's tables
	 * happen to be. */
	if (fault >> 56 == SIGBUS || (!fault && (value & 0xff) != 0xc3))
		return 2;
	*detail = try_call(address);
	return *detail != 0;
}

static int64_t read_file(const uint8_t *b, uint64_t *detail)
{
	uint64_t address = address_of(b[0], b[1]), length = length_of(b[2]),
		 offset = offset_of(b[5]);
	int fd = descriptor_of(b[3]);

	(void)detail;
	/* File systems differ in where a file ends at the latest. */
	if (offset > 1ul << 40 && offset < 1ul << 63)
		offset = 1ul << 40;
	/* Nothing here waits, and /dev/zero never ends. */
	if (fd == FD_PIPE_IN || fd == FD_PIPE_OUT || (fd == FD_ZERO && length > LARGE_BYTES))
		fd = FD_BOTH;
	return b[4] < 200 ? ask(SYS_pread64, (uint64_t)fd, address, length, offset, 0, 0)
			  : ask(SYS_read, (uint64_t)fd, address, length, 0, 0, 0);
}

/* Linux makes a file of memory longer by a write beyond its end that then fails. */
static uint64_t inside_file(uint64_t offset)
{
	struct stat st;

	fstat(FD_BOTH, &st);
	return offset > (uint64_t)st.st_size && offset < 1ul << 63 ? (uint64_t)st.st_size : offset;
}

static int64_t write_file(const uint8_t *b, uint64_t *detail)
{
	uint64_t address = address_of(b[0], b[1]), length = length_of(b[2]),
		 offset = offset_of(b[4]);
	int fd = descriptor_of(b[3]);

	(void)detail;
	if (fd == FD_PIPE_IN || fd == FD_PIPE_OUT)
		fd = FD_BOTH;
	offset = inside_file(offset);
	return ask(SYS_pwrite64, (uint64_t)fd, address, length, offset, 0, 0);
}

static int64_t vectors(const uint8_t *b, uint64_t *detail)
{
	static const long calls[] = {SYS_preadv, SYS_pwritev, SYS_preadv, SYS_pwritev};
	struct iovec list[3] = {
		{(void *)address_of(b[0], b[1]), length_of(b[2])},
		{(void *)address_of(b[3], b[1]), length_of(b[4])},
		{(void *)address_of(b[0], b[5]), 16},
	};
	static const uint64_t counts[] = {2, 0, 1, 1024, 1025, -1ul, (1ul << 60) | 1025, 1ul << 31};
	uint64_t count = b[5] < 200 ? 3 : counts[b[5] % COUNT(counts)];
	uint64_t where = b[6] < 224 ? (uint64_t)(uintptr_t)list : address_of(b[3], b[1]);

	(void)detail;
	/* More than there are: the rest of the stack would do. */
	if (count > 3 && count <= 1024)
		where = address_of(b[3], b[1]);
	return ask(calls[b[6] % 4], FD_BOTH, where, count, inside_file(b[6] % 4 * PAGE), 0, 0);
}

/*
 * Through a pipe: bytes come out where they can be put. From whole pages, as Linux forgets the
 * beginning of a page of which it cannot read the rest.
 */
static int64_t pipe_through(const uint8_t *b, uint64_t *detail)
{
	uint64_t length = length_of(b[2]);
	static uint8_t rest[65536];
	int64_t result = ask(SYS_write, FD_PIPE_OUT, address_of(b[0], 0), length, 0, 0, 0);

	*detail = (uint64_t)ask(SYS_read, FD_PIPE_IN, address_of(b[3], b[4]), length, 0, 0, 0);
	while (read(FD_PIPE_IN, rest, sizeof(rest)) > 0)
		;
	return result;
}

static int64_t cut(const uint8_t *b, uint64_t *detail)
{
	uint64_t size = b[0] < 128   ? (uint64_t)(b[0] % 6) * PAGE + b[1]
			: b[0] < 250 ? FILE_BYTES
				     : 1ul << 63;

	(void)detail;
	return ask(SYS_ftruncate, (uint64_t)descriptor_of(b[2]), size, 0, 0, 0, 0);
}

static int64_t residence(const uint8_t *b, uint64_t *detail)
{
	uint64_t length = length_of(b[2]), vector = address_of(b[3], b[4]);
	int64_t result = ask(SYS_mincore, address_of(b[0], b[1]), length, vector, 0, 0, 0);

	/* Which pages are in memory is the kernel's affair. */
	*detail = (uint64_t)ask(SYS_pread64, FD_ZERO, vector,
		length < LARGE_BYTES ? (length + PAGE - 1) / PAGE : 0, 0, 0, 0);
	return result;
}

/* Calls that write a structure; it is zeroed again, since its bytes differ. */
static int64_t answers(const uint8_t *b, uint64_t *detail)
{
	uint64_t at = address_of(b[0], b[1]), none = 0;
	const struct {
		long number;
		uint64_t a, b, c, d, size;
	} list[] = {
		{SYS_uname, at, 0, 0, 0, 390},
		{SYS_sysinfo, at, 0, 0, 0, 112},
		{SYS_getrusage, 0, at, 0, 0, 144},
		{SYS_clock_gettime, CLOCK_MONOTONIC, at, 0, 0, 16},
		{SYS_getcwd, at, 100, 0, 0, 100},
		{SYS_fstat, FD_BOTH, at, 0, 0, 144},
		{SYS_getcpu, at, at + 4, 0, 0, 8},
		{SYS_rt_sigaction, SIGUSR1, 0, at, 8, 32},
		{SYS_rt_sigprocmask, 0, 0, at, 8, 8},
		{SYS_sigaltstack, 0, at, 0, 0, 24},
		{SYS_getitimer, 0, at, 0, 0, 32},
		{SYS_prlimit64, 0, 3, 0, at, 16},
		{SYS_gettimeofday, at, 0, 0, 0, 16},
		{SYS_getrandom, at, b[2], 0, 0, b[2]},
		{SYS_sched_getaffinity, 0, 128, at, 0, 128},
		{SYS_getdents64, FD_FOLDER, at, 300, 0, 300},
		{SYS_readlinkat, (uint64_t)AT_FDCWD, (uint64_t)(uintptr_t) "/proc/self/exe", at, 10,
			10},
		{SYS_statx, FD_BOTH, (uint64_t)(uintptr_t) "", AT_EMPTY_PATH, 0x7ff, 256},
		{SYS_pipe2, at, 0xffff, 0, 0, 8},
		{SYS_waitid, 0, 0, at, WEXITED, 128},
		{SYS_get_robust_list, 0, at, at + 8, 0, 16},
		{SYS_sched_getparam, 0, at, 0, 0, 4},
		{SYS_getresuid, at, at + 4, at + 8, 0, 12},
		{SYS_prctl, 16, at, 0, 0, 16},
		{SYS_times, at, 0, 0, 0, 32},
		{SYS_rt_sigpending, at, 8, 0, 0, 8},
	};
	unsigned n = b[3] % COUNT(list);
	int64_t result;

	lseek(FD_FOLDER, 0, SEEK_SET);
	result = ask(list[n].number, list[n].a, list[n].b, list[n].c, list[n].d,
		list[n].number == SYS_statx ? at : none, none);

	*detail = (uint64_t)ask(SYS_pread64, FD_ZERO, at, list[n].size, 0, 0, 0) << 8 | n;
	/* Times, sizes of what differs, and parts that were written before the edge. */
	return result < 0 ? result : 0;
}

/* Calls that read a structure or a string. */
static int64_t questions(const uint8_t *b, uint64_t *detail)
{
	uint64_t at = address_of(b[0], b[1]), other = address_of(b[2], b[4]);
	uint64_t path = (uint64_t)(uintptr_t) "/nowhere";
	struct timespec none = {0};
	const uint64_t list[][6] = {
		{SYS_openat, (uint64_t)AT_FDCWD, at, O_RDONLY},
		{SYS_execve, at, other, 0},
		{SYS_execve, path, at, other},
		{SYS_newfstatat, (uint64_t)AT_FDCWD, at, other, 0},
		{SYS_select, 8, at, other, 0, (uint64_t)(uintptr_t)&none},
		{SYS_poll, at, 1ul << 40, 0},
		{SYS_set_robust_list, at, 24},
		{SYS_set_robust_list, at, b[4]},
		{SYS_set_tid_address, at},
		{SYS_rt_sigaction, SIGUSR2, at, 0, 7},
		{SYS_rename, at, other},
		{SYS_symlinkat, at, FD_FOLDER, other},
		{SYS_clone, CLONE_SIGHAND, at, other, other},
		{SYS_clone, CLONE_THREAD | CLONE_VM, at, other, other},
		{SYS_clone3, at, b[4] % 64},
		{SYS_utimensat, FD_BOTH, 0, at, 0x7777},
		{SYS_chdir, at},
		{SYS_setitimer, 77, at, other},
		{SYS_rt_sigtimedwait, at, other, (uint64_t)(uintptr_t)&none, 7},
		{SYS_prctl, 15, at},
	};
	unsigned n = b[3] % COUNT(list);
	int64_t result = ask(
		(long)list[n][0], list[n][1], list[n][2], list[n][3], list[n][4], list[n][5], 0);

	*detail = n;
	return result < 0 ? result : 0;
}

static int64_t futex(const uint8_t *b, uint64_t *detail)
{
	static const uint32_t operations[] = {FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE,
		FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, 1};
	struct timespec none = {0};
	uint32_t operation = operations[b[3] % 8] | (b[3] & 128);
	uint64_t first = address_of(b[0], b[1]), second = address_of(b[2], b[4]), fourth = 1;

	(void)detail;
	if (operation % 128 == FUTEX_WAIT || operation % 128 == FUTEX_WAIT_BITSET)
		fourth = b[6] < 192 ? (uint64_t)(uintptr_t)&none : second;
	/* A time that memory holds could be one for ever. */
	if (fourth == second && (b[2] < 224 || b[2] - 224 < 6))
		fourth = (uint64_t)(uintptr_t)&none;
	return ask(SYS_futex, first, operation, b[5] % 4, fourth, second,
		b[6] % 8 ? ~0u : (uint64_t)b[5] << 12);
}

/* A child that is made with pointers for its number, and ends at once. */
static int64_t child(const uint8_t *b, uint64_t *detail)
{
	uint64_t first = address_of(b[0], b[1]), second = address_of(b[2], b[3]);
	uint64_t flags = SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
			 (b[4] % 2 ? CLONE_CHILD_CLEARTID : 0);
	int status = 0;
	int64_t pid = ask(SYS_clone, flags, 0, first, second, 0, 0);

	if (pid == 0)
		_exit(3);
	if (pid > 0)
		*detail = (uint64_t)(ask(SYS_wait4, (uint64_t)pid,
					     b[5] < 128 ? 0 : address_of(b[5], b[6]), 0, 0, 0,
					     0) > 0);
	*detail |= (uint64_t)status << 8;
	/* Its number is another on each kernel; the child's own word may lie in shared memory. */
	ask(SYS_pread64, FD_ZERO, first, 4, 0, 0, 0);
	ask(SYS_pread64, FD_ZERO, second, 4, 0, 0, 0);
	if (b[5] >= 128)
		ask(SYS_pread64, FD_ZERO, address_of(b[5], b[6]), 4, 0, 0, 0);
	return pid > 0 ? 0 : pid;
}

const struct call access_calls[] = {
	{"load", load},
	{"store", store},
	{"store", store},
	{"fill", fill},
	{"fill", fill},
	{"execute", execute},
	{"read", read_file},
	{"write", write_file},
	{"readv, writev", vectors},
	{"pipe", pipe_through},
	{"ftruncate", cut},
	{"mincore", residence},
	{"answers", answers},
	{"questions", questions},
	{"futex", futex},
	{"clone", child},
};
const unsigned access_call_count = COUNT(access_calls);
