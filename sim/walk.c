// SPDX-License-Identifier: MIT
// The table walker: what the MMU does on a miss. It reads entries as hardware does, one load each while others
// write them, keeps everything that it reads in the translation cache, and sets accessed and dirty bits by
// compare-and-swap in the entry as it is then (Intel SDM vol. 3A, 4.8; RISC-V Privileged, "Virtual Address
// Translation Process"; Arm ARM D8.5, where what marks an entry as written is that it is not read-only any more).
#include "internal.h"

bool sim_allowed(unsigned may, vmt_prot access, bool user)
{
	unsigned need = access == VMT_WRITE ? SIM_MAY_WRITE : access == VMT_EXEC ? SIM_MAY_EXEC : SIM_MAY_READ;

	// x86-64 with SMEP and SMAP, RISC-V with SUM clear: supervisor mode may not use a user page either.
	return (may & need) && !!(may & SIM_MAY_USER) == user;
}

static void check_frame(struct sim_mmu *mmu, uint64_t pa, uint64_t generation, uint64_t va, const char *what)
{
	struct sim_machine *machine = mmu->machine;

	if (sim_generation(machine, pa) != generation)
		sim_stopf(machine, va, pa, "%s uses a stale %s for %#llx: its frame %#llx was freed%s since",
			  mmu->name, what, (unsigned long long)va, (unsigned long long)pa,
			  sim_generation(machine, pa) & 1 ? " and allocated again" : "");
}

void sim_check_item(struct sim_mmu *mmu, const struct sim_item *item, uint64_t va)
{
	uint64_t pa = sim_item_pa(&mmu->context->tlb, item, va), frame;

	frame = item->level ? pa : pa + (va & sim_page_mask(mmu->decoder) & ~SIM_FRAME_MASK);
	if ((item->run_shift || frame != pa) && sim_frame_changed(mmu->machine, frame, item->clock))
		sim_stopf(mmu->machine, va, frame, "%s uses a stale translation%s for %#llx: its frame %#llx was "
			  "freed since", mmu->name, item->run_shift ? " of a run" : "", (unsigned long long)va,
			  (unsigned long long)frame);
	if (item->generation && !item->run_shift)
		check_frame(mmu, pa, item->generation, va, item->level ? "intermediate entry" : "translation");
}

// Where a walk is.
struct step {
	unsigned level;
	uint64_t table, generation;
	unsigned may;	// what the entries so far permit
	uint64_t where;
	_Atomic(uint64_t) *word;
	uint64_t value;
	uint64_t clock;	// machine->frame_clock when it was loaded
	struct sim_entry entry;
};

// Loads the step's entry. Acquire pairs with the release with which the library links a table or a page: its bytes
// are seen. (Hardware has the order from the address dependency.)
static void load(struct sim_mmu *mmu, struct step *step, uint64_t va)
{
	struct sim_machine *machine = mmu->machine;

	step->where = step->table + 8 * sim_index(mmu->decoder, step->level, va);
	check_frame(mmu, step->table, step->generation, va, "table");
	step->word = (_Atomic(uint64_t) *)(void *)sim_ram(machine, step->where);
	// The entry is what it is at the time of the clock: its frames were allocated before.
	do {
		step->value = atomic_load_explicit(step->word, memory_order_acquire);
		step->clock = atomic_load_explicit(&machine->frame_clock, memory_order_acquire);
	} while (atomic_load_explicit(step->word, memory_order_acquire) != step->value);
	check_frame(mmu, step->table, step->generation, va, "table");
	mmu->decoder->decode(step->value, step->level, &step->entry);
	if (step->entry.kind == SIM_ENTRY_BROKEN)
		sim_stopf(machine, va, step->table, "the entry %#llx of level %u at %#llx, for %#llx: %s",
			  (unsigned long long)step->value, step->level, (unsigned long long)step->where,
			  (unsigned long long)va, step->entry.broken);
}

// Sets and clears bits in the entry if it is still what was loaded. Release: a CPU that then exchanges the entry
// (acquire) and sees the change comes after what this CPU did before.
static bool mark(struct step *step, uint64_t set, uint64_t clear)
{
	uint64_t seen = step->value, marked = (seen | set) & ~clear;

	if (seen == marked)
		return true;
	if (!atomic_compare_exchange_strong_explicit(step->word, &seen, marked, memory_order_acq_rel,
						     memory_order_acquire))
		return false;
	step->value = marked;
	return true;
}

// The other entries of the run to which the loaded one belongs, which hardware may take for it (Arm ARM D8.7.1, the
// contiguous bit): those that are present belong to the run too, and map the memory beside. What differs in them is at
// most what they permit, and what hardware marks.
static void check_run(struct sim_mmu *mmu, const struct step *step, uint64_t va)
{
	const struct sim_decoder *decoder = mmu->decoder;
	unsigned count = 1u << step->entry.run_bits, slot = (unsigned)(step->where / 8) & (count - 1);
	uint64_t span = UINT64_C(1) << sim_shift(decoder, step->level), first = step->entry.pa - slot * span;

	for (unsigned i = 0; i < count; i++) {
		uint64_t value = atomic_load_explicit(step->word - slot + i, memory_order_acquire);
		struct sim_entry entry;

		decoder->decode(value, step->level, &entry);
		if (entry.kind == SIM_ENTRY_ABSENT)
			continue;
		if (entry.kind != SIM_ENTRY_LEAF || entry.run_bits != step->entry.run_bits ||
		    entry.pa != first + i * span || entry.memory != step->entry.memory || first & (count * span - 1))
			sim_stopf(mmu->machine, va, step->table,
				  "the entries %#llx at %#llx and %#llx at %#llx, of level %u, are of one run and differ",
				  (unsigned long long)step->value, (unsigned long long)step->where,
				  (unsigned long long)value,
				  (unsigned long long)(step->where - 8 * slot + 8 * i), step->level);
	}
}

// Sets and clears bits as mark() does, in the loaded entry or, if that is one of a run, in any of its entries.
static bool mark_any(struct sim_mmu *mmu, struct step *step, uint64_t set, uint64_t clear)
{
	const struct sim_decoder *decoder = mmu->decoder;
	struct step other = *step;
	uint64_t span = UINT64_C(1) << sim_shift(decoder, step->level);
	unsigned slot, picked;

	if (!step->entry.run_bits || ((step->value | set) & ~clear) == step->value)
		return mark(step, set, clear);
	slot = (unsigned)(step->where / 8) & ((1u << step->entry.run_bits) - 1);
	picked = (unsigned)(sim_next_random(&mmu->random) >> 8) & ((1u << step->entry.run_bits) - 1);
	other.word += (int)picked - (int)slot;
	other.value = atomic_load_explicit(other.word, memory_order_acquire);
	decoder->decode(other.value, step->level, &other.entry);
	// One that is being taken out, or permits other things at this moment, is passed over.
	if (other.entry.kind != SIM_ENTRY_LEAF || other.entry.run_bits != step->entry.run_bits ||
	    other.entry.may != step->entry.may ||
	    other.entry.pa != step->entry.pa + (decoder->run_own ? ((uint64_t)picked - slot) * span : 0))
		return mark(step, set, clear);
	return mark(&other, set, clear);
}

struct conflict {
	struct sim_mmu *mmu;
	const struct sim_item *item;
};

// Break before make (Arm ARM D8.17.1): a CPU that still has another page or table cached for the address, or the
// page of another size, may use either or an amalgamation of both, or abort. An entry of the same page with other
// permissions is no conflict.
static bool conflicts(struct sim_item *found, void *arg)
{
	const struct conflict *conflict = arg;
	const struct sim_item *item = conflict->item;
	struct sim_tlb *tlb = &conflict->mmu->context->tlb;
	uint64_t ours = item->page << sim_item_shift(tlb, item), its = found->page << sim_item_shift(tlb, found);
	uint64_t va = ours > its ? ours : its; // where both begin, if they overlap

	if (found->level != item->level || va >= ours + (UINT64_C(1) << sim_item_shift(tlb, item)) ||
	    va >= its + (UINT64_C(1) << sim_item_shift(tlb, found)) ||
	    (found->run_shift && !sim_item_leads(found, found->pa + (va - its))))
		return false;
	if (sim_item_pa(tlb, found, va) != sim_item_pa(tlb, item, va) || found->leaf_level != item->leaf_level ||
	    found->run_shift != item->run_shift)
		sim_stopf(conflict->mmu->machine, item->va, item->pa,
			  "break before make: %s loads %#llx for %#llx and has %#llx cached", conflict->mmu->name,
			  (unsigned long long)sim_item_pa(tlb, item, va), (unsigned long long)va,
			  (unsigned long long)sim_item_pa(tlb, found, va));
	return false;
}

static void check_conflict(struct sim_mmu *mmu, const struct sim_item *item)
{
	struct conflict conflict = { mmu, item };
	struct sim_item *found[SIM_TLB_MATCHES];
	unsigned count;

	if (item->run_shift) {
		sim_tlb_each(&mmu->context->tlb, conflicts, &conflict);
		return;
	}
	count = sim_tlb_find(&mmu->context->tlb, item->level, item->va, found);
	for (unsigned i = 0; i < count; i++)
		conflicts(found[i], &conflict);
}

// Keeps what was loaded; only what is new to the cache is an event, and a dirty bit that was set.
static struct sim_item *keep(struct sim_mmu *mmu, const struct sim_item *item, enum sim_event_kind kind)
{
	unsigned shift = sim_item_shift(&mmu->context->tlb, item);
	bool is_new;
	struct sim_item *kept;

	kept = sim_tlb_add(mmu->machine, &mmu->context->tlb, item, &is_new);
	if (is_new && mmu->break_first)
		check_conflict(mmu, kept);
	if (!is_new && kind != SIM_EVENT_DIRTY)
		return kept;
	sim_record(mmu, &(struct sim_note){
		.kind = kind, .level = item->level ? item->level : item->leaf_level, .may = item->may,
		.asid = mmu->context->asid, .va = item->page << shift,
		.end = item->run_shift ? (item->page + 1) << shift : 0, .pa = item->pa, .where = item->where,
		.value = item->entry });
	return kept;
}

// The generation of a frame that an entry points to, which must be allocated if it is RAM.
static uint64_t target_generation(struct sim_mmu *mmu, const struct step *step, uint64_t pa, uint64_t va)
{
	struct sim_machine *machine = mmu->machine;
	uint64_t generation = sim_generation(machine, pa);

	if (step->entry.kind == SIM_ENTRY_TABLE && !sim_in_ram(machine, pa))
		sim_stopf(machine, va, step->table, "the entry %#llx at %#llx points to a table outside of RAM",
			  (unsigned long long)step->value, (unsigned long long)step->where);
	if (generation && !(generation & 1))
		sim_stopf(machine, va, pa, "the entry %#llx of level %u at %#llx points to the free frame %#llx",
			  (unsigned long long)step->value, step->level, (unsigned long long)step->where,
			  (unsigned long long)pa);
	return generation;
}

// Follows an entry that points to a table.
static bool descend(struct sim_mmu *mmu, struct step *step, const struct sim_want *want)
{
	struct sim_item item;

	if (mmu->decoder->table_accessed && !mark(step, mmu->decoder->accessed, 0))
		return false;
	step->may &= step->entry.may;
	item = (struct sim_item){
		.page = want->va >> sim_shift(mmu->decoder, step->level), .level = (uint8_t)step->level,
		.entry = step->value, .va = want->va & ~sim_page_mask(mmu->decoder), .where = step->where,
		.pa = step->entry.pa, .may = (uint8_t)step->may,
		.generation = target_generation(mmu, step, step->entry.pa, want->va) };
	keep(mmu, &item, SIM_EVENT_TABLE);
	step->table = item.pa;
	step->generation = item.generation;
	step->level--;
	return true;
}

static void remember_absent(struct sim_mmu *mmu, const struct step *step, uint64_t va)
{
	struct sim_item item = { .page = va >> sim_shift(mmu->decoder, 0), .va = va & ~sim_page_mask(mmu->decoder),
				 .invalid = true, .where = step->where, .entry = step->value, .leaf_level = (uint8_t)step->level };

	if (!mmu->keeps_absence || !sim_chance(&mmu->random, mmu->hostility->negative))
		return;
	keep(mmu, &item, SIM_EVENT_INVALID);
}

// Ends the walk at a leaf. 0: a fault; 1: *kept is the translation; -1: the entry changed, load it again.
static int finish(struct sim_mmu *mmu, struct step *step, const struct sim_want *want, struct sim_item **kept)
{
	const struct sim_decoder *decoder = mmu->decoder;
	unsigned may = step->may & step->entry.may;
	bool allowed = sim_allowed(may, want->access, want->user);
	bool writes = allowed && want->access == VMT_WRITE && !want->speculative;
	uint64_t page = want->va & ~sim_page_mask(mmu->decoder);
	struct sim_item item;

	if (!allowed && !want->speculative && !step->entry.accessed)
		return 0;
	if (mmu->fault_ad && (!step->entry.accessed || (writes && !step->entry.dirty)))
		return 0;
	if (step->entry.run_bits && decoder->break_first)
		check_run(mmu, step, want->va);
	if (!mark_any(mmu, step, decoder->accessed | (writes ? decoder->dirty : 0), writes ? decoder->clean : 0))
		return -1;
	item = (struct sim_item){
		.page = page >> sim_shift(decoder, 0), .leaf_level = (uint8_t)step->level, .entry = step->value,
		.va = page, .where = step->where, .may = (uint8_t)may, .clock = step->clock,
		.pa = sim_entry_pa(decoder, &step->entry, step->level, page), .dirty = step->entry.dirty || writes };
	item.generation = target_generation(mmu, step, item.pa, want->va);
	if (step->entry.run_bits) {
		item.run_shift = (uint8_t)(sim_shift(decoder, step->level) + step->entry.run_bits);
		item.page = page >> item.run_shift;
		item.pa -= page & ((UINT64_C(1) << item.run_shift) - 1);
	}
	*kept = keep(mmu, &item, item.dirty && !step->entry.dirty ? SIM_EVENT_DIRTY : SIM_EVENT_LEAF);
	return allowed;
}

struct sim_item *sim_walk(struct sim_mmu *mmu, const struct sim_want *want, const struct sim_item *from)
{
	struct step step = { .level = mmu->decoder->levels - 1, .table = mmu->context->root,
			     .generation = mmu->context->root_generation, .may = SIM_MAY_ALL };

	if (from) {
		step.level = from->level - 1u;
		step.table = from->pa;
		step.generation = from->generation;
		step.may = from->may;
	}
	mmu->walks++;
	for (;;) {
		struct sim_item *kept = NULL;
		int result;

		load(mmu, &step, want->va);
		if (step.entry.kind == SIM_ENTRY_ABSENT) {
			remember_absent(mmu, &step, want->va);
			return NULL;
		}
		if (step.entry.kind == SIM_ENTRY_TABLE) {
			descend(mmu, &step, want);
			continue;
		}
		result = finish(mmu, &step, want, &kept);
		if (result >= 0)
			return result ? kept : NULL;
	}
}
