// SPDX-License-Identifier: MIT
// What the embedder provides. The library calls these functions by name; the linker binds them, so there is no
// table of pointers and no indirect call. `port` is the pointer that was given to vmt_create: it tells machines
// apart where a program has several.
//
// The small and hot ones may be inlined: compile the library with -DVMT_PORT_INLINE='"my_port_inline.h"'. That header
// is included below and defines some of the functions as `static inline`, announcing each with a macro of the
// function's name in capitals (`#define VMT_PORT_FRAME_PTR`), which suppresses the declaration here.
//
// Contexts. The library calls from wherever its own functions were called. "Held" below means: with node locks held
// and preemption off, interrupts on. A function marked *held* must not sleep and must not call back into the library.
#ifndef VMTREE_PORT_H
#define VMTREE_PORT_H

#include <vmtree/frame.h>
#include <vmtree/types.h>

// A port need not know the format: it is compiled once for all of them. One that is inlined does.
#ifdef VMT_FORMAT
#include <vmtree/names.h>
#endif

#ifdef VMT_PORT_INLINE
#include VMT_PORT_INLINE
#endif

// ---- Memory ------------------------------------------------------------------------------------------------------

// A frame of `bytes` bytes, aligned to its size. `bytes` is VMT_PAGE_SIZE of the format (4, 16 or 64 KiB), and for a
// space with huge pages also the size of one: such a block is given back page by page. With `zero` its bytes are zero,
// to a hardware walker too; without, anything. Returns its physical address, or VMT_NO_FRAME. Never called held; may
// sleep and take memory from elsewhere, but not by vmt_reclaim or anything else that changes a space or asks for its
// areas: the caller may be in the middle of a fork or a move, for which that would wait. An embedder reclaims from
// spaces when a call has returned VMT_ERR_NO_MEMORY, and tries again.
//	kernel:  pa = buddy_alloc(order(bytes)); if (zero) memset(phys_to_virt(pa), 0, bytes); return pa;
#ifndef VMT_PORT_FRAME_ALLOC
uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero);
#endif

// Gives back a frame of `bytes` bytes, always VMT_PAGE_SIZE. No CPU, walker or device can reach it any more. Callable
// held, and from vmt_deferred::run.
#ifndef VMT_PORT_FRAME_FREE
void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes);
#endif

// Where the CPU reads and writes the frame at `pa`: a direct map. For every frame of vmt_port_frame_alloc and every
// frame that a memory object's owner supplies. Held.
#ifndef VMT_PORT_FRAME_PTR
void *vmt_port_frame_ptr(void *port, uint64_t pa);
#endif

// The 64 bytes of metadata of the page-sized frame at `pa`, or NULL for memory that is not RAM of the port (device
// registers): such frames are mapped without being counted. The address is stable; the port zeroes the bytes once, at
// boot, and never writes them again (frame.h says why). Held.
#ifndef VMT_PORT_FRAME_META
struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa);
#endif

// Memory for the library's own structures: spaces, objects, attribute arrays (half a page). Aligned to 64 bytes,
// content undefined; NULL when there is none. alloc is never called held; free is callable held and from deferred
// functions.
#ifndef VMT_PORT_MEM_ALLOC
void *vmt_port_mem_alloc(void *port, size_t bytes);
#endif
#ifndef VMT_PORT_MEM_FREE
void vmt_port_mem_free(void *port, void *memory, size_t bytes);
#endif

// ---- CPUs --------------------------------------------------------------------------------------------------------

// The calling CPU, 0 to VMT_MAX_CPUS - 1. A CPU is what takes faults and holds a TLB. Called with preemption off.
#ifndef VMT_PORT_CPU
unsigned vmt_port_cpu(void *port);
#endif

// Preemption off and on. Nests. A port without preemption leaves them empty.
#ifndef VMT_PORT_PREEMPT_OFF
void vmt_port_preempt_off(void *port);
#endif
#ifndef VMT_PORT_PREEMPT_ON
void vmt_port_preempt_on(void *port);
#endif

// Called in every loop that waits for another CPU (a node lock, a gate). `preemptible` is true where the caller holds
// nothing: the port may then yield to other work. *Must serve incoming flush requests* where these do not arrive by
// an interrupt that is open, or two CPUs wait for each other for ever (races.md 23).
#ifndef VMT_PORT_RELAX
void vmt_port_relax(void *port, bool preemptible);
#endif

// ---- Flushing ----------------------------------------------------------------------------------------------------

struct vmt_flush_range {
	uint64_t start, end;	// addresses, page aligned, half-open
};

#define VMT_FLUSH_RANGES 16

// One request to flush. It covers cached translations of the addresses in `ranges`; with `tables` also every cached
// intermediate entry (paging-structure caches, walk caches) on the way to them, for page tables are about to be
// freed. With `all` it covers the whole space and `ranges` is empty.
struct vmt_flush {
	struct vmt_space *space;
	void *space_owner;	// vmt_space_config::owner
	// What vmt_activate returns from this flush on. 0: a flush of this CPU alone that belongs to no generation.
	// Flushes of one space may arrive in another order than their generations, and a CPU that deactivates
	// meanwhile may not be named by an earlier one: a port that remembers a generation moves it from g to g +
	// 1, never over a gap.
	uint64_t generation;
	bool all;
	uint64_t start, end;	// with `all`: everything that has to be flushed lies in here
	bool tables;
	unsigned count;
	struct vmt_flush_range ranges[VMT_FLUSH_RANGES];
	uint64_t cpus[VMT_MAX_CPUS / 64]; // on which CPUs; bit n of word n / 64
};

// Flushes on all CPUs named, the calling one included, and returns when no CPU can use a covered translation any
// more, *not even for an access that is under way*: their walkers see what the caller wrote before, and it sees what
// they wrote. Held: other CPUs may be waiting for the caller's locks while it waits for them, so they have to answer
// from vmt_port_relax or an interrupt. A CPU that is named but has stopped using the space meanwhile must make sure that
// it flushes before it uses the space's identifier again (the generation of vmt_activate does that).
//	x86-64:  INVLPG for each page, or CR3 for many; INVLPG drops all paging-structure entries of the PCID
//	         (Intel SDM vol. 3, 4.10.4.1), so `tables` asks for at least one of either.
//	RISC-V:  SFENCE.VMA with the address drops leaves only; with rs1 = x0 where `tables` (Priv. spec, 12.2.1).
#ifndef VMT_PORT_FLUSH
void vmt_port_flush(void *port, const struct vmt_flush *flush);
#endif

// Entries in [first, first + count) of a table were written and a hardware walker may read them from now on. For
// walkers that are not coherent with the CPU's caches, or cache absent entries. Default (macro VMT_PORT_PUBLISH
// defined to nothing by the port, or this function left empty): coherent walkers need nothing. Held.
#ifndef VMT_PORT_PUBLISH
void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count);
#endif

// ---- Read-side sections and grace periods ------------------------------------------------------------------------

// A read-side section: what was reachable when it began is not freed before it ends. Nests; never sleeps within;
// may be entered with preemption on or off. A port whose grace periods wait for every CPU to pass a point outside
// of preemption-off regions makes these preempt_off and preempt_on.
#ifndef VMT_PORT_READ_ENTER
void vmt_port_read_enter(void *port);
#endif
#ifndef VMT_PORT_READ_EXIT
void vmt_port_read_exit(void *port);
#endif

// Calls item->run(port, item) once every read-side section that is open now has ended, and after what was done there;
// one that begins later sees what the caller wrote before. Held; never fails; `run` calls only vmt_port_frame_free and
// vmt_port_mem_free. The item's storage is the port's until then.
#ifndef VMT_PORT_DEFER
void vmt_port_defer(void *port, struct vmt_deferred *item);
#endif

// ---- The rest ----------------------------------------------------------------------------------------------------

// A line for a person; no newline at its end. Any context.
#ifndef VMT_PORT_LOG
void vmt_port_log(void *port, const char *line);
#endif

// An invariant of the library is broken: does not return. Any context.
#ifndef VMT_PORT_FATAL
_Noreturn void vmt_port_fatal(void *port, const char *what);
#endif

#endif
