// SPDX-License-Identifier: MIT
// The MMUs of the CPUs, as hostile as the architecture lets them be. After each write to memory, and after each flush,
// each MMU loads whatever it could load for the addresses that are watched, also by way of entries that it has kept,
// and keeps all of it until a flush takes it. What is kept is therefore not the state of one MMU but everything that it
// may have cached by now, whenever it took its steps: for each thing kept there is an MMU that has loaded just this. So
// no choice is left to the scheduler, and nothing is missed.
//
// A CPU that accesses memory uses the oldest translation that permits it; where that is not what the tables say, also
// the other one is tried, in which its MMU had kept nothing. Decoding is the simulated machine's, which
// shares nothing with the library.
//
// The MMUs of devices come behind those of the CPUs (mmu_device.c).
#include <stdio.h>
#include <string.h>

#include <vmtree/port.h>

#include "mmu.h"

#define SPACES	3	// that a CPU has an identifier for

#define DECODER sim_decode_sv39

static struct identifier identifiers[XP_MMUS][SPACES];
// What the MMU of each CPU sees whatever it walks. That of a device sees everything.
static struct clock sees[XP_CPUS];
uint64_t mmu_watched[WATCHED];
unsigned mmu_watched_count;

void xp_mmu_reset(void)
{
	memset(identifiers, 0, sizeof(identifiers));
	memset(sees, 0, sizeof(sees));
	mmu_watched_count = 0;
}

void xp_watch(uint64_t va)
{
	if (mmu_watched_count == WATCHED)
		xp_fail("a scenario watches too many addresses");
	mmu_watched[mmu_watched_count++] = va;
}

static unsigned frame_number(uint64_t pa)
{
	return (unsigned)((pa - XP_RAM) / VMT_PAGE_SIZE);
}

// ---- Loading -----------------------------------------------------------------------------------------------------

static void keep_table(struct identifier *id, unsigned at, unsigned level, uint64_t pa, bool doomed,
		       const struct clock *way)
{
	unsigned *count = &id->tables[at][level];

	for (unsigned i = 0; i < *count; i++) {
		if (id->table[at][level][i] == pa) {
			id->doomed[at][level][i] &= doomed;
			return;
		}
	}
	if (*count == KEPT)
		xp_fail("more tables for one address than an MMU of the explorer keeps");
	id->doomed[at][level][*count] = doomed;
	id->way[at][level][*count] = *way;
	id->table[at][level][(*count)++] = pa;
}

static _Noreturn void fail_twice(uint64_t va, const struct leaf *one, const struct leaf *other)
{
	const char format[] = "two translations of one address at once: %#llx to %#llx (of %u bits) and %#llx (of %u)";
	const char *words = xp_claimed_address(va);
	char text[128];

	snprintf(text, sizeof(text), format, (unsigned long long)va, (unsigned long long)one->pa, one->size,
		 (unsigned long long)other->pa, other->size);
	if (words)
		xp_fail_own(words, "%s", text);
	xp_fail("%s", text);
}

void mmu_keep_leaf(struct identifier *id, unsigned at, const struct leaf *leaf)
{
	unsigned *count = &id->leaves[at];

	for (unsigned i = 0; i < *count; i++) {
		struct leaf *kept = &id->leaf[at][i];

		if ((kept->pa != leaf->pa || kept->size != leaf->size) && !xp_bytes_speak())
			fail_twice(mmu_watched[at], kept, leaf);
		if (kept->pa == leaf->pa && kept->size == leaf->size && kept->may == leaf->may &&
		    kept->accessed == leaf->accessed && kept->dirty == leaf->dirty) {
			kept->doomed &= leaf->doomed;
			return;
		}
	}
	// Of those that differ in marks alone the oldest are the most hostile.
	if (*count < KEPT)
		id->leaf[at][(*count)++] = *leaf;
}

static bool is_device(const struct identifier *id)
{
	return id >= &identifiers[XP_CPUS][0];
}

// What the MMU of this identifier knows where it has come by such a way.
static struct clock knowledge(const struct identifier *id, const struct clock *way)
{
	struct clock knows;

	if (is_device(id)) {
		memset(&knows, 0xff, sizeof(knows));
		return knows;
	}
	knows = sees[(id - &identifiers[0][0]) / SPACES];
	xp_clock_join(&knows, way);
	return knows;
}

static void keep_entry(struct identifier *id, unsigned at, unsigned level, const struct xp_visible *value, bool doomed)
{
	struct sim_entry entry;

	DECODER.decode(value->value, level, &entry);
	if (entry.kind == SIM_ENTRY_BROKEN)
		xp_fail("an entry is broken: %s", entry.broken);
	if (entry.kind == SIM_ENTRY_TABLE)
		keep_table(id, at, level - 1, entry.pa, doomed, &value->released);
	if (entry.kind == SIM_ENTRY_LEAF)
		mmu_keep_leaf(id, at, &(struct leaf){
			.pa = sim_entry_pa(&DECODER, &entry, level, mmu_watched[at]) & ~VMT_PAGE_MASK,
			.size = sim_shift(&DECODER, level) + entry.run_bits, .may = entry.may,
			.accessed = entry.accessed, .dirty = entry.dirty, .doomed = doomed, .way = value->released});
}

// From the table that is kept as `number`: all values that the entry may have for this MMU.
static void load_entry(struct identifier *id, unsigned at, unsigned level, unsigned number)
{
	uint64_t table = id->table[at][level][number];
	_Atomic uint64_t *word = xp_frame_ptr(table + sim_index(&DECODER, level, mmu_watched[at]) * 8);
	struct clock way = id->way[at][level][number], knows = knowledge(id, &way);
	struct xp_visible all[XP_OLDER + 1];
	unsigned count;

	if (!word || xp_frame_is_free(table))
		xp_fail_frame(XP_REACHED, frame_number(table), "an MMU walks a table that is free: %#llx",
			      (unsigned long long)table);
	xp_mmu_reads(xp_place(word));
	xp_clocks_hardware(&knows, xp_place(word), XP_READ);
	count = xp_weak_visible(xp_place(word), atomic_load_explicit(word, memory_order_relaxed), &knows, all);
	for (unsigned i = 0; i < count; i++) {
		xp_clock_join(&all[i].released, &way);
		keep_entry(id, at, level, &all[i], id->doomed[at][level][number]);
	}
}

void mmu_load(struct identifier *id)
{
	for (unsigned at = 0; at < mmu_watched_count && id->root; at++) {
		keep_table(id, at, LEVELS - 1, id->root, false, &(struct clock){{0}});
		for (unsigned level = LEVELS; level-- > 0;) {
			for (unsigned i = 0; i < id->tables[at][level]; i++)
				load_entry(id, at, level, i);
		}
	}
}

void xp_mmu_load(void)
{
	for (unsigned mmu = 0; mmu < XP_MMUS; mmu++) {
		for (unsigned i = 0; i < SPACES; i++) {
			if (identifiers[mmu][i].state == IN_USE)
				mmu_load(&identifiers[mmu][i]);
		}
	}
}

// ---- Flushes -----------------------------------------------------------------------------------------------------

static bool covers(const struct vmt_flush *flush, uint64_t va)
{
	bool covered = flush->all;

	for (unsigned i = 0; i < flush->count; i++)
		covered |= va >= flush->ranges[i].start && va < flush->ranges[i].end;
	return covered;
}

static void forget(struct identifier *id, unsigned at, bool tables)
{
	id->leaves[at] = 0;
	for (unsigned level = 0; level < LEVELS && tables; level++)
		id->tables[at][level] = 0;
}

void xp_mmu_flush(unsigned cpu, const struct vmt_flush *flush, unsigned sender)
{
	for (unsigned i = 0; i < SPACES; i++) {
		struct identifier *id = &identifiers[cpu][i];

		if (id->space != flush->space || !id->used)
			continue;
		// One that is not in use is flushed when vmt_activate returns another generation.
		if (id->state == AWAY && flush->generation)
			continue;
		for (unsigned at = 0; at < mmu_watched_count; at++) {
			if (covers(flush, mmu_watched[at]))
				forget(id, at, flush->tables);
		}
		if (flush->generation == id->generation + 1)
			id->generation++;
	}
	xp_clock_join(&sees[cpu], xp_clock(sender));
	xp_mmu_load();
}

// The MMU that has a translation to a page, or an entry that leads to a table; XP_MMUS: none.
static unsigned who_has(uint64_t pa, bool table)
{
	for (unsigned n = 0; n < XP_MMUS * SPACES * mmu_watched_count; n++) {
		const struct identifier *id = &identifiers[n / mmu_watched_count / SPACES][n / mmu_watched_count % SPACES];
		unsigned at = n % mmu_watched_count;

		for (unsigned i = 0; i < id->leaves[at] && id->state == IN_USE && !table; i++) {
			if (id->leaf[at][i].pa == pa)
				return n / mmu_watched_count / SPACES;
		}
		for (unsigned i = 0; i < (LEVELS - 1) * KEPT && id->state == IN_USE && table; i++) {
			if (i % KEPT < id->tables[at][i / KEPT] && id->table[at][i / KEPT][i % KEPT] == pa)
				return n / mmu_watched_count / SPACES;
		}
	}
	return XP_MMUS;
}

// The table's memory says nothing any more, so what goes on from there is dropped; leaves stay.
static void forget_ways_to(uint64_t pa)
{
	for (unsigned n = 0; n < XP_MMUS * SPACES * mmu_watched_count * LEVELS; n++) {
		unsigned at = n / LEVELS % mmu_watched_count, level = n % LEVELS;
		struct identifier *id = &identifiers[n / LEVELS / mmu_watched_count / SPACES]
						    [n / LEVELS / mmu_watched_count % SPACES];
		unsigned left = 0;

		for (unsigned i = 0; i < id->tables[at][level]; i++) {
			if (id->table[at][level][i] == pa)
				continue;
			id->doomed[at][level][left] = id->doomed[at][level][i];
			id->way[at][level][left] = id->way[at][level][i];
			id->table[at][level][left++] = id->table[at][level][i];
		}
		id->tables[at][level] = left;
	}
}

bool xp_mmu_has(uint64_t pa)
{
	return who_has(pa, false) < XP_MMUS;
}

bool xp_mmu_translates(uint64_t va)
{
	for (unsigned n = 0; n < XP_CPUS * SPACES * mmu_watched_count; n++) {
		const struct identifier *id = &identifiers[n / mmu_watched_count / SPACES][n / mmu_watched_count % SPACES];
		unsigned at = n % mmu_watched_count;

		if (id->state == IN_USE && mmu_watched[at] == va && id->leaves[at])
			return true;
	}
	return false;
}

static const char *kind_of(unsigned mmu)
{
	return mmu < XP_CPUS ? "CPU" : "device";
}

static unsigned number_of(unsigned mmu)
{
	return mmu < XP_CPUS ? mmu : mmu - XP_CPUS;
}

void xp_mmu_free(uint64_t pa)
{
	unsigned reader = who_has(pa, false), walker = who_has(pa, true);

	if (xp_bytes_speak()) {
		forget_ways_to(pa);
		return;
	}
	if (reader < XP_MMUS)
		xp_fail_frame(XP_REACHED, frame_number(pa), "a page is freed that %s %u has a translation of",
			      kind_of(reader), number_of(reader));
	if (walker < XP_MMUS)
		xp_fail_frame(XP_REACHED, frame_number(pa), "a table is freed that %s %u has an entry for",
			      kind_of(walker), number_of(walker));
}

uint64_t xp_mmu_hash(void)
{
	uint64_t hash = 0;

	for (unsigned n = 0; n < XP_MMUS * SPACES; n++) {
		const struct identifier *id = &identifiers[n / SPACES][n % SPACES];

		if (!id->used)
			continue;
		hash = xp_mix(hash, id->generation * 4 + id->state);
		for (unsigned at = 0; at < mmu_watched_count; at++) {
			for (unsigned level = 0; level < LEVELS - 1; level++) {
				for (unsigned i = 0; i < id->tables[at][level]; i++)
					hash = xp_mix(hash, id->table[at][level][i] + 2 * level + 2 +
							    id->doomed[at][level][i]);
			}
			for (unsigned i = 0; i < id->leaves[at]; i++) {
				const struct leaf *leaf = &id->leaf[at][i];

				hash = xp_mix(hash, leaf->pa + leaf->size * 128u + leaf->may * 8u +
						    leaf->accessed * 4u + leaf->dirty * 2u + leaf->doomed);
			}
		}
	}
	return hash;
}

// ---- CPUs --------------------------------------------------------------------------------------------------------

static struct identifier *identifier_in_use(void)
{
	for (unsigned i = 0; i < SPACES; i++) {
		if (identifiers[xp_cpu()][i].state == IN_USE)
			return &identifiers[xp_cpu()][i];
	}
	xp_fail("a CPU that uses no space accesses memory");
}

static struct identifier *identifier_of(struct vmt_space *space)
{
	for (unsigned i = 0; i < SPACES; i++) {
		struct identifier *id = &identifiers[xp_cpu()][i];

		if (id->used && id->space == space)
			return id;
		if (!id->used) {
			id->used = true;
			id->space = space;
			id->root = space ? vmt_space_root(space) : 0;
			return id;
		}
	}
	xp_fail("a CPU uses too many spaces");
}

static void check_kept(const struct identifier *id)
{
	for (unsigned at = 0; at < mmu_watched_count; at++) {
		for (unsigned i = 0; i < id->leaves[at]; i++) {
			uint64_t pa = id->leaf[at][i].pa;

			if (xp_frame_is_free(pa) && !xp_bytes_speak())
				xp_fail_frame(XP_REACHED, frame_number(pa),
					      "CPU %u comes back to a translation of a page that is free", xp_cpu());
		}
	}
}

void xp_activate(struct vmt_space *space)
{
	struct identifier *id = identifier_of(space);
	uint64_t generation;

	id->state = ENTERING;
	generation = vmt_activate(space);
	if (generation != id->generation) {
		for (unsigned at = 0; at < mmu_watched_count; at++)
			forget(id, at, true);
	}
	id->generation = generation;
	id->state = IN_USE;
	// What it loads comes after what vmt_activate has read.
	xp_clock_join(&sees[xp_cpu()], xp_clock(xp_cpu()));
	xp_clock_tick(xp_cpu());
	check_kept(id);
	xp_mmu_load();
	xp_trace_say("uses a space, generation %llu", (unsigned long long)generation);
}

void xp_use_tree(struct vmt_tree *tree)
{
	struct identifier *id = identifier_of(NULL);

	id->root = vmt_tree_root(tree);
	id->state = IN_USE;
	xp_mmu_load();
}

void xp_deactivate(void)
{
	struct identifier *id = identifier_in_use();

	id->state = AWAY;
	if (id->space)
		vmt_deactivate(id->space);
}

// ---- Accesses ----------------------------------------------------------------------------------------------------

static unsigned watched_at(uint64_t va)
{
	for (unsigned at = 0; at < mmu_watched_count; at++) {
		if (mmu_watched[at] == va)
			return at;
	}
	xp_fail("an access to an address that is not watched");
}

static struct leaf *leaf_for(struct identifier *id, unsigned at, bool write)
{
	for (unsigned i = 0; i < id->leaves[at]; i++) {
		if (!write || id->leaf[at][i].may & SIM_MAY_WRITE)
			return &id->leaf[at][i];
	}
	return NULL;
}

void mmu_drop_leaf(struct identifier *id, unsigned at, struct leaf *leaf)
{
	unsigned i = (unsigned)(leaf - id->leaf[at]);

	id->leaves[at]--;
	memmove(leaf, leaf + 1, (id->leaves[at] - i) * sizeof(*leaf));
}

// The entry for the address, as the tables are now.
static _Atomic uint64_t *find_entry(const struct identifier *id, uint64_t va, struct sim_entry *entry)
{
	uint64_t table = id->root;

	for (unsigned level = LEVELS;;) {
		_Atomic uint64_t *word = xp_frame_ptr(table + sim_index(&DECODER, --level, va) * 8);

		DECODER.decode(atomic_load_explicit(word, memory_order_relaxed), level, entry);
		if (entry->kind == SIM_ENTRY_LEAF)
			entry->pa = sim_entry_pa(&DECODER, entry, level, va);
		if (entry->kind != SIM_ENTRY_TABLE)
			return word;
		table = entry->pa;
	}
}

// Sets the marks of the access in the entry. False: the entry is another one by now.
static bool mark(struct identifier *id, unsigned at, const struct leaf *leaf, bool write)
{
	uint64_t bits = DECODER.accessed | (write ? DECODER.dirty : 0);
	struct sim_entry entry;
	_Atomic uint64_t *word = find_entry(id, mmu_watched[at], &entry);

	if (entry.kind != SIM_ENTRY_LEAF || entry.pa != leaf->pa || (write && !(entry.may & SIM_MAY_WRITE)))
		return false;
	if ((atomic_load_explicit(word, memory_order_relaxed) & bits) != bits) {
		uint64_t old = atomic_fetch_or_explicit(word, bits, memory_order_relaxed);

		xp_weak_store(xp_place(word), sizeof(old), XP_BOTH, __ATOMIC_RELAXED, old, old | bits);
		xp_mmu_load();
	}
	return true;
}

// Where what is kept is not what the tables say: an MMU that has kept nothing finds that.
static void maybe_forget(struct identifier *id, unsigned at, bool write)
{
	const struct leaf *leaf = leaf_for(id, at, write);
	struct sim_entry entry;
	bool right;

	if (!leaf)
		return;
	right = !leaf->doomed;
	if (id->root) {
		find_entry(id, mmu_watched[at], &entry);
		right = entry.kind == SIM_ENTRY_LEAF && entry.pa == leaf->pa && (!write || entry.may & SIM_MAY_WRITE);
	}
	if (!right && xp_either()) {
		forget(id, at, true);
		mmu_load(id);
	}
}

// Might an MMU that has kept nothing walk by entries that are older than what the tables say, and fault?
static bool may_miss(const struct identifier *id, unsigned at, bool write)
{
	struct clock way = {{0}};
	uint64_t table = id->root;

	for (unsigned level = LEVELS; table && xp_exploring();) {
		_Atomic uint64_t *word = xp_frame_ptr(table + sim_index(&DECODER, --level, mmu_watched[at]) * 8);
		struct clock knows = knowledge(id, &way);
		struct xp_visible all[XP_OLDER + 1];
		struct sim_entry entry;

		xp_weak_visible(xp_place(word), atomic_load_explicit(word, memory_order_relaxed), &knows, all);
		DECODER.decode(all[0].value, level, &entry);
		if (entry.kind != SIM_ENTRY_TABLE)
			return entry.kind != SIM_ENTRY_LEAF || (write && !(entry.may & SIM_MAY_WRITE));
		table = entry.pa;
		xp_clock_join(&way, &all[0].released);
	}
	return false;
}

// A program's access to memory, by a translation. A device's is ordered as it happens.
static void transfer(const struct identifier *id, const struct leaf *leaf, _Atomic uint64_t *word, bool write,
		     uint64_t *value)
{
	uint64_t last = atomic_load_explicit(word, memory_order_relaxed);
	struct clock knows = knowledge(id, &leaf->way);
	uint32_t place = xp_place(word);

	if (write)
		atomic_store_explicit(word, *value, memory_order_relaxed);
	if (is_device(id)) {
		if (write)
			xp_weak_plain(place, 1);
		else
			*value = last;
		xp_happened(place, write ? XP_WRITE : XP_READ);
		return;
	}
	xp_clock_join(&knows, xp_clock(xp_cpu()));
	xp_clocks_hardware(&knows, place, write ? XP_WRITE : XP_READ);
	if (write)
		xp_weak_store(place, sizeof(last), XP_WRITE, __ATOMIC_RELAXED, last, *value);
	else
		*value = xp_weak_load_hardware(place, last, &knows);
}

// One try. False: a fault. `id` is of a device; NULL: of the calling CPU.
static bool access(struct identifier *id, uint64_t va, bool write, uint64_t *value, const void *pc)
{
	unsigned at = watched_at(va);
	_Atomic uint64_t *word;
	struct leaf *leaf;

	xp_event(XP_ACCESS, XP_NOWHERE, 0, write ? XP_BOTH : XP_READ, true, pc);
	if (!id)
		id = identifier_in_use();
	maybe_forget(id, at, write);
	leaf = leaf_for(id, at, write);
	while (leaf && !(leaf->accessed && (!write || leaf->dirty)) && !mark(id, at, leaf, write)) {
		mmu_drop_leaf(id, at, leaf);
		leaf = leaf_for(id, at, write);
	}
	if (leaf && may_miss(id, at, write) && xp_weak_older())
		leaf = NULL;
	xp_remember(xp_cpu(), leaf ? leaf->pa + leaf->may : 0);
	if (!leaf) {
		xp_trace_say("faults at %#llx", (unsigned long long)va);
		return false;
	}
	word = xp_device_word(leaf->pa);
	if (!word && xp_frame_is_free(leaf->pa) && !xp_bytes_speak())
		xp_fail_frame(XP_REACHED, frame_number(leaf->pa), "a stale translation of a page is used that is free");
	if (!word)
		word = xp_frame_ptr(leaf->pa);
	transfer(id, leaf, word, write, value);
	xp_trace_say("%s %llu at %#llx, page %#llx", write ? "writes" : "reads", (unsigned long long)*value,
		     (unsigned long long)va, (unsigned long long)leaf->pa);
	return true;
}

static enum vmt_status access_with_faults(uint64_t va, bool write, uint64_t *value, const void *pc)
{
	for (unsigned round = 0; !access(NULL, va, write, value, pc); round++) {
		struct vmt_space *space = identifier_in_use()->space;
		enum vmt_status status = !space ? VMT_ERR_NOT_PRESENT :
				 vmt_fault(space, va, write ? VMT_WRITE : VMT_READ, NULL);

		if (status != VMT_OK)
			return status;
		if (round == 100)
			xp_fail("no progress: a CPU faults again and again");
	}
	return VMT_OK;
}

enum vmt_status xp_read(uint64_t va, uint64_t *value)
{
	return access_with_faults(va, false, value, __builtin_return_address(0));
}

enum vmt_status xp_write(uint64_t va, uint64_t value)
{
	return access_with_faults(va, true, &value, __builtin_return_address(0));
}

void xp_write_if(uint64_t va, uint64_t value)
{
	access(NULL, va, true, &value, __builtin_return_address(0));
}

// ---- Devices -----------------------------------------------------------------------------------------------------

struct identifier *mmu_of_device(unsigned device)
{
	return &identifiers[XP_CPUS + device][0];
}

bool xp_mmu_keeps(unsigned device, uint64_t va, bool write)
{
	return leaf_for(mmu_of_device(device), watched_at(va), write);
}

bool xp_mmu_access(unsigned device, uint64_t va, bool write, uint64_t *value, const void *pc)
{
	struct identifier *id = mmu_of_device(device);

	if (!xp_exploring())
		mmu_load(id);
	return access(id, va, write, value, pc);
}
