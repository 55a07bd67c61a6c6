// SPDX-License-Identifier: MIT
// Random changes of a space with several mirrors, faults of their devices in between. After each of them no device can
// use what the space does not say, and an eager one can use all that it says.
//
//	lib_mirror_random_test SEQUENCES OPERATIONS [FORMAT]
#include "mirror.h"

#define VAST	  (HUGE * SLOTS)
#define BASE	  (4 * VAST - HUGE)
#define DOWN	  ((UINT64_C(8) << 30) - 4 * VAST)
#define HUGE_FITS (PAGE == 4096)
#define DEVICES	  4
#define EDGES	  16

struct random {
	struct env env;
	uint64_t state;
	struct dev dev[DEVICES];
	struct dev_config config[DEVICES];
	uint64_t edge[EDGES];	// where changes begin and end
	unsigned edges;
	struct vmt_space *child;
	uint64_t pin, taken;	// a page that is pinned; the address of one that was taken, with its frame
	uint64_t taken_pa;
	bool starved;		// memory may run out
};

static uint64_t below(struct random *r, uint64_t n)
{
	return lib_random(&r->state) % n;
}

// Pages on both sides of what cuts a huge page or a table.
static void edges(struct random *r)
{
	static const int near[] = {-6, -1, 0, 1, 5};
	uint64_t middle[] = {BASE, BASE + HUGE, BASE + 2 * HUGE};

	for (unsigned m = HUGE_FITS ? 0 : 1; m < (HUGE_FITS ? 3 : 2); m++)
		for (unsigned i = 0; i < 5; i++)
			r->edge[r->edges++] = middle[m] + (uint64_t)(int64_t)near[i] * PAGE;
	r->edge[r->edges] = r->edge[r->edges - 1] + 4 * PAGE;
	r->edges++;
}

static uint64_t region_end(const struct random *r)
{
	return r->edge[r->edges - 1];
}

static uint64_t any_page(struct random *r)
{
	uint64_t addr = r->edge[below(r, r->edges - 1)] + below(r, 4) * PAGE;

	return addr < region_end(r) ? addr : r->edge[0];
}

// ---- Devices -----------------------------------------------------------------------------------------------------

static bool is_eager(const struct dev *dev)
{
	return dev->config.mode == VMT_MIRROR_EAGER;
}

static void device_config(struct random *r, unsigned i)
{
	struct dev_config *config = &r->config[i];
	enum sim_format format = SIM_FORMATS;

	for (unsigned n = (unsigned)below(r, 6); n-- && dev_next_format(&r->env, &format);)
		;
	*config = (struct dev_config){.start = r->edge[0], .end = region_end(r), .offset = DOWN};
	config->format = format == SIM_FORMATS ? r->env.format : format;
	config->mode = i % 2 ? VMT_MIRROR_EAGER : VMT_MIRROR_ON_DEMAND;
	config->kind = i < 2 ? DEV_TREE : i == 2 ? DEV_SHARED : DEV_COMMANDS;
	if (config->kind == DEV_SHARED)
		config->offset = 0;
	else if (below(r, 3) == 0)
		config->offset += 3 * PAGE;
	if (below(r, 3) == 0)
		config->start += 2 * PAGE;
	if (below(r, 3) == 0)
		config->end -= 2 * PAGE;
	config->exec = below(r, 2);
	config->leaf_sizes = below(r, 4) ? 0 : sim_format_page(config->format);
}

// Lets two of a hundred allocations of frames fail, or none.
static void starve(struct random *r, bool on)
{
	sim_fail_random(r->env.machine, SIM_FAIL_FRAME, on && r->starved ? 20000 : 0, lib_random(&r->state));
}

static void device_open(struct random *r, unsigned i)
{
	enum vmt_status status;

	device_config(r, i);
	starve(r, false);
	dev_make(&r->dev[i], &r->env, &r->config[i]);
	starve(r, true);
	do
		status = dev_mirror(&r->dev[i]);
	while (status == VMT_ERR_NO_MEMORY && r->starved);
	OK(status);
}

// Eager ones that are behind make up for it, with memory.
static void judge(struct random *r)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		struct dev *dev = &r->dev[i];

		if (dev_counts(dev).behind) {
			assert_true(r->starved);
			starve(r, false);
			OK(r->env.ops->mirror_sync(dev->mirror, dev->config.start + dev->config.offset,
						   dev->config.end - dev->config.start));
			starve(r, true);
		}
		dev_judge(dev, is_eager(dev));
	}
}

static void use(struct random *r)
{
	struct dev *dev = &r->dev[below(r, DEVICES)];
	vmt_prot access = below(r, 2) ? VMT_WRITE : VMT_READ;
	uint64_t addr = any_page(r), pa;

	if (addr < dev->config.start || addr >= dev->config.end)
		return;
	if (!dev_uses(dev, addr, access, &pa) && dev_fault(dev, addr, access) == VMT_OK)
		assert_true(dev_uses(dev, addr, access, &pa));
}

static void demand(struct random *r)
{
	struct dev *dev = &r->dev[below(r, DEVICES)];
	uint64_t addr = any_page(r), length = (1 + below(r, 12)) * PAGE;

	switch (below(r, 8)) {
	case 0:
		r->env.ops->mirror_exclusive(dev->mirror, addr + dev->config.offset);
		break;
	case 1:
		r->env.ops->mirror_sync(dev->mirror, addr + dev->config.offset, length);
		break;
	case 2:
		OK(r->env.ops->mirror_destroy(dev->mirror));
		dev_free(dev);
		device_open(r, (unsigned)(dev - r->dev));
		break;
	default:
		r->env.ops->mirror_fault(dev->mirror, addr + dev->config.offset, length,
					 below(r, 2) ? VMT_WRITE : VMT_READ, NULL);
	}
}

// ---- Changes -----------------------------------------------------------------------------------------------------

static void change_layout(struct random *r, uint64_t addr, uint64_t length)
{
	static const vmt_prot prots[] = {RW, RW, VMT_READ, 0};
	static const uint32_t flags[] = {0, 0, VMT_MAP_SHARED, VMT_MAP_HUGE};
	struct vmt_map_request request = {
		.addr = addr, .length = length, .prot = below(r, 4) ? RW : VMT_READ, .prot_max = VMT_RWX,
		.flags = VMT_MAP_FIXED | flags[below(r, HUGE_FITS ? 4 : 3)]};
	uint64_t got, to = any_page(r), apart = to < addr ? addr - to : to - addr;
	uint32_t fixed = VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED;

	switch (below(r, 6)) {
	case 0:
		r->env.ops->unmap(r->env.space, addr, length);
		break;
	case 1:
	case 2:
		r->env.ops->map(r->env.space, &request, &got);
		break;
	case 3:
		if (apart >= length && to + length <= region_end(r))
			r->env.ops->move(r->env.space, addr, length, length, fixed, to, &got);
		break;
	case 4:
		r->env.ops->advise_huge(r->env.space, addr, length, below(r, 2));
		r->env.ops->collapse(r->env.space, r->edge[0], region_end(r) - r->edge[0], NULL);
		break;
	default:
		r->env.ops->protect(r->env.space, addr, length, prots[below(r, 4)]);
	}
}

static void change_pages(struct random *r, uint64_t addr, uint64_t length)
{
	const struct sim_ops *ops = r->env.ops;

	switch (below(r, 9)) {
	case 0:
		ops->release(r->env.space, addr, length);
		break;
	case 1:
		ops->lazy_free(r->env.space, addr, length);
		break;
	case 2:
		ops->reclaim(r->env.space, below(r, 20));
		break;
	case 3:
		ops->guard_install(r->env.space, addr, length);
		break;
	case 4:
		ops->guard_remove(r->env.space, r->edge[0], region_end(r) - r->edge[0]);
		break;
	case 5:
		ops->populate(r->env.space, addr, length, NULL);
		break;
	case 6:
		ops->test_and_clear(r->env.space, addr, length, VMT_DIRTY, NULL);
		break;
	case 7:
		if (r->pin != VMT_NO_FRAME)
			ops->page_unpin(r->env.vmt, r->pin);
		r->pin = VMT_NO_FRAME;
		if (below(r, 2) && ops->page_pin(r->env.space, addr, VMT_WRITE, &r->pin) != VMT_OK)
			r->pin = VMT_NO_FRAME;
		break;
	default:
		ops->mark(r->env.space, addr, length, VMT_MARKER_OWN, 7);
		if (below(r, 2))
			ops->unmark(r->env.space, addr, length, VMT_MARKER_OWN);
	}
}

// A page is taken and put back some time later, if nothing else has come in its place.
static void swap(struct random *r)
{
	const struct sim_ops *ops = r->env.ops;

	if (r->taken_pa == VMT_NO_FRAME) {
		r->taken = any_page(r);
		if (ops->page_take(r->env.space, r->taken, VMT_MARKER_SWAP, 9, &r->taken_pa) != VMT_OK)
			r->taken_pa = VMT_NO_FRAME;
		return;
	}
	if (ops->marker_resolve(r->env.space, r->taken, VMT_MARKER_SWAP, 9, r->taken_pa) != VMT_OK)
		ops->page_put(r->env.vmt, r->taken_pa);
	r->taken_pa = VMT_NO_FRAME;
}

static void relate(struct random *r)
{
	if (r->child)
		OK(r->env.ops->space_destroy(r->child));
	r->child = NULL;
	if (below(r, 2) && r->env.ops->space_fork(r->env.space, NULL, &r->child) != VMT_OK)
		r->child = NULL;
}

static void operation(struct random *r)
{
	unsigned first = (unsigned)below(r, r->edges - 1), last = first + 1 + (unsigned)below(r, 3);
	unsigned kind = (unsigned)below(r, 20);
	uint64_t addr = r->edge[first], length, value;

	last = last < r->edges ? last : r->edges - 1;
	length = r->edge[last] - addr;
	if (below(r, 2) && length > 4 * PAGE)
		length = 4 * PAGE;
	if (kind < 4)
		change_layout(r, addr, length);
	else if (kind < 7)
		change_pages(r, addr, length);
	else if (kind < 8)
		swap(r);
	else if (kind < 9)
		relate(r);
	else if (kind < 12)
		sim_write(r->env.cpu, any_page(r), 8, 1);
	else if (kind < 13)
		sim_read(r->env.cpu, any_page(r), 8, &value);
	else if (kind < 16)
		demand(r);
	else
		use(r);
}

static void sequence(enum sim_format format, uint64_t seed, unsigned operations)
{
	struct random r = {.state = seed, .pin = VMT_NO_FRAME, .taken_pa = VMT_NO_FRAME, .starved = seed % 4 == 3};

	env_open(&r.env, format, 2, HUGE_FITS ? 24 * SLOTS : 8192, seed);
	edges(&r);
	lib_map(&r.env, r.edge[0], region_end(&r) - r.edge[0], RW, 0);
	for (unsigned i = 0; i < DEVICES; i++)
		device_open(&r, i);
	for (unsigned n = 0; n < operations; n++) {
		operation(&r);
		judge(&r);
		if (n % 64 == 0)
			CHECK(&r.env, r.env.space);
	}
	starve(&r, false);
	if (r.pin != VMT_NO_FRAME)
		r.env.ops->page_unpin(r.env.vmt, r.pin);
	if (r.taken_pa != VMT_NO_FRAME)
		r.env.ops->page_put(r.env.vmt, r.taken_pa);
	if (r.child)
		OK(r.env.ops->space_destroy(r.child));
	for (unsigned i = 0; i < DEVICES; i++)
		dev_close(&r.dev[i]);
	lib_expect_bare(&r.env, r.env.space);
	env_close(&r.env);
}

int main(int argc, char **argv)
{
	unsigned sequences = argc > 1 ? (unsigned)atoi(argv[1]) : 4, passed = 0;
	unsigned operations = argc > 2 ? (unsigned)atoi(argv[2]) : 300;

	for (enum sim_format format = 0; format < SIM_FORMATS; format++) {
		if (!format_fits(format) || (argc > 3 && strcmp(argv[3], sim_format_name(format))))
			continue;
		for (uint64_t seed = lib_seed(1), end = seed + sequences; seed < end; seed++) {
			fprintf(stderr, "%s, seed %llu\n", sim_format_name(format), (unsigned long long)seed);
			sequence(format, seed, operations);
			passed++;
		}
	}
	printf("%u passed, 0 failed\n", passed);
	return passed == 0;
}
