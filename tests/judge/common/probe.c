// SPDX-License-Identifier: MIT
// One tree in use by the machine, and what accesses through it do.
#include "judge.h"

struct vmt_tree *judge_tree;
bool judge_user;
enum vmt_memory judge_memory;

static uint64_t accesses;
static unsigned frames_before;

uint64_t judge_accesses(void)
{
	return accesses;
}

// ---- The tree ----------------------------------------------------------------------------------------------------

void judge_open_sizes(bool user, uint64_t leaf_sizes)
{
	struct vmt_tree_config config = {
		.start = 0, .end = VA_END, .cpus = 1, .user = user, .leaf_sizes = leaf_sizes,
	};

	frames_before = port_frames();
	judge_user = user;
	if (vmt_tree_create(NULL, &config, &judge_tree) != VMT_OK)
		vmt_port_fatal(NULL, "no tree");
	machine_use(vmt_tree_root(judge_tree));
}

void judge_open(bool user)
{
	judge_open_sizes(user, 0);
}

void judge_close(void)
{
	port_settle();
	judge_require(vmt_tree_check(judge_tree) == 0);
	machine_strict(false);
	machine_use(NOWHERE);
	vmt_tree_destroy(judge_tree);
	port_settle();
	judge_require(port_frames() == frames_before);
}

// Who maps flushes, or flushes when the fault comes.
void judge_mapped(void)
{
#if JUDGE_DEVICE
	machine_mapped();
#else
	if (FMT_SPURIOUS_FLUSH)
		machine_flush_all();
#endif
}

void judge_map(uint64_t va, uint64_t length, uint64_t pa, vmt_prot prot, uint64_t leaf_max)
{
	struct vmt_tree_map map = {.addr = va, .length = length, .pa = pa, .prot = prot, .leaf_max = leaf_max};
	uint64_t done;

	judge_require(vmt_tree_map(judge_tree, &map, &done) == VMT_OK);
	judge_require(done == length);
	judge_mapped();
}

// What the tree took away has to be gone when the call returns.
void judge_unmap(uint64_t va, uint64_t length)
{
	judge_require(vmt_tree_unmap(judge_tree, va, length, NULL) == VMT_OK);
	port_settle();
}

void judge_protect(uint64_t va, uint64_t length, vmt_prot prot)
{
	judge_require(vmt_tree_protect(judge_tree, va, length, prot, NULL) == VMT_OK);
	port_settle();
}

void judge_empty(void)
{
	judge_unmap(0, VA_END);
	judge_require(vmt_tree_tables(judge_tree) == 1);
}

void judge_require_empty(void)
{
	judge_require(vmt_tree_tables(judge_tree) <= FMT_TOP + 1);
	judge_empty();
}

_Atomic(uint64_t) *judge_entry(uint64_t va, unsigned *level)
{
	_Atomic(uint64_t) *table = port_pointer(vmt_tree_root(judge_tree));

	for (*level = FMT_TOP;; (*level)--) {
		_Atomic(uint64_t) *entry = &table[fmt_index(va, *level)];
		uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);

		if (!fmt_is_table(e, *level))
			return entry;
		table = port_pointer(fmt_pa(e));
	}
}

void judge_write(_Atomic(uint64_t) *entry, uint64_t value)
{
	atomic_store_explicit(entry, value, memory_order_release);
	machine_flush_all();
}

// ---- Accesses ----------------------------------------------------------------------------------------------------

static const char *const outcomes[] = {"allowed", "absent", "denied", "unmarked", "another exception"};

static bool same_outcome(enum judge_outcome got, enum judge_outcome want)
{
	return got == want || (!JUDGE_TELLS_ABSENT && want == DENIED && got == ABSENT);
}

static struct judge_page *page_store(uint64_t pa)
{
	struct judge_page *page = port_pointer(pa);

	if (page->token == pa >> VMT_PAGE_SHIFT && page->code[0])
		return page;
	page->token = pa >> VMT_PAGE_SHIFT;
	machine_code(page->code, (uint32_t)page->token);
	return page;
}

// What the page holds after an access that was allowed, or not.
static void page_check(uint64_t pa, enum judge_access access, uint64_t before, uint64_t value,
		       const struct judge_result *got)
{
	const struct judge_page *page = port_pointer(pa);
	bool written = access == WRITE && got->outcome == ALLOWED;

	if (page->word != (written ? value : before))
		judge_fail("the word at %X is %X, not %X", pa, page->word, written ? value : before);
	if (access != WRITE && got->outcome == ALLOWED && got->value != page->token)
		judge_fail("reached the page %X, not %X", got->value, page->token);
}

void judge_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t pa, enum judge_outcome want)
{
	static const uint64_t offsets[] = {
		[READ] = offsetof(struct judge_page, token),
		[WRITE] = offsetof(struct judge_page, word),
		[EXECUTE] = offsetof(struct judge_page, code),
	};
	struct judge_page *page = pa == NOWHERE ? NULL : page_store(pa);
	uint64_t before = page ? page->word : 0, value = ++accesses * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t at = va + offsets[access];
	struct judge_result got = machine_access(who, access, at, value);
	unsigned level;

	if (!same_outcome(got.outcome, want))
		judge_fail("%s %s at %X: %s, not %s (%X %X)",
			   JUDGE_DEVICE ? "device" : who == USER ? "user" : "supervisor",
			   access == READ ? "read" : access == WRITE ? "write" : "execute", va, outcomes[got.outcome],
			   outcomes[want], got.raw[0], got.raw[1]);
	else if (want != ALLOWED && got.address != at)
		judge_fail("the fault at %X says %X", at, got.address);
	else if (want != ALLOWED && got.level >= 0 && judge_entry(va, &level) && level != (unsigned)got.level)
		judge_fail("the fault at %X says level %u, not %u", va, (unsigned)got.level, level);
	if (page)
		page_check(pa, access, before, value, &got);
}

#if JUDGE_TRANSLATES
// What the machine translates without access. It does not heed machine_strict.
static void translate(enum judge_who who, enum judge_access access, uint64_t va, uint64_t pa, enum judge_outcome want)
{
	struct judge_result got = machine_translate(who, access, va + 0x123);

	accesses++;
	if (got.outcome != want)
		judge_fail("translation of %X: %s, not %s (%X)", va, outcomes[got.outcome], outcomes[want], got.raw[0]);
	else if (want == ALLOWED && got.value != pa + 0x123)
		judge_fail("translation of %X: %X, not %X", va, got.value, pa + 0x123);
	else if (want == ALLOWED && got.memory != judge_memory)
		judge_fail("translation of %X: memory of kind %u, not %u", va, (unsigned)got.memory,
			   (unsigned)judge_memory);
}
#endif

void judge_probe(uint64_t va, uint64_t pa, vmt_prot prot)
{
	static const vmt_prot needs[] = {[READ] = VMT_READ, [WRITE] = VMT_WRITE, [EXECUTE] = VMT_EXEC};

	prot |= prot ? VMT_READ : 0; // types.h: no format lets forbid reading alone
	for (unsigned n = 0; n < 12; n++) {
		enum judge_who who = n & 1 ? USER : SUPERVISOR;
		enum judge_access access = n >> 2;
		bool strict = n & 2;
		enum judge_outcome want = pa == NOWHERE ? ABSENT : DENIED;

		if (JUDGE_DEVICE && (who == USER || strict || access > LAST_ACCESS))
			continue;
		if (pa != NOWHERE && prot & needs[access] && machine_allows(who, access, judge_user, strict))
			want = ALLOWED;
		machine_strict(strict);
		judge_access(who, access, va, pa, want);
#if JUDGE_TRANSLATES
		if (!strict && access != EXECUTE)
			translate(who, access, va, pa, want);
#endif
	}
	machine_strict(false);
}

void judge_probe_leaf(uint64_t va, uint64_t pa, unsigned level, vmt_prot prot)
{
	uint64_t first = pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY, end = pa + fmt_span(level);
	uint64_t last = (end < JUDGE_MEMORY + GIB ? end : JUDGE_MEMORY + GIB) - PAGE;
	uint64_t middle = (first + (last - first) / 3 * 2) & ~VMT_PAGE_MASK;

	judge_probe(va + (first - pa), first, prot);
	if (last == first)
		return;
	judge_probe(va + (middle - pa), middle, prot);
	judge_probe(va + (last - pa), last, prot);
}

// ---- Addresses and names -----------------------------------------------------------------------------------------

uint64_t judge_va(unsigned level, unsigned n)
{
	uint64_t va = 0;

	switch (n) {
	case 0:
		return 0;
	case 1:
		return VA_END - fmt_span(level);
	default:
		for (unsigned i = level; i <= FMT_TOP; i++)
			va |= (uint64_t)(37 + 59 * i) % 256 << fmt_shift(i);
		return va & (VA_END - 1);
	}
}

uint64_t judge_pa(unsigned level)
{
	if (fmt_span(level) > GIB)
		return 0; // the machine has no memory of that size: most of the leaf lies beside it
	return JUDGE_MEMORY + (6 * fmt_span(level) <= GIB ? 5 : GIB / fmt_span(level) - 1) * fmt_span(level);
}

const char *judge_mode(void)
{
	return JUDGE_DEVICE ? "device" : judge_user ? "user" : "supervisor";
}

const char *judge_size(unsigned level)
{
	static const char *const names[] = {
		[12] = "4 KiB", [14] = "16 KiB", [16] = "64 KiB", [21] = "2 MiB", [25] = "32 MiB", [29] = "512 MiB",
		[30] = "1 GiB", [36] = "64 GiB", [39] = "512 GiB", [42] = "4 TiB", [48] = "256 TiB",
	};

	return names[fmt_shift(level)];
}

const char *judge_prot(vmt_prot prot)
{
	static const char *const names[] = {"none", "r", "w", "rw", "x", "rx", "wx", "rwx"};

	return names[prot];
}
