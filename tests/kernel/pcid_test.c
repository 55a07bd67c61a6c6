// SPDX-License-Identifier: MIT
// The kernel's choice of process-context identifiers against a machine that keeps every translation
// it ever loaded (docs/kernel-mm.md, "Identifiers"; races 5 and 15). QEMU's emulator has no PCIDs,
// so this is where that code runs: kernel/mm/tlb.c itself, on a model of three CPUs.
//
// One thread plays everything. Where other CPUs could act in the middle of a step (inside of
// vmt_activate, around the load of CR3), they do, at random. Two things are checked after each
// step: what a CPU could use belongs to the space that it has loaded, and is not older than the
// last flush that was finished.
//
// The library's side of the protocol is played here too, and wrongly in some runs: those must be
// caught, or the test proves nothing.
#define read_cr3    hw_read_cr3
#define write_cr3   hw_write_cr3
#define invlpg      hw_invlpg
#define irq_disable hw_irq_disable
#define irq_enable  hw_irq_enable
#define cpu_id      hw_cpu_id
#include <kernel/cpu.h>
#undef read_cr3
#undef write_cr3
#undef invlpg
#undef irq_disable
#undef irq_enable
#undef cpu_id

static unsigned int cpu_id(void);
static uint64_t read_cr3(void);
static void write_cr3(uint64_t value);
static void invlpg(uint64_t va);
static void irq_disable(void);
static void irq_enable(void);

#include "../../kernel/mm/tlb.c"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS    3
#define SPACES  9  // more than a CPU has slots
#define PAGES   40 // more than are flushed one by one
#define PCIDS   16
#define FLUSHES 4
#define STEPS   60000

enum wrong {
	RIGHT,
	GENERATION_FIRST,   // vmt_activate reads the generation before it sets the bit
	BITS_FIRST,         // a flush reads the bits before it raises the generation
	GENERATIONS_REPEAT, // two spaces have the same ones
	OWN_FLUSH_COUNTED,  // a CPU's flush of its own page claims to be a generation
	WRONGS,
};

static const char *const wrong_names[WRONGS] = {
	"the protocol as it is",
	"activation reads the generation first",
	"a flush reads the bits first",
	"generations repeat between spaces",
	"a CPU's own flush counts as a generation",
};

struct vmt_space {
	bool alive;
	uint64_t serial; // never repeats, unlike the address
	uint64_t root;
	uint64_t generation, bits;
	uint64_t version[PAGES]; // of the entry
	uint64_t flushed[PAGES]; // no CPU may use an older one
};

// A change of [first, last] that is on its way through flush_run and the interrupts.
struct change {
	struct vmt_space *space; // NULL: free
	int stage;
	unsigned int first, last;
	uint64_t versions[PAGES]; // what the entries were changed to
	struct vmt_flush flush;
	uint64_t pending; // CPUs that have not answered
	bool busy;        // one is answering
};

struct translation {
	uint64_t serial, version;
};

struct cpu {
	uint64_t cr3;
	bool irqs_off;
	struct mm *task;                      // what the scheduler thinks
	struct translation tlb[PCIDS][PAGES]; // serial 0: none
};

struct cpu_features cpu_features = {.pcid = true};
static enum wrong wrong;
static struct cpu cpus[CPUS];
static struct mm mms[SPACES];
static struct vmt_space spaces[SPACES];
static struct change changes[FLUSHES];
static unsigned int here; // the CPU that acts
static uint64_t serials, blocks, random_state;
static bool nested; // others act already
static jmp_buf caught;

static uint64_t dice(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

// ---- What tlb.c needs ----

unsigned int cpus_online = CPUS;

uint64_t kernel_root(void)
{
	return 0;
}

static unsigned int cpu_id(void)
{
	return here;
}

static uint64_t read_cr3(void)
{
	return cpus[here].cr3 & ~CR3_NOFLUSH;
}

static void others_act(void);

static void write_cr3(uint64_t value)
{
	others_act();
	if (!(value & CR3_NOFLUSH))
		memset(cpus[here].tlb[value % PAGE_SIZE], 0, sizeof(cpus[here].tlb[0]));
	cpus[here].cr3 = value & ~CR3_NOFLUSH;
	others_act();
}

static void invlpg(uint64_t va)
{
	cpus[here].tlb[cpus[here].cr3 % PAGE_SIZE][va >> PAGE_SHIFT].serial = 0;
}

static void irq_disable(void)
{
	cpus[here].irqs_off = true;
}

static void irq_enable(void)
{
	cpus[here].irqs_off = false;
}

void ipi_call(cpumask_t mask, void (*fn)(void *arg), void *arg)
{
	unsigned int caller = here;

	for (here = 0; here < CPUS; here++) {
		bool off = cpus[here].irqs_off;

		if (!(mask & CPU_BIT(here)))
			continue;
		cpus[here].irqs_off = true;
		fn(arg);
		cpus[here].irqs_off = off;
	}
	here = caller;
}

// ---- The library's side ----

uint64_t vmt_space_root(const struct vmt_space *space)
{
	return space->root;
}

uint64_t vmt_activate(struct vmt_space *space)
{
	uint64_t generation = space->generation;

	others_act();
	space->bits |= CPU_BIT(here);
	others_act();
	return wrong == GENERATION_FIRST ? generation : space->generation;
}

void vmt_deactivate(struct vmt_space *space)
{
	others_act();
	space->bits &= ~CPU_BIT(here);
	others_act();
}

static void change_begin(struct change *c, struct mm *mm)
{
	c->space = mm->space;
	c->stage = 0;
	c->first = (unsigned int)dice(PAGES);
	c->last = dice(4) ? c->first : (unsigned int)(c->first + dice(PAGES - c->first));
	for (unsigned int i = c->first; i <= c->last; i++)
		c->versions[i] = ++c->space->version[i];
	c->flush = (struct vmt_flush){
		.space_owner = mm,
		.count = 1,
		.ranges[0] = {c->first * PAGE_SIZE, (c->last + 1) * PAGE_SIZE},
	};
}

static void change_end(struct change *c)
{
	for (unsigned int i = c->first; i <= c->last; i++)
		c->space->flushed[i] = MAX(c->space->flushed[i], c->versions[i]);
	c->space = NULL;
}

static void change_raise(struct change *c)
{
	c->flush.generation = ++c->space->generation;
}

static void change_look(struct change *c)
{
	c->pending = c->space->bits;
}

// One CPU answers.
static void change_answer(struct change *c)
{
	unsigned int caller = here;

	here = (unsigned int)dice(CPUS);
	if (c->pending & CPU_BIT(here) && !cpus[here].irqs_off) {
		struct tlb_request request = {&c->flush, flush_pages(&c->flush)};

		c->busy = true;
		irq_disable();
		flush_here(&request);
		irq_enable();
		c->busy = false;
		c->pending &= ~CPU_BIT(here);
	}
	here = caller;
}

static void change_step(struct change *c)
{
	if (!c->space || c->busy)
		return;
	switch (c->stage) {
	case 0:
		wrong == BITS_FIRST ? change_look(c) : change_raise(c);
		break;
	case 1:
		wrong == BITS_FIRST ? change_raise(c) : change_look(c);
		break;
	default:
		change_answer(c);
		if (!c->pending)
			change_end(c);
		return;
	}
	c->stage++;
}

// ---- The hardware ----

static struct vmt_space *loaded_space(const struct cpu *cpu)
{
	uint64_t root = cpu->cr3 & PAGE_MASK;

	return root ? &spaces[root / PAGE_SIZE - 1] : NULL;
}

static void prefetch(void)
{
	struct cpu *cpu = &cpus[dice(CPUS)];
	struct vmt_space *space = loaded_space(cpu);

	for (unsigned int page = (unsigned int)dice(PAGES); space && page < PAGES;
		page += 1 + (unsigned int)dice(3)) {
		struct translation *t = &cpu->tlb[cpu->cr3 % PAGE_SIZE][page];

		if (!t->serial)
			*t = (struct translation){space->serial, space->version[page]};
	}
}

static void check(void)
{
	for (unsigned int i = 0; i < CPUS; i++) {
		struct vmt_space *space = loaded_space(&cpus[i]);

		for (unsigned int page = 0; space && page < PAGES; page++) {
			struct translation *t = &cpus[i].tlb[cpus[i].cr3 % PAGE_SIZE][page];

			if (t->serial &&
				(t->serial != space->serial || t->version < space->flushed[page]))
				longjmp(caught, 1);
		}
		if (space && !space->alive)
			longjmp(caught, 1);
	}
}

// What the rest of the machine does while `here` is in the middle of something.
static void others_act(void)
{
	if (nested)
		return;
	nested = true;
	for (uint64_t n = dice(4); n; n--) {
		struct change *c = &changes[dice(FLUSHES)];

		prefetch();
		change_step(c);
		check();
	}
	nested = false;
}

// ---- The machine's life ----

static void space_begin(struct mm *mm)
{
	struct vmt_space *space = mm->space;

	*space = (struct vmt_space){
		.alive = true,
		.serial = ++serials,
		.root = (uint64_t)(space - spaces + 1) * PAGE_SIZE,
		.generation = wrong == GENERATIONS_REPEAT ? 1000 : ++blocks << 20,
	};
}

// The last reference is gone: no task has it, no change is under way. Another takes its place and
// its addresses.
static void space_replace(struct mm *mm)
{
	for (unsigned int i = 0; i < CPUS; i++)
		if (cpus[i].task == mm)
			return;
	for (unsigned int i = 0; i < FLUSHES; i++)
		if (changes[i].space == mm->space)
			return;
	tlb_drop(mm);
	mm->space->alive = false;
	check();
	if (mm->space->bits)
		longjmp(caught, 1);
	space_begin(mm);
}

static void switch_somewhere(void)
{
	struct cpu *cpu = &cpus[here];
	struct mm *next = dice(4) ? &mms[dice(dice(4) ? 3 : SPACES)] : NULL;

	if (next == cpu->task)
		return;
	cpu->irqs_off = true;
	mm_switch(cpu->task, next);
	cpu->task = next;
	cpu->irqs_off = false;
}

// A fault that the entry does not explain: the CPU drops its own translation.
static void flush_own(void)
{
	struct mm *mm = cpus[here].task;
	uint64_t va = dice(PAGES) * PAGE_SIZE;

	if (!mm)
		return;
	struct vmt_flush flush = {
		.space_owner = mm,
		.generation = wrong == OWN_FLUSH_COUNTED ? mm->space->generation : 0,
		.count = 1,
		.ranges[0] = {va, va + PAGE_SIZE},
		.cpus[0] = CPU_BIT(here),
	};
	vmt_port_flush(NULL, &flush);
}

static void step(void)
{
	struct change *c = &changes[dice(FLUSHES)];

	here = (unsigned int)dice(CPUS);
	switch (dice(8)) {
	case 0:
	case 1:
		switch_somewhere();
		break;
	case 2:
		flush_own();
		if (dice(20) == 0)
			space_replace(&mms[dice(SPACES)]);
		break;
	case 3:
	case 4:
		prefetch();
		break;
	default:
		if (c->space)
			change_step(c);
		else if (!dice(3))
			change_begin(c, &mms[dice(dice(2) ? 2 : SPACES)]);
	}
	check();
}

// True: something stale could have been used.
static bool run(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15u | 1;
	here = 0;
	nested = false;
	memset(cpus, 0, sizeof(cpus));
	memset(tlb, 0, sizeof(tlb));
	memset(changes, 0, sizeof(changes));
	for (unsigned int i = 0; i < SPACES; i++) {
		mms[i].space = &spaces[i];
		space_begin(&mms[i]);
	}
	if (setjmp(caught))
		return true;
	for (unsigned int i = 0; i < STEPS; i++)
		step();
	return false;
}

int main(void)
{
	int failed = 0;

	for (wrong = RIGHT; wrong < WRONGS; wrong++) {
		struct mm_totals totals = {0};
		unsigned int seen = 0;

		for (uint64_t seed = 1; seed <= 30; seed++) {
			seen += run(seed);
			tlb_totals(&totals);
		}
		bool good = wrong == RIGHT ? seen == 0 && totals.pcid_kept > 1000 : seen > 0;
		printf("%s: stale in %u of 30 runs; %lu switches kept translations, %lu did not: "
		       "%s\n",
			wrong_names[wrong], seen, totals.pcid_kept, totals.pcid_flushed,
			good ? "ok" : "WRONG");
		failed += !good;
	}
	printf("%d passed, %d failed\n", WRONGS - failed, failed);
	return failed != 0;
}
