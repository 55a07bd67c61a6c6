// SPDX-License-Identifier: MIT
// Devices of the simulated machine (sim.h): each has an MMU of its own, as hostile as a CPU's, that walks tables of any
// format; a queue of invalidations, which it executes late and out of step; page requests that arrive late; memory of
// its own; and an engine that copies between that and RAM. docs/simulator.md tells what is hostile about it.
//
//	struct sim_device *device = sim_device_create(machine, &(struct sim_device_config){
//		.format = SIM_VTD_SS, .bytes = 64 << 12 });
//	sim_device_attach(device, tree_root);
//	status = sim_device_access(device, address, VMT_WRITE, 8, &value);	// asks for the page if it has to
//	sim_device_issue(device, start, end, false);				// vmt_mirror_ops::issue
//	answered = sim_device_wait(device);					// vmt_mirror_ops::wait
//
// Who moves a device on: its own thread, if it has one, at each access and each poll; CPUs, now and then, at their
// scheduler points; and those who wait for it. All of that is one step at a time.
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "sim.h"
#include "sim_ops.h"

#include <vmtree/device.h>

struct sim_device;

// The most devices of one machine.
#define SIM_MAX_DEVICES 16

// The memory of device n begins at SIM_DEVICE_BASE + n * SIM_DEVICE_SPAN: above RAM, and below what the narrowest
// format can say.
#define SIM_DEVICE_BASE (UINT64_C(1) << 37)
#define SIM_DEVICE_SPAN (UINT64_C(1) << 32)

struct sim_device_config {
	enum sim_format format;	// of the tables that it walks
	uint64_t bytes;		// of its own memory, a multiple of 64 KiB, at most SIM_DEVICE_SPAN; may be 0
	// vmt_port_flush for a tree (no space) with this vmt_flush::space_owner is posted to the device and waited for,
	// as far as it answers. NULL: none is.
	void *tree_owner;
	bool fault_ad;		// as sim_config::fault_ad, for the device
	// What made an access fault stays cached: a translation that permits too little and, in formats that allow it,
	// that there is none. Whoever has resolved the fault posts an invalidation. Else a fault drops what is cached
	// for its page, and absence is not cached.
	bool sticky;
	unsigned limit;		// how often sim_device_wait polls a silent device before it gives up; 0 stands for 200
	const struct sim_hostility *hostility; // NULL: the machine's, also as that is changed
};

// Makes a device, without tables. It lives as long as the machine. Any thread; aborts on a bad configuration.
struct sim_device *sim_device_create(struct sim_machine *machine, const struct sim_device_config *config);

unsigned sim_device_number(const struct sim_device *device);	// 0, 1, ... in the order in which they were made
struct sim_machine *sim_device_machine(const struct sim_device *device);
uint64_t sim_device_base(const struct sim_device *device);	// of its memory
uint64_t sim_device_bytes(const struct sim_device *device);

// The device begins to walk these tables (it has none yet), or stops and forgets all that it has cached. The root must
// be an allocated frame; while it is attached its free stops the test.
void sim_device_attach(struct sim_device *device, uint64_t root);
void sim_device_detach(struct sim_device *device);

// Everything ends: detached, silence over, invalidations done, page requests forgotten (those who wait for one get
// VMT_ERR_DEVICE), and copies under way end badly. What vmt_secondary_detach promises of a silent device is true then.
void sim_device_reset(struct sim_device *device);

// ---- Accesses ----------------------------------------------------------------------------------------------------
// By the device's own thread or, where it has none, by any other. A CPU that makes one is at a scheduler point.

// One try of 1 to 8 bytes within one page, as sim_try; false: a fault, and nothing happened. Formats that know users
// are walked as one. An access of size 1, 2, 4 or 8 that is aligned to its size is atomic. sim_device_add is to the
// device alone: to all others it is a read and, later, a write, so that it wants VMT_GRANT_EXCLUSIVE; no invalidation
// comes in between. A translation that leads neither to RAM nor into the device's own memory stops the test.
bool sim_device_read(struct sim_device *device, uint64_t addr, unsigned size, uint64_t *value);
bool sim_device_write(struct sim_device *device, uint64_t addr, unsigned size, uint64_t value);
bool sim_device_exec(struct sim_device *device, uint64_t addr, unsigned size);
bool sim_device_add(struct sim_device *device, uint64_t addr, uint64_t delta, uint64_t *old);

// The same with page requests: a fault is posted (sim_device_request), the device goes on by itself until the answer is
// there, and tries again while that is VMT_OK; any other answer is returned. `access` is one of VMT_READ, VMT_WRITE and
// VMT_EXEC; accesses that cross pages are made in two parts. 10,000 tries, or a minute without an answer, stop the
// test. `*value` is read for a write alone.
enum vmt_status sim_device_access(struct sim_device *device, uint64_t addr, vmt_prot access, unsigned size,
				  uint64_t *value);

// DMA through the device's MMU, with page requests; `*done` (may be NULL) says how many bytes were transferred.
enum vmt_status sim_device_read_bytes(struct sim_device *device, uint64_t addr, void *to, size_t size, size_t *done);
enum vmt_status sim_device_write_bytes(struct sim_device *device, uint64_t addr, const void *from, size_t size,
				       size_t *done);

// Translates `addr` speculatively now, as the device does by itself at random.
void sim_device_prefetch(struct sim_device *device, uint64_t addr);

// ---- Invalidations -----------------------------------------------------------------------------------------------
// From any context: with locks held, inside of the library's callbacks.

// Posts an invalidation of [start, end), multiples of the page size of the device's format, with `tables` also of the
// intermediate entries. [0, UINT64_MAX) is everything.
void sim_device_issue(struct sim_device *device, uint64_t start, uint64_t end, bool tables);

// Waits until all that was posted before is executed and no access that was under way is. Serves flush requests for the
// calling CPU meanwhile. False: the device is silent, and was polled `limit` times. A device that is not silent
// answers.
bool sim_device_wait(struct sim_device *device);

// From now on the device answers no invalidation, or does again (those posted meanwhile too). It goes on with all else.
void sim_device_silence(struct sim_device *device, bool silent);

// ---- Page requests -----------------------------------------------------------------------------------------------

// Posts a request for the page at `addr`. Returns its ticket, or 0: the queue is full (64), try later.
uint64_t sim_device_request(struct sim_device *device, uint64_t addr, vmt_prot access);

// Whether it has been served, and with what; then the ticket is used up.
bool sim_device_answer(struct sim_device *device, uint64_t ticket, enum vmt_status *status);

// Takes one of the waiting requests, any, and calls the handler for it on this CPU, with nothing held. Now and then one
// is delivered again later, when it is of no use to anybody. False: there was none.
bool sim_device_serve(struct sim_device *device, struct sim_cpu *cpu,
		      enum vmt_status (*handler)(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access),
		      void *arg);

// For tests without a CPU that serves: a CPU that calls sim_device_access (and those built on it) serves the device's
// requests itself while it waits, sooner or later. NULL ends it. No access is under way.
void sim_device_inline(struct sim_device *device,
		       enum vmt_status (*handler)(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access),
		       void *arg);

// ---- Programs ----------------------------------------------------------------------------------------------------

// Starts a thread that makes the device's accesses, and waits for it to return; every started one is joined once. It is
// no CPU and calls no library function. The joining thread, if it is a CPU, is idle meanwhile: one that has to serve
// the device joins when sim_device_running says that it has returned.
void sim_device_run(struct sim_device *device, void (*fn)(struct sim_device *device, void *arg), void *arg);
bool sim_device_running(const struct sim_device *device);
void sim_device_join(struct sim_device *device);

// A scheduler point of the device: executes some of what is posted, prefetches now and then, gives way. In any loop of
// its program that makes no access.
void sim_device_poll(struct sim_device *device);

// Random numbers for the device's program, one stream for each device.
uint64_t sim_device_random(struct sim_device *device);

// ---- Copies ------------------------------------------------------------------------------------------------------

// Begins to copy between RAM and the device's memory, by physical address: whole frames of 4 KiB. It is executed in
// pieces, late, out of step with other copies, or by chance at once; then `done` is called, with nothing of the machine
// held, from inside of this function or of some scheduler point, and `copy` is the caller's again. What stops the test:
// a frame of RAM that is freed before; a copy to a page of the device that it has a translation cached for (it was
// freed without a flush, or is used before it is ready), or, where it is not silent, from one that it has a writable
// translation cached for (its bytes do not stand still); a copy to a frame that somebody has cached when it ends; two
// copies to one place.
void sim_dma_begin(struct sim_device *device, struct vmt_copy *copy, void (*done)(struct vmt_copy *copy, bool good));

// vmt_device_memory_ops::copy, with the device as owner.
static inline void sim_dma_start(void *device, struct vmt_copy *copy)
{
	sim_dma_begin(device, copy, vmt_copy_done);
}

// Of the copies that are started from now on, the `first`-th (1: the next) to the (first + count - 1)-th fail, having
// written garbage over a part of where they were to go. Replaces an earlier request; count 0 ends it. And by chance.
void sim_dma_fail_nth(struct sim_device *device, uint64_t first, uint64_t count);
void sim_dma_fail_random(struct sim_device *device, uint32_t per_million);

// The device's memory at a device address, for a test that looks into it or fills it while nothing else uses it. A word
// that nothing was ever written to, or that a failed copy has left, stops the device that reads it as a whole.
void *sim_device_memory(struct sim_device *device, uint64_t addr);

// ---- Judging -----------------------------------------------------------------------------------------------------
// sim_audit judges what devices have cached as well, but for silent ones.

// How many translations, or intermediate entries, the device has cached for the page of `addr`.
unsigned sim_device_cached(struct sim_device *device, uint64_t addr, bool tables);

struct sim_device_counts {
	uint64_t accesses, hits, walks, prefetches, faults;
	uint64_t cached;		// now: translations, intermediate entries, absences
	uint64_t posted, executed;	// invalidations
	uint64_t requests, served, late; // page requests; answers; requests delivered again
	uint64_t copies, failed;	// ended; of those badly
	uint64_t copying;		// now
};
void sim_device_get_counts(struct sim_device *device, struct sim_device_counts *counts);

#endif
