// SPDX-License-Identifier: MIT
// The library, and the names of what it keeps in memory. The structures are its own, so this is one translation unit
// with it. A byte that has no name here ends the program: so a new field cannot be forgotten.
#include "../src/vmtree.c"

#include "conflicts.h"

struct field {
	const char *name;
	size_t at, bytes;
};

#define FIELD(type, member) {#type "." #member, offsetof(struct type, member), sizeof(((struct type *)0)->member)}
#define COUNT(array)	    (sizeof(array) / sizeof(*(array)))

static const struct field vmt_fields[] = {
	FIELD(vmt, port), FIELD(vmt, cpus), FIELD(vmt, zero_pa), FIELD(vmt, generation), FIELD(vmt, spaces),
	FIELD(vmt, objects), FIELD(vmt, backings), FIELD(vmt, quarantine), FIELD(vmt, memory),
};

static const struct field tree_fields[] = {
	FIELD(vmt_tree, vmt), FIELD(vmt_tree, port), FIELD(vmt_tree, space), FIELD(vmt_tree, owner),
	FIELD(vmt_tree, flush), FIELD(vmt_tree, root), FIELD(vmt_tree, root_pa), FIELD(vmt_tree, start),
	FIELD(vmt_tree, end), FIELD(vmt_tree, leaf_sizes), FIELD(vmt_tree, user), FIELD(vmt_tree, untracked),
	FIELD(vmt_tree, gate), FIELD(vmt_tree, relinks), FIELD(vmt_tree, secondaries), FIELD(vmt_tree, owed),
	FIELD(vmt_tree, generation), FIELD(vmt_tree, cpus), FIELD(vmt_tree, cpu), FIELD(vmt_tree, array_limit),
	FIELD(vmt_tree, told),
};

static const struct field space_fields[] = {FIELD(vmt_space, config)};

static const struct field cpu_fields[] = {
	FIELD(vmt_cpu, count), FIELD(vmt_cpu, told), FIELD(vmt_cpu, peak), FIELD(vmt_cpu, kept), FIELD(vmt_cpu, cursor), FIELD(vmt_cpu, hole_start),
	FIELD(vmt_cpu, hole_end),
};

static const struct field node_fields[] = {
	FIELD(vmt_node, lock), FIELD(vmt_node, no_refs), FIELD(vmt_node, live), FIELD(vmt_node, level),
	FIELD(vmt_node, state), FIELD(vmt_node, id), FIELD(vmt_node, breaks), FIELD(vmt_node, gap),
	FIELD(vmt_node, table), FIELD(vmt_node, tree), FIELD(vmt_node, base), FIELD(vmt_node, parent),
	FIELD(vmt_node, ids),
};

static const struct field data_fields[] = {
	FIELD(vmt_data, flags), FIELD(vmt_data, refs), FIELD(vmt_data, pins), FIELD(vmt_data, next),
	FIELD(vmt_data, copy),
};

static const struct field object_fields[] = {
	FIELD(vmt_object, vmt), FIELD(vmt_object, root), FIELD(vmt_object, size), FIELD(vmt_object, pages),
	FIELD(vmt_object, refs), FIELD(vmt_object, adding), FIELD(vmt_object, truncations), FIELD(vmt_object, ops),
	FIELD(vmt_object, owner),
};

static const struct field backing_fields[] = {
	FIELD(backing, object), FIELD(backing, base), FIELD(backing, attr), FIELD(backing, uses),
	FIELD(backing, next), FIELD(backing, dead),
};

static const struct field backings_fields[] = {
	FIELD(vmt_backings, bucket), FIELD(vmt_backings, free), FIELD(vmt_backings, chunk_lock),
	FIELD(vmt_backings, chunks), FIELD(vmt_backings, chunk),
};

// The name of the byte if it lies in one of `count` structures of `size` bytes at `first`; NULL: it does not.
static const char *name_in(const char *byte, const void *first, size_t size, size_t count, const struct field *fields,
			   size_t field_count)
{
	size_t at = (size_t)(byte - (const char *)first);

	if (byte < (const char *)first || at >= size * count)
		return NULL;
	at %= size;
	for (size_t i = 0; i < field_count; i++)
		if (at - fields[i].at < fields[i].bytes)
			return fields[i].name;
	fail("byte %zu of the structure of %s has no name", at, fields[0].name);
}

#define NAME_IN(byte, first, type, count, fields) name_in(byte, first, sizeof(struct type), count, fields, COUNT(fields))

static const char *name_in_backings(const struct vmt_backings *all, const char *byte)
{
	const char *name = NAME_IN(byte, all, vmt_backings, 1, backings_fields);

	for (uint32_t i = 0; i < all->chunks && !name; i++)
		name = NAME_IN(byte, atomic_load_explicit(&all->chunk[i], memory_order_relaxed), backing, BACKING_CHUNK,
			       backing_fields);
	return name;
}

static const char *name_in_heap(const struct vmt *vmt, const struct vmt_space *space, const struct vmt_object *object,
				const char *byte)
{
	const char *name = NAME_IN(byte, vmt, vmt, 1, vmt_fields);

	name = name ? name : NAME_IN(byte, &space->tree, vmt_tree, 1, tree_fields);
	name = name ? name : NAME_IN(byte, space, vmt_space, 1, space_fields);
	name = name ? name : NAME_IN(byte, space->tree.cpu, vmt_cpu, vmt->cpus, cpu_fields);
	name = name ? name : object ? NAME_IN(byte, object, vmt_object, 1, object_fields) : NULL;
	return name ? name : name_in_backings(vmt->backings, byte);
}

// Is or was the frame a table, and nothing else since?
static bool frame_is_table(size_t frame)
{
	return (uint8_t *)memory.meta[frame].node.table == memory.frame[frame];
}

static const char *name_in_frame(size_t frame)
{
	static const char *const entries[] = {"entry of level 0", "entry of level 1", "entry of level 2",
					      "entry of level 3"};

	return frame_is_table(frame) ? entries[memory.meta[frame].node.level] : "word of an object's radix tree";
}

const char *core_name(const struct vmt *vmt, const struct vmt_space *space, const struct vmt_object *object, size_t at)
{
	const char *byte = (const char *)&memory + at, *name;

	if (at < offsetof(struct memory, meta))
		return name_in_frame(at / VMT_PAGE_SIZE);
	if (at < offsetof(struct memory, heap)) {
		size_t frame = (at - offsetof(struct memory, meta)) / sizeof(struct vmt_frame);

		name = frame_is_table(frame) ? NAME_IN(byte, &memory.meta[frame], vmt_node, 1, node_fields) :
					       NAME_IN(byte, &memory.meta[frame], vmt_data, 1, data_fields);
	} else if (at < offsetof(struct memory, port)) {
		name = name_in_heap(vmt, space, object, byte);
		name = name ? name : "attribute ids";
	} else {
		name = "the port's memory of a CPU";
	}
	return name;
}
