// SPDX-License-Identifier: MIT
/*
 * /dev/edu, as programs see it: QEMU's device for teaching, which moves bytes between its own
 * buffer and the memory of the program that opened it. docs/kernel-dev.md says how.
 *
 * Addresses are the program's own. The device finds the memory behind them through tables that
 * follow the program's: it can reach what a thread could at that moment without a page fault, and
 * nothing else.
 *
 * open(2): EBUSY while another has it open; ENOMEM. One description, which fork, dup and exec hand
 * on: the memory stays that of the program that opened it. Where that has ended or called execve,
 * every transfer faults.
 */
#ifndef KERNEL_EDUABI_H
#define KERNEL_EDUABI_H

#include <stdint.h>

#define EDU_PATH "/dev/edu"

/*
 * Bytes of the device's buffer that a transfer can name. (The buffer has one more. QEMU 7.2 stops
 * where a transfer ends with it.)
 */
#define EDU_BUFFER 4095

/* As ioctl(2) numbers its requests: 1: the program gives a structure, 2: it gets one, 3: both. */
#define EDU_NUMBER(direction, number, bytes) \
	((uint32_t)(direction) << 30 | (uint32_t)(bytes) << 16 | 0xed00u | (number))

/* What the IOMMU said of one transfer. */
struct edu_fault {
	uint64_t address; /* of the first page that it could not reach; 0: there was none */
	uint32_t reason;  /* EDU_DENIED_*, or another number of the IOMMU's */
	uint32_t write;   /* 1: the device wanted to write */
};

/* Table 25 of VT-d's specification. */
#define EDU_DENIED_WRITE 5 /* nothing is there, or it may not be written */
#define EDU_DENIED_READ  6

enum {
	/*
	 * Pages that are not there are faulted in first, as by the program's own access; where that
	 * is not allowed nothing is moved, and the fault's reason is 0.
	 */
	EDU_POPULATE = 1 << 0,
	/* Begins the transfer and returns; EDU_WAIT says how it went. */
	EDU_NO_WAIT = 1 << 1,
};

struct edu_transfer {
	uint64_t address; /* of the program's memory, any byte */
	uint32_t offset;  /* in the buffer */
	uint32_t length;  /* bytes, at least 1; offset + length <= EDU_BUFFER */
	uint32_t flags;   /* EDU_POPULATE, EDU_NO_WAIT */
	uint32_t reserved; /* 0 */
	struct edu_fault fault; /* out */
};

/*
 * 0; EFAULT: a part could not be reached (`fault` says where first; the rest was moved); EINVAL: a
 * bad argument, or an address from 0xfee00000 to 0xfeefffff, where a write is an interrupt; EINTR:
 * a signal came, and the transfer goes on (EDU_WAIT); EIO: the device does not answer. Transfers of
 * several threads follow one another.
 */
#define EDU_TO_DEVICE   EDU_NUMBER(3, 1, sizeof(struct edu_transfer))
#define EDU_FROM_DEVICE EDU_NUMBER(3, 2, sizeof(struct edu_transfer))

/* Waits for the transfer that was begun last and says how it ended. Errors as above. */
#define EDU_WAIT EDU_NUMBER(2, 3, sizeof(struct edu_fault))

/*
 * Pins pages, and lets the device use these and no others, from now on and whatever becomes of the
 * addresses, until EDU_UNPIN or close: for memory that it may not miss for a moment. They are made
 * the program's own first, as a write would. EBUSY: the page at that address is pinned already;
 * EFAULT: the program may not write there; ENOSPC: more than EDU_PINS; ENOMEM; EINVAL; ESRCH: the
 * program that opened the device is gone.
 */
struct edu_range {
	uint64_t address, length; /* multiples of 4096 */
};

#define EDU_PINS 64 /* pages */
#define EDU_PIN  EDU_NUMBER(1, 4, sizeof(struct edu_range))

/* Unpins all, and lets the device follow the program again. ENOMEM: it does not. */
#define EDU_UNPIN EDU_NUMBER(0, 5, 0)

struct edu_info {
	uint64_t registers;     /* physical address of the IOMMU's */
	uint32_t from_acpi;     /* 1: as its table DMAR says; 0: where QEMU always has it */
	uint32_t coherent;      /* the IOMMU reads through the CPUs' caches */
	uint32_t caching;       /* it may keep that there was no translation */
	uint32_t following;     /* the device's tables follow the program's */
	uint32_t pinned;        /* pages */
	uint32_t behind;        /* pages are missing for want of memory */
	uint32_t lost;          /* the IOMMU has not answered */
	uint32_t reserved;
	uint64_t transfers;     /* since open */
	uint64_t faults;        /* transfers of these that faulted */
	struct edu_fault last;  /* the last one's */
	uint64_t entered;       /* translations that came to the device's tables */
	uint64_t invalidations; /* ranges that the IOMMU was asked to forget */
	uint64_t tables;        /* the device's page tables now */
};

#define EDU_INFO EDU_NUMBER(2, 6, sizeof(struct edu_info))

/*
 * For tests: gives the IOMMU an invalidation that it has to refuse. It answers no more until the
 * device is closed, or the opener's memory ends.
 */
#define EDU_JAM EDU_NUMBER(0, 7, 0)

#endif
