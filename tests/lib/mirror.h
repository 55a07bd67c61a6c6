// SPDX-License-Identifier: MIT
// What the tests of mirrors share: a device with a translation cache of its own, which it uses until it is told, and
// the comparison of its tables and its cache with the space.
#ifndef TESTS_LIB_MIRROR_H
#define TESTS_LIB_MIRROR_H

#include "lib.h"

#define RW	(VMT_READ | VMT_WRITE)
#define HUGE	(PAGE * SLOTS)
#define DEV_TLB 64

enum dev_kind {
	DEV_TREE,	// tables of its own, of any format
	DEV_SHARED,	// walks the space's
	DEV_COMMANDS,	// a table that only its own commands change
};

struct dev_config {
	enum dev_kind kind;
	enum sim_format format;		// DEV_TREE: of its tables
	enum vmt_mirror_mode mode;
	uint64_t start, end, offset;	// as in struct vmt_mirror_config
	uint64_t leaf_sizes;		// as in struct vmt_tree_config
	bool exec;
};

struct commands;

struct dev {
	struct env *env;
	struct dev_config config;
	const struct sim_ops *ops;	// DEV_TREE
	struct vmt_tree *tree;
	struct commands *commands;	// DEV_COMMANDS
	struct vmt_target target;
	struct vmt_mirror *mirror;
	bool silent;			// answers no invalidation
	void (*on_issue)(void);		// called when it is asked for one; or NULL
	// What it has cached, by pages of its format, and what it was asked to drop and has not dropped yet.
	unsigned cached, posted;
	struct dev_item {
		uint64_t addr, pa;
		vmt_prot prot;
	} tlb[DEV_TLB];
	struct {
		uint64_t start, end;
	} queue[64];
	unsigned issues, waits, fills, tables;	// calls of its ops; of the issues those about tables
};

// The formats whose tables a device of this program's spaces can have, one after the other: *format is what comes after
// `*format`. False: that was the last. Begin with SIM_FORMATS.
bool dev_next_format(struct env *env, enum sim_format *format);

// A device with its tables, not mirrored yet; a mirror for it; both; and their ends, which judge: nothing is left in
// the target, no table, nothing is cached.
void dev_make(struct dev *dev, struct env *env, const struct dev_config *config);
enum vmt_status dev_mirror(struct dev *dev);
void dev_open(struct dev *dev, struct env *env, const struct dev_config *config);
void dev_close(struct dev *dev);
void dev_free(struct dev *dev);

// Faults the page in by the mirror; addresses are the space's in all of this.
enum vmt_status dev_fault(struct dev *dev, uint64_t addr, vmt_prot access);
// The device uses the page: what it has cached, or what its tables say, which it then caches. False: it faults.
bool dev_uses(struct dev *dev, uint64_t addr, vmt_prot access, uint64_t *pa);
// What its tables say, whatever it has cached. False: nothing.
bool dev_translate(struct dev *dev, uint64_t addr, struct vmt_translation *translation);

// The step check. Nothing is in the tables or in the cache that the space does not say, or with more permissions; with
// `complete` all that the space says is there.
void dev_judge(struct dev *dev, bool complete);

struct vmt_mirror_counts dev_counts(struct dev *dev);

#endif
