// SPDX-License-Identifier: MIT
/*
 * Page faults of programs, and of the kernel where it touches their memory.
 *
 * No lock is held here; each try is one call of the library, which does its own locking.
 */
#include "mm_internal.h"
#include <kernel/cpu.h>
#include <kernel/hooks.h>
#include <kernel/printk.h>
#include <kernel/process.h>
#include <kernel/string.h>
#include <kernel/task.h>

/* Written by its CPU with preemption off, summed by fault_totals. */
static struct fault_cpu {
	uint64_t major, segv, bus, grown;
} __cacheline fault_cpus[MAX_CPUS];

#define fault_count(field)                    \
	do {                                  \
		preempt_disable();            \
		fault_cpus[cpu_id()].field++; \
		preempt_enable();             \
	} while (0)

void fault_totals(struct mm_totals *t)
{
	for (unsigned int i = 0; i < cpu_count(); i++) {
		t->faults += percpus[i].nr_user_faults;
		t->faults_major += fault_cpus[i].major;
		t->faults_segv += fault_cpus[i].segv;
		t->faults_bus += fault_cpus[i].bus;
		/* The library refused these at first: nothing was there yet. */
		t->sum.faults_refused -= MIN(t->sum.faults_refused, fault_cpus[i].grown);
	}
}

static bool refuse(uint64_t address, int sig, int code)
{
	struct task *t = current();

	t->fault_address = address;
	t->fault_signal = sig;
	t->fault_code = code;
	if (sig == SIGBUS)
		fault_count(bus);
	else
		fault_count(segv);
	return false;
}

static void dump_line(void *arg, const char *text)
{
	(void)arg;
	klog("%s", text);
}

/* The hardware found a reserved bit in an entry: the tables themselves are wrong. */
static _Noreturn void tables_are_wrong(struct mm *mm, const struct regs *r, uint64_t address)
{
	struct vmt_translation t;
	enum vmt_status s = mm ? vmt_translate(mm->space, address, &t) : VMT_ERR_OUTSIDE;

	klog("fault at 0x%lx (rip 0x%lx): reserved bits in a page table; translation: %s pa 0x%lx",
		address, r->rip, vmt_status_name(s), s == VMT_OK ? t.pa : 0);
	if (mm)
		vmt_dump(mm->space, dump_line, NULL);
	panic("reserved bits in a page table");
}

/*
 * Memory is out and could not be reclaimed. Ends some program, perhaps ours; true: try again (in
 * user mode a program that was ended dies on the way back).
 */
static bool out_of_memory(const struct regs *r, uint64_t address, enum vmt_status s)
{
	if (s == VMT_ERR_LIMIT) /* the space's own limit: nobody else is to blame */
		process_kill_oom(current());
	else
		oom_kill();
	if (!process_fatal_pending())
		return true;
	return regs_user_mode(r) || refuse(address, SIGBUS, BUS_ADRERR);
}

static bool grow_stack(struct mm *mm, uint64_t address)
{
	enum vmt_status s;

	s = mm_try(vmt_grow_down(
		mm->space, address, process_rlimit(RLIMIT_STACK) & PAGE_MASK, MM_STACK_GAP));
	/* Another thread may have been faster: then the next fault finds it mapped, or a real hole.
	 */
	return s == VMT_OK;
}

/* What a status that is no success means to the program. */
static bool refuse_status(enum vmt_status s, uint64_t address)
{
	switch (s) {
	case VMT_ERR_ACCESS:
		return refuse(address, SIGSEGV, SEGV_ACCERR);
	case VMT_ERR_BUS:
		return refuse(address, SIGBUS, BUS_ADRERR);
	case VMT_ERR_POISON:
		return refuse(address, SIGBUS, BUS_MCEERR_AR);
	default: /* unmapped, outside; a guard is as if nothing were there, as on Linux */
		return refuse(address, SIGSEGV, SEGV_MAPERR);
	}
}

static vmt_prot access_of(unsigned int error)
{
	if (error & PF_FETCH)
		return VMT_EXEC;
	return error & PF_WRITE ? VMT_WRITE : VMT_READ;
}

bool mm_user_fault(struct regs *r, uint64_t address, unsigned int error)
{
	struct mm *mm = current()->mm;
	struct vmt_fault_info info = {0};

	gs_count(nr_user_faults);
	if (error & PF_RESERVED)
		tables_are_wrong(mm, r, address);
	if (!mm || address >= USER_END)
		return refuse(address, SIGSEGV, SEGV_MAPERR);
	for (;;) {
		enum vmt_status s = mm_try(vmt_fault(mm->space, address, access_of(error), &info));

		if (s == VMT_OK)
			break;
		if (s == VMT_ERR_RETRY) /* only because the program is to end */
			return regs_user_mode(r) || refuse_status(s, address);
		if (s == VMT_ERR_NO_MEMORY || s == VMT_ERR_LIMIT) {
			if (!out_of_memory(r, address, s))
				return false;
			if (process_fatal_pending())
				return true;
			continue;
		}
		if (s != VMT_ERR_UNMAPPED || !grow_stack(mm, address))
			return refuse_status(s, address);
		fault_count(grown);
	}
	if (info.major) {
		/* Relaxed: a statistic. */
		atomic_fetch_add_explicit(&mm->major_faults, 1, memory_order_relaxed);
		fault_count(major);
	}
	return true;
}
