// SPDX-License-Identifier: MIT
// The wrapped functions of starved.h. One machine at a time.
#include "starved.h"

static struct {
	const struct sim_ops *real;
	struct sim_ops wrapped;
	struct sim_machine *machine;	// NULL: memory does not run out
	uint64_t injected;		// allocations that had failed by request before
	struct starved_hooks hooks;
} starved;

void starved_begin(struct sim_machine *machine, unsigned kinds, uint64_t n, bool all)
{
	struct sim_counts counts;

	sim_get_counts(machine, &counts);
	starved.injected = counts.injected;
	starved.machine = machine;
	sim_fail_nth(machine, kinds, n, all ? UINT64_MAX - n : 1);
}

void starved_end(struct sim_machine *machine)
{
	starved.machine = NULL;
	sim_fail_nth(machine, 0, 0, 0);
}

// Shall the call be made again?
static bool again(enum vmt_status status, bool whole)
{
	struct sim_machine *machine = starved.machine;
	struct sim_counts counts;

	if (status == VMT_OK || !machine)
		return false;
	sim_get_counts(machine, &counts);
	if (!(status == VMT_ERR_NO_MEMORY && counts.injected > starved.injected) &&
	    !starved.hooks.refused(starved.hooks.arg, status))
		return false;
	starved_end(machine);
	if (whole)
		starved.hooks.unchanged(starved.hooks.arg);
	return true;
}

// The header says that a part may have been done: PART. Nothing has: WHOLE.
#define PART  false
#define WHOLE true

#define CALL_TWICE(name, how, parameters, arguments)                                                                   \
	static enum vmt_status name parameters                                                                         \
	{                                                                                                              \
		enum vmt_status status = starved.real->name arguments;                                                 \
                                                                                                                       \
		return again(status, how) ? starved.real->name arguments : status;                                     \
	}

#define RANGE(name, how)                                                                                               \
	CALL_TWICE(name, how, (struct vmt_space *space, uint64_t addr, uint64_t length), (space, addr, length))

CALL_TWICE(space_fork, WHOLE, (struct vmt_space *parent, void *owner, struct vmt_space **child), (parent, owner, child))
CALL_TWICE(map, request->flags & VMT_MAP_FIXED ? PART : WHOLE,
	   (struct vmt_space *space, const struct vmt_map_request *request, uint64_t *addr), (space, request, addr))
RANGE(unmap, PART)
CALL_TWICE(protect, PART, (struct vmt_space *space, uint64_t addr, uint64_t length, vmt_prot prot),
	   (space, addr, length, prot))
RANGE(release, PART)
RANGE(lazy_free, PART)
RANGE(guard_install, PART)
RANGE(guard_remove, PART)
CALL_TWICE(populate, WHOLE, (struct vmt_space *space, uint64_t addr, uint64_t length, uint64_t *done),
	   (space, addr, length, done))
CALL_TWICE(move, flags & VMT_MOVE_FIXED ? PART : WHOLE,
	   (struct vmt_space *space, uint64_t addr, uint64_t old, uint64_t new, uint32_t flags, uint64_t to,
	    uint64_t *at),
	   (space, addr, old, new, flags, to, at))
CALL_TWICE(fault, WHOLE, (struct vmt_space *space, uint64_t addr, vmt_prot access, struct vmt_fault_info *info),
	   (space, addr, access, info))
CALL_TWICE(page_get, WHOLE, (struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa),
	   (space, addr, access, pa))
CALL_TWICE(page_pin, WHOLE, (struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa),
	   (space, addr, access, pa))
CALL_TWICE(mark, PART,
	   (struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind, uint64_t payload),
	   (space, addr, length, kind, payload))
CALL_TWICE(unmark, PART, (struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind),
	   (space, addr, length, kind))
CALL_TWICE(page_take, WHOLE,
	   (struct vmt_space *space, uint64_t addr, enum vmt_marker kind, uint64_t payload, uint64_t *pa),
	   (space, addr, kind, payload, pa))
CALL_TWICE(marker_resolve, WHOLE,
	   (struct vmt_space *space, uint64_t addr, enum vmt_marker kind, uint64_t payload, uint64_t pa),
	   (space, addr, kind, payload, pa))
CALL_TWICE(page_new, WHOLE, (struct vmt *vmt, bool zero, uint64_t *pa), (vmt, zero, pa))
CALL_TWICE(advise_huge, PART, (struct vmt_space *space, uint64_t addr, uint64_t length, bool huge),
	   (space, addr, length, huge))
CALL_TWICE(secondary_attach, WHOLE,
	   (struct vmt_space *space, const struct vmt_secondary_config *config, unsigned *id), (space, config, id))
CALL_TWICE(secondary_fault, WHOLE,
	   (struct vmt_space *space, unsigned id, const struct vmt_secondary_request *request, uint64_t *done),
	   (space, id, request, done))
CALL_TWICE(secondary_fault_range, WHOLE,
	   (struct vmt_space *space, unsigned id, const struct vmt_secondary_range *range), (space, id, range))
CALL_TWICE(migrate, WHOLE,
	   (struct vmt_space *space, uint64_t addr, uint64_t length, struct vmt_device_memory *memory, uint64_t *pages),
	   (space, addr, length, memory, pages))
CALL_TWICE(migration_start, WHOLE,
	   (struct vmt_space *space, uint64_t addr, uint64_t length, struct vmt_device_memory *memory,
	    struct vmt_migration **migration), (space, addr, length, memory, migration))
CALL_TWICE(advise_device, PART,
	   (struct vmt_space *space, uint64_t addr, uint64_t length, struct vmt_device_memory *memory, bool mostly),
	   (space, addr, length, memory, mostly))
CALL_TWICE(mirror_create, WHOLE,
	   (struct vmt_space *space, const struct vmt_mirror_config *config, struct vmt_mirror **mirror),
	   (space, config, mirror))
CALL_TWICE(mirror_fault, WHOLE,
	   (struct vmt_mirror *mirror, uint64_t addr, uint64_t length, vmt_prot access, uint64_t *done),
	   (mirror, addr, length, access, done))
CALL_TWICE(mirror_exclusive, WHOLE, (struct vmt_mirror *mirror, uint64_t addr), (mirror, addr))
CALL_TWICE(mirror_sync, WHOLE, (struct vmt_mirror *mirror, uint64_t addr, uint64_t length), (mirror, addr, length))

static uint64_t collapse(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_status *status)
{
	uint64_t made = starved.real->collapse(space, addr, length, status);

	if (again(*status, WHOLE))
		made += starved.real->collapse(space, addr, length, status);
	return made;
}

const struct sim_ops *starved_ops(const struct sim_ops *ops, const struct starved_hooks *hooks)
{
	starved.real = ops;
	starved.machine = NULL;
	starved.hooks = *hooks;
	starved.wrapped = *ops;
#define SET(name) starved.wrapped.name = name
	SET(space_fork), SET(map), SET(unmap), SET(protect), SET(release), SET(lazy_free), SET(guard_install);
	SET(guard_remove), SET(populate), SET(move), SET(fault), SET(page_get), SET(page_pin), SET(mark), SET(unmark);
	SET(page_take), SET(marker_resolve), SET(page_new), SET(advise_huge), SET(collapse), SET(secondary_attach);
	SET(secondary_fault), SET(secondary_fault_range), SET(migrate), SET(migration_start), SET(advise_device);
	SET(mirror_create), SET(mirror_fault), SET(mirror_exclusive), SET(mirror_sync);
#undef SET
	return &starved.wrapped;
}
