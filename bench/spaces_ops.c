// SPDX-License-Identifier: MIT
// The operations whose cost spaces.c measures: for each the state that it finds, and the call.
#include "spaces.h"

#include "native.h"

// Where a move goes: no table in common with where it comes from.
#define ELSEWHERE (UINT64_C(1) << 41)

#define READ_WRITE (VMT_READ | VMT_WRITE)
#define PAYLOAD	   7

// What one call of test_and_clear says of its pages.
static uint64_t bitmap[512 / 64];

void spaces_map(uint64_t addr, uint64_t length, struct vmt_object *object)
{
	struct vmt_map_request request = {
		.addr = addr, .length = length, .prot = READ_WRITE, .object = object,
		.flags = VMT_MAP_FIXED | (object ? VMT_MAP_SHARED : 0),
	};

	must(vmt_map(spaces.space, &request, &addr));
}

void spaces_undo(void)
{
	if (spaces.child)
		must(vmt_space_destroy(spaces.child));
	spaces.child = NULL;
	must(vmt_unmap(spaces.space, SPACES_START, ELSEWHERE));
	if (spaces.object)
		vmt_object_put(spaces.object);
	spaces.object = NULL;
}

// ---- The state before --------------------------------------------------------------------------------------------

static void mapped(void)
{
	spaces_map(SPACES_START, spaces.length, NULL);
}

static void touch(vmt_prot access)
{
	for (uint64_t at = 0; at < spaces.length; at += VMT_PAGE_SIZE)
		must(vmt_fault(spaces.space, SPACES_START + at, access, NULL));
}

static void read_once(void)
{
	mapped();
	touch(VMT_READ);
}

static void written(void)
{
	mapped();
	touch(VMT_WRITE);
}

static void protected(void)
{
	written();
	must(vmt_protect(spaces.space, SPACES_START, spaces.length, VMT_READ));
}

static void guarded(void)
{
	mapped();
	must(vmt_guard_install(spaces.space, SPACES_START, spaces.length));
}

// One marker for each page.
static void marked(void)
{
	mapped();
	for (uint64_t at = 0; at < spaces.length; at += VMT_PAGE_SIZE)
		must(vmt_mark(spaces.space, SPACES_START + at, VMT_PAGE_SIZE, VMT_MARKER_SWAP, PAYLOAD));
}

static void forked(void)
{
	written();
	must(vmt_space_fork(spaces.space, NULL, &spaces.child));
}

// The pages say that they may be shared, and are not any more.
static void child_gone(void)
{
	forked();
	must(vmt_space_destroy(spaces.child));
	spaces.child = NULL;
}

// A shared mapping of an object that has all its pages.
static void object_filled(void)
{
	must(vmt_object_create(spaces.vmt, spaces.length, NULL, NULL, &spaces.object));
	spaces_map(SPACES_START, spaces.length, spaces.object);
	touch(VMT_WRITE);
	must(vmt_release(spaces.space, SPACES_START, spaces.length));
}

// ---- The call ----------------------------------------------------------------------------------------------------

static void nothing(uint64_t addr, uint64_t length)
{
	(void)addr, (void)length;
}

static void clear_page(uint64_t addr, uint64_t length)
{
	uint64_t pa;

	(void)addr, (void)length;
	must(vmt_page_new(spaces.vmt, true, &pa));
	vmt_page_put(spaces.vmt, pa);
}

static void map(uint64_t addr, uint64_t length)
{
	spaces_map(addr, length, NULL);
}

static void unmap(uint64_t addr, uint64_t length)
{
	must(vmt_unmap(spaces.space, addr, length));
}

static void fault_write(uint64_t addr, uint64_t length)
{
	(void)length;
	must(vmt_fault(spaces.space, addr, VMT_WRITE, NULL));
}

static void fault_read(uint64_t addr, uint64_t length)
{
	(void)length;
	must(vmt_fault(spaces.space, addr, VMT_READ, NULL));
}

static void populate(uint64_t addr, uint64_t length)
{
	must(vmt_populate(spaces.space, addr, length, NULL));
}

static void protect_less(uint64_t addr, uint64_t length)
{
	must(vmt_protect(spaces.space, addr, length, VMT_READ));
}

static void protect_more(uint64_t addr, uint64_t length)
{
	must(vmt_protect(spaces.space, addr, length, READ_WRITE));
}

static void release(uint64_t addr, uint64_t length)
{
	must(vmt_release(spaces.space, addr, length));
}

static void lazy_free(uint64_t addr, uint64_t length)
{
	must(vmt_lazy_free(spaces.space, addr, length));
}

static void guard_install(uint64_t addr, uint64_t length)
{
	must(vmt_guard_install(spaces.space, addr, length));
}

static void guard_remove(uint64_t addr, uint64_t length)
{
	must(vmt_guard_remove(spaces.space, addr, length));
}

static void mark(uint64_t addr, uint64_t length)
{
	must(vmt_mark(spaces.space, addr, length, VMT_MARKER_SWAP, PAYLOAD));
}

static void unmark(uint64_t addr, uint64_t length)
{
	must(vmt_unmark(spaces.space, addr, length, VMT_MARKER_SWAP));
}

static void take_and_resolve(uint64_t addr, uint64_t length)
{
	uint64_t pa;

	(void)length;
	must(vmt_page_take(spaces.space, addr, VMT_MARKER_SWAP, PAYLOAD, &pa));
	must(vmt_marker_resolve(spaces.space, addr, VMT_MARKER_SWAP, PAYLOAD, pa));
}

static void translate(uint64_t addr, uint64_t length)
{
	struct vmt_translation translation;

	(void)length;
	must(vmt_translate(spaces.space, addr, &translation));
}

static void walk(uint64_t addr, uint64_t length)
{
	struct vmt_run run;

	must(vmt_walk(spaces.space, addr, addr + length, &run));
}

static void area_find(uint64_t addr, uint64_t length)
{
	struct vmt_area area;

	(void)length;
	must(vmt_area_find(spaces.space, addr, &area));
}

static void get_and_put(uint64_t addr, uint64_t length)
{
	uint64_t pa;

	(void)length;
	must(vmt_page_get(spaces.space, addr, VMT_READ, &pa));
	vmt_page_put(spaces.vmt, pa);
}

static void pin_and_unpin(uint64_t addr, uint64_t length)
{
	uint64_t pa;

	(void)length;
	must(vmt_page_pin(spaces.space, addr, VMT_WRITE, &pa));
	vmt_page_unpin(spaces.vmt, pa);
}

static void test_and_clear(uint64_t addr, uint64_t length)
{
	vmt_test_and_clear(spaces.space, addr, length, VMT_ACCESSED | VMT_DIRTY, bitmap);
}

static void move(uint64_t addr, uint64_t length)
{
	uint64_t result;

	must(vmt_move(spaces.space, addr, length, length, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED,
		      addr - SPACES_START + ELSEWHERE, &result));
}

static void fork(uint64_t addr, uint64_t length)
{
	(void)addr, (void)length;
	must(vmt_space_fork(spaces.space, NULL, &spaces.child));
}

static void destroy(uint64_t addr, uint64_t length)
{
	(void)addr, (void)length;
	must(vmt_space_destroy(spaces.child));
	spaces.child = NULL;
}

static void create_and_destroy(uint64_t addr, uint64_t length)
{
	struct vmt_space_config config = {.end = UINT64_C(1) << 47, .user = true};

	(void)addr, (void)length;
	must(vmt_space_create(spaces.vmt, &config, &spaces.child));
	destroy(addr, length);
}

#define GIB_PAGES UINT64_C(262144)
#define TIB_PAGES UINT64_C(268435456)

const struct spaces_operation spaces_operations[] = {
	{"nothing", 1, 256, NULL, nothing},
	{"clear-page", 1, 256, NULL, clear_page},
	{"map", 1, 256, NULL, map},
	{"map", 512, 16, NULL, map},
	{"map", GIB_PAGES, 64, NULL, map},
	{"map", TIB_PAGES, 1, NULL, map},
	{"map-over", 1, 256, written, map},
	{"unmap-untouched", 1, 256, mapped, unmap},
	{"unmap-untouched", 512, 16, mapped, unmap},
	{"unmap-untouched", GIB_PAGES, 64, mapped, unmap},
	{"unmap-untouched", TIB_PAGES, 1, mapped, unmap},
	{"unmap-faulted", 1, 256, written, unmap},
	{"unmap-faulted", 512, 16, written, unmap},
	{"fault-write", 1, 256, mapped, fault_write},
	{"fault-read", 1, 256, mapped, fault_read},
	{"fault-write-after-read", 1, 256, read_once, fault_write},
	{"fault-again", 1, 256, written, fault_write},
	{"fault-object", 1, 256, object_filled, fault_write},
	{"populate", 512, 16, mapped, populate},
	{"protect-less", 1, 256, written, protect_less},
	{"protect-less", 512, 16, written, protect_less},
	{"protect-less-untouched", GIB_PAGES, 64, mapped, protect_less},
	{"protect-more", 1, 256, protected, protect_more},
	{"protect-more", 512, 16, protected, protect_more},
	{"release", 1, 256, written, release},
	{"release", 512, 16, written, release},
	{"lazy-free", 1, 256, written, lazy_free},
	{"lazy-free", 512, 16, written, lazy_free},
	{"guard-install", 1, 256, mapped, guard_install},
	{"guard-install", GIB_PAGES, 64, mapped, guard_install},
	{"guard-remove", 1, 256, guarded, guard_remove},
	{"guard-remove", GIB_PAGES, 64, guarded, guard_remove},
	{"mark", 1, 256, mapped, mark},
	{"unmark", 1, 256, marked, unmark},
	{"take-and-resolve", 1, 256, written, take_and_resolve},
	{"translate", 1, 256, written, translate},
	{"walk", 1, 256, written, walk},
	{"area-find", 1, 256, written, area_find},
	{"get-and-put", 1, 256, written, get_and_put},
	{"pin-and-unpin", 1, 256, written, pin_and_unpin},
	{"test-and-clear", 1, 256, written, test_and_clear},
	{"test-and-clear", 512, 16, written, test_and_clear},
	{"move", 1, 256, written, move},
	{"move", 512, 16, written, move},
	{"fork", 1, 1, written, fork},
	{"fork", 512, 1, written, fork},
	{"fork", 16384, 1, written, fork},
	{"destroy-child", 512, 1, forked, destroy},
	{"destroy-child", 16384, 1, forked, destroy},
	{"copy-on-write-copied", 1, 256, forked, fault_write},
	{"copy-on-write-reused", 1, 256, child_gone, fault_write},
	{"create-and-destroy", 1, 64, NULL, create_and_destroy},
};

const unsigned spaces_operation_count = sizeof(spaces_operations) / sizeof(spaces_operations[0]);
