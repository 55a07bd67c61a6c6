// SPDX-License-Identifier: MIT
// What the tests of secondaries and of device memory share: devices that keep what they are granted until they are told
// to drop it, memories of theirs whose copies end late or badly, and a record of what was said to whom, in which order.
//
// Programs are linked with --wrap for vmt_port_flush, which is written down too, and for vmt_port_relax: there the
// copies go on that the library waits for, and whatever else a test wants to happen meanwhile. One thread uses all
// this. A case begins with devices_begin.
#ifndef TESTS_LIB_DEVICES_H
#define TESTS_LIB_DEVICES_H

#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define HUGE (PAGE * SLOTS)

// ---- The record --------------------------------------------------------------------------------------------------

struct device;

enum event_kind { BEGIN, END, ISSUE, WAIT, FILLED, FLUSH };

struct event {
	struct device *device;	// of a flush of CPUs NULL
	enum event_kind kind;
	struct vmt_change change;
	bool active;		// the CPU uses the space
};

#define EVENTS 2048

struct record {
	bool paused;		// several threads are at work: nothing is written down
	unsigned inside;	// pairs of begin and end that are open
	unsigned tables;	// issues that said so, ever
	unsigned count;		// beyond EVENTS: the later ones were not written down
	struct event event[EVENTS];
};

extern struct record record;

void devices_begin(void);

// Forgets what is in it.
void record_clear(void);

// What was written down since the last call is in order, or the test fails: each begin has its end; when devices are
// asked to flush, all are before the CPUs are flushed and that is before any is waited for, and who was asked is waited
// for, about the same. The record is empty afterwards.
void record_check(void);

// The same, and that the device was asked to drop all of [addr, addr + length), that each was asked for this reason,
// and with `pair` from inside of begin and end for the same.
void record_expect(const struct device *device, enum vmt_reason reason, uint64_t addr, uint64_t length, bool pair);

// Called before each flush of CPUs, under the locks: what may come before the request gets to anybody. NULL: nothing.
void devices_before_flush(void (*before)(void *arg), void *arg);

// Nobody was told anything, but `filled`.
void record_expect_quiet(void);

// `filled`, `end` was called for all of the range.
bool record_filled(const struct device *device, uint64_t addr, uint64_t length);
bool record_ended(const struct device *device, uint64_t addr, uint64_t length);

// Some issue said that tables go, and covers the address.
bool record_tables(const struct device *device, uint64_t addr);

// ---- Device memory -----------------------------------------------------------------------------------------------

#define VRAM_PENDING 4096

enum copies {
	COPIES_AT_ONCE,
	COPIES_WAITED_FOR,	// end, in any order, when somebody waits
	COPIES_BY_HAND,		// vram_step
};

struct vram {
	struct env *env;
	struct vmt_device_memory *memory;
	uint8_t *bytes;
	uint64_t base, size;
	enum copies how;
	uint64_t seed;		// of the order in which copies end
	unsigned fail_in;	// the n-th copy from here fails (1: the next); 0: none
	unsigned fail_one_in;	// one of so many fails, by chance; 0: none
	uint64_t started, failed;
	// While a copy is waited for: called once, and then forgotten. May do anything. With `meanwhile_bad`, the
	// copies that are under way then fail.
	void (*meanwhile)(void *arg);
	void *arg;
	bool meanwhile_bad;
	unsigned count;
	struct pending {
		struct vmt_copy *copy;
		uint64_t generation, sum;
		bool bad;
	} *pending;
};

// `base` 0 stands for an address of its own above RAM, on a boundary of a huge page.
void vram_open(struct env *env, struct vram *vram, uint64_t base, uint64_t size);
// Nothing is used in it any more, or the test fails.
void vram_close(struct vram *vram);
uint64_t vram_used(const struct vram *vram);
struct vmt_device_memory_counts vram_counts(const struct vram *vram);

// Ends one of the copies under way; false: there was none. vram_drain: all of them.
bool vram_step(struct vram *vram);
void vram_drain(struct vram *vram);
void *vram_at(const struct vram *vram, uint64_t device);

// ---- Devices -----------------------------------------------------------------------------------------------------

#define GRANTS 256

struct device {
	struct env *env;
	struct vmt_space *space;
	struct vram *vram;	// or NULL
	unsigned id;
	bool mute;		// it does not answer: `wait` returns false
	bool lost;		// that has happened
	unsigned commits;	// calls, ever
	void (*told)(struct device *device, enum event_kind kind, const struct vmt_change *change); // or NULL
	unsigned count;		// of `held`; the oldest goes when there are too many
	struct held {
		struct vmt_grant grant;
		uint64_t generation;	// of its first frame, where that is RAM
	} held[GRANTS];
};

extern const struct vmt_secondary_ops device_ops;

// Subscribes to [start, end) of the space; both 0: the whole.
void device_open(struct env *env, struct device *device, struct vmt_space *space, uint64_t start, uint64_t end,
		 struct vram *vram);
void device_close(struct device *device);

// A fault. What is granted the device keeps.
enum vmt_status device_fault(struct device *device, uint64_t addr, uint64_t length, vmt_prot access, uint32_t flags);

// What it keeps for the address, or NULL.
const struct vmt_grant *device_has(const struct device *device, uint64_t addr);

// Where the bytes at `addr` lie for the device, by what it keeps; NULL: it may not make this access. The test fails if
// the frame has been freed meanwhile.
void *device_bytes(struct device *device, uint64_t addr, vmt_prot access);

// An access of 8 bytes, with a fault if need be, which must succeed.
uint64_t device_read(struct device *device, uint64_t addr);
void device_write(struct device *device, uint64_t addr, uint64_t value);

// `commit` of requests, whose argument is a struct device.
void device_keep(void *arg, const struct vmt_grant *grant);

// ---- Pages -------------------------------------------------------------------------------------------------------

// Writes to the beginning, the middle and the end of the page, as the CPU; reads there, and fails unless all agree.
void page_write(struct env *env, uint64_t addr, uint64_t value);
uint64_t page_read(struct env *env, uint64_t addr);
void page_write_range(struct env *env, uint64_t addr, uint64_t length, uint64_t value); // value + n to page n
void page_expect_range(struct env *env, uint64_t addr, uint64_t length, uint64_t value);
// The same as the device.
void device_page_write(struct device *device, uint64_t addr, uint64_t value);
uint64_t device_page_read(struct device *device, uint64_t addr);

// What the entry for `addr` says, looked at without a fault.
struct vmt_run page_entry(struct env *env, struct vmt_space *space, uint64_t addr);
bool page_is_there(struct env *env, struct vmt_space *space, uint64_t addr); // in device memory

// Frames that are allocated now, in pages of the format.
uint64_t frames_now(struct env *env);

#endif
