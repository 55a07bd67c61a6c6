// SPDX-License-Identifier: MIT
// Random requests over a range of a little more than 1 GiB. A flat array says for each page what is there; the
// machine is asked at the edges of each request and at random pages, the library at the end at all of them.
#include "judge.h"

#define WINDOW (GIB + 32 * MIB)
#define PAGES  (WINDOW / PAGE)
#define BASE   (7 * GIB - 16 * MIB)
#define STEPS  200

struct model {
	uint32_t frame; // relative to the test's memory
	uint8_t prot;	// 0: nothing
};

static struct model model[PAGES];
static uint64_t state;

static uint64_t random_below(uint64_t n)
{
	// xorshift64*
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

static void probe(uint64_t page)
{
	const struct model *at = &model[page];

	judge_probe(BASE + page * PAGE, at->prot ? JUDGE_MEMORY + at->frame * PAGE : NOWHERE, at->prot);
}

static vmt_prot random_prot(void)
{
	return VMT_READ | (vmt_prot)random_below(8);
}

// As many pages as the largest sizes of leaves have, or few, or any number.
static uint64_t random_length(void)
{
	switch (random_below(4)) {
	case 0:
		return 1 + random_below(8);
	case 1:
		return 512 << random_below(3);
	case 2:
		return random_below(8) ? 1 + random_below(4096) : GIB / PAGE;
	default:
		return 1 + random_below(UINT64_C(1) << (1 + random_below(14)));
	}
}

static void do_map(uint64_t first, uint64_t n, vmt_prot prot)
{
	static const uint64_t sizes[] = {0, 0, 0, 2 * MIB, PAGE};
	struct vmt_tree_map map = {.addr = BASE + first * PAGE, .length = n * PAGE, .prot = prot};
	// Half of the time the memory is aligned as the addresses are.
	uint64_t frame = random_below(GIB / PAGE - n + 1), free = 0, done;

	if (random_below(2) && (first + BASE / PAGE) % (GIB / PAGE) + n <= GIB / PAGE)
		frame = (first + BASE / PAGE) % (GIB / PAGE);
	map.pa = JUDGE_MEMORY + frame * PAGE;
	map.leaf_max = sizes[random_below(n > 65536 ? 3 : COUNT(sizes))];
	while (free < n && !model[first + free].prot)
		free++;
	judge_require(vmt_tree_map(judge_tree, &map, &done) == (free == n ? VMT_OK : VMT_ERR_EXISTS));
	judge_require(done == free * PAGE);
	for (uint64_t i = 0; i < free; i++)
		model[first + i] = (struct model){(uint32_t)(frame + i), (uint8_t)prot};
	judge_mapped();
}

static void step(void)
{
	uint64_t n = random_length(), first = random_below(PAGES - n + 1);
	vmt_prot prot = random_prot();

	if (random_below(3) == 0)
		first &= ~UINT64_C(511);
	switch (random_below(4)) {
	case 0:
		judge_unmap(BASE + first * PAGE, n * PAGE);
		for (uint64_t i = 0; i < n; i++)
			model[first + i].prot = 0;
		break;
	case 1:
		judge_protect(BASE + first * PAGE, n * PAGE, prot);
		for (uint64_t i = 0; i < n; i++)
			if (model[first + i].prot)
				model[first + i].prot = (uint8_t)prot;
		break;
	default:
		do_map(first, n, prot);
	}
	probe(first);
	probe(first + n - 1);
	if (first)
		probe(first - 1);
	if (first + n < PAGES)
		probe(first + n);
	probe(first + random_below(n));
	probe(random_below(PAGES));
	port_settle();
}

static void one_seed(unsigned seed, bool optional)
{
	judge_case("random requests, seed %u (%s)%s", seed, judge_mode(), optional ? ", all sizes of leaves" : "");
	state = UINT64_C(0x9e3779b97f4a7c15) * seed;
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < STEPS; i++)
		step();
	for (uint64_t page = 0; page < PAGES; page += 1 + random_below(PAGES / 1000))
		probe(page);
	judge_unmap(BASE, WINDOW);
	judge_probe(BASE, NOWHERE, 0);
	judge_probe(BASE + WINDOW - PAGE, NOWHERE, 0);
	judge_require_empty();
}

void cases_random(void)
{
	for (unsigned user = 0; user < MODES; user++) {
		judge_open(user);
		for (unsigned seed = 1; seed <= 3; seed++)
			one_seed(2 * seed + user, false);
		judge_close();
		if (!FMT_RUN_SIZES_OPTIONAL || !machine_has_extensions())
			continue;
		judge_open_sizes(user, vmt_tree_leaf_sizes());
		for (unsigned seed = 4; seed <= 6; seed++)
			one_seed(2 * seed + user, true);
		judge_close();
	}
}
