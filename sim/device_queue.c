// SPDX-License-Identifier: MIT
// What is posted to a device and what it posts itself: invalidations, which it executes late and in any order, and page
// requests, which CPUs serve late and in any order.
#include <stdlib.h>

#include "internal.h"

// ---- Invalidations -----------------------------------------------------------------------------------------------

void sim_device_issue(struct sim_device *device, uint64_t start, uint64_t end, bool tables)
{
	struct sim_invalidation *item;
	bool all = start == 0 && end == UINT64_MAX;

	sim_lock(&device->mmu);
	if (start >= end || (!all && (start | end) & sim_page_mask(device->mmu.decoder)))
		sim_stopf(device->mmu.machine, start, 0, "sim_device_issue: the range [%#llx, %#llx)",
			  (unsigned long long)start, (unsigned long long)end);
	item = sim_host_alloc(sizeof(*item));
	*item = (struct sim_invalidation){ .next = device->pending, .number = ++device->posted, .start = start,
					   .end = end, .tables = tables };
	device->pending = item;
	sim_record(&device->mmu, &(struct sim_note){ .kind = SIM_EVENT_ISSUE, .va = start, .end = end,
						     .tables = tables, .value = item->number });
	sim_unlock(&device->mmu);
}

// Executes the invalidation at *link.
static void execute(struct sim_device *device, struct sim_invalidation **link)
{
	struct sim_machine *machine = device->mmu.machine;
	struct sim_invalidation *item = *link;
	struct sim_tlb *tlb = &device->context.tlb;

	if (item->end == UINT64_MAX)
		sim_tlb_flush_all(machine, tlb, item->tables);
	else
		sim_tlb_flush(machine, tlb, item->start, item->end, item->tables);
	sim_record(&device->mmu, &(struct sim_note){ .kind = SIM_EVENT_INVALIDATED, .va = item->start,
						     .end = item->end, .tables = item->tables,
						     .value = item->number });
	*link = item->next;
	free(item);
	device->executed++;
}

void sim_queue_step(struct sim_device *device, bool waits)
{
	unsigned late = sim_device_lateness(device, waits);
	struct sim_invalidation **link = &device->pending;

	if (device->silent)
		return;
	while (*link) {
		if (sim_chance(&device->mmu.random, late))
			link = &(*link)->next;
		else
			execute(device, link);
	}
}

// Whether one of the first `number` is still to be executed.
static bool is_pending(const struct sim_device *device, uint64_t number)
{
	for (const struct sim_invalidation *item = device->pending; item; item = item->next)
		if (item->number <= number)
			return true;
	return false;
}

// Polls the device once. 1: it has executed the first `number`; 0: not yet; -1: it is silent.
static int poll(struct sim_device *device, uint64_t number)
{
	int result;

	sim_lock(&device->mmu);
	sim_queue_step(device, true);
	result = !is_pending(device, number) ? 1 : device->silent ? -1 : 0;
	sim_unlock(&device->mmu);
	return result;
}

bool sim_device_wait(struct sim_device *device)
{
	unsigned unheard = 0;
	uint64_t number;
	int result;

	sim_lock(&device->mmu);
	number = device->posted;
	sim_unlock(&device->mmu);
	while ((result = poll(device, number)) <= 0) {
		unheard += result < 0;
		if (unheard >= device->limit) {
			sim_lock(&device->mmu);
			sim_record(&device->mmu, &(struct sim_note){ .kind = SIM_EVENT_UNANSWERED, .value = number });
			sim_unlock(&device->mmu);
			return false;
		}
		sim_device_wait_point(device);
	}
	return true;
}

void sim_device_silence(struct sim_device *device, bool silent)
{
	sim_lock(&device->mmu);
	device->silent = silent;
	// Its tables change and it does not know: that two of its translations meet is nobody's fault.
	device->mmu.break_first = !silent && device->mmu.decoder->break_first;
	sim_unlock(&device->mmu);
}

void sim_devices_flush(struct sim_machine *machine, const struct vmt_flush *flush)
{
	const struct vmt_flush_range *ranges;
	struct vmt_flush_range hull;
	unsigned count = sim_flush_ranges(flush, &hull, &ranges);

	for (unsigned i = 0; i < sim_device_total(machine); i++) {
		struct sim_device *device = sim_device_at(machine, i);

		if (!device->tree_owner || device->tree_owner != flush->space_owner)
			continue;
		if (!count)
			sim_device_issue(device, 0, UINT64_MAX, flush->tables);
		for (unsigned j = 0; j < count; j++)
			sim_device_issue(device, ranges[j].start, ranges[j].end, flush->tables);
		sim_device_wait(device);
	}
}

// ---- Page requests -----------------------------------------------------------------------------------------------

// How many answered requests wait to be delivered again at most.
#define MOST_AGAIN 8

// A place for a new request: an empty one, else that of one which is of no use to anybody. NULL: the queue is full.
static struct sim_page_request *find_place(struct sim_device *device)
{
	struct sim_page_request *place = NULL;

	for (unsigned i = 0; i < SIM_PAGE_REQUESTS; i++) {
		struct sim_page_request *request = &device->requests[i];

		if (request->state == SIM_PAGE_NONE)
			return request;
		if (request->state == SIM_PAGE_AGAIN)
			place = request;
	}
	return place;
}

uint64_t sim_device_request(struct sim_device *device, uint64_t addr, vmt_prot access)
{
	struct sim_page_request *place;
	uint64_t ticket = 0;

	sim_lock(&device->mmu);
	place = find_place(device);
	if (place) {
		ticket = ++device->tickets;
		*place = (struct sim_page_request){ .state = SIM_PAGE_WAITING, .ticket = ticket, .addr = addr,
						    .access = access };
		sim_record(&device->mmu, &(struct sim_note){ .kind = SIM_EVENT_REQUEST, .va = addr,
							     .value = access });
	}
	sim_unlock(&device->mmu);
	return ticket;
}

static struct sim_page_request *find_ticket(struct sim_device *device, uint64_t ticket)
{
	for (unsigned i = 0; i < SIM_PAGE_REQUESTS; i++)
		if (device->requests[i].ticket == ticket)
			return &device->requests[i];
	return NULL;
}

bool sim_device_answer(struct sim_device *device, uint64_t ticket, enum vmt_status *status)
{
	struct sim_page_request *request;
	bool answered;

	sim_lock(&device->mmu);
	request = find_ticket(device, ticket);
	if (!request)
		sim_stopf(device->mmu.machine, 0, 0, "sim_device_answer: %s has no ticket %llu", device->mmu.name,
			  (unsigned long long)ticket);
	answered = request->state == SIM_PAGE_ANSWERED;
	if (answered) {
		*status = request->status;
		*request = (struct sim_page_request){ .state = SIM_PAGE_NONE };
	}
	sim_unlock(&device->mmu);
	return answered;
}

// Takes any of those that wait, or one that comes again. False: there is none. `*taken` is what it says.
static bool take(struct sim_device *device, struct sim_page_request *taken)
{
	struct sim_page_request *found[SIM_PAGE_REQUESTS], *picked;
	unsigned count = 0;

	for (unsigned i = 0; i < SIM_PAGE_REQUESTS; i++) {
		struct sim_page_request *request = &device->requests[i];

		if (request->state == SIM_PAGE_WAITING || request->state == SIM_PAGE_AGAIN)
			found[count++] = request;
	}
	if (!count)
		return false;
	picked = found[sim_next_random(&device->mmu.random) % count];
	*taken = *picked;
	if (picked->state == SIM_PAGE_WAITING) {
		picked->state = SIM_PAGE_SERVED;
	} else {
		picked->state = SIM_PAGE_NONE;
		device->late++;
	}
	return true;
}

// Records the answer, unless the device was reset meanwhile, and has the request delivered again, perhaps.
static void answer(struct sim_device *device, const struct sim_page_request *taken, enum vmt_status status)
{
	struct sim_page_request *request = find_ticket(device, taken->ticket), *place;
	unsigned again = 0;

	if (taken->state == SIM_PAGE_AGAIN || !request || request->state != SIM_PAGE_SERVED)
		return;
	request->state = SIM_PAGE_ANSWERED;
	request->status = status;
	device->served++;
	for (unsigned i = 0; i < SIM_PAGE_REQUESTS; i++)
		again += device->requests[i].state == SIM_PAGE_AGAIN;
	place = find_place(device);
	if (again >= MOST_AGAIN || !place || !sim_chance(&device->mmu.random, sim_device_lateness(device, false) / 4))
		return;
	*place = *taken;
	place->state = SIM_PAGE_AGAIN;
	place->ticket = 0;
}

bool sim_device_serve(struct sim_device *device, struct sim_cpu *cpu,
		      enum vmt_status (*handler)(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access),
		      void *arg)
{
	struct sim_page_request taken;
	enum vmt_status status;
	bool any;

	if (sim_self() != cpu)
		sim_stopf(device->mmu.machine, 0, 0, "sim_device_serve by a thread that is not CPU %u", cpu->number);
	sim_check_sleepable(cpu, "sim_device_serve");
	sim_lock(&device->mmu);
	any = take(device, &taken);
	sim_unlock(&device->mmu);
	if (!any)
		return false;
	status = handler(arg, device, taken.addr, taken.access);
	sim_check_sleepable(cpu, "after the handler of a page request");
	sim_lock(&device->mmu);
	answer(device, &taken, status);
	sim_record(&device->mmu, &(struct sim_note){ .kind = SIM_EVENT_SERVED, .va = taken.addr, .value = status });
	sim_unlock(&device->mmu);
	return true;
}

void sim_device_inline(struct sim_device *device,
		       enum vmt_status (*handler)(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access),
		       void *arg)
{
	device->handler = handler;
	device->handler_arg = arg;
}

// ---- Reset -------------------------------------------------------------------------------------------------------

void sim_queue_reset(struct sim_device *device)
{
	while (device->pending)
		execute(device, &device->pending);
	for (unsigned i = 0; i < SIM_PAGE_REQUESTS; i++) {
		struct sim_page_request *request = &device->requests[i];

		if (request->state == SIM_PAGE_AGAIN)
			request->state = SIM_PAGE_NONE;
		if (request->state != SIM_PAGE_WAITING && request->state != SIM_PAGE_SERVED)
			continue;
		request->state = SIM_PAGE_ANSWERED;
		request->status = VMT_ERR_DEVICE;
	}
}
