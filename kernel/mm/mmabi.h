// SPDX-License-Identifier: MIT
/*
 * Numbers of the Linux x86-64 interface that have to do with memory: mmap(2), mprotect(2),
 * madvise(2), mremap(2), msync(2), mlock(2).
 */
#ifndef KERNEL_MMABI_H
#define KERNEL_MMABI_H

#define PROT_READ      1u
#define PROT_WRITE     2u
#define PROT_EXEC      4u
#define PROT_SEM       8u
#define PROT_GROWSDOWN 0x01000000u
#define PROT_GROWSUP   0x02000000u

#define MAP_SHARED          0x01
#define MAP_PRIVATE         0x02
#define MAP_SHARED_VALIDATE 0x03
#define MAP_TYPE            0x0f
#define MAP_FIXED           0x10
#define MAP_ANONYMOUS       0x20
#define MAP_32BIT           0x40
#define MAP_ABOVE4G         0x80
#define MAP_GROWSDOWN       0x0100
#define MAP_DENYWRITE       0x0800
#define MAP_EXECUTABLE      0x1000
#define MAP_LOCKED          0x2000
#define MAP_NORESERVE       0x4000
#define MAP_POPULATE        0x8000
#define MAP_NONBLOCK        0x10000
#define MAP_STACK           0x20000
#define MAP_HUGETLB         0x40000
#define MAP_FIXED_NOREPLACE 0x100000
#define MAP_UNINITIALIZED   0x4000000
#define MAP_HUGE_SIZES      0x7c000000 /* bits of the sizes of huge pages */

/* What MAP_SHARED_VALIDATE lets pass. */
#define MAP_SHARED_KNOWN                                                                     \
	(MAP_TYPE | MAP_FIXED | MAP_32BIT | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE | \
		MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |       \
		MAP_HUGETLB | MAP_FIXED_NOREPLACE | MAP_ABOVE4G | MAP_UNINITIALIZED |        \
		MAP_HUGE_SIZES)

/* Where MAP_32BIT places. */
#define MAP_32BIT_START 0x40000000UL
#define MAP_32BIT_END   0x80000000UL

enum {
	MADV_NORMAL = 0,
	MADV_RANDOM = 1,
	MADV_SEQUENTIAL = 2,
	MADV_WILLNEED = 3,
	MADV_DONTNEED = 4,
	MADV_FREE = 8,
	MADV_DOFORK = 11,
	MADV_HUGEPAGE = 14,
	MADV_NOHUGEPAGE = 15,
	MADV_DONTDUMP = 16,
	MADV_DODUMP = 17,
	MADV_KEEPONFORK = 19,
	MADV_POPULATE_READ = 22,
	MADV_POPULATE_WRITE = 23,
	MADV_DONTNEED_LOCKED = 24,
	MADV_COLLAPSE = 25,
	MADV_GUARD_INSTALL = 102,
	MADV_GUARD_REMOVE = 103,
};

#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED   2

#define MS_ASYNC      1
#define MS_INVALIDATE 2
#define MS_SYNC       4

#define MLOCK_ONFAULT 1
#define MCL_CURRENT   1
#define MCL_FUTURE    2
#define MCL_ONFAULT   4

#endif
