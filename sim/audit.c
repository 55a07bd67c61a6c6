// SPDX-License-Identifier: MIT
// Comparing what is cached with the tables, when nothing is under way. A library that flushes before it unlocks leaves
// nothing wrong behind an operation, so that this finds a missing flush at once, where chance would need many tries.
#include <stdio.h>
#include <string.h>

#include "internal.h"

// The way to an address as the tables are now.
struct path {
	unsigned leaf;			// the level of the last entry
	struct sim_entry entry[5];	// by level, from the root's down to `leaf`
	unsigned may[5];		// what all entries down to it permit
	const char *broken;		// why the way ends in nothing
};

static void trace(struct sim_mmu *mmu, uint64_t va, struct path *path)
{
	struct sim_machine *machine = mmu->machine;
	uint64_t table = mmu->context->root;
	unsigned may = SIM_MAY_ALL;

	memset(path, 0, sizeof(*path));
	for (unsigned level = mmu->decoder->levels; level-- > 0;) {
		uint64_t where = table + 8 * sim_index(mmu->decoder, level, va);
		_Atomic(uint64_t) *word = (_Atomic(uint64_t) *)(void *)sim_ram(machine, where);
		struct sim_entry *entry = &path->entry[level];

		path->leaf = level;
		if (!(sim_generation(machine, table) & 1)) {
			path->broken = "a table on the way is in a frame that is not allocated";
			return;
		}
		mmu->decoder->decode(atomic_load_explicit(word, memory_order_acquire), level, entry);
		may &= entry->may;
		path->may[level] = may;
		path->broken = entry->broken;
		if (entry->kind != SIM_ENTRY_TABLE)
			return;
		table = entry->pa;
	}
}

// What is wrong with a translation that is cached for `va`, but for its dirty mark; or NULL.
static const char *judge_page(struct sim_mmu *mmu, const struct sim_item *item, const struct path *path, uint64_t va)
{
	struct sim_machine *machine = mmu->machine;
	const struct sim_entry *entry = &path->entry[path->leaf];
	uint64_t pa = sim_item_pa(&mmu->context->tlb, item, va);

	if (item->run_shift ? sim_frame_changed(machine, pa, item->clock)
			    : item->generation && sim_generation(machine, pa) != item->generation)
		return "its frame was freed";
	if (path->broken)
		return path->broken;
	if (entry->kind != SIM_ENTRY_LEAF)
		return "the entry is not present any more";
	if (sim_entry_pa(mmu->decoder, entry, path->leaf, va) != pa)
		return "the entry has another frame now";
	if (item->may & ~path->may[path->leaf])
		return "the entry permits less now";
	return NULL;
}

// The same, with the mark; of a run for each page that it covers.
static const char *judge_translation(struct sim_mmu *mmu, const struct sim_item *item, const struct path *first)
{
	uint64_t size = UINT64_C(1) << sim_item_shift(&mmu->context->tlb, item);
	uint64_t start = item->page * size, end = start + size;
	const char *wrong = item->run_shift ? NULL : judge_page(mmu, item, first, start);
	bool dirty = first->entry[first->leaf].dirty;

	for (uint64_t va = start; item->run_shift && va < end && !wrong; va += sim_page_mask(mmu->decoder) + 1) {
		struct path path;

		trace(mmu, va, &path);
		if (path.entry[path.leaf].kind == SIM_ENTRY_LEAF && path.entry[path.leaf].dirty)
			dirty = true;
		if (sim_item_leads(item, item->pa + (va - start)))
			wrong = judge_page(mmu, item, &path, va);
	}
	if (!wrong && item->dirty && !dirty)
		return "it is dirty and the entry is not: a write would not be noticed";
	return wrong;
}

static const char *judge_table(struct sim_machine *machine, const struct sim_item *item, const struct path *path)
{
	if (sim_generation(machine, item->pa) != item->generation)
		return "its table was freed";
	if (path->leaf >= item->level)
		return "there is no table any more";
	if (path->entry[item->level].pa != item->pa)
		return "there is another table now";
	if (item->may & ~path->may[item->level])
		return "the entries permit less now";
	return NULL;
}

struct audit {
	struct sim_mmu *mmu;
	unsigned wrong;
};

// The lines of the history, the latest ones, into the log.
static void log_history(struct sim_machine *machine, uint64_t va, uint64_t pa)
{
	char text[8192], *line = text, *end;

	sim_history_text(machine, va, pa, text, sizeof(text));
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		sim_logf(machine, "%s", line);
		line = end + 1;
	}
}

static bool judge(struct sim_item *item, void *arg)
{
	struct audit *audit = arg;
	struct sim_mmu *mmu = audit->mmu;
	struct sim_machine *machine = mmu->machine;
	uint64_t va = item->page << sim_item_shift(&mmu->context->tlb, item);
	struct path path;
	const char *wrong;

	trace(mmu, va, &path);
	if (item->level)
		wrong = path.broken ? path.broken : judge_table(machine, item, &path);
	else
		wrong = item->invalid ? path.broken : judge_translation(mmu, item, &path);
	if (!wrong)
		return false;
	audit->wrong++;
	sim_logf(machine, "%s has %s cached for %#llx -> %#llx, entry %#llx: %s", mmu->name,
		 item->level ? "an intermediate entry" : "a translation", (unsigned long long)va,
		 (unsigned long long)item->pa, (unsigned long long)item->entry, wrong);
	if (audit->wrong <= 2)
		log_history(machine, item->va, item->pa);
	return false;
}

unsigned sim_audit(struct sim_machine *machine)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < machine->cpu_count; i++) {
		struct sim_cpu *cpu = &machine->cpus[i];
		struct audit audit = { .mmu = &cpu->mmu };

		sim_lock(&cpu->mmu);
		sim_serve_locked(cpu);
		if (cpu->active)
			sim_tlb_each(&cpu->active->context.tlb, judge, &audit);
		sim_unlock(&cpu->mmu);
		wrong += audit.wrong;
	}
	// A silent device is known to be wrong.
	for (unsigned i = 0; i < sim_device_total(machine); i++) {
		struct sim_device *device = sim_device_at(machine, i);
		struct audit audit = { .mmu = &device->mmu };

		sim_lock(&device->mmu);
		if (device->mmu.context && !device->silent)
			sim_tlb_each(&device->context.tlb, judge, &audit);
		sim_unlock(&device->mmu);
		wrong += audit.wrong;
	}
	return wrong;
}

unsigned sim_cached(struct sim_cpu *cpu, uint64_t va, bool tables)
{
	unsigned count;

	sim_lock(&cpu->mmu);
	sim_serve_locked(cpu);
	count = sim_mmu_cached(&cpu->mmu, va, tables);
	sim_unlock(&cpu->mmu);
	return count;
}
