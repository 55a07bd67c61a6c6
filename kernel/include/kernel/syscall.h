// SPDX-License-Identifier: MIT
/*
 * The system calls: one list for each owner. Everything comes from these lists: the declarations
 * below, and the table in kernel/sys/table.c.
 *
 * X(number, name, arguments): long sys_name(long, ...) with that many arguments, returns the result
 * or a negated error; restart codes (kernel/errno.h) are allowed. Preemption on, may sleep. A call
 * that needs the registers uses task_regs(current()). 32-bit arguments are cast by the function
 * (upper halves are undefined). What a list does not name answers ENOSYS and is counted.
 *
 * An owner adds and removes lines of his own list; a line needs its function at link time.
 */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include <kernel/errno.h>
#include <kernel/types.h>

/* kernel/fs */
#define SYSCALLS_FS(X) \
	X(0, read, 3) \
	X(1, write, 3) \
	X(2, open, 3) \
	X(3, close, 1) \
	X(4, stat, 2) \
	X(5, fstat, 2) \
	X(6, lstat, 2) \
	X(7, poll, 3) \
	X(8, lseek, 3) \
	X(16, ioctl, 3) \
	X(17, pread64, 4) \
	X(18, pwrite64, 4) \
	X(19, readv, 3) \
	X(20, writev, 3) \
	X(21, access, 2) \
	X(22, pipe, 1) \
	X(23, select, 5) \
	X(32, dup, 1) \
	X(33, dup2, 2) \
	X(40, sendfile, 4) \
	X(72, fcntl, 3) \
	X(73, flock, 2) \
	X(74, fsync, 1) \
	X(75, fdatasync, 1) \
	X(76, truncate, 2) \
	X(77, ftruncate, 2) \
	X(79, getcwd, 2) \
	X(80, chdir, 1) \
	X(81, fchdir, 1) \
	X(82, rename, 2) \
	X(83, mkdir, 2) \
	X(84, rmdir, 1) \
	X(85, creat, 2) \
	X(86, link, 2) \
	X(87, unlink, 1) \
	X(88, symlink, 2) \
	X(89, readlink, 3) \
	X(90, chmod, 2) \
	X(91, fchmod, 2) \
	X(92, chown, 3) \
	X(93, fchown, 3) \
	X(94, lchown, 3) \
	X(95, umask, 1) \
	X(132, utime, 2) \
	X(133, mknod, 3) \
	X(137, statfs, 2) \
	X(138, fstatfs, 2) \
	X(162, sync, 0) \
	X(217, getdents64, 3) \
	X(221, fadvise64, 4) \
	X(235, utimes, 2) \
	X(257, openat, 4) \
	X(258, mkdirat, 3) \
	X(259, mknodat, 4) \
	X(260, fchownat, 5) \
	X(262, newfstatat, 4) \
	X(263, unlinkat, 3) \
	X(264, renameat, 4) \
	X(265, linkat, 5) \
	X(266, symlinkat, 3) \
	X(267, readlinkat, 4) \
	X(268, fchmodat, 3) \
	X(269, faccessat, 3) \
	X(270, pselect6, 6) \
	X(271, ppoll, 5) \
	X(280, utimensat, 4) \
	X(285, fallocate, 4) \
	X(292, dup3, 3) \
	X(293, pipe2, 2) \
	X(295, preadv, 5) \
	X(296, pwritev, 5) \
	X(316, renameat2, 5) \
	X(319, memfd_create, 2) \
	X(326, copy_file_range, 6) \
	X(332, statx, 5) \
	X(436, close_range, 3) \
	X(439, faccessat2, 4)

/* kernel/mm */
#define SYSCALLS_MM(X) \
	X(9, mmap, 6) \
	X(10, mprotect, 3) \
	X(11, munmap, 2) \
	X(12, brk, 1) \
	X(25, mremap, 5) \
	X(26, msync, 3) \
	X(27, mincore, 3) \
	X(28, madvise, 3) \
	X(149, mlock, 2) \
	X(150, munlock, 2) \
	X(151, mlockall, 1) \
	X(152, munlockall, 0) \
	X(325, mlock2, 3)

/* kernel/proc: processes, signals, futexes */
#define SYSCALLS_PROC(X) \
	X(13, rt_sigaction, 4) \
	X(14, rt_sigprocmask, 4) \
	X(15, rt_sigreturn, 0) \
	X(34, pause, 0) \
	X(36, getitimer, 2) \
	X(37, alarm, 1) \
	X(38, setitimer, 3) \
	X(39, getpid, 0) \
	X(56, clone, 5) \
	X(57, fork, 0) \
	X(58, vfork, 0) \
	X(59, execve, 3) \
	X(60, exit, 1) \
	X(61, wait4, 4) \
	X(62, kill, 2) \
	X(109, setpgid, 2) \
	X(110, getppid, 0) \
	X(111, getpgrp, 0) \
	X(112, setsid, 0) \
	X(121, getpgid, 1) \
	X(124, getsid, 1) \
	X(127, rt_sigpending, 2) \
	X(128, rt_sigtimedwait, 4) \
	X(129, rt_sigqueueinfo, 3) \
	X(130, rt_sigsuspend, 2) \
	X(131, sigaltstack, 2) \
	X(186, gettid, 0) \
	X(200, tkill, 2) \
	X(202, futex, 6) \
	X(218, set_tid_address, 1) \
	X(219, restart_syscall, 0) \
	X(231, exit_group, 1) \
	X(234, tgkill, 3) \
	X(247, waitid, 5) \
	X(273, set_robust_list, 2) \
	X(274, get_robust_list, 3) \
	X(297, rt_tgsigqueueinfo, 4) \
	X(322, execveat, 5) \
	X(334, rseq, 4) \
	X(435, clone3, 2)

/* kernel/sys: time, scheduling, identity, limits, the rest */
#define SYSCALLS_SYS(X) \
	X(24, sched_yield, 0) \
	X(35, nanosleep, 2) \
	X(63, uname, 1) \
	X(96, gettimeofday, 2) \
	X(97, getrlimit, 2) \
	X(98, getrusage, 2) \
	X(99, sysinfo, 1) \
	X(100, times, 1) \
	X(102, getuid, 0) \
	X(104, getgid, 0) \
	X(105, setuid, 1) \
	X(106, setgid, 1) \
	X(107, geteuid, 0) \
	X(108, getegid, 0) \
	X(113, setreuid, 2) \
	X(114, setregid, 2) \
	X(115, getgroups, 2) \
	X(117, setresuid, 3) \
	X(118, getresuid, 3) \
	X(119, setresgid, 3) \
	X(120, getresgid, 3) \
	X(135, personality, 1) \
	X(140, getpriority, 2) \
	X(141, setpriority, 3) \
	X(142, sched_setparam, 2) \
	X(143, sched_getparam, 2) \
	X(144, sched_setscheduler, 3) \
	X(145, sched_getscheduler, 1) \
	X(146, sched_get_priority_max, 1) \
	X(147, sched_get_priority_min, 1) \
	X(148, sched_rr_get_interval, 2) \
	X(157, prctl, 5) \
	X(158, arch_prctl, 2) \
	X(160, setrlimit, 2) \
	X(201, time, 1) \
	X(203, sched_setaffinity, 3) \
	X(204, sched_getaffinity, 3) \
	X(228, clock_gettime, 2) \
	X(229, clock_getres, 2) \
	X(230, clock_nanosleep, 4) \
	X(302, prlimit64, 4) \
	X(309, getcpu, 3) \
	X(318, getrandom, 3) \
	X(324, membarrier, 3)

#define SYSCALLS(X) SYSCALLS_FS(X) SYSCALLS_MM(X) SYSCALLS_PROC(X) SYSCALLS_SYS(X)

#define SYSCALL_TYPES_0 void
#define SYSCALL_TYPES_1 long
#define SYSCALL_TYPES_2 long, long
#define SYSCALL_TYPES_3 long, long, long
#define SYSCALL_TYPES_4 long, long, long, long
#define SYSCALL_TYPES_5 long, long, long, long, long
#define SYSCALL_TYPES_6 long, long, long, long, long, long
#define SYSCALL_DECLARE(number, name, n) long sys_##name(SYSCALL_TYPES_##n);

SYSCALLS(SYSCALL_DECLARE)

/* Numbers that Linux x86-64 has, highest + 1. */
#define SYSCALL_MAX 463

/* The name that Linux gives the number, NULL when it has none. (kernel/sys/names.c) */
const char *syscall_name(unsigned int number);

/* Writes a `syscall NUMBER NAME COUNT` line for each call that was asked for and is missing. */
void syscall_report(void);

/* Times, as programs pass them. */
struct timespec {
	int64_t tv_sec, tv_nsec;
};

/* Reads one and checks it: nanoseconds (saturated at INT64_MAX), -EFAULT, -EINVAL. */
int timespec_from_user(uint64_t *ns, uint64_t address);
int timespec_to_user(uint64_t address, uint64_t ns);

/* ktime of `ns` from now, saturated; for deadlines. */
uint64_t deadline_after(uint64_t ns);

/* System calls of all processes so far. (kernel/sys/dispatch.c) */
uint64_t syscall_count(void);

#endif
