// SPDX-License-Identifier: MIT
// What the tests of devices share: an x86-64 machine with one device behind VT-d tables, two frames that these lead to,
// and reports of stops.
#ifndef DEVICE_FIXTURE_H
#define DEVICE_FIXTURE_H

#include "fake.h"

#include "device.h"

#define DVA   UINT64_C(0x7f1234567000)
#define PAGE  UINT64_C(0x1000)
#define VTD_R UINT64_C(0x31)	// read, write-back
#define VTD_W UINT64_C(0x33)	// ... and write
#define VTD_TABLE UINT64_C(3)

struct fixture {
	struct sim_machine *machine;
	struct sim_cpu *cpu;
	struct sim_device *device;
	struct vmt_space tables;	// the device's
	uint64_t one, two;		// frames whose first words are 1 and 2
	uint64_t table;			// the lowest table on the way to DVA
	char report[16384];
};

// Uses what it has cached; leaves what is posted for ever, until somebody waits.
static const struct sim_hostility keeps_back = { .cached = 100, .structure = 100, .late = 100 };
// The same, but executes what is posted at once.
static const struct sim_hostility prompt = { .cached = 100, .structure = 100 };

static inline void fixture_begin(struct fixture *f, const struct sim_device_config *config)
{
	f->machine = fake_machine(&fake_x86_4, 2, NULL);
	f->cpu = sim_self();
	fake_space(f->machine, &f->tables);
	f->one = fake_frame(f->machine);
	f->two = fake_frame(f->machine);
	*(uint64_t *)vmt_port_frame_ptr(f->machine, f->one) = 1;
	*(uint64_t *)vmt_port_frame_ptr(f->machine, f->two) = 2;
	f->table = fake_map_4(&f->tables, DVA, f->one | VTD_W, VTD_TABLE);
	f->device = sim_device_create(f->machine, config);
	sim_device_attach(f->device, f->tables.root);
}

static inline void fixture_begin_vtd(struct fixture *f, const struct sim_hostility *hostility)
{
	fixture_begin(f, &(struct sim_device_config){
		.format = SIM_VTD_SS, .bytes = 1 << 20, .hostility = hostility });
}

static inline void fixture_end(struct fixture *f)
{
	sim_device_detach(f->device);
	sim_machine_destroy(f->machine);
}

static inline void set_leaf(struct fixture *f, uint64_t addr, uint64_t entry)
{
	fake_set(f->machine, f->table, addr >> 12 & 511, entry);
}

static inline uint64_t device_word(struct sim_device *device, uint64_t addr)
{
	uint64_t value = 0;

	assert_true(sim_device_read(device, addr, 8, &value));
	return value;
}

// The test stops in fn(f), with these words; that is the machine's end.
static inline void expect_stop(struct fixture *f, void (*fn)(void *arg), const char *words)
{
	if (!sim_stops(fn, f, f->report, sizeof(f->report)))
		fail_msg("the test did not stop: %s", words);
	if (!strstr(f->report, words))
		fail_msg("the report does not say '%s': %s", words, f->report);
	sim_machine_destroy(f->machine);
}

#endif
