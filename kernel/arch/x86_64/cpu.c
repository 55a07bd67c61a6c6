// SPDX-License-Identifier: MIT
/*
 * One CPU's own state: features, control registers, GDT, TSS with interrupt stacks, per-CPU block.
 */
#include "arch.h"
#include "asm.h"

#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>

struct percpu percpus[MAX_CPUS];
struct cpu_features cpu_features;
bool smap_on; /* read by assembly: STAC and CLAC exist */
bool slow_strings = true; /* read by assembly: use loops instead of string instructions */
bool fast_string_bytes;   /* read by assembly: but those of bytes for a whole page (ERMS) */

unsigned int cpus_online = 1;

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap;
} __packed;

/* The GDT and TSS of one CPU, at the start of the lowest page of its interrupt stacks. */
struct cpu_tables {
	uint64_t gdt[10];
	struct tss tss;
};

#define IST_STACKS 4 /* #DB, NMI, #DF, #MC: IST 1 to 4 */

_Static_assert(offsetof(struct percpu, current) == PERCPU_CURRENT, "asm.h");
_Static_assert(offsetof(struct percpu, kernel_rsp) == PERCPU_KERNEL_RSP, "asm.h");
_Static_assert(offsetof(struct percpu, user_rsp) == PERCPU_USER_RSP, "asm.h");

void cpu_count_set(unsigned int n)
{
	cpus_online = n;
}

void cpu_set_early(unsigned int id)
{
	struct percpu *c = &percpus[id];

	c->self = c;
	c->id = id;
	c->apic_id = id;
	c->preempt_count = 1; /* until the scheduler takes over */
	wrmsr(MSR_GS_BASE, (uint64_t)c);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
}

void cpu_detect(void)
{
	struct cpu_features *f = &cpu_features;
	uint32_t r[4], max, max_ext;

	cpuid(0, 0, r);
	max = r[0];
	cpuid(0x80000000, 0, r);
	max_ext = r[0];
	cpuid(1, 0, r);
	f->pcid = r[2] & (1u << 17);
	f->x2apic = r[2] & (1u << 21);
	f->xsave = r[2] & (1u << 26);
	f->avx = f->xsave && (r[2] & (1u << 28));
	f->rdrand = r[2] & (1u << 30);
	if (r[2] & (1u << 31)) {
		cpuid(0x40000000, 0, r);
		f->tcg = r[1] == 0x54474354; /* "TCGT" */
	}
	if (max >= 7) {
		cpuid(7, 0, r);
		f->fsgsbase = r[1] & (1u << 0);
		f->smep = r[1] & (1u << 7);
		fast_string_bytes = r[1] & (1u << 9);
		f->invpcid = r[1] & (1u << 10);
		f->smap = r[1] & (1u << 20);
		f->umip = r[2] & (1u << 2);
	}
	if (max_ext >= 0x80000001) {
		cpuid(0x80000001, 0, r);
		f->nx = r[3] & (1u << 20);
		f->gbpages = r[3] & (1u << 26);
	}
	assert(f->nx);
	slow_strings = f->tcg;
	fpu_detect();
}

void cpu_setup(void)
{
	const struct cpu_features *f = &cpu_features;
	uint64_t cr4 = read_cr4();

	/* WP and NE on; emulation, task-switched and alignment mask (programs use AC) as Linux has. */
	write_cr0((read_cr0() & ~0xcUL) | 1UL << 1 | 1UL << 5 | CR0_WP | 1UL << 18);
	cr4 |= CR4_PGE | 1UL << 9 | 1UL << 10; /* OSFXSR, OSXMMEXCPT */
	cr4 |= f->umip ? 1UL << 11 : 0;
	cr4 |= f->fsgsbase ? 1UL << 16 : 0;
	cr4 |= f->pcid ? CR4_PCIDE : 0; /* CR3's PCID field is 0 now, as it has to be */
	cr4 |= f->xsave ? 1UL << 18 : 0;
	cr4 |= f->smep ? 1UL << 20 : 0;
	cr4 |= f->smap ? 1UL << 21 : 0;
	write_cr4(cr4);
	smap_on = f->smap;
	fpu_setup_cpu();

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1 | 1 << 11); /* SCE, NXE */
	wrmsr(MSR_STAR, 0x23UL << 48 | (uint64_t)KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	/* Cleared by SYSCALL: TF IF DF IOPL NT AC. */
	wrmsr(MSR_SFMASK, X86_FLAGS_TF | X86_FLAGS_IF | X86_FLAGS_DF | 0x3000 | 0x4000 | X86_FLAGS_AC);
}

/*
 * Stack n (0..3) is page n of 16 KiB. Its top 16 bytes hold the struct percpu pointer that
 * paranoid_trap_entry loads GS base from, since the frame lies directly below.
 */
static uint64_t ist_top(uint64_t stacks, unsigned int n)
{
	uint64_t top = stacks + (n + 1) * PAGE_SIZE - 16;

	*(struct percpu **)top = this_cpu();
	return top;
}

static void gdt_fill(struct cpu_tables *t)
{
	uint64_t tss = (uint64_t)&t->tss;

	t->gdt[2] = 0x00af9b000000ffff; /* kernel code */
	t->gdt[3] = 0x00cf93000000ffff; /* kernel data */
	t->gdt[4] = 0x00cffb000000ffff; /* user 32-bit code: only SYSRET's arithmetic needs it */
	t->gdt[5] = 0x00cff3000000ffff; /* user data */
	t->gdt[6] = 0x00affb000000ffff; /* user code */
	t->gdt[8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89UL << 40 |
		    (tss >> 24 & 0xff) << 56;
	t->gdt[9] = tss >> 32;
}

void cpu_setup_tables(void)
{
	uint64_t pa = frame_alloc(2, FRAME_ZERO);
	struct percpu *c = this_cpu();
	struct cpu_tables *t;
	struct {
		uint16_t limit;
		uint64_t base;
	} __packed gdtr;

	assert(pa != FRAME_NONE);
	t = phys_to_virt(pa);
	for (unsigned int i = 0; i < IST_STACKS; i++)
		t->tss.ist[i] = ist_top((uint64_t)t, i);
	t->tss.iomap = sizeof(struct tss);
	gdt_fill(t);
	gdtr.limit = sizeof(t->gdt) - 1;
	gdtr.base = (uint64_t)t->gdt;
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovw %w2, %%ss\n\t"
			 "movw %w3, %%ds\n\t"
			 "movw %w3, %%es\n\t"
			 "ltr %w4" ::"m"(gdtr),
			 "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(0), "r"(TSS_SEL)
			 : "rax", "memory");
	c->tss = &t->tss;
}

void cpu_set_kernel_stack(void *top)
{
	struct percpu *c = this_cpu();

	c->kernel_rsp = (uint64_t)top;
	((struct tss *)c->tss)->rsp[0] = (uint64_t)top;
}

uint64_t random_u64(void)
{
	static _Atomic uint64_t mixed;
	uint64_t v;
	bool ok = false;

	for (int i = 0; cpu_features.rdrand && i < 16 && !ok; i++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=qm"(ok)::"cc");
	if (ok)
		return v;
	/* Relaxed: only every caller's distinct value matters. Finaliser: a 64-bit bijection. */
	v = atomic_fetch_add_explicit(&mixed, 0x9e3779b97f4a7c15, memory_order_relaxed) ^ rdtsc();
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}
