// SPDX-License-Identifier: MIT
// Accessed and dirty, as the hardware writes them into the library's leaves.
#include "judge.h"

static uint64_t load(_Atomic(uint64_t) *entry)
{
	return atomic_load_explicit(entry, memory_order_relaxed);
}

#if JUDGE_DEVICE
// The machine writes no marks: neither clean leaves nor others change.
static void no_marks(unsigned level)
{
	uint64_t va = judge_va(level, 2), pa = judge_pa(level), span = fmt_span(level);
	_Atomic(uint64_t) *entry;
	unsigned found;

	judge_case("%s leaf %s is left alone", judge_mode(), judge_size(level));
	judge_map(va, span, pa, VMT_RWX, 0);
	entry = judge_entry(va, &found);
	judge_require(found == level);
	for (unsigned n = 0; n < 3; n++) {
		uint64_t clean = fmt_clean(load(entry));
		uint64_t value = n == 0 ? clean : n == 1 ? fmt_set_accessed(clean) : fmt_set_dirty(clean);

		judge_write(entry, value);
		judge_probe(va, pa, VMT_RWX);
		judge_require(load(entry) == value);
		judge_write(entry, value = fmt_read_only(value));
		judge_probe(va, pa, VMT_READ);
		judge_require(load(entry) == value);
		judge_write(entry, fmt_with_prot(value, VMT_RWX));
	}
	judge_empty();
}
#else
static enum judge_who owner(void)
{
	return judge_user ? USER : SUPERVISOR;
}

// A clean leaf after one access that it allows.
static void marked_by(_Atomic(uint64_t) *entry, enum judge_access access, uint64_t va, uint64_t pa)
{
	uint64_t clean = fmt_clean(load(entry));
	uint64_t want = access == WRITE ? fmt_set_dirty(clean) : fmt_set_accessed(clean);
	struct vmt_run run;

	judge_require(!fmt_accessed(clean) && !fmt_dirty(clean));
	judge_write(entry, clean);
	judge_access(owner(), access, va, pa, ALLOWED);
	if (load(entry) != want)
		judge_fail("access %u made %X of %X, not %X", (unsigned)access, load(entry), clean, want);
	judge_require(vmt_tree_walk(judge_tree, va, va + PAGE, &run) == VMT_OK);
	judge_require(run.accessed && run.dirty == (access == WRITE));
	// And a leaf that has both is left alone.
	judge_write(entry, want = fmt_set_dirty(clean));
	judge_access(owner(), access, va, pa, ALLOWED);
	judge_require(load(entry) == want);
}

// A clean leaf after one access that it does not allow: nothing that could pass for a write.
static void unmarked_by(_Atomic(uint64_t) *entry, enum judge_who who, enum judge_access access, uint64_t va,
			uint64_t pa)
{
	uint64_t clean = fmt_clean(load(entry)), after;

	judge_write(entry, clean);
	judge_access(who, access, va, pa, DENIED);
	after = load(entry);
	if (after != clean && after != fmt_set_accessed(clean))
		judge_fail("a denied access made %X of %X", after, clean);
	judge_require(!fmt_dirty(after));
}

static void hardware_marks(unsigned level)
{
	uint64_t va = judge_va(level, 2), pa = judge_pa(level), span = fmt_span(level);
	uint64_t at = (pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY) + (level ? 11 * PAGE : 0);
	_Atomic(uint64_t) *entry;
	unsigned found;

	judge_case("%s leaf %s is marked by what it allows", judge_mode(), judge_size(level));
	judge_map(va, span, pa, VMT_RWX, 0);
	entry = judge_entry(va, &found);
	judge_require(found == level);
	for (enum judge_access access = READ; access <= EXECUTE; access++)
		marked_by(entry, access, va + (at - pa), at);

	// Without permissions, and with them again: what it was marked as stays.
	judge_write(entry, fmt_set_dirty(fmt_clean(load(entry))));
	judge_protect(va, span, VMT_READ);
	judge_require(fmt_dirty(load(entry)));
	judge_access(owner(), WRITE, va + (at - pa), at, DENIED);
	judge_protect(va, span, VMT_READ | VMT_WRITE);
	judge_require(fmt_dirty(load(entry)) && !(fmt_prot(load(entry)) & VMT_EXEC));
	judge_write(entry, load(entry));
	judge_access(owner(), WRITE, va + (at - pa), at, ALLOWED);

	judge_case("%s leaf %s is not marked by what it denies", judge_mode(), judge_size(level));
	unmarked_by(entry, owner(), EXECUTE, va + (at - pa), at);
	judge_protect(va, span, VMT_READ);
	unmarked_by(entry, owner(), WRITE, va + (at - pa), at);
	if (!judge_user)
		unmarked_by(entry, USER, WRITE, va + (at - pa), at);
	judge_empty();
}

#endif

// What the hardware writes into tables on the way, if anything, does not make them other tables.
static void marks_in_tables(void)
{
	uint64_t before[FMT_TOP + 1], va = judge_va(0, 2), pa = judge_pa(0);
	_Atomic(uint64_t) *table, *entry[FMT_TOP + 1];

	judge_case("tables stay the same tables");
	judge_map(va, PAGE, pa, VMT_RWX, 0);
	table = port_pointer(vmt_tree_root(judge_tree));
	for (unsigned level = FMT_TOP; level > 0; level--) {
		entry[level] = &table[fmt_index(va, level)];
		before[level] = load(entry[level]);
		table = port_pointer(fmt_pa(before[level]));
	}
	judge_probe(va, pa, VMT_RWX);
	for (unsigned level = FMT_TOP; level > 0; level--)
		judge_require(load(entry[level]) == before[level] && fmt_same_table(load(entry[level]), before[level]));
	judge_empty();
}

#if JUDGE_SOFTWARE_MARKS
// The same leaves where the hardware faults instead of writing marks: the library's own marks end the faults.
static void software_marks(unsigned level)
{
	uint64_t va = judge_va(level, 2), pa = judge_pa(level), span = fmt_span(level), clean;
	_Atomic(uint64_t) *entry;
	unsigned found;

	judge_case("%s leaf %s is marked by software", judge_mode(), judge_size(level));
	machine_hardware_marks(false);
	judge_map(va, span, pa, VMT_RWX, 0);
	judge_probe_leaf(va, pa, level, VMT_RWX);
	entry = judge_entry(va, &found);
	clean = fmt_clean(load(entry));
	for (enum judge_access access = READ; access <= EXECUTE; access++) {
		judge_write(entry, clean);
		judge_access(owner(), access, va, pa, UNMARKED);
		judge_require(load(entry) == clean);
		judge_write(entry, fmt_set_accessed(clean));
		judge_access(owner(), access, va, pa, access == WRITE ? DENIED : ALLOWED);
		judge_require(load(entry) == fmt_set_accessed(clean));
		judge_write(entry, fmt_set_dirty(clean));
		judge_access(owner(), access, va, pa, ALLOWED);
		judge_require(load(entry) == fmt_set_dirty(clean));
	}
	judge_protect(va, span, VMT_READ);
	judge_probe_leaf(va, pa, level, VMT_READ);
	judge_protect(va, span, VMT_READ | VMT_WRITE);
	judge_require(fmt_dirty(load(entry)));
	judge_probe_leaf(va, pa, level, VMT_READ | VMT_WRITE);
	judge_empty();
	machine_hardware_marks(true);
}
#endif

void cases_marks(void)
{
	for (unsigned user = 0; user < MODES; user++) {
		judge_open(user);
		for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++)
#if JUDGE_DEVICE
			no_marks(level);
#else
			hardware_marks(level);
#endif
#if JUDGE_SOFTWARE_MARKS
		for (unsigned level = 0; level < FMT_LEAF_LEVELS && fmt_span(level) <= GIB; level++)
			software_marks(level);
#endif
		marks_in_tables();
		judge_close();
	}
}
