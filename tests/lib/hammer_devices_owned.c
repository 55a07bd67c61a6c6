// SPDX-License-Identifier: MIT
// The parts of hammer_devices.h that belong to one CPU each, which knows every byte there and what may be accessed.
// Devices read these pages, and their hints move them about.
#include "hammer_devices.h"

#define PROBES 4

// What a page holds: four words that its owner writes, and all others.
struct owned {
	bool mapped, guard;
	vmt_prot prot;
	uint64_t word[PROBES], rest;
};

static struct owned owned[CPUS][OWNED_PAGES];

static uint64_t probe(unsigned i)
{
	return i * (PAGE / PROBES) + i * 8 * 7;
}

static uint64_t page_addr(unsigned number, unsigned page)
{
	return OWNED(number) + page * PAGE;
}

static void empty(struct owned *page)
{
	memset(page->word, 0, sizeof(page->word));
	page->rest = 0;
}

static enum vmt_status allowed(const struct owned *page, vmt_prot access)
{
	return !page->mapped		 ? VMT_ERR_UNMAPPED :
	       !(page->prot & access)	 ? VMT_ERR_ACCESS :
	       page->guard		 ? VMT_ERR_GUARD :
					   VMT_OK;
}

// A copy that fails may fail any access; then that has not happened.
static bool accessed(struct sim_cpu *cpu, const struct owned *page, uint64_t addr, enum vmt_status status,
		     vmt_prot access)
{
	if (status != VMT_ERR_DEVICE && status != VMT_ERR_RETRY)
		expect(cpu, status, allowed(page, access), addr, "an access of the owner's");
	return status == VMT_OK;
}

static void owned_write(struct sim_cpu *cpu, unsigned number, unsigned i, uint64_t n)
{
	struct owned *page = &owned[number][i];
	uint64_t addr = page_addr(number, i), value = page_stamp(number, addr, n);

	for (unsigned k = 0; k < PROBES; k++)
		if (accessed(cpu, page, addr, sim_write(cpu, addr + probe(k), 8, value), VMT_WRITE))
			page->word[k] = value;
}

static void owned_read(struct sim_cpu *cpu, unsigned number, unsigned i)
{
	struct owned *page = &owned[number][i];
	uint64_t addr = page_addr(number, i), value, offset = 8 * (1 + random_below(cpu, 16));

	for (unsigned k = 0; k < PROBES; k++)
		if (accessed(cpu, page, addr, sim_read(cpu, addr + probe(k), 8, &value), VMT_READ))
			demand(cpu, value == page->word[k], addr, "the owner finds other bytes");
	if (accessed(cpu, page, addr, sim_read(cpu, addr + offset, 8, &value), VMT_READ))
		demand(cpu, value == page->rest, addr, "the owner finds other bytes between its own");
}

static void owned_map(struct sim_cpu *cpu, struct zone *zone, unsigned number, unsigned first, unsigned count)
{
	cpu_map(cpu, zone, page_addr(number, first), count * PAGE, 0);
	for (unsigned i = first; i < first + count; i++)
		owned[number][i] = (struct owned){.mapped = true, .prot = RW};
}

// Release, unmap, protect, guards: exactly what is said of them.
static void owned_change(struct sim_cpu *cpu, struct zone *zone, unsigned number, unsigned first, unsigned count)
{
	const struct sim_ops *ops = zone->env->ops;
	struct vmt_space *space = zone->env->space;
	uint64_t addr = page_addr(number, first), what = random_below(cpu, 6);
	vmt_prot prot = (vmt_prot[]){0, VMT_READ, RW, RW}[random_below(cpu, 4)];
	unsigned mapped = 0;

	while (mapped < count && owned[number][first + mapped].mapped)
		mapped++;
	if (what == 0)
		expect_one_of(cpu, ops->unmap(space, addr, count * PAGE), DONE(zone), addr, "unmap");
	for (unsigned i = first; i < first + count && what == 0; i++)
		owned[number][i] = (struct owned){0};
	if (what == 0 || !mapped)
		return;
	if (what < 3)
		expect_one_of(cpu, ops->protect(space, addr, mapped * PAGE, prot), DONE(zone), addr, "protect");
	else if (what == 3)
		expect_one_of(cpu, ops->release(space, addr, mapped * PAGE), DONE(zone), addr, "release");
	else
		expect_one_of(cpu, (what == 4 ? ops->guard_install : ops->guard_remove)(space, addr, mapped * PAGE),
			      DONE(zone), addr, "guard");
	for (unsigned i = first; i < first + mapped; i++) {
		if (what < 3)
			owned[number][i].prot = prot;
		if (what == 3 || what == 4)
			empty(&owned[number][i]);
		if (what > 3)
			owned[number][i].guard = what == 4;
	}
}

// Where it lives may change, what it holds may not.
static void owned_place(struct sim_cpu *cpu, struct zone *zone, unsigned number, unsigned first, unsigned count)
{
	struct vmt_device_memory *memory = zone->dev[random_below(cpu, 2) ? DEV_DEMAND : DEV_COMMANDED].memory;
	uint64_t addr = page_addr(number, first);
	unsigned said = BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_NO_MEMORY) | BIT(VMT_ERR_DEVICE);

	if (random_below(cpu, 4) == 0)
		memory = NULL;
	if (random_below(cpu, 2))
		expect_one_of(cpu, zone->env->ops->migrate(zone->env->space, addr, count * PAGE, memory, NULL), said, addr,
			      "migrate");
	else
		expect_one_of(cpu, zone->env->ops->advise_device(zone->env->space, addr, count * PAGE, memory,
								 random_below(cpu, 2)), said, addr, "hints");
}

// A device fills the page, while it is migrated about. What it has not done in the end the owner throws away.
static void owned_mail(struct sim_cpu *cpu, struct zone *zone, unsigned number, unsigned i, uint64_t n)
{
	struct dev *dev = &zone->dev[(unsigned[]){DEV_DEMAND, DEV_SHARED, DEV_COMMANDED}[n % 3]];
	struct mail *mail = &dev->mail[number];
	struct owned *page = &owned[number][i];
	unsigned state = MAIL_NONE;

	mail->addr = page_addr(number, i);
	mail->value = page_stamp((unsigned)(CPUS + (dev - zone->dev)), mail->addr, n);
	mail->done = 0;
	// Release: the order comes before it is looked at.
	if (!atomic_compare_exchange_strong_explicit(&mail->state, &state, MAIL_POSTED, memory_order_release,
						     memory_order_relaxed))
		return;
	while (state != MAIL_DONE) {
		unsigned posted = MAIL_POSTED;

		if (atomic_load_explicit(&dev->over, memory_order_relaxed) &&
		    atomic_compare_exchange_strong_explicit(&mail->state, &posted, MAIL_NONE, memory_order_relaxed,
							    memory_order_relaxed))
			return;
		devs_serve(zone, cpu);
		if (random_below(cpu, 8) == 0)
			owned_place(cpu, zone, number, i, 1);
		sim_poll(cpu);
		// Acquire: the answer.
		state = atomic_load_explicit(&mail->state, memory_order_acquire);
	}
	atomic_store_explicit(&mail->state, MAIL_NONE, memory_order_relaxed);
	accessed(cpu, page, mail->addr, mail->status, VMT_WRITE);
	if (mail->done == PAGE) {
		for (unsigned k = 0; k < PROBES; k++)
			page->word[k] = mail->value;
		page->rest = mail->value;
	} else if (mail->done) {
		expect(cpu, zone->env->ops->release(zone->env->space, mail->addr, PAGE), VMT_OK, mail->addr, "release");
		empty(page);
	}
}

void cpu_owned(struct sim_cpu *cpu, struct zone *zone, unsigned number, uint64_t n)
{
	unsigned page = (unsigned)random_below(cpu, OWNED_PAGES), count = 1 + (unsigned)random_below(cpu, 6);

	count = page + count > OWNED_PAGES ? OWNED_PAGES - page : count;
	switch (random_below(cpu, 16)) {
	case 0:
		owned_change(cpu, zone, number, page, count);
		break;
	case 1:
		if (!owned[number][page].mapped || n % 8 == 0)
			owned_map(cpu, zone, number, page, count);
		break;
	case 2:
	case 3:
		owned_place(cpu, zone, number, page, count);
		break;
	case 4:
		if (zone->silences) // what a silent device is asked for comes from anywhere
			break;
		owned_mail(cpu, zone, number, page, n);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		owned_write(cpu, number, page, n);
		break;
	default:
		owned_read(cpu, number, page);
	}
}

void cpu_owned_open(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	owned_map(cpu, zone, number, 0, OWNED_PAGES);
}

void cpu_judge_owned(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	(void)zone;
	for (unsigned i = 0; i < OWNED_PAGES; i++)
		owned_read(cpu, number, i);
}
