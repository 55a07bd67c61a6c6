// SPDX-License-Identifier: MIT
// Devices: what they keep and until when, invalidations that come late or never, page requests that are served late.
#include "device_fixture.h"

// ---- Invalidations -----------------------------------------------------------------------------------------------

static void stale_until_invalidated(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	assert_int_equal(device_word(f.device, DVA), 1);
	assert_int_equal(sim_audit(f.machine), 0);
	set_leaf(&f, DVA, f.two | VTD_W);
	assert_int_equal(device_word(f.device, DVA), 1);
	assert_int_equal(sim_audit(f.machine), 1);
	// Beside it.
	sim_device_issue(f.device, DVA + PAGE, DVA + 3 * PAGE, true);
	sim_device_issue(f.device, DVA - 3 * PAGE, DVA, true);
	assert_true(sim_device_wait(f.device));
	assert_int_equal(device_word(f.device, DVA), 1);
	// Posted, and not executed: nobody has waited for it.
	sim_device_issue(f.device, DVA, DVA + PAGE, false);
	for (unsigned i = 0; i < 100; i++) {
		sim_poll(f.cpu);
		assert_int_equal(device_word(f.device, DVA), 1);
	}
	assert_true(sim_device_wait(f.device));
	assert_int_equal(sim_device_cached(f.device, DVA, false), 0);
	assert_int_equal(device_word(f.device, DVA), 2);
	assert_int_equal(sim_audit(f.machine), 0);
	fixture_end(&f);
}

// By chance old or new, until the invalidation was waited for; and it is executed sooner or later if nobody waits.
static void late_by_chance(void **state)
{
	struct fixture f;
	unsigned seen[3] = { 0 }, late = 0;

	(void)state;
	fixture_begin_vtd(&f, NULL);
	for (unsigned round = 0; round < 500; round++) {
		uint64_t old = round & 1 ? f.two : f.one, new = round & 1 ? f.one : f.two;

		sim_device_issue(f.device, DVA, DVA + PAGE, false);
		assert_true(sim_device_wait(f.device));
		set_leaf(&f, DVA, old | VTD_W);
		device_word(f.device, DVA);
		set_leaf(&f, DVA, new | VTD_W);
		sim_device_issue(f.device, DVA, DVA + PAGE, false);
		seen[device_word(f.device, DVA)]++;
		late += sim_device_cached(f.device, DVA, false) > 1;
		assert_true(sim_device_wait(f.device));
		assert_int_equal(device_word(f.device, DVA), round & 1 ? 1 : 2);
		assert_int_equal(sim_audit(f.machine), 0);
	}
	assert_true(seen[1] > 100 && seen[2] > 100 && late > 20);
	sim_device_issue(f.device, 0, UINT64_MAX, true);
	for (struct sim_device_counts counts = { .posted = 1 }; counts.posted != counts.executed;) {
		sim_poll(f.cpu);
		sim_device_get_counts(f.device, &counts);
	}
	fixture_end(&f);
}

// Another table is linked in the place of the lowest. Without `tables` the old one is still used.
static void intermediate_entries(void **state)
{
	struct fixture f;
	uint64_t above, new;

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	assert_int_equal(device_word(f.device, DVA), 1);
	assert_int_equal(sim_device_cached(f.device, DVA, true), 3);
	new = fake_frame(f.machine);
	fake_set(f.machine, new, DVA >> 12 & 511, f.two | VTD_W);
	above = f.tables.root;
	for (unsigned level = 3; level > 1; level--)
		above = fake_get(f.machine, above, DVA >> (12 + 9 * level) & 511) & UINT64_C(0xfffffffff000);
	fake_set(f.machine, above, DVA >> 21 & 511, new | VTD_TABLE);
	for (bool old = false; !old;) { // the old table is reached by one of three entries
		sim_device_issue(f.device, DVA, DVA + PAGE, false);
		assert_true(sim_device_wait(f.device));
		old = device_word(f.device, DVA) == 1;
	}
	assert_true(sim_audit(f.machine) > 0);
	sim_device_issue(f.device, DVA, DVA + PAGE, true);
	assert_true(sim_device_wait(f.device));
	assert_int_equal(sim_device_cached(f.device, DVA, true), 0);
	vmt_port_frame_free(f.machine, f.table, SIM_FRAME_SIZE);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(device_word(f.device, DVA), 2);
	assert_int_equal(sim_audit(f.machine), 0);
	fixture_end(&f);
}

static void silence(void **state)
{
	struct fixture f;
	struct sim_device_counts counts;
	enum vmt_status status = VMT_OK;
	uint64_t ticket;

	(void)state;
	fixture_begin(&f, &(struct sim_device_config){ .format = SIM_VTD_SS, .limit = 10, .hostility = &prompt });
	device_word(f.device, DVA);
	sim_device_silence(f.device, true);
	set_leaf(&f, DVA, f.two | VTD_W);
	assert_true(sim_device_wait(f.device)); // for nothing
	sim_device_issue(f.device, DVA, DVA + PAGE, false);
	assert_false(sim_device_wait(f.device));
	assert_false(sim_device_wait(f.device));
	assert_int_equal(device_word(f.device, DVA), 1);
	// It is known to be wrong: that is not reported.
	assert_int_equal(sim_audit(f.machine), 0);
	sim_device_silence(f.device, false);
	assert_true(sim_device_wait(f.device));
	assert_int_equal(device_word(f.device, DVA), 2);
	// A reset ends everything.
	sim_device_silence(f.device, true);
	sim_device_issue(f.device, DVA, DVA + PAGE, true);
	ticket = sim_device_request(f.device, DVA, VMT_READ);
	sim_device_reset(f.device);
	assert_true(sim_device_wait(f.device));
	assert_true(sim_device_answer(f.device, ticket, &status));
	assert_int_equal(status, VMT_ERR_DEVICE);
	sim_device_get_counts(f.device, &counts);
	assert_int_equal(counts.cached, 0);
	assert_int_equal(counts.posted, counts.executed);
	for (unsigned level = 0; level < 2; level++)
		vmt_port_frame_free(f.machine, level ? f.table : f.one, SIM_FRAME_SIZE);
	fixture_end(&f);
}

// A flush of a tree is the device's, if the tree is.
static void flush_of_a_tree(void **state)
{
	struct fixture f;
	int owner, other;

	(void)state;
	fixture_begin(&f, &(struct sim_device_config){
		.format = SIM_VTD_SS, .tree_owner = &owner, .hostility = &keeps_back });
	device_word(f.device, DVA);
	vmt_port_flush(f.machine, &(struct vmt_flush){ .space_owner = &other, .all = true, .tables = true });
	vmt_port_flush(f.machine, &(struct vmt_flush){
		.space_owner = &owner, .all = true, .start = DVA + PAGE, .end = DVA + 4 * PAGE });
	assert_int_equal(sim_device_cached(f.device, DVA, false), 1);
	vmt_port_flush(f.machine, &(struct vmt_flush){
		.space_owner = &owner, .count = 1, .ranges = { { DVA, DVA + PAGE } } });
	assert_int_equal(sim_device_cached(f.device, DVA, false), 0);
	assert_int_equal(sim_device_cached(f.device, DVA, true), 3);
	vmt_port_flush(f.machine, &(struct vmt_flush){ .space_owner = &owner, .all = true, .tables = true });
	assert_int_equal(sim_device_cached(f.device, DVA, true), 0);
	fixture_end(&f);
}

// ---- What stops the test -----------------------------------------------------------------------------------------

static void free_one(void *arg)
{
	struct fixture *f = arg;

	vmt_port_frame_free(f->machine, f->one, SIM_FRAME_SIZE);
}

static void free_table(void *arg)
{
	struct fixture *f = arg;

	vmt_port_frame_free(f->machine, f->table, SIM_FRAME_SIZE);
}

static void free_root(void *arg)
{
	struct fixture *f = arg;

	vmt_port_frame_free(f->machine, f->tables.root, SIM_FRAME_SIZE);
}

static void read_dva(void *arg)
{
	struct fixture *f = arg;

	device_word(f->device, DVA);
}

static void frees_that_come_too_early(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	device_word(f.device, DVA);
	set_leaf(&f, DVA, 0);
	// Posted is not done.
	sim_device_issue(f.device, DVA, DVA + PAGE, false);
	expect_stop(&f, free_one, "is freed while device 0 has a translation of level 0 cached for 0x7f1234567000");
	assert_non_null(strstr(f.report, "device 0 cached translation 0x7f1234567000"));
	assert_non_null(strstr(f.report, "device 0 is asked to invalidate [0x7f1234567000"));
	assert_null(strstr(f.report, "device 0 invalidated"));

	fixture_begin_vtd(&f, &keeps_back);
	device_word(f.device, DVA);
	sim_device_issue(f.device, DVA, DVA + PAGE, false);
	assert_true(sim_device_wait(f.device));
	free_one(&f);
	expect_stop(&f, free_table, "is freed while device 0 has an intermediate entry of level 1 cached");
	assert_non_null(strstr(f.report, "device 0 invalidated [0x7f1234567000"));

	fixture_begin_vtd(&f, NULL);
	expect_stop(&f, free_root, "while it is the root on device 0");

	// A device that does not answer keeps the frame as well.
	fixture_begin_vtd(&f, NULL);
	device_word(f.device, DVA);
	sim_device_silence(f.device, true);
	set_leaf(&f, DVA, 0);
	sim_device_issue(f.device, DVA, DVA + PAGE, true);
	assert_false(sim_device_wait(f.device));
	expect_stop(&f, free_one, "is freed while device 0");
	assert_non_null(strstr(f.report, "did not answer in time"));
}

static void fault_for_ever(void *arg)
{
	struct fixture *f = arg;
	uint64_t value = 7;

	sim_device_access(f->device, DVA, VMT_WRITE, 8, &value);
}

static void bad_range(void *arg)
{
	struct fixture *f = arg;

	sim_device_issue(f->device, DVA + 8, DVA + PAGE, false);
}

static void other_stops(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin_vtd(&f, NULL);
	free_one(&f);
	expect_stop(&f, read_dva, "points to the free frame");

	fixture_begin_vtd(&f, NULL);
	*(uint64_t *)vmt_port_frame_ptr(f.machine, f.one) = UINT64_C(0xdeadf4a3e5dead01);
	expect_stop(&f, read_dva, "finds the bytes of a freed frame");

	fixture_begin_vtd(&f, NULL);
	set_leaf(&f, DVA, (sim_device_base(f.device) + SIM_DEVICE_SPAN) | VTD_W); // the next device's
	expect_stop(&f, read_dva, "where there is no memory");

	fixture_begin_vtd(&f, NULL);
	set_leaf(&f, DVA, sim_device_base(f.device) | VTD_W);
	expect_stop(&f, read_dva, "a frame never filled");

	fixture_begin_vtd(&f, NULL);
	expect_stop(&f, bad_range, "sim_device_issue: the range");
}

// ---- Faults and page requests ------------------------------------------------------------------------------------

struct served {
	struct fixture *f;
	unsigned calls;
	uint64_t last;
	bool invalidates;
	uint64_t entry;		// that is entered; 0: none
	enum vmt_status status;
};

static enum vmt_status handler(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access)
{
	struct served *served = arg;

	(void)access;
	served->calls++;
	served->last = addr;
	if (served->entry)
		set_leaf(served->f, addr, served->entry);
	if (served->invalidates) {
		sim_device_issue(device, addr & ~(PAGE - 1), (addr & ~(PAGE - 1)) + PAGE, false);
		sim_device_wait(device);
	}
	return served->status;
}

// Any of those that wait is served; answers come by ticket; some requests come again.
static void requests_in_any_order(void **state)
{
	struct fixture f;
	struct served served = { .f = &f };
	struct sim_device_counts counts;
	unsigned out_of_order = 0;

	(void)state;
	fixture_begin_vtd(&f, NULL);
	for (unsigned round = 0; round < 50; round++) {
		uint64_t tickets[10];

		for (unsigned i = 0; i < 10; i++) {
			enum vmt_status status;

			tickets[i] = sim_device_request(f.device, DVA + i * PAGE, VMT_READ);
			assert_int_not_equal(tickets[i], 0);
			assert_false(sim_device_answer(f.device, tickets[i], &status));
		}
		assert_true(sim_device_serve(f.device, f.cpu, handler, &served));
		out_of_order += served.last != DVA;
		while (sim_device_serve(f.device, f.cpu, handler, &served))
			;
		for (unsigned i = 0; i < 10; i++) {
			enum vmt_status status = VMT_ERR_RETRY;

			assert_true(sim_device_answer(f.device, tickets[i], &status));
			assert_int_equal(status, VMT_OK);
		}
	}
	sim_device_get_counts(f.device, &counts);
	assert_true(out_of_order > 20 && counts.late > 10);
	assert_int_equal(counts.requests, 500);
	assert_int_equal(counts.served, 500);
	assert_int_equal(served.calls, 500 + counts.late);
	fixture_end(&f);
}

static void queue_is_full(void **state)
{
	struct fixture f;
	struct served served = { .f = &f };
	uint64_t first;
	enum vmt_status status;

	(void)state;
	fixture_begin_vtd(&f, &prompt);
	first = sim_device_request(f.device, DVA, VMT_READ);
	for (unsigned i = 1; i < 64; i++)
		assert_int_not_equal(sim_device_request(f.device, DVA, VMT_WRITE), 0);
	assert_int_equal(sim_device_request(f.device, DVA, VMT_READ), 0);
	while (sim_device_serve(f.device, f.cpu, handler, &served))
		;
	assert_int_equal(sim_device_request(f.device, DVA, VMT_READ), 0);
	assert_true(sim_device_answer(f.device, first, &status));
	assert_int_not_equal(sim_device_request(f.device, DVA, VMT_READ), 0);
	fixture_end(&f);
}

static void accesses_with_requests(void **state)
{
	struct fixture f;
	struct served served = { .f = &f };
	char bytes[12] = "hello, page", back[12];
	uint64_t value = 5;
	size_t done;

	(void)state;
	fixture_begin_vtd(&f, NULL);
	sim_device_inline(f.device, handler, &served);
	served.entry = f.one | VTD_W;
	set_leaf(&f, DVA, 0);
	assert_false(sim_device_read(f.device, DVA, 8, &value));
	assert_int_equal(sim_device_access(f.device, DVA, VMT_READ, 8, &value), VMT_OK);
	assert_int_equal(value, 1);
	assert_true(served.calls > 0);
	// Read-only becomes writable: the fault itself drops what was cached.
	set_leaf(&f, DVA, f.one | VTD_R);
	sim_device_issue(f.device, DVA, DVA + PAGE, false);
	assert_true(sim_device_wait(f.device));
	device_word(f.device, DVA);
	assert_false(sim_device_write(f.device, DVA, 8, 9));
	value = 9;
	assert_int_equal(sim_device_access(f.device, DVA, VMT_WRITE, 8, &value), VMT_OK);
	assert_int_equal(device_word(f.device, DVA), 9);
	// Across pages, and from an address on.
	set_leaf(&f, DVA + PAGE, f.two | VTD_W);
	value = UINT64_C(0x1122334455667788);
	assert_int_equal(sim_device_access(f.device, DVA + PAGE - 3, VMT_WRITE, 8, &value), VMT_OK);
	value = 0;
	assert_int_equal(sim_device_access(f.device, DVA + PAGE - 3, VMT_READ, 8, &value), VMT_OK);
	assert_true(value == UINT64_C(0x1122334455667788));
	assert_int_equal(*(uint8_t *)vmt_port_frame_ptr(f.machine, f.two), 0x55);
	assert_int_equal(sim_device_write_bytes(f.device, DVA + PAGE - 5, bytes, sizeof(bytes), &done), VMT_OK);
	assert_int_equal(done, sizeof(bytes));
	assert_int_equal(sim_device_read_bytes(f.device, DVA + PAGE - 5, back, sizeof(back), NULL), VMT_OK);
	assert_memory_equal(bytes, back, sizeof(bytes));
	assert_true(sim_device_add(f.device, DVA + 16, 40, NULL));
	assert_true(sim_device_add(f.device, DVA + 16, 2, &value));
	assert_int_equal(value, 40);
	assert_int_equal(device_word(f.device, DVA + 16), 42);
	// An answer that is no.
	served.entry = 0;
	served.status = VMT_ERR_UNMAPPED;
	assert_int_equal(sim_device_write_bytes(f.device, DVA + 2 * PAGE - 5, bytes, sizeof(bytes), &done),
			 VMT_ERR_UNMAPPED);
	assert_int_equal(done, 5);
	assert_int_equal(sim_device_access(f.device, UINT64_C(1) << 48, VMT_READ, 8, &value), VMT_ERR_UNMAPPED);
	assert_int_equal(sim_audit(f.machine), 0);
	fixture_end(&f);
}

// One that is not sticky keeps no absence, not even one that it met by itself.
static void absence(void **state)
{
	struct fixture f;
	const struct sim_hostility hostility = { .cached = 100, .negative = 100 };

	(void)state;
	fixture_begin_vtd(&f, &hostility);
	set_leaf(&f, DVA, 0);
	sim_device_prefetch(f.device, DVA);
	set_leaf(&f, DVA, f.one | VTD_R);
	assert_int_equal(device_word(f.device, DVA), 1);
	fixture_end(&f);
}

// A sticky device keeps what it faulted for, until it is told.
static void sticky(void **state)
{
	struct fixture f;
	struct served served = { .f = &f };
	const struct sim_hostility hostility = { .cached = 100, .negative = 100 };
	uint64_t value = 3;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		fixture_begin(&f, &(struct sim_device_config){
			.format = SIM_VTD_SS, .sticky = true, .hostility = &hostility });
		sim_device_inline(f.device, handler, &served);
		set_leaf(&f, DVA, 0);
		assert_false(sim_device_read(f.device, DVA, 8, &value));
		set_leaf(&f, DVA, f.one | VTD_R);
		assert_false(sim_device_read(f.device, DVA, 8, &value));
		assert_int_equal(sim_audit(f.machine), 0);
		served.entry = f.one | VTD_W;
		served.invalidates = !round;
		if (round) {
			expect_stop(&f, fault_for_ever, "no progress: device 0 faulted 10000 times");
			return;
		}
		assert_int_equal(sim_device_access(f.device, DVA, VMT_WRITE, 8, &value), VMT_OK);
		assert_int_equal(device_word(f.device, DVA), 3);
		fixture_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_until_invalidated),
		cmocka_unit_test(late_by_chance),
		cmocka_unit_test(intermediate_entries),
		cmocka_unit_test(silence),
		cmocka_unit_test(flush_of_a_tree),
		cmocka_unit_test(frees_that_come_too_early),
		cmocka_unit_test(other_stops),
		cmocka_unit_test(requests_in_any_order),
		cmocka_unit_test(queue_is_full),
		cmocka_unit_test(accesses_with_requests),
		cmocka_unit_test(absence),
		cmocka_unit_test(sticky),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
