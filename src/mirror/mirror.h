// SPDX-License-Identifier: MIT
// Mirrors: vmtree/mirror.h, and docs/design.md says why they are right.
//
// A mirror is a secondary. `issue` takes what changes out of the target and asks the device, `wait` waits for it; both
// under the locks of the space's tables that change, which are also what keeps anything new from being entered for
// these addresses in between. Translations are entered by `commit` alone, under the same locks.
//
// Locks: the space's nodes, then the target's. What is done with nothing held (providing tables, giving empty ones
// back, entering ahead of the device) comes before or after.
#ifndef VMT_MIRROR_MIRROR_H
#define VMT_MIRROR_MIRROR_H

// Two CPUs never write one line of these.
struct mirror_cpu {
	_Alignas(64) _Atomic int64_t faults; // see vmt_mirror_counts
	_Atomic int64_t entered, invalidations;
	bool asked;		// this CPU alone: the device, between `issue` and `wait`
};

struct vmt_mirror {
	struct vmt_space *space;	// NULL once that has ended
	void *port;
	unsigned cpus;
	struct vmt_mirror_config config;
	struct vmt_target target;	// ops NULL: the device walks the space's tables
	unsigned id;
	_Atomic bool lost;
	// Who enters ahead of the device counts himself in and then looks whether the mirror is ending; who ends it
	// says so and then waits for the count. Sequentially consistent, so one of them sees the other. See also
	// mirror_issue.
	_Atomic bool ending;
	_Atomic uint32_t inside;
	// How often memory ran out for an eager one, and how much of that was made up for. Relaxed: said, not relied
	// on.
	_Atomic uint32_t behind, made_up;
	struct mirror_cpu cpu[];
};

static size_t mirror_bytes(unsigned cpus)
{
	return sizeof(struct vmt_mirror) + cpus * sizeof(struct mirror_cpu);
}

// Preemption is off.
static struct mirror_cpu *mirror_cpu(struct vmt_mirror *mirror)
{
	return &mirror->cpu[vmt_port_cpu(mirror->port)];
}

static bool mirror_is_lost(const struct vmt_mirror *mirror)
{
	// Relaxed: who has to know of it hears it from `wait`.
	return atomic_load_explicit(&mirror->lost, memory_order_relaxed);
}

// ---- Taking away, under the space's locks ------------------------------------------------------------------------

// [start, end) of the space, as far as the mirror reaches.
static bool mirror_unmap(struct vmt_mirror *mirror, uint64_t start, uint64_t end)
{
	const struct vmt_target *target = &mirror->target;

	return target->ops->unmap(target->target, start + mirror->config.offset, end + mirror->config.offset);
}

// Preemption is off.
static void mirror_ask(struct vmt_mirror *mirror, uint64_t start, uint64_t end, bool tables)
{
	uint64_t offset = mirror->config.offset;

	if (mirror->config.ops->issue)
		mirror->config.ops->issue(mirror->config.owner, start + offset, end + offset, tables);
	count_add(&mirror_cpu(mirror)->invalidations, 1);
}

// The device is asked only if something was there, for most changes concern nothing that it ever had. That nothing is
// there any more does not mean that it was flushed: somebody may have removed it who does not hold our locks and still
// waits for the device. There is one such, vmt_mirror_destroy, and who finds a slot that it has emptied (release,
// acquire) finds the mirror ending.
static void mirror_issue(void *owner, const struct vmt_change *change)
{
	struct vmt_mirror *mirror = owner;
	bool any = true;

	if (mirror->target.ops && HOLDS(MIRROR_REMOVES))
		any = mirror_unmap(mirror, change->start, change->end);
	if (!any && !(atomic_load_explicit(&mirror->ending, memory_order_relaxed) && HOLDS(MIRROR_WIDE)))
		return;
	mirror_ask(mirror, change->start, change->end, !mirror->target.ops && change->tables);
	mirror_cpu(mirror)->asked = true;
}

// Called once for each range of a change; the first call is about all of them.
static bool mirror_wait(void *owner, const struct vmt_change *change)
{
	struct vmt_mirror *mirror = owner;
	struct mirror_cpu *cpu = mirror_cpu(mirror);

	(void)change;
	if (cpu->asked && mirror->config.ops->wait && !mirror->config.ops->wait(mirror->config.owner))
		atomic_store_explicit(&mirror->lost, true, memory_order_relaxed);
	cpu->asked = false;
	return !mirror_is_lost(mirror);
}

// ---- Entering ----------------------------------------------------------------------------------------------------

// One call of vmt_secondary_fault, for one page or larger leaf. Device addresses.
struct mirror_entry {
	struct vmt_mirror *mirror;
	struct vmt_reserve reserve;
	uint64_t at, end;		// the page asked for; where what was entered ends, or `at`
	enum vmt_status status;		// what the target says
};

static void mirror_commit(void *arg, const struct vmt_grant *given)
{
	struct mirror_entry *entry = arg;
	struct vmt_mirror *mirror = entry->mirror;
	const struct vmt_target *target = &mirror->target;
	struct vmt_grant grant = *given;

	grant.addr += mirror->config.offset;
	grant.prot &= ~(vmt_prot)VMT_EXEC;
	if (mirror->config.exec)
		grant.prot |= VMT_EXEC;
	if (target->ops)
		entry->status = target->ops->map(target->target, &grant, entry->at, &entry->reserve, &entry->end);
	else
		entry->end = grant.addr + grant.length;
	if (entry->status == VMT_OK)
		count_add(&mirror_cpu(mirror)->entered, 1);
}

// Nothing is held. VMT_ERR_RETRY: the reserve was short.
static enum vmt_status mirror_enter_one(struct mirror_entry *entry, vmt_prot access, uint32_t flags)
{
	struct vmt_mirror *mirror = entry->mirror;
	const struct vmt_target *target = &mirror->target;
	struct vmt_secondary_request request = {
		.addr = entry->at - mirror->config.offset,
		.length = 1,
		.access = access,
		.flags = flags,
		.commit = mirror_commit,
		.arg = entry,
	};
	enum vmt_status status = VMT_OK;

	entry->end = entry->at;
	entry->status = VMT_OK;
	if (target->ops && target->ops->prepare)
		status = target->ops->prepare(target->target, entry->at, &entry->reserve);
	if (status == VMT_OK)
		status = vmt_secondary_fault(mirror->space, mirror->id, &request, NULL);
	if (status == VMT_OK && entry->status == VMT_ERR_NO_MEMORY)
		return VMT_ERR_RETRY;
	return status == VMT_OK ? entry->status : status;
}

// Enters [at, end), whole pages in device addresses, leaf by leaf, so that each finds its reserve. `*reached`: the
// first page that was not entered, or where the last leaf ends; pages that are not there are passed over with
// VMT_GRANT_PRESENT.
static enum vmt_status mirror_enter(struct vmt_mirror *mirror, uint64_t at, uint64_t end, vmt_prot access,
				    uint32_t flags, uint64_t *reached)
{
	const struct vmt_target *target = &mirror->target;
	struct mirror_entry entry = {.mirror = mirror, .at = at};
	enum vmt_status status = VMT_OK;

	while (entry.at < end) {
		status = mirror_enter_one(&entry, access, flags);
		if (status == VMT_ERR_RETRY && entry.status == VMT_ERR_NO_MEMORY)
			continue;
		if (status != VMT_OK)
			break;
		entry.at = entry.end > entry.at ? entry.end : entry.at + VMT_PAGE_SIZE;
	}
	if (target->ops && target->ops->release)
		target->ops->release(target->target, &entry.reserve);
	*reached = entry.at;
	return status;
}

// ---- Ahead of the device -----------------------------------------------------------------------------------------

// Has the run something that can be handed out as it is?
static bool mirror_takes(const struct vmt_run *run)
{
	return run->state == VMT_STATE_PRESENT ||
	       (run->state == VMT_STATE_MARKER && run->marker == VMT_MARKER_DEVICE);
}

// Enters what the entries of [start, end) say, addresses of the space.
static enum vmt_status mirror_catch_up(struct vmt_mirror *mirror, uint64_t start, uint64_t end)
{
	uint64_t offset = mirror->config.offset, reached;
	enum vmt_status status = VMT_OK;
	struct vmt_run run;

	while (status == VMT_OK && start < end) {
		status = vmt_walk(mirror->space, start, end, &run);
		if (status == VMT_OK && mirror_takes(&run)) {
			status = mirror_enter(mirror, start + offset, run.end + offset, 0, VMT_GRANT_PRESENT, &reached);
			if (mirror->config.ops->filled && reached > start + offset)
				mirror->config.ops->filled(mirror->config.owner, start + offset, reached);
		}
		start = run.end;
	}
	return status;
}

// After a change of [start, end), or after something was filled in there. Nothing is held.
static void mirror_follow(struct vmt_mirror *mirror, uint64_t start, uint64_t end)
{
	const struct vmt_target *target = &mirror->target;
	uint64_t offset = mirror->config.offset;

	atomic_fetch_add_explicit(&mirror->inside, 1, memory_order_seq_cst); // see vmt_mirror::ending
	if (!atomic_load_explicit(&mirror->ending, memory_order_seq_cst) && !mirror_is_lost(mirror)) {
		if (mirror->config.mode == VMT_MIRROR_EAGER && mirror_catch_up(mirror, start, end) == VMT_ERR_NO_MEMORY)
			atomic_fetch_add_explicit(&mirror->behind, 1, memory_order_relaxed);
		if (target->ops && target->ops->settle)
			target->ops->settle(target->target, start + offset, end + offset);
	}
	// Release pairs with the acquire in vmt_mirror_destroy.
	atomic_fetch_sub_explicit(&mirror->inside, 1, memory_order_release);
}

static void mirror_end(void *owner, const struct vmt_change *change)
{
	struct vmt_mirror *mirror = owner;

	if (change->reason != VMT_REASON_EXIT)
		mirror_follow(mirror, change->start, change->end);
	else if (!mirror_is_lost(mirror))
		mirror->space = NULL; // and with it the subscription; a lost one stays
}

static void mirror_filled(void *owner, const struct vmt_change *change)
{
	mirror_follow(owner, change->start, change->end);
}

static const struct vmt_secondary_ops mirror_ops = {
	.end = mirror_end,
	.issue = mirror_issue,
	.wait = mirror_wait,
};

static const struct vmt_secondary_ops mirror_eager_ops = {
	.end = mirror_end,
	.issue = mirror_issue,
	.wait = mirror_wait,
	.filled = mirror_filled,
};

// ---- Beginning and end -------------------------------------------------------------------------------------------

// Takes everything out, and has the device forget it; a lost one is not asked, but must have been reset. Nothing is
// entered any more. False: the device does not answer, or did not and has not been reset.
static bool mirror_drop(struct vmt_mirror *mirror, bool reset)
{
	const struct vmt_mirror_ops *ops = mirror->config.ops;
	bool answers;

	if (mirror->target.ops)
		mirror_unmap(mirror, mirror->config.start, mirror->config.end);
	if (mirror_is_lost(mirror))
		return reset;
	vmt_port_preempt_off(mirror->port);
	mirror_ask(mirror, mirror->config.start, mirror->config.end, !mirror->target.ops);
	answers = !ops->wait || ops->wait(mirror->config.owner);
	vmt_port_preempt_on(mirror->port);
	if (!answers)
		atomic_store_explicit(&mirror->lost, true, memory_order_relaxed);
	return answers;
}

// Ends the mirror. `reset`: who calls knew that it was lost, and has reset the device. VMT_ERR_DEVICE: it is still
// there.
static enum vmt_status mirror_finish(struct vmt_mirror *mirror, bool reset)
{
	const struct vmt_target *target = &mirror->target;
	uint64_t offset = mirror->config.offset;

	// See vmt_mirror::ending. Acquire pairs with the release in mirror_follow.
	atomic_store_explicit(&mirror->ending, true, memory_order_seq_cst);
	while (atomic_load_explicit(&mirror->inside, memory_order_seq_cst) && HOLDS(MIRROR_ENDS))
		vmt_port_relax(mirror->port, true);
	// As long as the device may use a page somebody has to tell it of its going.
	if (mirror->space && !mirror_drop(mirror, reset))
		return VMT_ERR_DEVICE;
	if (mirror->space)
		vmt_secondary_detach(mirror->space, mirror->id);
	if (target->ops && target->ops->settle)
		target->ops->settle(target->target, mirror->config.start + offset, mirror->config.end + offset);
	vmt_port_mem_free(mirror->port, mirror, mirror_bytes(mirror->cpus));
	return VMT_OK;
}

static enum vmt_status mirror_check(const struct vmt_space *space, const struct vmt_mirror_config *config)
{
	const struct vmt_target *target = config->target;
	enum vmt_status status = range_check(space, config->start, config->end - config->start);
	uint64_t start = config->start + config->offset, end = config->end + config->offset;

	if (status != VMT_OK)
		return status;
	if (config->offset & VMT_PAGE_MASK ||
	    (!target && (config->mode == VMT_MIRROR_EAGER || config->offset || config->memory)))
		return VMT_ERR_ARGUMENT;
	if (!target)
		return VMT_OK;
	if (target->page_size > VMT_PAGE_SIZE)
		return VMT_ERR_SIZE;
	return start < end && start >= target->start && end <= target->end ? VMT_OK : VMT_ERR_OUTSIDE;
}

// A mirror that nobody knows yet. The config is complete.
static struct vmt_mirror *mirror_new(struct vmt_space *space, const struct vmt_mirror_config *config)
{
	unsigned cpus = space->tree.vmt->cpus;
	struct vmt_mirror *mirror = vmt_port_mem_alloc(space->tree.port, mirror_bytes(cpus));

	if (!mirror)
		return NULL;
	memset(mirror, 0, mirror_bytes(cpus));
	mirror->space = space;
	mirror->port = space->tree.port;
	mirror->cpus = cpus;
	mirror->config = *config;
	if (config->target)
		mirror->target = *config->target;
	return mirror;
}

static enum vmt_status mirror_attach(struct vmt_mirror *mirror)
{
	const struct vmt_mirror_config *config = &mirror->config;
	struct vmt_secondary_config secondary = {
		.start = config->start,
		.end = config->end,
		.ops = config->mode == VMT_MIRROR_EAGER ? &mirror_eager_ops : &mirror_ops,
		.owner = mirror,
		.memory = config->memory,
	};

	return vmt_secondary_attach(mirror->space, &secondary, &mirror->id);
}

enum vmt_status vmt_mirror_create(struct vmt_space *space, const struct vmt_mirror_config *config,
				  struct vmt_mirror **result)
{
	static const struct vmt_mirror_ops nothing;
	struct vmt_mirror_config own = *config;
	struct vmt_mirror *mirror;
	enum vmt_status status;

	if (!own.start && !own.end) {
		own.start = space->tree.start;
		own.end = space->tree.end;
	}
	if (!own.ops)
		own.ops = &nothing;
	status = mirror_check(space, &own);
	if (status != VMT_OK)
		return status;
	mirror = mirror_new(space, &own);
	if (!mirror)
		return VMT_ERR_NO_MEMORY;
	status = mirror_attach(mirror);
	if (status != VMT_OK) {
		vmt_port_mem_free(mirror->port, mirror, mirror_bytes(mirror->cpus));
		return status;
	}
	*result = mirror;
	if (own.mode == VMT_MIRROR_EAGER)
		status = mirror_catch_up(mirror, own.start, own.end);
	return status == VMT_OK || mirror_finish(mirror, false) == VMT_OK ? status : VMT_ERR_DEVICE;
}

enum vmt_status vmt_mirror_destroy(struct vmt_mirror *mirror)
{
	return mirror_finish(mirror, mirror_is_lost(mirror));
}

// ---- The device's requests ---------------------------------------------------------------------------------------

// Are [addr, last] device addresses of the mirror?
static bool mirror_reaches(const struct vmt_mirror *mirror, uint64_t addr, uint64_t last)
{
	uint64_t start = mirror->config.start + mirror->config.offset;
	uint64_t bytes = mirror->config.end - mirror->config.start;

	return last >= addr && addr - start < bytes && last - start < bytes;
}

// What the fault of an eager mirror took away around its pages (a huge one was cut) is entered again: nobody else says
// so.
static void mirror_follow_own(struct vmt_mirror *mirror, uint64_t addr, uint64_t end)
{
	uint64_t span = FMT_LEAF_LEVELS > 1 ? fmt_span(1) : VMT_PAGE_SIZE;

	if (mirror->config.mode != VMT_MIRROR_EAGER)
		return;
	addr = (addr - mirror->config.offset) & ~(span - 1);
	end = (end - mirror->config.offset + span - 1) & ~(span - 1);
	mirror_follow(mirror, addr > mirror->config.start ? addr : mirror->config.start,
		      end < mirror->config.end ? end : mirror->config.end);
}

static enum vmt_status mirror_fault(struct vmt_mirror *mirror, uint64_t addr, uint64_t length, vmt_prot access,
				    uint32_t flags, uint64_t *done)
{
	uint64_t last = addr + (length ? length : 1) - 1, start = addr & ~VMT_PAGE_MASK, reached;
	uint64_t end = (last & ~VMT_PAGE_MASK) + VMT_PAGE_SIZE;
	enum vmt_status status;

	vmt_port_preempt_off(mirror->port);
	count_add(&mirror_cpu(mirror)->faults, (int64_t)((end - start) >> VMT_PAGE_SHIFT));
	vmt_port_preempt_on(mirror->port);
	status = mirror_enter(mirror, start, end, access, flags, &reached);
	mirror_follow_own(mirror, start, end);
	if (done)
		*done = reached > last ? last + 1 - addr : reached > addr ? reached - addr : 0;
	return status;
}

enum vmt_status vmt_mirror_fault(struct vmt_mirror *mirror, uint64_t addr, uint64_t length, vmt_prot access,
				 uint64_t *done)
{
	if (done)
		*done = 0;
	if (!mirror_reaches(mirror, addr, addr + (length ? length : 1) - 1))
		return VMT_ERR_OUTSIDE;
	if (access == VMT_EXEC && mirror->config.exec)
		access = VMT_READ;
	if (access != VMT_READ && access != VMT_WRITE)
		return VMT_ERR_ARGUMENT;
	return mirror_fault(mirror, addr, length, access, 0, done);
}

enum vmt_status vmt_mirror_exclusive(struct vmt_mirror *mirror, uint64_t addr)
{
	if (!mirror_reaches(mirror, addr, addr))
		return VMT_ERR_OUTSIDE;
	if (!mirror->target.ops)
		return VMT_ERR_ARGUMENT;
	return mirror_fault(mirror, addr, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE, NULL);
}

enum vmt_status vmt_mirror_sync(struct vmt_mirror *mirror, uint64_t addr, uint64_t length)
{
	uint64_t start = addr - mirror->config.offset;
	// Relaxed: see vmt_mirror::behind.
	uint32_t behind = atomic_load_explicit(&mirror->behind, memory_order_relaxed);
	enum vmt_status status = VMT_OK;

	if ((addr | length) & VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (!length)
		return VMT_ERR_EMPTY;
	if (!mirror_reaches(mirror, addr, addr + length - 1))
		return VMT_ERR_OUTSIDE;
	if (mirror->target.ops)
		status = mirror_catch_up(mirror, start, start + length);
	if (status == VMT_OK && start == mirror->config.start && start + length == mirror->config.end)
		atomic_store_explicit(&mirror->made_up, behind, memory_order_relaxed);
	return status;
}

void vmt_mirror_stats(struct vmt_mirror *mirror, struct vmt_mirror_counts *counts)
{
	*counts = (struct vmt_mirror_counts){
		.behind = atomic_load_explicit(&mirror->behind, memory_order_relaxed) !=
			  atomic_load_explicit(&mirror->made_up, memory_order_relaxed),
		.lost = mirror_is_lost(mirror),
	};
	for (unsigned i = 0; i < mirror->cpus; i++) {
		struct mirror_cpu *cpu = &mirror->cpu[i];

		counts->faults += (uint64_t)atomic_load_explicit(&cpu->faults, memory_order_relaxed);
		counts->entered += (uint64_t)atomic_load_explicit(&cpu->entered, memory_order_relaxed);
		counts->invalidations += (uint64_t)atomic_load_explicit(&cpu->invalidations, memory_order_relaxed);
	}
}

#endif
