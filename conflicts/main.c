// SPDX-License-Identifier: MIT
// Each operation with each. Prints a line for each pair, tabs between:
//
// 	pair SETTING TIME DISTANCE FIRST SECOND LINES FIELDS	lines that both have, one writes; their fields, ;
// between
//	alone SETTING TIME FIRST READ WRITTEN ASKED		what one CPU touches, writes; is another asked to flush?
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflicts.h"

#define PAGE VMT_PAGE_SIZE
#define BASE (UINT64_C(1) << 40)
#define LEAF_TABLE (UINT64_C(1) << 21)	// what one covers
#define CYCLES 3

// What each CPU maps: private anonymous memory; one file, shared, each its own part of it; shared anonymous memory, of
// which each mapping has an object of its own.
enum setting { ANONYMOUS, FILE_SHARED, ANONYMOUS_SHARED, SETTINGS };

// `FIRST`: there are no tables yet but those that the mapping itself needed. `STEADY`: the CPU has been there before,
// with all operations, and nothing was left behind but what the library keeps.
enum time { FIRST, STEADY, TIMES };

// From the one page to the other.
enum distance { SAME_TABLE, NEXT_TABLE, NEXT_UPPER, NEXT_TOP, DISTANCES };

enum op { MAP, TOUCH, UNMAP, PROTECT, RELEASE, GUARD, TRANSLATE, OPS };

static const char *const setting_names[] = {"anonymous", "file", "shared"};
static const char *const time_names[] = {"first", "steady"};
static const uint64_t distances[] = {PAGE, LEAF_TABLE, UINT64_C(1) << 30, UINT64_C(1) << 39};
static const char *const distance_names[] = {"page", "leaf", "upper", "top"};
static const char *const op_names[] = {"map", "touch", "unmap", "protect", "release", "guard", "translate"};

static struct vmt *vmt;
static struct vmt_space *space;
static struct vmt_object *object;

_Noreturn void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void ok(enum vmt_status status)
{
	if (status != VMT_OK)
		fail("an operation ends with %s", vmt_status_name(status));
}

// ---- Operations --------------------------------------------------------------------------------------------------

static void map(enum setting setting, uint64_t addr, uint64_t length)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = VMT_READ | VMT_WRITE,
					  .flags = VMT_MAP_FIXED_NOREPLACE};
	uint64_t where;

	if (setting != ANONYMOUS)
		request.flags |= VMT_MAP_SHARED;
	if (object) {
		request.object = object;
		request.offset = addr - BASE;
	}
	ok(vmt_map(space, &request, &where));
}

static void perform(enum setting setting, enum op op, uint64_t addr)
{
	struct vmt_translation translation;

	switch (op) {
	case MAP:
		map(setting, addr, PAGE);
		break;
	case TOUCH:
		program_write(space, addr);
		break;
	case UNMAP:
		ok(vmt_unmap(space, addr, PAGE));
		break;
	case PROTECT:
		ok(vmt_protect(space, addr, PAGE, VMT_READ));
		break;
	case RELEASE:
		ok(vmt_release(space, addr, PAGE));
		break;
	case GUARD:
		ok(vmt_guard_install(space, addr, PAGE));
		break;
	case TRANSLATE:
		ok(vmt_translate(space, addr, &translation));
		break;
	case OPS:
		break;
	}
}

// A guard stands only over private anonymous memory.
static bool has(enum setting setting, enum op op)
{
	return setting == ANONYMOUS || op != GUARD;
}

static void cycle(enum setting setting, uint64_t addr)
{
	map(setting, addr, PAGE);
	program_write(space, addr);
	ok(vmt_protect(space, addr, PAGE, VMT_READ));
	ok(vmt_protect(space, addr, PAGE, VMT_READ | VMT_WRITE));
	ok(vmt_release(space, addr, PAGE));
	program_write(space, addr);
	if (has(setting, GUARD))
		ok(vmt_guard_install(space, addr, PAGE));
	ok(vmt_unmap(space, addr, PAGE));
}

// ---- A pair ------------------------------------------------------------------------------------------------------

struct pair {
	enum setting setting;
	enum time time;
	enum distance distance;
	enum op op[CPUS];
};

static uint64_t address_of(const struct pair *pair, unsigned cpu)
{
	return BASE + cpu * distances[pair->distance];
}

// What the operation finds. The first time it is a part of a mapping that its CPU has made: of the whole leaf table,
// where the other CPU has another one.
static void prepare(const struct pair *pair, unsigned cpu)
{
	uint64_t addr = address_of(pair, cpu);
	enum op op = pair->op[cpu];

	port_be(cpu);
	vmt_activate(space);
	for (unsigned n = 0; pair->time == STEADY && n < CYCLES; n++)
		cycle(pair->setting, addr);
	if (op == MAP)
		return;
	map(pair->setting, addr, pair->time == STEADY || pair->distance == SAME_TABLE ? PAGE : LEAF_TABLE);
	if (op != TOUCH)
		program_write(space, addr);
	port_quiesce();
}

static void begin(const struct pair *pair)
{
	memory_reset();
	port_be(BOOT);
	ok(vmt_create(NULL, CPUS, &vmt));
	ok(vmt_space_create(vmt, &(struct vmt_space_config){.end = UINT64_C(1) << 47, .user = true,
							      .array_limit = UINT64_C(1) << 40}, &space));
	object = NULL;
	if (pair->setting == FILE_SHARED)
		ok(vmt_object_create(vmt, UINT64_C(1) << 40, NULL, NULL, &object));
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		prepare(pair, cpu);
}

static void end(void)
{
	port_be(BOOT);
	if (vmt_check(space))
		fail("vmt_check finds something wrong");
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		port_be(cpu);
		port_quiesce();
		vmt_deactivate(space);
	}
	port_be(BOOT);
	ok(vmt_space_destroy(space));
	if (object)
		vmt_object_put(object);
	ok(vmt_destroy(vmt));
}

static void perform_on(const struct pair *pair, unsigned cpu)
{
	port_be(cpu);
	record(cpu);
	perform(pair->setting, pair->op[cpu], address_of(pair, cpu));
	record(BOOT);
}

// ---- What they have in common ------------------------------------------------------------------------------------

#define KEYS 64

struct keys {
	char key[KEYS][128];
	unsigned count;
};

static void add_key(struct keys *keys, const char *written, const char *touched)
{
	char key[sizeof(keys->key[0])];

	if (written == touched)
		snprintf(key, sizeof(key), "%s", written);
	else
		snprintf(key, sizeof(key), "%s beside %s", written, touched);
	for (unsigned i = 0; i < keys->count; i++)
		if (!strcmp(keys->key[i], key))
			return;
	if (keys->count == KEYS)
		fail("too many fields are shared");
	strcpy(keys->key[keys->count++], key);
}

static const char *name_of(size_t at)
{
	return core_name(vmt, space, object, at);
}

// Fields that one CPU writes and the other touches. False: there are none, only the line is the same.
static bool same_fields(size_t start, struct keys *keys)
{
	bool any = false;

	for (size_t at = start; at < start + LINE; at++) {
		if (recorded(0, at) && recorded(1, at) && (recorded(0, at) | recorded(1, at)) & ACCESS_WRITE) {
			add_key(keys, name_of(at), name_of(at));
			any = true;
		}
	}
	return any;
}

static void neighbours(size_t start, unsigned writer, struct keys *keys)
{
	for (size_t a = start; a < start + LINE; a++)
		for (size_t b = start; b < start + LINE && recorded(writer, a) & ACCESS_WRITE; b++)
			if (recorded(!writer, b))
				add_key(keys, name_of(a), name_of(b));
}

static unsigned shared_lines(struct keys *keys)
{
	unsigned lines = 0;

	for (size_t line = 0; line < sizeof(memory) / LINE; line++) {
		enum access a = recorded_line(0, line), b = recorded_line(1, line);

		if (!a || !b || !((a | b) & ACCESS_WRITE))
			continue;
		lines++;
		if (same_fields(line * LINE, keys))
			continue;
		neighbours(line * LINE, 0, keys);
		neighbours(line * LINE, 1, keys);
	}
	return lines;
}

static void print_alone(const struct pair *pair, unsigned asked)
{
	unsigned touched = 0, written = 0;

	for (size_t line = 0; line < sizeof(memory) / LINE; line++) {
		enum access access = recorded_line(0, line);

		touched += access != 0;
		written += (access & ACCESS_WRITE) != 0;
	}
	printf("alone\t%s\t%s\t%s\t%u\t%u\t%u\n", setting_names[pair->setting], time_names[pair->time],
	       op_names[pair->op[0]], touched, written, asked);
}

static void run(const struct pair *pair)
{
	struct keys keys = {.count = 0};
	unsigned asked;

	begin(pair);
	asked = port_flushes();
	perform_on(pair, 0);
	asked = port_flushes() - asked;
	perform_on(pair, 1);
	if (pair->distance == NEXT_TOP && pair->op[1] == TRANSLATE)
		print_alone(pair, asked);
	printf("pair\t%s\t%s\t%s\t%s\t%s\t%u\t", setting_names[pair->setting], time_names[pair->time],
	       distance_names[pair->distance], op_names[pair->op[0]], op_names[pair->op[1]], shared_lines(&keys));
	for (unsigned i = 0; i < keys.count; i++)
		printf("%s%s", i ? ";" : "", keys.key[i]);
	putchar('\n');
	end();
}

int main(void)
{
	struct pair pair;

	for (pair.setting = 0; pair.setting < SETTINGS; pair.setting++)
		for (pair.time = 0; pair.time < TIMES; pair.time++)
			for (pair.distance = 0; pair.distance < DISTANCES; pair.distance++)
				for (unsigned n = 0; n < OPS * OPS; n++) {
					pair.op[0] = (enum op)(n / OPS);
					pair.op[1] = (enum op)(n % OPS);
					if (has(pair.setting, pair.op[0]) && has(pair.setting, pair.op[1]))
						run(&pair);
				}
	return 0;
}
