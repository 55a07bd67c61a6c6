// SPDX-License-Identifier: MIT
// What the CPUs of hammer_devices.h do to counted pages, to shared words and in the churn area.
#include "hammer_devices.h"

static struct vmt_migration *migrations[CPUS]; // under way, of each CPU

#define MIGRATED (BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_NO_MEMORY) | BIT(VMT_ERR_DEVICE))
#define PART	 (DONE(zone) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_ACCESS))

static uint64_t *frame_word(struct zone *zone, uint64_t pa, uint64_t offset)
{
	return (uint64_t *)vmt_port_frame_ptr(sim_port(zone->env->machine), pa) + offset / 8;
}

static struct vmt_device_memory *some_memory(struct sim_cpu *cpu, struct zone *zone)
{
	struct vmt_device_memory *all[] = {zone->dev[DEV_DEMAND].memory, zone->dev[DEV_COMMANDED].memory, NULL};

	return all[random_below(cpu, 3)];
}

// ---- Counted words -----------------------------------------------------------------------------------------------

static uint64_t hot(struct sim_cpu *cpu, struct zone *zone, unsigned page)
{
	unsigned place = atomic_load_explicit(&zone->place[hot_block(page)], memory_order_relaxed);

	return hot_addr(page, random_below(cpu, 16) ? place : !place);
}

static bool cpu_access(struct sim_cpu *cpu, uint64_t addr, vmt_prot access, uint64_t *value)
{
	enum vmt_status status = access == VMT_WRITE ? sim_write(cpu, addr, 8, *value) : sim_read(cpu, addr, 8, value);

	expect_one_of(cpu, status, REFUSED, addr, "an access");
	return status == VMT_OK;
}

static void own_holds(struct sim_cpu *cpu, const struct writer *own, unsigned page, uint64_t addr, uint64_t value)
{
	demand(cpu, value >= own->value[page], addr, "a write was lost");
	demand(cpu, value == own->value[page], addr, "a write came from nowhere");
}

static void count_own(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	struct writer *own = &zone->writer[number];
	unsigned page = (unsigned)random_below(cpu, HOT);
	uint64_t addr = hot(cpu, zone, page) + word_offset(number), value;

	if (cpu_access(cpu, addr, VMT_READ, &value))
		own_holds(cpu, own, page, addr, value);
	value = own->value[page] + 1;
	if (cpu_access(cpu, addr, VMT_WRITE, &value))
		own->value[page]++;
}

static void look_at_others(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	struct writer *own = &zone->writer[number];
	unsigned page = (unsigned)random_below(cpu, HOT), writer = (unsigned)random_below(cpu, WRITERS);
	uint64_t addr = hot(cpu, zone, page) + word_offset(writer), value;
	unsigned epoch = epoch_of(zone, writer);

	if (cpu_access(cpu, addr, VMT_READ, &value))
		demand(cpu, !writer_seen(zone, own, writer, epoch, page, value), addr,
		       "what another wrote is older than it was");
}

// By a reference, or pinned and then written as well, as a device of another kind would.
static void by_reference(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	struct writer *own = &zone->writer[number];
	unsigned page = (unsigned)random_below(cpu, HOT);
	uint64_t addr = hot(cpu, zone, page), pa;
	bool pin = random_below(cpu, 2);
	enum vmt_status status = (pin ? zone->env->ops->page_pin : zone->env->ops->page_get)(
		zone->env->space, addr, pin ? VMT_WRITE : VMT_READ, &pa);
	_Atomic uint64_t *word;

	expect_one_of(cpu, status, REFUSED, addr, "a reference");
	if (status != VMT_OK)
		return;
	word = (_Atomic uint64_t *)frame_word(zone, pa, word_offset(number));
	// Relaxed: nobody else writes the word; the reference orders it against the page's way.
	own_holds(cpu, own, page, addr, atomic_load_explicit(word, memory_order_relaxed));
	if (pin)
		atomic_store_explicit(word, ++own->value[page], memory_order_relaxed);
	(pin ? zone->env->ops->page_unpin : zone->env->ops->page_put)(zone->env->vmt, pa);
}

// Out of its entry and in again, wherever that is by then.
static void take(struct sim_cpu *cpu, struct zone *zone, unsigned number, uint64_t n)
{
	struct writer *own = &zone->writer[number];
	unsigned page = (unsigned)random_below(cpu, HOT);
	uint64_t addr = hot(cpu, zone, page), payload = number << 24 | (n & 0xffffff), pa;
	enum vmt_status status = zone->env->ops->page_take(zone->env->space, addr, VMT_MARKER_SWAP, payload, &pa);

	expect_one_of(cpu, status, REFUSED | BIT(VMT_ERR_NOT_PRESENT) | BIT(VMT_ERR_BUSY), addr, "take");
	if (status != VMT_OK)
		return;
	own_holds(cpu, own, page, addr, *frame_word(zone, pa, word_offset(number)));
	for (unsigned try = 0; status != VMT_OK || try == 0; try++) {
		demand(cpu, try < 100000, addr, "a marker is gone");
		status = zone->env->ops->marker_resolve(zone->env->space, hot_addr(page, try % 2), VMT_MARKER_SWAP,
							payload, pa);
		expect_one_of(cpu, status, BIT(VMT_OK) | BIT(VMT_ERR_NOT_PRESENT), addr, "resolve");
		devs_serve(zone, cpu);
	}
}

// ---- What happens to counted pages -------------------------------------------------------------------------------

// From end to end elsewhere. Only CPU 0 does this; others may keep it from going.
static void move_block(struct sim_cpu *cpu, struct zone *zone)
{
	const struct sim_ops *ops = zone->env->ops;
	struct vmt_space *space = zone->env->space;
	unsigned block = (unsigned)random_below(cpu, BLOCKS);
	unsigned place = atomic_load_explicit(&zone->place[block], memory_order_relaxed);
	uint64_t from = block_addr(block, place), length = block_length(block), got;
	enum vmt_status status;

	if (block == 0 && random_below(cpu, 4))
		return;
	expect_one_of(cpu, ops->protect(space, from, length, RW), DONE(zone), from, "protect");
	expect_one_of(cpu, ops->advise_device(space, from, length, NULL, false), DONE(zone), from, "hints");
	expect_one_of(cpu, ops->advise_huge(space, from, length, block == 0 && HUGE_FITS), DONE(zone), from, "huge pages");
	status = ops->move(space, from, length, length, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, block_addr(block, !place),
			   &got);
	expect_one_of(cpu, status, DONE(zone) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_ARGUMENT), from, "move");
	if (DONE(zone) & BIT(status))
		atomic_store_explicit(&zone->place[block], !place, memory_order_relaxed);
}

struct range {
	uint64_t addr, length;
};

// A part of a block, or the whole, where it was last.
static struct range some_range(struct sim_cpu *cpu, struct zone *zone)
{
	unsigned block = (unsigned)random_below(cpu, BLOCKS);
	unsigned place = atomic_load_explicit(&zone->place[block], memory_order_relaxed);
	uint64_t pages = block_length(block) / PAGE, first, count = 1 + random_below(cpu, 8);

	if (random_below(cpu, 4) == 0)
		return (struct range){block_addr(block, place), block_length(block)};
	first = block ? random_below(cpu, pages) : (hot_addr((unsigned)random_below(cpu, 16), place) - BIG(place)) / PAGE;
	count = count < pages - first ? count : pages - first;
	return (struct range){block_addr(block, place) + first * PAGE, count * PAGE};
}

// Taken away and given back, wherever it is by then.
static void protect(struct sim_cpu *cpu, struct zone *zone)
{
	struct range range = some_range(cpu, zone);

	expect_one_of(cpu, zone->env->ops->protect(zone->env->space, range.addr, range.length,
						   random_below(cpu, 2) ? VMT_READ : 0), PART, range.addr, "protect");
	for (uint64_t n = random_below(cpu, 4); n; n--)
		devs_serve(zone, cpu);
	for (unsigned block = 0; block < BLOCKS; block++)
		for (unsigned place = 0; place < 2; place++)
			zone->env->ops->protect(zone->env->space, block_addr(block, place), block_length(block), RW);
}

static void migrate(struct sim_cpu *cpu, struct zone *zone, unsigned number, struct range range)
{
	const struct sim_ops *ops = zone->env->ops;
	struct vmt_device_memory *memory = some_memory(cpu, zone);

	if (!memory || random_below(cpu, 3)) {
		expect_one_of(cpu, ops->migrate(zone->env->space, range.addr, range.length, memory, NULL), MIGRATED,
			      range.addr, "migrate");
	} else if (!migrations[number]) {
		expect(cpu, ops->migration_start(zone->env->space, range.addr, range.length, memory, &migrations[number]),
		       VMT_OK, range.addr, "the start of a migration");
	} else if (ops->migration_poll(migrations[number]) || random_below(cpu, 2)) {
		cpu_finish(cpu, zone, number);
	}
}

void cpu_finish(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	struct vmt_migration *migration = migrations[number];

	migrations[number] = NULL;
	if (migration)
		expect_one_of(cpu, zone->env->ops->migration_finish(migration, NULL), MIGRATED, 0, "the end of a migration");
}

static void advise(struct sim_cpu *cpu, struct zone *zone, struct range range)
{
	const struct sim_ops *ops = zone->env->ops;
	enum vmt_status status;

	switch (random_below(cpu, 4)) {
	case 0:
		ops->collapse(zone->env->space, BIG(0), 2 * HUGE, &status);
		expect_one_of(cpu, status, MIGRATED, range.addr, "collapse");
		break;
	case 1:
		expect_one_of(cpu, ops->advise_huge(zone->env->space, range.addr, range.length,
						    HUGE_FITS && random_below(cpu, 2)), PART, range.addr, "huge pages");
		break;
	default:
		expect_one_of(cpu, ops->advise_device(zone->env->space, range.addr, range.length, some_memory(cpu, zone),
						      random_below(cpu, 2)), PART, range.addr, "hints");
	}
}

// On behalf of a device, which may not know.
static void for_device(struct sim_cpu *cpu, struct zone *zone, struct range range)
{
	struct dev *dev = &zone->dev[random_below(cpu, DEVS)];
	unsigned said = REFUSED | BIT(VMT_ERR_BUSY) | BIT(VMT_ERR_ARGUMENT);
	uint64_t addr = range.addr + dev->offset, length = range.length < 8 * PAGE ? range.length : 8 * PAGE;

	if (!dev_enter(dev))
		return;
	if (random_below(cpu, 2))
		expect_one_of(cpu, zone->env->ops->mirror_fault(dev->mirror, addr, length, VMT_READ, NULL), said, range.addr,
			      "a device's fault");
	else if (random_below(cpu, 2))
		expect_one_of(cpu, zone->env->ops->mirror_exclusive(dev->mirror, addr), said, range.addr,
			      "a page for a device");
	else
		expect_one_of(cpu, zone->env->ops->mirror_sync(dev->mirror, addr, range.length), said, range.addr, "sync");
	dev_leave(dev);
}

static void harvest(struct sim_cpu *cpu, struct zone *zone, struct range range)
{
	zone->env->ops->test_and_clear(zone->env->space, range.addr, range.length,
				       random_below(cpu, 2) ? VMT_DIRTY : VMT_ACCESSED, NULL);
	zone->env->ops->reclaim(zone->env->space, random_below(cpu, 4));
}

// ---- Fork --------------------------------------------------------------------------------------------------------

// In the child, on this CPU: its own words are what it wrote before, others' stand still.
static void judge_child(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	struct writer *own = &zone->writer[number];

	for (unsigned i = 0; i < 8; i++) {
		unsigned page = (unsigned)random_below(cpu, HOT), writer = (unsigned)random_below(cpu, WRITERS);
		uint64_t base = hot(cpu, zone, page), addr = base + word_offset(number), value, again;

		if (cpu_access(cpu, addr, VMT_READ, &value))
			own_holds(cpu, own, page, addr, value);
		addr = base + word_offset(writer);
		if (cpu_access(cpu, addr, VMT_READ, &value)) {
			demand(cpu, value >= own->seen[writer][page] || own->seen_epoch[writer] != epoch_of(zone, writer), addr,
			       "the child is older than its parent");
			devs_serve(zone, cpu);
			if (cpu_access(cpu, addr, VMT_READ, &again))
				demand(cpu, value == again, addr, "a write of the parent's shows in the child");
		}
	}
	for (unsigned i = 0; i < 4; i++) { // nobody is to see this
		uint64_t value = UINT64_MAX / 2;

		cpu_access(cpu, hot(cpu, zone, (unsigned)random_below(cpu, HOT)) + word_offset(number), VMT_WRITE, &value);
	}
}

static void fork_child(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	struct vmt_space *child;
	enum vmt_status status = zone->env->ops->space_fork(zone->env->space, NULL, &child);

	expect_one_of(cpu, status, DONE(zone), 0, "fork");
	if (status != VMT_OK) // a device does not answer
		return;
	sim_activate(cpu, child);
	judge_child(cpu, zone, number);
	cpu_judge_owned(cpu, zone, number);
	sim_activate(cpu, zone->env->space);
	expect(cpu, zone->env->ops->space_destroy(child), VMT_OK, 0, "the end of a child");
}

// ---- Shared words, churn -----------------------------------------------------------------------------------------

static void shared(struct sim_cpu *cpu, struct zone *zone, unsigned number)
{
	uint64_t addr = SHARED + random_below(cpu, SHARED_PAGES) * PAGE;
	struct range range = {addr, PAGE};
	enum vmt_status status;

	if (random_below(cpu, 4) == 0) {
		migrate(cpu, zone, number, range);
		return;
	}
	status = sim_add(cpu, addr + SHARED_WORD, 1, NULL);
	expect_one_of(cpu, status, REFUSED, addr, "an addition");
	zone->writer[number].added += status == VMT_OK;
}

static void churn(struct sim_cpu *cpu, struct zone *zone, unsigned number, uint64_t n)
{
	const struct sim_ops *ops = zone->env->ops;
	struct vmt_space *space = zone->env->space;
	uint64_t page = random_below(cpu, CHURN_PAGES), addr = CHURN + page * PAGE, value;
	uint64_t most = CHURN_PAGES - page, length = (1 + random_below(cpu, most < 8 ? most : 8)) * PAGE;

	switch (random_below(cpu, 12)) {
	case 0:
		expect_one_of(cpu, ops->unmap(space, addr, length), DONE(zone), addr, "unmap");
		break;
	case 1:
	case 2:
		cpu_map(cpu, zone, addr, length, 0);
		break;
	case 3:
		expect_one_of(cpu, ops->protect(space, addr, length, n % 4 ? RW : (vmt_prot)random_below(cpu, 2)), PART, addr,
			      "protect");
		break;
	case 4:
		expect_one_of(cpu, ops->release(space, addr, length), PART, addr, "release");
		break;
	case 5:
		expect_one_of(cpu, ops->lazy_free(space, addr, length), PART, addr, "lazy free");
		break;
	case 6:
		expect_one_of(cpu, (n % 2 ? ops->guard_install : ops->guard_remove)(space, addr, length), PART, addr, "guard");
		break;
	case 7:
		migrate(cpu, zone, number, (struct range){addr, length});
		break;
	case 8:
		advise(cpu, zone, (struct range){addr, length});
		break;
	default:
		addr += 8 * random_below(cpu, PAGE / 8);
		value = page_stamp(number, addr, n);
		if (cpu_access(cpu, addr, n % 2 ? VMT_WRITE : VMT_READ, &value))
			demand(cpu, page_stamped(value, addr), addr, "a page holds what nobody wrote to it");
	}
}

void cpu_map(struct sim_cpu *cpu, struct zone *zone, uint64_t addr, uint64_t length, uint32_t flags)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = RW, .flags = flags | VMT_MAP_FIXED};
	uint64_t got;

	expect_one_of(cpu, zone->env->ops->map(zone->env->space, &request, &got), DONE(zone), addr, "map");
}

// ---- The whole ---------------------------------------------------------------------------------------------------

// One device is silent for some time, then the next.
static void silence(struct sim_cpu *cpu, struct zone *zone, uint64_t n)
{
	unsigned kind = (unsigned)(n / 400 % DEVS);

	if (n % 400 == 300)
		dev_silence(zone, kind);
	if (n % 400 == 350)
		dev_reset(zone, cpu, kind);
}

static void counted_operation(struct sim_cpu *cpu, struct zone *zone, unsigned number, uint64_t n)
{
	switch (random_below(cpu, 24)) {
	case 0:
		protect(cpu, zone);
		break;
	case 1:
	case 2:
		migrate(cpu, zone, number, some_range(cpu, zone));
		break;
	case 3:
		advise(cpu, zone, some_range(cpu, zone));
		break;
	case 4:
		for_device(cpu, zone, some_range(cpu, zone));
		break;
	case 5:
		harvest(cpu, zone, some_range(cpu, zone));
		break;
	case 6:
		take(cpu, zone, number, n);
		break;
	case 7:
		if (number == 0)
			move_block(cpu, zone);
		break;
	case 8:
	case 9:
		by_reference(cpu, zone, number);
		break;
	case 10:
		if (n % 4 == 0)
			fork_child(cpu, zone, number);
		break;
	case 11:
	case 12:
	case 13:
	case 14:
		look_at_others(cpu, zone, number);
		break;
	default:
		count_own(cpu, zone, number);
	}
}

void cpu_operation(struct sim_cpu *cpu, struct zone *zone, unsigned number, uint64_t n)
{
	uint64_t what = random_below(cpu, 16);

	if (zone->silences && number == 0)
		silence(cpu, zone, n);
	if (what < 8)
		counted_operation(cpu, zone, number, n);
	else if (what < 10)
		shared(cpu, zone, number);
	else if (what < 13)
		churn(cpu, zone, number, n);
	else
		cpu_owned(cpu, zone, number, n);
	devs_serve(zone, cpu);
	zone->writer[number].done++;
}

static void judge_page(struct sim_cpu *cpu, struct zone *zone, unsigned page)
{
	uint64_t base = hot_addr(page, atomic_load_explicit(&zone->place[hot_block(page)], memory_order_relaxed)), value;

	expect(cpu, zone->env->ops->protect(zone->env->space, base, PAGE, RW), VMT_OK, base, "protect");
	for (unsigned i = 0; i < WRITERS; i++) {
		struct writer *writer = &zone->writer[i];
		uint8_t bytes[24];

		expect(cpu, sim_read(cpu, base + word_offset(i), 8, &value), VMT_OK, base, "the end");
		expect(cpu, sim_read_bytes(cpu, base + word_offset(i) + 8, bytes, sizeof(bytes), NULL), VMT_OK, base,
		       "the end");
		if (writer->epoch != epoch_of(zone, i) || writer->unknown[page])
			continue;
		own_holds(cpu, writer, page, base + word_offset(i), value);
		demand(cpu, writer->dma_unknown[page] || !memcmp(bytes, writer->dma[page], sizeof(bytes)), base,
		       "bytes of a device's were lost");
	}
}

// Nothing is under way, and nothing fails any more: every word is what its writer wrote last.
void cpu_judge(struct sim_cpu *cpu, struct zone *zone)
{
	uint64_t sum = 0, added = 0, value;

	for (unsigned i = 0; i < DEVS; i++)
		sim_dma_fail_random(zone->dev[i].device, 0);
	for (unsigned page = 0; page < HOT; page++)
		judge_page(cpu, zone, page);
	for (unsigned i = 0; i < SHARED_PAGES; i++) {
		expect(cpu, sim_read(cpu, SHARED + i * PAGE + SHARED_WORD, 8, &value), VMT_OK, SHARED, "the end");
		sum += value;
	}
	for (unsigned writer = 0; writer < WRITERS; writer++)
		added += zone->writer[writer].added;
	// A device that was silent may have taken some of the others' along.
	demand(cpu, sum == added || zone->silences, SHARED, "additions were lost, or came from nowhere");
	for (unsigned i = 0; i < CPUS; i++)
		cpu_judge_owned(cpu, zone, i);
}
