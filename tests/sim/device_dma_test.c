// SPDX-License-Identifier: MIT
// The copying engine of a device: copies that are late, end out of order, fail; and what stops the test.
#include "device_fixture.h"

// A copy, and whether and how it has ended.
struct job {
	struct vmt_copy copy;
	unsigned ended;
	bool good;
};

static unsigned ended_last;	// numbers the ends

static void job_done(struct vmt_copy *copy, bool good)
{
	struct job *job = (struct job *)copy;

	assert_int_equal(job->ended, 0);
	job->ended = ++ended_last;
	job->good = good;
}

static void start(struct fixture *f, struct job *job, uint64_t pa, uint64_t device, uint64_t bytes, bool to_device)
{
	*job = (struct job){ .copy = { .pa = pa, .device = device, .bytes = bytes, .to_device = to_device } };
	sim_dma_begin(f->device, &job->copy, job_done);
}

static void finish(struct job *job)
{
	while (!job->ended)
		vmt_port_relax(sim_cpu_machine(sim_self()), true);
}

static uint64_t base(const struct fixture *f)
{
	return sim_device_base(f->device);
}

static void fill(void *at, size_t bytes, uint64_t first)
{
	for (size_t i = 0; i < bytes / 8; i++)
		((uint64_t *)at)[i] = first + i;
}

static bool holds(const void *at, size_t bytes, uint64_t first)
{
	for (size_t i = 0; i < bytes / 8; i++)
		if (((const uint64_t *)at)[i] != first + i)
			return false;
	return true;
}

static void there_and_back(void **state)
{
	struct fixture f;
	struct job job;
	struct sim_device_counts counts;
	uint64_t block, other;

	(void)state;
	fixture_begin_vtd(&f, &prompt);
	block = vmt_port_frame_alloc(f.machine, 1 << 16, true);
	other = vmt_port_frame_alloc(f.machine, 1 << 16, true);
	fill(vmt_port_frame_ptr(f.machine, block), 1 << 16, 100);
	start(&f, &job, block, base(&f) + 0x20000, 1 << 16, true);
	// Nothing is left for later: it ends at once.
	assert_true(job.ended && job.good);
	assert_true(holds(sim_device_memory(f.device, base(&f) + 0x20000), 1 << 16, 100));
	start(&f, &job, other, base(&f) + 0x20000, 1 << 16, false);
	assert_true(job.ended && job.good);
	assert_true(holds(vmt_port_frame_ptr(f.machine, other), 1 << 16, 100));
	// The device reaches it by a translation.
	set_leaf(&f, DVA, (base(&f) + 0x21000) | VTD_W);
	assert_int_equal(device_word(f.device, DVA + 8), 100 + 0x201);
	sim_device_get_counts(f.device, &counts);
	assert_int_equal(counts.copies, 2);
	assert_int_equal(counts.failed, 0);
	fixture_end(&f);
}

// Copies that nobody waits for stay where they are, and move when somebody does.
static void late(void **state)
{
	struct fixture f;
	struct job job;
	struct sim_device_counts counts;

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	fill(vmt_port_frame_ptr(f.machine, f.one), PAGE, 7);
	start(&f, &job, f.one, base(&f), PAGE, true);
	for (unsigned i = 0; i < 100; i++)
		sim_poll(f.cpu);
	assert_false(job.ended);
	sim_device_get_counts(f.device, &counts);
	assert_int_equal(counts.copying, 1);
	finish(&job);
	assert_true(job.good);
	assert_true(holds(sim_device_memory(f.device, base(&f)), PAGE, 7));
	fixture_end(&f);
}

static void out_of_order(void **state)
{
	struct fixture f;
	struct job jobs[16];
	uint64_t frames[16];
	unsigned overtaken = 0, at_once = 0;

	(void)state;
	fixture_begin_vtd(&f, NULL);
	for (unsigned i = 0; i < 16; i++)
		frames[i] = fake_frame(f.machine);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 16; i++) {
			fill(vmt_port_frame_ptr(f.machine, frames[i]), PAGE, round * 1000 + i);
			start(&f, &jobs[i], frames[i], base(&f) + i * PAGE, PAGE, true);
			at_once += jobs[i].ended != 0;
		}
		for (unsigned i = 0; i < 16; i++)
			finish(&jobs[i]);
		for (unsigned i = 0; i < 16; i++) {
			assert_true(jobs[i].good);
			assert_true(holds(sim_device_memory(f.device, base(&f) + i * PAGE), PAGE, round * 1000 + i));
			overtaken += i && jobs[i].ended < jobs[i - 1].ended;
		}
	}
	assert_true(overtaken > 20 && at_once > 20 && at_once < 300);
	fixture_end(&f);
}

static void failures(void **state)
{
	struct fixture f;
	struct job job;
	struct sim_device_counts counts;
	const uint64_t *words;
	unsigned bad = 0;

	(void)state;
	fixture_begin_vtd(&f, &prompt);
	words = vmt_port_frame_ptr(f.machine, f.two);
	sim_dma_fail_nth(f.device, 2, 1);
	for (unsigned i = 1; i <= 3; i++) {
		fill(vmt_port_frame_ptr(f.machine, f.one), PAGE, i);
		start(&f, &job, f.one, base(&f) + i * PAGE, PAGE, true);
		assert_int_equal(job.good, i != 2);
		assert_int_equal(holds(sim_device_memory(f.device, base(&f) + i * PAGE), PAGE, i), i != 2);
		assert_true(holds(vmt_port_frame_ptr(f.machine, f.one), PAGE, i));
	}
	// In the other direction: a part is written, a part is garbage, and the device's bytes are as they were.
	sim_dma_fail_nth(f.device, 1, 1);
	start(&f, &job, f.two, base(&f) + PAGE, PAGE, false);
	assert_false(job.good);
	assert_int_equal(words[0], 1);
	for (unsigned i = 0; i < 512; i++)
		bad += words[i] == UINT64_C(0xa110ca7ed0bad002);
	assert_true(bad > 0 && bad < 512);
	assert_true(holds(sim_device_memory(f.device, base(&f) + PAGE), PAGE, 1));
	sim_dma_fail_nth(f.device, 0, 0);
	sim_dma_fail_random(f.device, 500000);
	bad = 0;
	for (unsigned i = 0; i < 200; i++) {
		start(&f, &job, f.two, base(&f) + PAGE, PAGE, false);
		bad += !job.good;
	}
	assert_true(bad > 50 && bad < 150);
	sim_device_get_counts(f.device, &counts);
	assert_int_equal(counts.failed, bad + 2);
	assert_int_equal(counts.copies, 204);
	fixture_end(&f);
}

static void reset_ends_copies(void **state)
{
	struct fixture f;
	struct job jobs[2];

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	start(&f, &jobs[0], f.one, base(&f), PAGE, true);
	start(&f, &jobs[1], f.two, base(&f) + PAGE, PAGE, true);
	sim_device_reset(f.device);
	assert_true(jobs[0].ended && jobs[1].ended && !jobs[0].good && !jobs[1].good);
	vmt_port_frame_free(f.machine, f.one, SIM_FRAME_SIZE);
	// Another is left when the machine ends.
	start(&f, &jobs[0], f.two, base(&f), PAGE, true);
	fixture_end(&f);
}

// ---- What stops the test -----------------------------------------------------------------------------------------

static struct job stopping;

static void free_one(void *arg)
{
	struct fixture *f = arg;

	vmt_port_frame_free(f->machine, f->one, SIM_FRAME_SIZE);
}

static void copy_in(void *arg)
{
	struct fixture *f = arg;

	start(f, &stopping, f->two, base(f), PAGE, true);
	finish(&stopping);
}

static void copy_out(void *arg)
{
	struct fixture *f = arg;

	start(f, &stopping, f->two, base(f), PAGE, false);
	finish(&stopping);
}

static void copy_beyond(void *arg)
{
	struct fixture *f = arg;

	start(f, &stopping, f->two, base(f) + sim_device_bytes(f->device), PAGE, true);
}

static void finish_stopping(void *arg)
{
	(void)arg;
	finish(&stopping);
}

static void frame_freed_meanwhile(void **state)
{
	struct fixture f;
	struct job job;

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	start(&f, &job, f.one, base(&f), PAGE, true);
	expect_stop(&f, free_one, "is freed while device 0 copies it");
	assert_non_null(strstr(f.report, "device 0 copy begins"));

	fixture_begin_vtd(&f, &keeps_back);
	free_one(&f);
	f.two = f.one;
	expect_stop(&f, copy_in, "its frame of RAM has been freed");
}

// A page of the device that it can still reach is filled; or becomes reachable before it is filled.
static void filled_too_early(void **state)
{
	struct fixture f;

	(void)state;
	for (unsigned before = 0; before < 2; before++) {
		fixture_begin_vtd(&f, &keeps_back);
		fill(sim_device_memory(f.device, base(&f)), PAGE, 5);
		set_leaf(&f, DVA, base(&f) | VTD_R);
		if (before)
			assert_int_equal(device_word(f.device, DVA), 5);
		else
			start(&f, &stopping, f.two, base(&f), PAGE, true);
		sim_device_prefetch(f.device, DVA);
		expect_stop(&f, before ? copy_in : finish_stopping, "cached for a page that it fills");
	}
}

// A page is read that the device can write. That is no error where it can read it only, where it is silent, or where
// the page was filled anew since.
static void read_while_written(void **state)
{
	struct sim_hostility hostility = keeps_back;
	struct fixture f;
	struct job job;

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	fill(sim_device_memory(f.device, base(&f)), PAGE, 5);
	set_leaf(&f, DVA, base(&f) | VTD_R);
	assert_int_equal(device_word(f.device, DVA), 5);
	copy_out(&f);
	assert_true(holds(vmt_port_frame_ptr(f.machine, f.two), PAGE, 5));
	set_leaf(&f, DVA, base(&f) | VTD_W);
	assert_true(sim_device_write(f.device, DVA, 8, 6));
	sim_device_silence(f.device, true);
	copy_out(&f);
	sim_device_silence(f.device, false);
	expect_stop(&f, copy_out, "a writable translation cached for a page that it reads");

	fixture_begin_vtd(&f, &hostility);
	fill(sim_device_memory(f.device, base(&f)), PAGE, 5);
	start(&f, &job, f.two, base(&f), PAGE, false);
	hostility.late = 0;
	start(&f, &stopping, f.one, base(&f), PAGE, true);
	assert_true(stopping.ended && !job.ended);
	set_leaf(&f, DVA, base(&f) | VTD_W);
	assert_true(sim_device_write(f.device, DVA, 8, 6));
	finish(&job);
	fixture_end(&f);
}

static void map_and_finish(void *arg)
{
	struct fixture *f = arg;

	set_leaf(f, DVA, f->two | VTD_W);
	device_word(f->device, DVA);
	finish(&stopping);
}

static void other_stops(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin_vtd(&f, &keeps_back);
	fill(sim_device_memory(f.device, base(&f)), PAGE, 5);
	start(&f, &stopping, f.two, base(&f), PAGE, false);
	expect_stop(&f, map_and_finish, "is written by a copy while device 0 has a translation");

	fixture_begin_vtd(&f, &keeps_back);
	start(&f, &stopping, f.one, base(&f), PAGE, true);
	expect_stop(&f, copy_in, "another copy fills the same device page");

	fixture_begin_vtd(&f, &keeps_back);
	start(&f, &stopping, f.two, base(&f) + PAGE, PAGE, false);
	expect_stop(&f, copy_out, "another copy fills the same frame");

	fixture_begin_vtd(&f, &keeps_back);
	expect_stop(&f, copy_beyond, "the device has no such memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(late),
		cmocka_unit_test(out_of_order),
		cmocka_unit_test(failures),
		cmocka_unit_test(reset_ends_copies),
		cmocka_unit_test(frame_freed_meanwhile),
		cmocka_unit_test(filled_too_early),
		cmocka_unit_test(read_while_written),
		cmocka_unit_test(other_stops),
	};

	return cmocka_run_group_tests_name("device dma", tests, NULL, NULL);
}
