// SPDX-License-Identifier: MIT
/*
 * Address spaces of programs.
 *
 * struct mm is a vmt_space and the few numbers that Linux keeps beside one: where the break is,
 * where mappings are placed. There is no list of areas here: whatever is mapped is known by the
 * space alone. The system calls on memory (mmap and the like) are declared in syscall.h,
 * mm_user_fault and mm_switch in hooks.h.
 *
 * Life: mm_create and mm_fork give one reference, which goes to the first task (task->mm,
 * task_set_mm). Threads and vfork children take more with mm_get, /proc for as long as it looks.
 * When the last one is put the space and all its memory are gone.
 *
 * Results: 0 or a negated error number. Unless a function says otherwise it is called in a thread,
 * preemption and interrupts on, no spinlocks held, and may sleep. Locks: docs/kernel-mm.md.
 */
#ifndef KERNEL_MM_H
#define KERNEL_MM_H

#include <kernel/errno.h>
#include <kernel/list.h>
#include <kernel/memory.h>
#include <kernel/vmt.h>
#include <kernel/wait.h>

/* Lowest address that a program may map (Linux: vm.mmap_min_addr). */
#define MM_LOWEST 0x10000UL
/* Where programs without fixed addresses (static PIE) go: two thirds of the address space. */
#define MM_PIE_BASE 0x555555554000UL
/* First address above the stack. Nothing is randomised, so that a run can be repeated exactly. */
#define MM_STACK_TOP USER_END
/* Kept free below a growing stack (Linux: stack_guard_gap, 256 pages). */
#define MM_STACK_GAP (256 * PAGE_SIZE)

enum {
	MM_MAKING, /* a fork is copying into it */
	MM_READY,
	MM_FAILED, /* it never came to be */
};

struct mm {
	struct vmt_space *space; /* constant once state is MM_READY */
	atomic_uint state;       /* MM_*, see mm_list in kernel/mm/mm.c */
	atomic_uint refs;
	struct list link; /* all mms; mm_list_lock (kernel/mm/mm.c) */

	/* Fixed before the program's first instruction. */
	uint64_t brk_start;
	uint64_t stack_top;

	struct mutex brk_lock;   /* serialises brk(2); guards the stores to brk */
	_Atomic uint64_t brk;    /* the break, any byte */
	atomic_bool lock_future; /* mlockall(MCL_FUTURE): new mappings are populated */

	_Atomic uint64_t size_peak; /* bytes, see mm_note_size */
	_Atomic uint64_t major_faults;
};

/* ---- Start and end ---- */

/*
 * Makes the library's context and this layer's data. After boot, before fs_init. Panics when memory
 * is out.
 */
void mm_init(void);

/*
 * Frees it: no mm, object or mapping exists any more. Lets idle CPUs go of tables, waits for grace
 * periods. False, with a log line, when the library says that something is left.
 */
bool mm_shutdown(void);

/* ---- Life ---- */

/*
 * An empty address space. Mappings without an address will be placed below the room that the
 * current process's RLIMIT_STACK gives the stack. -ENOMEM.
 */
int mm_create(struct mm **mm);

/* A copy as fork(2) makes it; parent is the caller's own or one that it holds. -ENOMEM. */
int mm_fork(struct mm *parent, struct mm **child);

/* Takes a reference; the caller has one or knows that there is one. Any context. */
void mm_get(struct mm *mm);

/*
 * Takes one unless the last is gone already. The caller holds what keeps the structure from being
 * freed: the list's lock, or what device_mm_ends waits for.
 */
bool mm_get_live(struct mm *mm);

/* Drops one. The last one frees everything: may sleep, preemption on. NULL is allowed. */
void mm_put(struct mm *mm);

/* ---- For execve. The mm is new and nobody's; mm_copy_to fills it before it is loaded. ---- */

/*
 * One PT_LOAD segment at its final address (load bias added). The file's bytes [offset, offset +
 * file_size) go to [address, address + file_size), as a private mapping; what follows, to mem_size,
 * is zero. address and offset are equal modulo the page size.
 */
struct mm_segment {
	struct vmt_object *object; /* caller's reference stays the caller's */
	uint64_t offset, address, file_size, mem_size;
	vmt_prot prot;
};

/*
 * -EINVAL: not congruent, or file_size > mem_size, or outside the address space or below MM_LOWEST;
 * -ENOMEM. Overlaps replace what is there, as on Linux.
 */
int mm_map_segment(struct mm *mm, const struct mm_segment *segment);

/* Where the heap begins: the end of the last segment; rounded up to a page. Once. */
void mm_set_brk(struct mm *mm, uint64_t end);

/*
 * Maps the first part of the stack (132 KiB, read and write; executable with `exec`); it grows down
 * to the RLIMIT_STACK of the process that runs. *top is MM_STACK_TOP: write below it.
 */
int mm_map_stack(struct mm *mm, bool exec, uint64_t *top);

/*
 * Copies to and from any mm, loaded or not, faulting pages in with the permissions of the program.
 * 0, -EFAULT (a part may have been copied) or -ENOMEM. mm_copy_to is for an mm that nobody else
 * uses yet: a fork of it at the same time might show the child what is written after it.
 */
int mm_copy_to(struct mm *mm, uint64_t address, const void *src, size_t n);
int mm_copy_from(struct mm *mm, void *dst, uint64_t address, size_t n);

/*
 * A file that may be mapped was cut to `size` bytes (vmt_object_set_size was called): no program
 * sees the pages behind its end any more, private copies included; touching them is SIGBUS. Visits
 * every mm: only for files that were ever mapped. The caller serialises changes of the file's size.
 */
void mm_object_cut(struct vmt_object *object, uint64_t size);

/* ---- Futexes ---- */

/*
 * What a futex is known by. Private memory, or `shared` false: the mm and the address. A page of an
 * object (MAP_SHARED; also a page of a file that a private mapping has not copied, as on Linux):
 * the page's frame and the byte in it. The frame stays the object's page as long as the key holds
 * it.
 */
struct futex_key {
	uint64_t where; /* struct mm *, or physical address | 1 */
	uint64_t word;  /* address, or offset in the page */
};

/*
 * Makes the key of a 4-byte word in the current mm (4-byte aligned: -EINVAL). With shared (no
 * FUTEX_PRIVATE_FLAG) the page is faulted in, for writing where it may be written; without, nothing
 * is touched and it cannot fail but by -EFAULT for an address that no program has. Keys of shared
 * pages hold a reference: futex_key_put each. -EFAULT, -ENOMEM.
 */
int futex_key_get(struct futex_key *key, uint64_t address, bool shared);
void futex_key_put(struct futex_key *key);

static inline bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->where == b->where && a->word == b->word;
}

static inline uint64_t futex_key_hash(const struct futex_key *k)
{
	uint64_t where = (k->where >> 4) * 0x9e3779b97f4a7c15UL;

	return (where ^ (k->word >> 2) * 0xc2b2ae3d27d4eb4fUL) >> 20;
}

/* ---- Figures for /proc and getrusage ---- */

/* Bytes, but for the faults. Not a snapshot while the program runs. */
struct mm_stats {
	uint64_t size, size_peak;      /* VmSize, VmPeak */
	uint64_t rss, rss_peak;        /* VmRSS, VmHWM (ru_maxrss) */
	uint64_t rss_anon, rss_object; /* RssAnon; RssFile and RssShmem together */
	uint64_t tables;               /* VmPTE: tables with their nodes, and attribute arrays */
	uint64_t minor_faults, major_faults;
};

void mm_stats_get(struct mm *mm, struct mm_stats *stats);

/* Bytes by kind, from a walk over all areas: VmData, VmStk, VmExe. */
struct mm_kinds {
	uint64_t data, stack, exec;
};

void mm_kinds_get(struct mm *mm, struct mm_kinds *kinds);

/* One line of /proc/PID/maps. */
struct mm_region {
	uint64_t start, end;
	vmt_prot prot, prot_max;
	bool shared, grows_down, no_reserve;
	bool huge; /* advised to have huge pages */
	bool huge_fits; /* and long enough for one */
	struct vmt_object *object; /* with a reference, or NULL; see file_object_name */
	uint64_t offset;           /* of start in the object */
	const char *name;          /* "[heap]", "[stack]", or NULL */
};

/*
 * The first area that ends after `from`, for which one starts with 0 and goes on with region->end.
 * False: there is none. Each region must be given to mm_region_put.
 */
bool mm_region_next(struct mm *mm, uint64_t from, struct mm_region *region);
void mm_region_put(struct mm_region *region);

/* What of a region is in memory, in bytes. A page counts as shared while others have it too. */
struct mm_usage {
	uint64_t resident, proportional; /* Rss, Pss */
	uint64_t shared_clean, shared_dirty, private_clean, private_dirty;
	uint64_t referenced, anon, lazy, huge;
};

void mm_region_usage(struct mm *mm, const struct mm_region *region, struct mm_usage *usage);

/* ---- Figures of the whole machine, for the report ---- */

struct mm_totals {
	struct vmt_space_stats sum; /* counters summed over all spaces that ever were; what is "now"
				       or a peak in it over those that live */
	uint64_t spaces_created, spaces_live;
	/*
	 * Highest sums over all live spaces at one time: looked at when a space is made, forked or
	 * destroyed, and at this call; never less than any one space's own peak.
	 */
	uint64_t resident_pages_peak, table_bytes_peak, array_bytes_peak;
	/* The sums at mm_totals_note_last(). */
	uint64_t resident_pages_last, table_bytes_last, array_bytes_last;
	uint64_t frames_used_peak; /* of all RAM, by anybody; to within 16 frames for each CPU */
	uint64_t huge_allocated, huge_refused; /* blocks of 2 MiB for huge pages */
	uint64_t faults;           /* page faults of programs and of the kernel for them */
	uint64_t faults_major, faults_segv, faults_bus;
	uint64_t flush_local;    /* flushes of the CPU that made the change, and of no other */
	uint64_t flush_ipi;      /* flushes that interrupted others */
	uint64_t flush_ipi_cpus; /* CPUs interrupted, summed */
	uint64_t flush_pages, flush_full; /* INVLPGs; whole identifiers, on all CPUs */
	uint64_t pcid_kept, pcid_flushed; /* switches that kept or dropped old translations */
	uint64_t switches_lazy;           /* switches back to a space that was still loaded */
	uint64_t reclaims, reclaimed_frames, kills; /* when memory ran out */
};

void mm_totals_get(struct mm_totals *totals);
/* The first program ends and has its memory still. */
void mm_totals_note_last(void);

/* Prints the address space on the control stream, a `dump` line for each area and run of entries. May sleep. */
void mm_dump(struct mm *mm);

/* ---- When memory is out ---- */

/*
 * Takes back what programs do not need: lazily freed pages, empty tables, what waits for a grace
 * period. Returns frames freed, roughly. Preemption on, no locks of the library or of this layer.
 */
uint64_t mm_reclaim(uint64_t frames);

/* ---- Calling the library ---- */

/*
 * Should an operation that ended with this status be tried again? VMT_ERR_RETRY: yes, unless the
 * program is to end. VMT_ERR_NO_MEMORY: yes, a few times, where something could be reclaimed.
 * *tries starts as 0.
 */
bool mm_again(enum vmt_status status, unsigned int *tries);

#define mm_try(call)                                      \
	({                                                \
		unsigned int mt_tries = 0;                \
		enum vmt_status mt_status;                \
		do {                                      \
			mt_status = (call);               \
		} while (unlikely(mt_status != VMT_OK) && mm_again(mt_status, &mt_tries)); \
		mt_status;                                \
	})

/*
 * The same for changes of what is mapped. Where a device has not answered they are done all the same:
 * the program has what it asked for, and what the device may still reach is given to nobody
 * (vmtree/secondary.h).
 */
#define mm_change(call)                                                \
	({                                                             \
		enum vmt_status mc_status = mm_try(call);              \
		mc_status == VMT_ERR_DEVICE ? VMT_OK : mc_status;      \
	})

/* The error number for a status where Linux has no special one: never positive. */
int mm_errno_of(enum vmt_status status);

static inline int mm_errno(enum vmt_status status)
{
	return likely(status == VMT_OK) ? 0 : mm_errno_of(status);
}

#endif
