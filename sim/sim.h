// SPDX-License-Identifier: MIT
// The simulated machine: a port of the library to an ordinary Linux process. Threads are CPUs, an arena is RAM, and the
// MMU is hostile: it keeps and uses whatever real hardware is allowed to keep and use, and stops the test where that
// reaches a frame that has been given back. docs/simulator.md tells it as a story; this header is the interface, and
// device.h that of devices.
//
// A test looks like this (structures of the library come with sim_ops.h):
//
//	struct sim_machine *machine = sim_machine_create(&(struct sim_config){
//		.ops = sim_ops(SIM_RISCV_SV39), .cpus = 4, .frames = 4096, .seed = 1 });
//	struct sim_cpu *cpu = sim_self();		// the creating thread is CPU 0
//	const struct sim_ops *ops = sim_machine_ops(machine);
//	ops->create(sim_port(machine), 4, &vmt);
//	ops->space_create(vmt, &config, &space);
//	sim_activate(cpu, space);
//	ops->map(space, &request, &address);
//	status = sim_write(cpu, address, 8, 42);	// faults as a program would
//	sim_run_all(machine, body, arg);		// body(cpu, arg) on all four CPUs at once
//	sim_deactivate(cpu);
//	ops->space_destroy(space); ops->destroy(vmt);
//	sim_grace_barrier(machine);
//	assert_int_equal(sim_leaks(machine), 0);
//	sim_machine_destroy(machine);
//
// "The test stops" means: a report with the history of the address goes to standard error and the process aborts, or
// control returns to the sim_stops call that this thread is inside of.
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmtree/port.h>
#include <vmtree/types.h>

struct sim_machine;
struct sim_cpu;
struct sim_ops;
struct vmt_space;

// The most CPUs of one machine.
#define SIM_MAX_CPUS 64

// Physical address of the first frame of RAM: above 4 GiB, so that a truncated address shows.
#define SIM_RAM_BASE UINT64_C(0x200000000)

// RAM comes in frames of this size, the smallest page of any format.
#define SIM_FRAME_SHIFT 12
#define SIM_FRAME_SIZE	(UINT64_C(1) << SIM_FRAME_SHIFT)
#define SIM_FRAME_MASK	(SIM_FRAME_SIZE - 1)

// ---- The machine -------------------------------------------------------------------------------------------------

// How hostile the MMU is. Percentages are of the occasions on which the choice exists.
struct sim_hostility {
	unsigned cached;	// % of accesses that use a cached translation where there is one (also a stale one)
	unsigned structure;	// % of walks that start from a cached intermediate entry where there is one
	unsigned prefetch;	// % of accesses and polls that also translate some other address speculatively
	unsigned negative;	// RISC-V, IOMMUs: % of invalid entries met that are cached as invalid until a flush
	unsigned refuse;	// x86-64, EPT: % of accesses that a cached translation forbids: fault without a walk
	unsigned yield;		// % of scheduler points at which the thread gives up its host CPU
	unsigned late;		// devices (device.h): % of occasions on which what was posted is left for later; 90 at
				// most where somebody waits for it
};

// { 60, 60, 10, 20, 50, 2, 60 }
extern const struct sim_hostility sim_hostility_default;

struct sim_config {
	const struct sim_ops *ops;	// the library in one format (sim_ops.h), or a test's own
	unsigned cpus;			// 1 to SIM_MAX_CPUS
	uint64_t frames;		// RAM, in frames of 4 KiB; at least 1
	uint64_t seed;			// of every random choice
	unsigned asids;			// address-space identifiers of each CPU; 0 stands for 4
	bool fault_ad;		// RISC-V, AArch64: what marks a page as accessed or written is not set by hardware; its
				// absence is a page fault (Svade; access flag fault, permission fault). Else ignored
	bool trees;		// what is active on a CPU is a tree of vmtree/tree.h, whose flushes name neither a space nor
				// CPUs: the tree's owner stands for the space (sim_activate), and all CPUs are asked
	const struct sim_hostility *hostility; // NULL: sim_hostility_default
};

// Makes a machine, and binds the calling thread to its CPU 0. If the thread is still a CPU of another machine, because
// a test failed half-way, it leaves that one as it is. Never returns NULL: aborts without host memory or on a bad
// configuration.
struct sim_machine *sim_machine_create(const struct sim_config *config);

// Frees it, whatever is outstanding. No CPU of it may be running but the caller's, which is unbound.
void sim_machine_destroy(struct sim_machine *machine);

// What vmt_create wants as `port`.
void *sim_port(struct sim_machine *machine);

const struct sim_ops *sim_machine_ops(const struct sim_machine *machine);
unsigned sim_cpu_count(const struct sim_machine *machine);

// Changes the hostility; no CPU and no device may be inside an access.
void sim_set_hostility(struct sim_machine *machine, const struct sim_hostility *hostility);

// ---- CPUs --------------------------------------------------------------------------------------------------------
// A CPU is *running* while a thread is bound to it. Only that thread makes accesses and library calls on it. A CPU
// that is not running, or idle, has its flush requests served by those who wait for them.

// The CPU that the calling thread is, or NULL.
struct sim_cpu *sim_self(void);
unsigned sim_cpu_number(const struct sim_cpu *cpu);
struct sim_machine *sim_cpu_machine(const struct sim_cpu *cpu);

// The calling thread becomes CPU `number`, which must not be running, or stops being one. A thread is one CPU at most.
struct sim_cpu *sim_bind(struct sim_machine *machine, unsigned number);
void sim_unbind(void);

// Starts a thread that is CPU `number` and runs fn; waits for it to return. Every started CPU must be joined once. The
// joining thread, if it is a CPU, is idle meanwhile.
void sim_cpu_run(struct sim_machine *machine, unsigned number, void (*fn)(struct sim_cpu *cpu, void *arg), void *arg);
void sim_cpu_join(struct sim_machine *machine, unsigned number);

// Runs fn on all CPUs at once, or on the first `count`, and returns when all have returned. The calling thread may be
// a CPU of the machine: its CPU is lent to one of the threads (with the space that is active on it) and taken back.
void sim_run_all(struct sim_machine *machine, void (*fn)(struct sim_cpu *cpu, void *arg), void *arg);
void sim_run_some(struct sim_machine *machine, unsigned count, void (*fn)(struct sim_cpu *cpu, void *arg), void *arg);

// Around anything in which the CPU's thread blocks in the host (a mutex, a join). Not inside a read-side section, nor
// with preemption off. No access and no library call in between.
void sim_idle_begin(struct sim_cpu *cpu);
void sim_idle_end(struct sim_cpu *cpu);

// A point where an interrupt may come: serves flush requests, runs a few deferred items, prefetches now and then. Call
// it in any loop of a test that neither accesses memory nor calls the library.
void sim_poll(struct sim_cpu *cpu);

// Where `parties` CPUs wait for one another, serving flush requests. Zero-initialise; reusable.
struct sim_barrier {
	_Atomic unsigned arrived;
	_Atomic unsigned round;
};
void sim_barrier_wait(struct sim_cpu *cpu, struct sim_barrier *barrier, unsigned parties);

// Random numbers for the test, from the machine's seed, one stream for each CPU, apart from the MMU's own.
uint64_t sim_random(struct sim_cpu *cpu);

// ---- Accesses ----------------------------------------------------------------------------------------------------

// The CPU begins to use the space (vmt_activate, an address-space identifier, then the root), leaving the one that it
// used before (vmt_deactivate afterwards). sim_deactivate leaves it with none. From the CPU's own thread.
void sim_activate(struct sim_cpu *cpu, struct vmt_space *space);
void sim_deactivate(struct sim_cpu *cpu);
struct vmt_space *sim_active(const struct sim_cpu *cpu);

// What an instruction of a user program does: 1 to 8 bytes, little endian, at `va`. A page fault goes to vmt_fault, and
// the access is repeated while that says VMT_OK. Any other status of vmt_fault is returned, and the access did not
// happen (of one that crosses pages, the part on the earlier page did). An access of size 1, 2, 4 or 8 that is aligned
// to its size is atomic (relaxed). VMT_ERR_OUTSIDE: the address has no translation in the format (not canonical).
// No space active, preemption off or a read-side section open: the test stops.
enum vmt_status sim_read(struct sim_cpu *cpu, uint64_t va, unsigned size, uint64_t *value);
enum vmt_status sim_write(struct sim_cpu *cpu, uint64_t va, unsigned size, uint64_t value);
enum vmt_status sim_exec(struct sim_cpu *cpu, uint64_t va, unsigned size);

// An atomic addition to the aligned 8 bytes at `va` (a locked instruction); `old` may be NULL.
enum vmt_status sim_add(struct sim_cpu *cpu, uint64_t va, uint64_t delta, uint64_t *old);

// Any number of bytes; `*done` (may be NULL) says how many were transferred.
enum vmt_status sim_read_bytes(struct sim_cpu *cpu, uint64_t va, void *to, size_t size, size_t *done);
enum vmt_status sim_write_bytes(struct sim_cpu *cpu, uint64_t va, const void *from, size_t size, size_t *done);

// One try of one access without the fault handler: VMT_OK, or VMT_ERR_NOT_PRESENT where the access would fault. As
// user mode or, if `user` is clear, as supervisor (x86-64: WP, SMEP and SMAP on; RISC-V: SUM and MXR off; AArch64:
// PAN on; a format for guests or devices knows no difference, and one for devices none between read and fetch).
// `access` is one of VMT_READ, VMT_WRITE and VMT_EXEC; for a write `*value` is written, for a read it is read.
enum vmt_status sim_try(struct sim_cpu *cpu, uint64_t va, vmt_prot access, bool user, unsigned size, uint64_t *value);

// Translates `va` speculatively now, as the MMU does by itself at random: caches what it finds, sets accessed bits but
// no dirty bit, never faults.
void sim_prefetch(struct sim_cpu *cpu, uint64_t va);

// ---- Judging -----------------------------------------------------------------------------------------------------

// With no operation under way on any CPU: compares what every CPU has cached for the space that is active on it, and
// every device for its own, with the tables as they are now. Cached and wrong: another frame, more permission than the
// entry gives, a dirty mark that the entry has not, a table that is not linked there any more. (More cautious than the
// entry is right.) Returns how many are wrong, and logs each with its history. The caller must be a CPU or outside; all
// other CPUs idle or stopped.
unsigned sim_audit(struct sim_machine *machine);

// How many translations and intermediate entries the CPU has cached for the page of `va` in its active space.
unsigned sim_cached(struct sim_cpu *cpu, uint64_t va, bool tables);

struct sim_counts {
	uint64_t frames;		// outstanding now
	uint64_t frames_peak;
	uint64_t mems, mem_bytes;	// outstanding now: blocks of vmt_port_mem_alloc
	uint64_t frame_allocs, mem_allocs; // asked for, ever (those that failed counted)
	uint64_t frame_failures, mem_failures; // failed, for whatever cause
	uint64_t injected;		// of those, failed by request
	uint64_t deferred;		// waiting for a grace period now
	uint64_t flushes;		// calls of vmt_port_flush
	uint64_t accesses, hits, walks, prefetches, faults;
};
void sim_get_counts(struct sim_machine *machine, struct sim_counts *counts);

// Logs each outstanding frame and block with its allocation's number and CPU (the first 20 of each) and returns how
// many there are of both. Run sim_grace_barrier before.
uint64_t sim_leaks(struct sim_machine *machine);

// Whether the frame at `pa` is allocated, and its generation: how often it has been allocated.
bool sim_frame_allocated(struct sim_machine *machine, uint64_t pa, uint64_t *generation);

// ---- Failing allocations -----------------------------------------------------------------------------------------

enum {
	SIM_FAIL_FRAME = 1u << 0,	// vmt_port_frame_alloc
	SIM_FAIL_MEM = 1u << 1,		// vmt_port_mem_alloc
};

// Of the allocations of these kinds that come from now on, counted together, the `first`-th (1: the next) to the
// (first + count - 1)-th fail. Replaces an earlier request; count 0 ends it.
void sim_fail_nth(struct sim_machine *machine, unsigned kinds, uint64_t first, uint64_t count);

// Each allocation of these kinds fails with the probability per_million / 10^6, decided by `seed` and the order of
// allocations alone. per_million 0 ends it.
void sim_fail_random(struct sim_machine *machine, unsigned kinds, uint32_t per_million, uint64_t seed);

// How many allocations have been counted since sim_fail_nth (0 if none was requested): run an operation once with
// first = UINT64_MAX to learn how many points of failure it has.
uint64_t sim_fail_counted(struct sim_machine *machine);

// At most so many frames are outstanding at a time; the machine's size is the limit at the beginning.
void sim_set_frame_limit(struct sim_machine *machine, uint64_t frames);

// ---- Grace periods -----------------------------------------------------------------------------------------------

// Waits until nothing that was deferred is left to run. Not inside a read-side section. The caller may be a CPU
// (it serves flush requests meanwhile) or a thread outside.
void sim_grace_barrier(struct sim_machine *machine);

// ---- Stops and words ---------------------------------------------------------------------------------------------

// Calls fn(arg). If the test stops inside, on this thread, returns true with the report in `report` (cut to `size`,
// which may be 0); false if fn returned. After a stop, the machine is good for looking at and for sim_machine_destroy.
bool sim_stops(void (*fn)(void *arg), void *arg, char *report, size_t size);

// Stops the test: for the test's own checks, with the history of an address (0: none) and of a frame (0: none).
_Noreturn void sim_stop(struct sim_machine *machine, uint64_t va, uint64_t pa, const char *what);

// The lines that the library and the machine logged: how many, and the n-th (NULL beyond; the last 256 are kept).
// Lines are also printed to standard error while `print` was last set (the default is off). Clear forgets them.
unsigned sim_log_count(struct sim_machine *machine);
const char *sim_log_line(struct sim_machine *machine, unsigned n);
void sim_log_clear(struct sim_machine *machine);
void sim_log_print(struct sim_machine *machine, bool print);

#endif
