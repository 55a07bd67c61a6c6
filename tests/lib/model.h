// SPDX-License-Identifier: MIT
// A flat model of spaces, written from the headers and sharing nothing with the library: an array of *cells*, each with
// everything that a program can find out about it. A cell is a range of addresses with edges where edges are
// interesting: single pages around the boundaries of tables of every level, and the long stretches between them. Of a
// long cell, only the first page is ever touched.
#ifndef TESTS_LIB_MODEL_H
#define TESTS_LIB_MODEL_H

#include "lib.h"

#define MODEL_CELLS   96
#define MODEL_SPACES  4
#define MODEL_OBJECTS 2	 // those that have names; shared anonymous memory makes more
#define MODEL_ANON    512
#define MODEL_PINS    4
#define MODEL_PAGES   64 // of one object

struct model_object {
	uint64_t pages;		// size
	unsigned count;
	struct { uint64_t index, value; } page[MODEL_PAGES];
};

struct model_cell {
	bool mapped, shared, grows, huge;
	vmt_prot prot, max;
	uint32_t tag;
	int object;		// -1: anonymous and private
	uint64_t base;		// where the object's byte 0 lies
	unsigned marker;	// enum vmt_marker, guards too; 0: none
	uint64_t payload;
	uint64_t saved;		// the first word of the page that was taken against it
	bool own;		// a page of its own: `value` is its first word
	bool lazy;		// it may be zero by now
	unsigned pins;		// who pins the page: bit n for pin n
	uint64_t value;
};

struct model_space {
	bool alive;
	struct model_cell cell[MODEL_CELLS];
};

struct model {
	unsigned cells;
	uint64_t edge[MODEL_CELLS + 1];
	unsigned table[2];	// the first cells of two neighbouring lowest tables
	struct model_space space[MODEL_SPACES];
	struct { int object; uint64_t index; } pin[MODEL_PINS]; // of a shared mapping: which page; else object is -1
	unsigned objects;
	struct model_object object[MODEL_OBJECTS + MODEL_ANON];
};

struct model_map {
	vmt_prot prot, max;
	uint32_t tag;
	bool shared, grows, huge, noreplace;
	int object;		// -1: none; with `shared` one is made
	uint64_t offset;
};

void model_init(struct model *model, enum sim_format format);
bool model_is_page(const struct model *model, unsigned cell);

// Each returns what the library has to return, and changes the model accordingly. Ranges are cells [first, end).
enum vmt_status model_map(struct model *model, unsigned space, unsigned first, unsigned end,
			  const struct model_map *request);
enum vmt_status model_unmap(struct model *model, unsigned space, unsigned first, unsigned end);
enum vmt_status model_protect(struct model *model, unsigned space, unsigned first, unsigned end, vmt_prot prot);
enum vmt_status model_release(struct model *model, unsigned space, unsigned first, unsigned end);
enum vmt_status model_lazy_free(struct model *model, unsigned space, unsigned first, unsigned end);
enum vmt_status model_guard(struct model *model, unsigned space, unsigned first, unsigned end, bool install);
enum vmt_status model_mark(struct model *model, unsigned space, unsigned first, unsigned end, unsigned kind,
			   uint64_t payload);
enum vmt_status model_unmark(struct model *model, unsigned space, unsigned first, unsigned end, unsigned kind);
enum vmt_status model_advise_huge(struct model *model, unsigned space, unsigned first, unsigned end, bool huge);
// `there`: the entry holds a page, and not the zero page; `value` is its first word.
enum vmt_status model_take(struct model *model, unsigned space, unsigned cell, unsigned kind, uint64_t payload,
			   bool there, uint64_t value);
// The page that comes back begins with what was saved.
enum vmt_status model_resolve(struct model *model, unsigned space, unsigned cell, unsigned kind, uint64_t payload);
enum vmt_status model_populate(struct model *model, unsigned space, unsigned first, unsigned end, unsigned *done);
enum vmt_status model_move(struct model *model, unsigned space, unsigned first, unsigned old_cells, unsigned new_cells,
			   bool fixed, unsigned to);
enum vmt_status model_grow_down(struct model *model, unsigned space, unsigned cell, uint64_t max, uint64_t gap);
enum vmt_status model_access(struct model *model, unsigned space, unsigned cell, vmt_prot access);
void model_write(struct model *model, unsigned space, unsigned cell, uint64_t value);
// Is this what a read may find? What it found is remembered.
bool model_read(struct model *model, unsigned space, unsigned cell, uint64_t value);
// The page is pinned for writing, and holds `value` now; false if it may not. A device writes through pin `n` then.
bool model_pin(struct model *model, unsigned space, unsigned cell, unsigned n, uint64_t value);
void model_device_write(struct model *model, unsigned n, uint64_t value);
void model_unpin(struct model *model, unsigned n);
void model_fork(struct model *model, unsigned from, unsigned to);

// Are the two cells, neighbours, parts of one area?
bool model_joins(const struct model_cell *a, const struct model_cell *b);

#endif
