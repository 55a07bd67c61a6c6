// SPDX-License-Identifier: MIT
// Devices behind tables of every format, on a machine of another one: RAM and their own memory; pages that are larger
// than the machine's; AArch64's need of break-before-make.
#include "device_fixture.h"

// How a format says a table and a page that can be read and written and was: the address shifted right, and bits. The
// AMD IOMMU's tables say the level below.
struct encoding {
	enum sim_format format;
	unsigned shift;
	uint64_t table, page;
};

#define S1 UINT64_C(0x0060000000000c43)	// nG, AF, AP = 01, not to be executed
#define S2 UINT64_C(0x00400000000004ff)

static const struct encoding encodings[] = {
	{ SIM_X86_64_4, 0, 0x27, 0x67 }, { SIM_X86_64_5, 0, 0x27, 0x67 }, { SIM_AMD_NPT, 0, 0x27, 0x67 },
	{ SIM_RISCV_SV39, 2, 0x1, 0xd7 }, { SIM_RISCV_SV48, 2, 0x1, 0xd7 }, { SIM_RISCV_SV57, 2, 0x1, 0xd7 },
	{ SIM_EPT, 0, 0x107, 0x333 }, { SIM_VTD_SS, 0, 0x103, 0x333 },
	{ SIM_AMD_V1, 0, UINT64_C(0x6000000000000021), UINT64_C(0x6000000000000061) },
	{ SIM_AARCH64_S1, 0, 3, S1 }, { SIM_AARCH64_S1_16K, 0, 3, S1 }, { SIM_AARCH64_S1_64K, 0, 3, S1 },
	{ SIM_AARCH64_S1_4K_52, 0, 3, S1 }, { SIM_AARCH64_S1_16K_52, 0, 3, S1 }, { SIM_AARCH64_S1_64K_52, 0, 3, S1 },
	{ SIM_AARCH64_S2, 0, 3, S2 }, { SIM_AARCH64_S2_16K, 0, 3, S2 }, { SIM_AARCH64_S2_64K, 0, 3, S2 },
	{ SIM_AARCH64_S2_4K_52, 0, 3, S2 }, { SIM_AARCH64_S2_16K_52, 0, 3, S2 }, { SIM_AARCH64_S2_64K_52, 0, 3, S2 },
};

static uint64_t table_entry(const struct encoding *encoding, uint64_t pa, unsigned level)
{
	return pa >> encoding->shift | encoding->table | (encoding->format == SIM_AMD_V1 ? (uint64_t)level << 9 : 0);
}

// Maps the page of `addr`, with tables as they are needed.
static void map(struct sim_machine *machine, const struct encoding *encoding, uint64_t root, uint64_t addr, uint64_t pa)
{
	uint64_t size = sim_format_page(encoding->format), table = root;
	unsigned page = (unsigned)__builtin_ctzll(size), bits = page - 3;

	for (unsigned level = sim_format_levels(encoding->format) - 1; level > 0; level--) {
		unsigned index = addr >> (page + bits * level) & ((1u << bits) - 1);
		uint64_t entry = fake_get(machine, table, index);

		if (!entry) {
			uint64_t below = vmt_port_frame_alloc(machine, size, true);

			assert_int_not_equal(below, VMT_NO_FRAME);
			entry = table_entry(encoding, below, level);
			fake_set(machine, table, index, entry);
		}
		// 47:page of the address; the bits beyond are none that are used here.
		table = (entry << encoding->shift & UINT64_C(0xffffffffffff)) & ~(size - 1);
	}
	fake_set(machine, table, addr >> page & ((1u << bits) - 1), pa >> encoding->shift | encoding->page);
}

// RAM and device memory behind tables of the format, on a machine of another one.
static void walk_format(const struct encoding *encoding)
{
	uint64_t size = sim_format_page(encoding->format), va = UINT64_C(0x1234560000), root, ram, value;
	struct sim_machine *machine = sim_machine_create(&(struct sim_config){
		.ops = &fake_x86_4, .cpus = 1, .frames = 1024, .seed = 7 });
	struct sim_device *device = sim_device_create(machine, &(struct sim_device_config){
		.format = encoding->format, .bytes = 1 << 18 });

	root = vmt_port_frame_alloc(machine, size, true);
	ram = vmt_port_frame_alloc(machine, size, true);
	map(machine, encoding, root, va, ram);
	map(machine, encoding, root, va + size, sim_device_base(device) + 3 * size);
	sim_device_attach(device, root);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t offset = 8 * i * (size / 1024);

		assert_true(sim_device_write(device, va + offset, 8, i));
		assert_true(sim_device_write(device, va + size + offset, 8, i + 1000));
		assert_true(sim_device_read(device, va + offset, 8, &value) && value == i);
		assert_true(sim_device_read(device, va + size + offset, 8, &value) && value == i + 1000);
	}
	assert_false(sim_device_read(device, va + 2 * size, 8, &value));
	value = *(uint64_t *)(void *)((uint8_t *)vmt_port_frame_ptr(machine, ram) + 8 * (size / 1024));
	assert_int_equal(value, 1);
	assert_int_equal(*(uint64_t *)sim_device_memory(device, sim_device_base(device) + 3 * size), 1000);
	assert_int_equal(sim_audit(machine), 0);
	// Each of the frames of a page is watched, not just the first.
	assert_true(sim_device_cached(device, va, false) > 0);
	sim_device_issue(device, va, va + size, false);
	assert_true(sim_device_wait(device));
	vmt_port_frame_free(machine, ram + size - SIM_FRAME_SIZE, SIM_FRAME_SIZE);
	sim_device_detach(device);
	sim_machine_destroy(machine);
}

static void all_formats(void **state)
{
	(void)state;
	assert_int_equal(sizeof(encodings) / sizeof(*encodings), SIM_FORMATS);
	for (unsigned i = 0; i < SIM_FORMATS; i++)
		walk_format(&encodings[i]);
}

static void free_last_part(void *arg)
{
	struct fixture *f = arg;

	vmt_port_frame_free(f->machine, f->one + 15 * SIM_FRAME_SIZE, SIM_FRAME_SIZE);
}

// A page of 64 KiB, of which the machine, whose pages are smaller, frees a part.
static void part_of_a_page(void **state)
{
	struct encoding encoding = { SIM_AARCH64_S2_64K, 0, 3, S2 };
	struct fixture f;
	uint64_t root;

	(void)state;
	f.machine = fake_machine(&fake_x86_4, 1, NULL);
	f.device = sim_device_create(f.machine, &(struct sim_device_config){ .format = encoding.format });
	root = vmt_port_frame_alloc(f.machine, 1 << 16, true);
	f.one = vmt_port_frame_alloc(f.machine, 1 << 16, true);
	map(f.machine, &encoding, root, UINT64_C(0x1234560000), f.one);
	sim_device_attach(f.device, root);
	assert_int_equal(device_word(f.device, UINT64_C(0x1234560000)), 0);
	expect_stop(&f, free_last_part, "is freed while device 0 has a translation");
}

// Two translations of one address, of which one is stale.
static void read_again(void *arg)
{
	struct fixture *f = arg;

	for (unsigned i = 0; i < 100; i++)
		device_word(f->device, DVA);
}

static void break_before_make(void **state)
{
	struct fixture f;
	const struct sim_device_config config = { .format = SIM_AARCH64_S2 };

	(void)state;
	for (unsigned silent = 0; silent < 2; silent++) {
		f.machine = fake_machine(&fake_x86_4, 1, NULL);
		f.device = sim_device_create(f.machine, &config);
		fake_space(f.machine, &f.tables);
		f.table = fake_map_4(&f.tables, DVA, fake_frame(f.machine) | S2, 3);
		sim_device_attach(f.device, f.tables.root);
		device_word(f.device, DVA);
		sim_device_silence(f.device, silent);
		set_leaf(&f, DVA, fake_frame(f.machine) | S2);
		if (!silent)
			expect_stop(&f, read_again, "break before make: device 0 loads");
	}
	read_again(&f);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_formats),
		cmocka_unit_test(part_of_a_page),
		cmocka_unit_test(break_before_make),
	};

	return cmocka_run_group_tests_name("device formats", tests, NULL, NULL);
}
