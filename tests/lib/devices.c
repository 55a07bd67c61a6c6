// SPDX-License-Identifier: MIT
// Devices, their memories, and the record: devices.h.
#include "devices.h"

struct record record;

// ---- The record --------------------------------------------------------------------------------------------------

void record_clear(void)
{
	record.count = 0;
}

static void note(struct device *device, enum event_kind kind, const struct vmt_change *change)
{
	if (record.paused)
		return;
	if (record.count < EVENTS)
		record.event[record.count] = (struct event){device, kind, *change, sim_active(sim_self()) == change->space};
	record.count++;
	if (kind == BEGIN)
		record.inside++;
	if (kind == END && record.inside-- == 0)
		fail_msg("an end without its begin");
	record.tables += kind == ISSUE && change->tables;
}

static bool event_same(const struct event *a, const struct event *b)
{
	return a->device == b->device && a->change.start == b->change.start && a->change.end == b->change.end &&
	       a->change.reason == b->change.reason && a->change.tables == b->change.tables;
}

// The issues from `first` on, the flush of CPUs, and the waits. Returns what comes next. A device that has not answered
// is not waited for about the rest.
static unsigned check_flush(unsigned first)
{
	unsigned end = first, at, issue = first;

	while (end < record.count && record.event[end].kind == ISSUE)
		end++;
	at = end;
	if (at < record.count && record.event[at].kind == FLUSH)
		at++;
	else if (record.event[first].active)
		fail_msg("devices were asked, and no CPU was flushed before they were waited for");
	for (; at < record.count && record.event[at].kind == WAIT; at++, issue++) {
		while (issue < end && record.event[issue].device->mute &&
		       !event_same(&record.event[at], &record.event[issue]))
			issue++;
		if (issue == end || !event_same(&record.event[at], &record.event[issue]))
			fail_msg("a device was waited for about something else than it was asked");
	}
	for (; issue < end; issue++)
		if (!record.event[issue].device->mute)
			fail_msg("a device was asked and not waited for");
	return at;
}

void record_check(void)
{
	if (record.count > EVENTS) // the end of which is lost
		record_clear();
	for (unsigned at = 0; at < record.count;) {
		const struct event *event = &record.event[at];

		if (event->kind != FLUSH && event->change.start >= event->change.end)
			fail_msg("a device was told of nothing");
		if (event->kind == FILLED && event->change.reason != VMT_REASON_FILL)
			fail_msg("`filled` has another reason");
		if (event->kind == WAIT)
			fail_msg("a device was waited for before it was asked");
		at = event->kind == ISSUE ? check_flush(at) : at + 1;
	}
	if (record.inside)
		fail_msg("a begin without its end");
	record_clear();
}

// Is [addr, addr + length) covered by events of this kind?
static bool covered(const struct device *device, enum event_kind kind, uint64_t addr, uint64_t length)
{
	assert_true(record.count <= EVENTS);
	for (uint64_t at = addr; at < addr + length; at += PAGE) {
		bool any = false;

		for (unsigned i = 0; i < record.count; i++)
			any |= record.event[i].device == device && record.event[i].kind == kind &&
			       record.event[i].change.start <= at && record.event[i].change.end > at;
		if (!any)
			return false;
	}
	return true;
}

void record_expect(const struct device *device, enum vmt_reason reason, uint64_t addr, uint64_t length, bool pair)
{
	if (!covered(device, ISSUE, addr, length))
		fail_msg("the device was not asked to drop all of it");
	if (pair && (!covered(device, BEGIN, addr, length) || !covered(device, END, addr, length)))
		fail_msg("not all of it lies between begin and end");
	for (unsigned i = 0; i < record.count; i++)
		if (record.event[i].kind != FLUSH && record.event[i].kind != FILLED &&
		    record.event[i].change.reason != reason)
			fail_msg("the reason is %u, not %u", record.event[i].change.reason, reason);
	for (uint64_t at = addr; at < addr + length; at += PAGE)
		assert_null(device_has(device, at));
	record_check();
}

void record_expect_quiet(void)
{
	assert_true(record.count <= EVENTS);
	for (unsigned i = 0; i < record.count; i++)
		assert_true(record.event[i].kind == FILLED || record.event[i].kind == FLUSH);
	record_check();
}

bool record_filled(const struct device *device, uint64_t addr, uint64_t length)
{
	return covered(device, FILLED, addr, length);
}

bool record_ended(const struct device *device, uint64_t addr, uint64_t length)
{
	return covered(device, END, addr, length);
}

bool record_tables(const struct device *device, uint64_t addr)
{
	assert_true(record.count <= EVENTS);
	for (unsigned i = 0; i < record.count; i++)
		if (record.event[i].device == device && record.event[i].kind == ISSUE && record.event[i].change.tables &&
		    record.event[i].change.start <= addr && record.event[i].change.end > addr)
			return true;
	return false;
}

static struct {
	void (*before)(void *arg);
	void *arg;
} late;

void devices_before_flush(void (*before)(void *arg), void *arg)
{
	late.before = before;
	late.arg = arg;
}

void __real_vmt_port_flush(void *port, const struct vmt_flush *flush);
void __wrap_vmt_port_flush(void *port, const struct vmt_flush *flush);

void __wrap_vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	if (late.before)
		late.before(late.arg);
	if (flush->generation) // of a CPU's own no secondary is told
		note(NULL, FLUSH, &(struct vmt_change){.space = flush->space});
	__real_vmt_port_flush(port, flush);
}

// ---- Device memory -----------------------------------------------------------------------------------------------

#define VRAMS 4

static struct {
	struct vram *vram;
	const void *port;
} vrams[VRAMS];

// What is left over is from a case that failed.
void devices_begin(void)
{
	memset(vrams, 0, sizeof(vrams));
	memset(&record, 0, sizeof(record));
	memset(&late, 0, sizeof(late));
}

void *vram_at(const struct vram *vram, uint64_t device)
{
	assert_true(device >= vram->base && device < vram->base + vram->size);
	return vram->bytes + (device - vram->base);
}

static uint64_t sum(const uint8_t *bytes, uint64_t size)
{
	const uint64_t *word = (const uint64_t *)bytes;
	uint64_t s = 0;

	for (uint64_t i = 0; i < size / 8; i += 16)
		s = s * 31 + word[i];
	return s;
}

static void *ram_at(const struct vram *vram, uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(vram->env->machine), pa);
}

// The frames that a copy is about are nobody else's to free or to write until it has ended.
static void finish(struct vram *vram, struct pending *pending, bool good)
{
	struct vmt_copy *copy = pending->copy;
	void *to = copy->to_device ? vram_at(vram, copy->device) : ram_at(vram, copy->pa);
	void *from = copy->to_device ? ram_at(vram, copy->pa) : vram_at(vram, copy->device);
	uint64_t generation;

	if (!sim_frame_allocated(vram->env->machine, copy->pa, &generation) || generation != pending->generation)
		fail_msg("a frame was freed while it was being copied");
	if (!copy->to_device && sum(from, copy->bytes) != pending->sum)
		fail_msg("bytes in device memory changed while they were being copied");
	if (good)
		memcpy(to, from, copy->bytes);
	vram->failed += !good;
	vmt_copy_done(copy, good);
}

static void start(void *owner, struct vmt_copy *copy)
{
	struct vram *vram = owner;
	struct pending pending = {.copy = copy, .sum = copy->to_device ? 0 : sum(vram_at(vram, copy->device), copy->bytes)};
	void *to = copy->to_device ? vram_at(vram, copy->device) : ram_at(vram, copy->pa);

	assert_true(copy->bytes && copy->bytes % PAGE == 0);
	assert_true(sim_frame_allocated(vram->env->machine, copy->pa, &pending.generation));
	memset(to, 0xe6, copy->bytes);
	vram->started++;
	if (vram->how == COPIES_AT_ONCE) {
		finish(vram, &pending, vram->fail_in != 1);
		vram->fail_in -= vram->fail_in > 0;
		return;
	}
	assert_true(vram->count < VRAM_PENDING);
	vram->pending[vram->count++] = pending;
}

static const struct vmt_device_memory_ops vram_ops = {.copy = start};

bool vram_step(struct vram *vram)
{
	struct pending pending;
	unsigned i;
	bool good;

	if (!vram->count)
		return false;
	i = (unsigned)(lib_random(&vram->seed) % vram->count);
	pending = vram->pending[i];
	vram->pending[i] = vram->pending[--vram->count];
	good = !pending.bad && vram->fail_in != 1 && !(vram->fail_one_in && lib_random(&vram->seed) % vram->fail_one_in == 0);
	vram->fail_in -= vram->fail_in > 0;
	finish(vram, &pending, good);
	return true;
}

void vram_drain(struct vram *vram)
{
	while (vram_step(vram))
		;
}

static void go_on(struct vram *vram)
{
	void (*meanwhile)(void *arg) = vram->meanwhile;

	if (!vram->count)
		return;
	vram->meanwhile = NULL;
	for (unsigned i = 0; i < vram->count && meanwhile && vram->meanwhile_bad; i++)
		vram->pending[i].bad = true;
	if (meanwhile)
		meanwhile(vram->arg);
	if (vram->how == COPIES_WAITED_FOR)
		vram_step(vram);
}

void __real_vmt_port_relax(void *port, bool preemptible);
void __wrap_vmt_port_relax(void *port, bool preemptible);

void __wrap_vmt_port_relax(void *port, bool preemptible)
{
	for (unsigned i = 0; i < VRAMS && preemptible && !record.paused; i++)
		if (vrams[i].vram && vrams[i].port == port)
			go_on(vrams[i].vram);
	__real_vmt_port_relax(port, preemptible);
}

void vram_open(struct env *env, struct vram *vram, uint64_t base, uint64_t size)
{
	struct vmt_device_memory_config config = {.base = base, .bytes = size, .ops = &vram_ops, .owner = vram};
	unsigned n = 0;

	while (n < VRAMS && vrams[n].vram)
		n++;
	assert_true(n < VRAMS);
	if (!base)
		config.base = (UINT64_C(1) << 40) + n * (UINT64_C(1) << 36);
	memset(vram, 0, sizeof(*vram));
	vram->env = env;
	vram->base = config.base;
	vram->size = size;
	vram->bytes = malloc(size);
	vram->pending = calloc(VRAM_PENDING, sizeof(*vram->pending));
	assert_true(vram->bytes && vram->pending);
	memset(vram->bytes, 0xd5, size < 64 * PAGE ? size : 64 * PAGE); // a huge page takes long; copies scribble first
	OK(env->ops->device_memory_create(env->vmt, &config, &vram->memory));
	vrams[n].vram = vram;
	vrams[n].port = sim_port(env->machine);
}

struct vmt_device_memory_counts vram_counts(const struct vram *vram)
{
	struct vmt_device_memory_counts counts;

	vram->env->ops->device_memory_stats(vram->memory, &counts);
	return counts;
}

uint64_t vram_used(const struct vram *vram)
{
	return vram_counts(vram).used;
}

void vram_close(struct vram *vram)
{
	assert_int_equal(vram->count, 0);
	assert_int_equal(vram_used(vram), 0);
	OK(vram->env->ops->device_memory_destroy(vram->memory));
	for (unsigned i = 0; i < VRAMS; i++)
		if (vrams[i].vram == vram)
			vrams[i].vram = NULL;
	free(vram->bytes);
	free(vram->pending);
}

// ---- Devices -----------------------------------------------------------------------------------------------------

static void drop(struct device *device, uint64_t start, uint64_t end)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < device->count; i++) {
		const struct vmt_grant *grant = &device->held[i].grant;

		if (grant->addr >= end || grant->addr + grant->length <= start)
			device->held[kept++] = device->held[i];
	}
	device->count = kept;
}

static void tell(struct device *device, enum event_kind kind, const struct vmt_change *change)
{
	assert_ptr_equal(change->space, device->space);
	note(device, kind, change);
	if (device->told)
		device->told(device, kind, change);
}

static void on_begin(void *owner, const struct vmt_change *change)
{
	tell(owner, BEGIN, change);
}

static void on_end(void *owner, const struct vmt_change *change)
{
	tell(owner, END, change);
}

static void on_filled(void *owner, const struct vmt_change *change)
{
	tell(owner, FILLED, change);
}

// One that is mute keeps what it has, and may use it.
static void on_issue(void *owner, const struct vmt_change *change)
{
	struct device *device = owner;

	tell(device, ISSUE, change);
	if (!device->mute)
		drop(device, change->start, change->end);
}

static bool on_wait(void *owner, const struct vmt_change *change)
{
	struct device *device = owner;

	tell(device, WAIT, change);
	device->lost |= device->mute;
	return !device->mute;
}

const struct vmt_secondary_ops device_ops = {
	.begin = on_begin, .end = on_end, .issue = on_issue, .wait = on_wait, .filled = on_filled,
};

void device_open(struct env *env, struct device *device, struct vmt_space *space, uint64_t start, uint64_t end,
		 struct vram *vram)
{
	struct vmt_secondary_config config = {.start = start, .end = end, .ops = &device_ops, .owner = device,
					      .memory = vram ? vram->memory : NULL};

	memset(device, 0, sizeof(*device));
	device->env = env;
	device->space = space;
	device->vram = vram;
	OK(env->ops->secondary_attach(space, &config, &device->id));
}

void device_close(struct device *device)
{
	device->env->ops->secondary_detach(device->space, device->id);
	device->count = 0;
}

void device_keep(void *arg, const struct vmt_grant *grant)
{
	struct device *device = arg;
	struct held held = {.grant = *grant};

	assert_true(grant->length && (grant->addr | grant->length | grant->pa) % PAGE == 0);
	assert_true(grant->prot & VMT_READ);
	if (grant->device)
		assert_true(device->vram && grant->pa >= device->vram->base &&
			    grant->pa + grant->length <= device->vram->base + device->vram->size);
	else
		assert_true(sim_frame_allocated(device->env->machine, grant->pa, &held.generation));
	device->commits++;
	drop(device, grant->addr, grant->addr + grant->length);
	if (device->count == GRANTS)
		memmove(device->held, device->held + 1, --device->count * sizeof(*device->held));
	device->held[device->count++] = held;
}

enum vmt_status device_fault(struct device *device, uint64_t addr, uint64_t length, vmt_prot access, uint32_t flags)
{
	struct vmt_secondary_request request = {.addr = addr, .length = length, .access = access, .flags = flags,
						.commit = device_keep, .arg = device};

	return device->env->ops->secondary_fault(device->space, device->id, &request, NULL);
}

static const struct held *find(const struct device *device, uint64_t addr)
{
	for (unsigned i = 0; i < device->count; i++)
		if (addr - device->held[i].grant.addr < device->held[i].grant.length)
			return &device->held[i];
	return NULL;
}

const struct vmt_grant *device_has(const struct device *device, uint64_t addr)
{
	const struct held *held = find(device, addr);

	return held ? &held->grant : NULL;
}

void *device_bytes(struct device *device, uint64_t addr, vmt_prot access)
{
	const struct held *held = find(device, addr);
	uint64_t generation, at;

	if (!held || !(held->grant.prot & access))
		return NULL;
	at = held->grant.pa + (addr - held->grant.addr);
	if (held->grant.device)
		return vram_at(device->vram, at);
	if (!sim_frame_allocated(device->env->machine, held->grant.pa, &generation) ||
	    generation != held->generation || !sim_frame_allocated(device->env->machine, at & ~(PAGE - 1), &generation))
		fail_msg("a device keeps a translation of %#llx to a frame that was freed", (unsigned long long)addr);
	return vmt_port_frame_ptr(sim_port(device->env->machine), at);
}

static uint64_t *reach(struct device *device, uint64_t addr, vmt_prot access)
{
	if (!device_bytes(device, addr, access))
		OK(device_fault(device, addr, 8, access, 0));
	assert_non_null(device_bytes(device, addr, access));
	return device_bytes(device, addr, access);
}

uint64_t device_read(struct device *device, uint64_t addr)
{
	return *reach(device, addr, VMT_READ);
}

void device_write(struct device *device, uint64_t addr, uint64_t value)
{
	*reach(device, addr, VMT_WRITE) = value;
}

// ---- Pages -------------------------------------------------------------------------------------------------------

static const uint64_t places[] = {0, PAGE / 2, PAGE - 8};

void page_write(struct env *env, uint64_t addr, uint64_t value)
{
	for (unsigned i = 0; i < 3; i++)
		lib_write(env, addr + places[i], value * 3 + i);
}

static uint64_t agree(uint64_t addr, const uint64_t *word)
{
	if (word[0] == 0 && word[1] == 0 && word[2] == 0)
		return 0;
	if (word[0] % 3 || word[1] != word[0] + 1 || word[2] != word[0] + 2)
		fail_msg("the page at %#llx is mixed: %#llx, %#llx, %#llx", (unsigned long long)addr,
			 (unsigned long long)word[0], (unsigned long long)word[1], (unsigned long long)word[2]);
	return word[0] / 3;
}

uint64_t page_read(struct env *env, uint64_t addr)
{
	uint64_t word[3];

	for (unsigned i = 0; i < 3; i++)
		word[i] = lib_read(env, addr + places[i]);
	return agree(addr, word);
}

void page_write_range(struct env *env, uint64_t addr, uint64_t length, uint64_t value)
{
	for (uint64_t at = 0; at < length; at += PAGE)
		page_write(env, addr + at, value + at / PAGE);
}

void page_expect_range(struct env *env, uint64_t addr, uint64_t length, uint64_t value)
{
	for (uint64_t at = 0; at < length; at += PAGE)
		assert_int_equal(page_read(env, addr + at), value + at / PAGE);
}

void device_page_write(struct device *device, uint64_t addr, uint64_t value)
{
	for (unsigned i = 0; i < 3; i++)
		device_write(device, addr + places[i], value * 3 + i);
}

uint64_t device_page_read(struct device *device, uint64_t addr)
{
	uint64_t word[3];

	for (unsigned i = 0; i < 3; i++)
		word[i] = device_read(device, addr + places[i]);
	return agree(addr, word);
}

struct vmt_run page_entry(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_run run;

	OK(env->ops->walk(space, addr, addr + PAGE, &run));
	return run;
}

bool page_is_there(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_run run = page_entry(env, space, addr);

	return run.state == VMT_STATE_MARKER && run.marker == VMT_MARKER_DEVICE;
}

uint64_t frames_now(struct env *env)
{
	struct sim_counts counts;

	sim_grace_barrier(env->machine);
	sim_get_counts(env->machine, &counts);
	return counts.frames / (PAGE / SIM_FRAME_SIZE);
}
