// SPDX-License-Identifier: MIT
/*
 * The device's tables: a tree of the library in VT-d's second-stage format. This file is of another
 * format than the rest of the kernel; what it offers has none.
 *
 * While a mirror fills the tree nobody else changes it; without one domain_map and domain_unmap
 * do, under edu_dev.c's lock.
 */
#define VMT_FORMAT vtd_ss
#include "dev.h"

#include <kernel/cpu.h>
#include <kernel/errno.h>
#include <kernel/memory.h>
#include <vmtree/mirror.h>
#include <vmtree/port.h>
#include <vmtree/tree.h>

/* Bits of address that programs have. */
#define ADDRESS_END (1UL << 47)

struct domain {
	struct vmt_tree *tree;
	unsigned int function;
};

/* The library's port, for this format (kernel/vmt_port.h). */
void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	(void)port;
	device_publish(first, count * sizeof(*first));
}

/* Of tables that have become empty, and of pages that are unmapped here. */
static bool domain_flush(void *owner, const struct vmt_flush *flush)
{
	(void)owner;
	if (flush->all)
		vtd_issue(flush->start, flush->end, flush->tables);
	for (unsigned int i = 0; i < flush->count; i++)
		vtd_issue(flush->ranges[i].start, flush->ranges[i].end, flush->tables);
	return vtd_wait();
}

int domain_create(unsigned int function, struct domain **domain)
{
	struct domain *d = kmalloc(sizeof(*d));
	struct vmt_tree_config config = {
		.start = 0,
		.end = ADDRESS_END,
		.owner = d,
		.flush = domain_flush,
		.cpus = cpu_count(),
		.leaf_sizes = vtd_state.leaf_sizes,
	};

	if (!d)
		return -ENOMEM;
	d->function = function;
	if (vmt_tree_create(DEVICE_PORT, &config, &d->tree) != VMT_OK) {
		kfree(d);
		return -ENOMEM;
	}
	if (!vtd_use(function, vmt_tree_root(d->tree))) {
		domain_destroy(d);
		return -EIO;
	}
	*domain = d;
	return 0;
}

void domain_destroy(struct domain *d)
{
	vtd_use(d->function, 0);
	vmt_tree_destroy(d->tree);
	kfree(d);
}

bool domain_cut(struct domain *d)
{
	return vtd_use(d->function, 0) || vtd_reset();
}

void domain_join(struct domain *d)
{
	vtd_use(d->function, vmt_tree_root(d->tree));
}

void domain_target(struct domain *d, struct vmt_target *target)
{
	vmt_tree_target(d->tree, target);
}

enum vmt_status domain_map(struct domain *d, uint64_t address, uint64_t pa)
{
	struct vmt_tree_map map = {
		.addr = address,
		.length = PAGE_SIZE,
		.pa = pa,
		.prot = VMT_READ | VMT_WRITE,
	};
	enum vmt_status s = vmt_tree_map(d->tree, &map, NULL);

	if (s == VMT_OK && vtd_state.caching) {
		vtd_issue(address, address + PAGE_SIZE, false);
		vtd_wait(); /* unanswered, the page stays absent for the device */
	}
	return s;
}

enum vmt_status domain_unmap(struct domain *d, uint64_t address)
{
	return vmt_tree_unmap(d->tree, address, PAGE_SIZE, NULL);
}

bool domain_denies(struct domain *d, uint64_t address, uint64_t length, vmt_prot access, uint64_t *denied)
{
	struct vmt_translation t;

	for (*denied = address & PAGE_MASK; *denied < address + length; *denied += PAGE_SIZE)
		if (vmt_tree_translate(d->tree, *denied, &t) != VMT_OK || !(t.prot & access))
			return true;
	return false;
}

uint64_t domain_tables(struct domain *d)
{
	return vmt_tree_tables(d->tree);
}
