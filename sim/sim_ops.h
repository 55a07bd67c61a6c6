// SPDX-License-Identifier: MIT
// The library as one structure of functions for each format, so that one test program can loop over formats. The
// structures of requests are the same for all of them; a file that has not chosen a format gets their definitions
// through the first one, and calls the library through `sim_ops` only.
#ifndef SIM_OPS_H
#define SIM_OPS_H

#ifndef VMT_FORMAT
#define VMT_FORMAT x86_64_4
#endif
#include <vmtree/vmtree.h>

#include <stdbool.h>

enum sim_format {
	SIM_X86_64_4,
	SIM_X86_64_5,
	SIM_RISCV_SV39,
	SIM_RISCV_SV48,
	SIM_RISCV_SV57,
	SIM_EPT,
	SIM_AARCH64_S1,
	SIM_AARCH64_S2,
	SIM_VTD_SS,
	SIM_AMD_V1,
	SIM_AMD_NPT,
	SIM_AARCH64_S1_16K,
	SIM_AARCH64_S1_64K,
	SIM_AARCH64_S1_4K_52,
	SIM_AARCH64_S1_16K_52,
	SIM_AARCH64_S1_64K_52,
	SIM_AARCH64_S2_16K,
	SIM_AARCH64_S2_64K,
	SIM_AARCH64_S2_4K_52,
	SIM_AARCH64_S2_16K_52,
	SIM_AARCH64_S2_64K_52,
	SIM_FORMATS
};

// The members are the functions of vmtree's headers without `vmt_`. The machine itself calls space_root, activate,
// deactivate and fault only: a test of the machine alone may leave the others NULL.
struct sim_ops {
	enum sim_format format;
	const char *name;	// "x86_64_4"
	enum vmt_status (*create)(void *port, unsigned cpus, struct vmt **vmt);
	enum vmt_status (*destroy)(struct vmt *vmt);
	enum vmt_status (*space_create)(struct vmt *vmt, const struct vmt_space_config *config,
					struct vmt_space **space);
	enum vmt_status (*space_fork)(struct vmt_space *parent, void *owner, struct vmt_space **child);
	enum vmt_status (*space_destroy)(struct vmt_space *space);
	uint64_t (*space_root)(const struct vmt_space *space);
	void *(*space_owner)(const struct vmt_space *space);
	void (*space_stats)(struct vmt_space *space, struct vmt_space_stats *stats);
	uint64_t (*activate)(struct vmt_space *space);
	void (*deactivate)(struct vmt_space *space);
	enum vmt_status (*map)(struct vmt_space *space, const struct vmt_map_request *request, uint64_t *addr);
	enum vmt_status (*unmap)(struct vmt_space *space, uint64_t addr, uint64_t length);
	enum vmt_status (*protect)(struct vmt_space *space, uint64_t addr, uint64_t length, vmt_prot prot);
	enum vmt_status (*release)(struct vmt_space *space, uint64_t addr, uint64_t length);
	enum vmt_status (*lazy_free)(struct vmt_space *space, uint64_t addr, uint64_t length);
	enum vmt_status (*guard_install)(struct vmt_space *space, uint64_t addr, uint64_t length);
	enum vmt_status (*guard_remove)(struct vmt_space *space, uint64_t addr, uint64_t length);
	enum vmt_status (*populate)(struct vmt_space *space, uint64_t addr, uint64_t length, uint64_t *done);
	enum vmt_status (*move)(struct vmt_space *space, uint64_t addr, uint64_t old_length, uint64_t new_length,
				uint32_t flags, uint64_t new_addr, uint64_t *result);
	enum vmt_status (*fault)(struct vmt_space *space, uint64_t addr, vmt_prot access,
				 struct vmt_fault_info *info);
	enum vmt_status (*grow_down)(struct vmt_space *space, uint64_t addr, uint64_t max_length, uint64_t gap);
	enum vmt_status (*area_find)(struct vmt_space *space, uint64_t addr, struct vmt_area *area);
	enum vmt_status (*area_within)(struct vmt_space *space, uint64_t addr, uint64_t end, struct vmt_area *area);
	enum vmt_status (*walk)(struct vmt_space *space, uint64_t addr, uint64_t end, struct vmt_run *run);
	enum vmt_status (*translate)(struct vmt_space *space, uint64_t addr, struct vmt_translation *translation);
	enum vmt_status (*page_get)(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa);
	void (*page_put)(struct vmt *vmt, uint64_t pa);
	enum vmt_status (*page_pin)(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa);
	void (*page_unpin)(struct vmt *vmt, uint64_t pa);
	enum vmt_status (*page_try_get)(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa);
	enum vmt_status (*mark)(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind,
				uint64_t payload);
	enum vmt_status (*unmark)(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind);
	enum vmt_status (*page_take)(struct vmt_space *space, uint64_t addr, enum vmt_marker kind, uint64_t payload,
				     uint64_t *pa);
	enum vmt_status (*marker_resolve)(struct vmt_space *space, uint64_t addr, enum vmt_marker kind,
					  uint64_t payload, uint64_t pa);
	enum vmt_status (*page_new)(struct vmt *vmt, bool zero, uint64_t *pa);
	enum vmt_status (*advise_huge)(struct vmt_space *space, uint64_t addr, uint64_t length, bool huge);
	uint64_t (*collapse)(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_status *status);
	uint64_t (*reclaim)(struct vmt_space *space, uint64_t pages);
	unsigned (*check)(struct vmt_space *space);
	void (*dump)(struct vmt_space *space, void (*line)(void *arg, const char *text), void *arg);
	enum vmt_status (*secondary_attach)(struct vmt_space *space, const struct vmt_secondary_config *config,
					    unsigned *id);
	void (*secondary_detach)(struct vmt_space *space, unsigned id);
	enum vmt_status (*secondary_fault)(struct vmt_space *space, unsigned id,
					   const struct vmt_secondary_request *request, uint64_t *done);
	enum vmt_status (*secondary_fault_range)(struct vmt_space *space, unsigned id,
						 const struct vmt_secondary_range *range);
	uint64_t (*test_and_clear)(struct vmt_space *space, uint64_t addr, uint64_t length, unsigned what,
				   uint64_t *bitmap);
	enum vmt_status (*device_memory_create)(struct vmt *vmt, const struct vmt_device_memory_config *config,
						struct vmt_device_memory **memory);
	enum vmt_status (*device_memory_destroy)(struct vmt_device_memory *memory);
	void (*device_memory_stats)(struct vmt_device_memory *memory, struct vmt_device_memory_counts *counts);
	enum vmt_status (*migrate)(struct vmt_space *space, uint64_t addr, uint64_t length,
				   struct vmt_device_memory *memory, uint64_t *pages);
	enum vmt_status (*migration_start)(struct vmt_space *space, uint64_t addr, uint64_t length,
					   struct vmt_device_memory *memory, struct vmt_migration **migration);
	bool (*migration_poll)(const struct vmt_migration *migration);
	enum vmt_status (*migration_finish)(struct vmt_migration *migration, uint64_t *pages);
	enum vmt_status (*advise_device)(struct vmt_space *space, uint64_t addr, uint64_t length,
					 struct vmt_device_memory *memory, bool read_mostly);
	enum vmt_status (*mirror_create)(struct vmt_space *space, const struct vmt_mirror_config *config,
					 struct vmt_mirror **mirror);
	enum vmt_status (*mirror_destroy)(struct vmt_mirror *mirror);
	enum vmt_status (*mirror_fault)(struct vmt_mirror *mirror, uint64_t addr, uint64_t length, vmt_prot access,
					uint64_t *done);
	enum vmt_status (*mirror_exclusive)(struct vmt_mirror *mirror, uint64_t addr);
	enum vmt_status (*mirror_sync)(struct vmt_mirror *mirror, uint64_t addr, uint64_t length);
	void (*mirror_stats)(struct vmt_mirror *mirror, struct vmt_mirror_counts *counts);
	void (*tree_target)(struct vmt_tree *tree, struct vmt_target *target);
	enum vmt_status (*tree_create)(void *port, const struct vmt_tree_config *config, struct vmt_tree **tree);
	void (*tree_destroy)(struct vmt_tree *tree);
	uint64_t (*tree_root)(const struct vmt_tree *tree);
	enum vmt_status (*tree_map)(struct vmt_tree *tree, const struct vmt_tree_map *map, uint64_t *done);
	enum vmt_status (*tree_unmap)(struct vmt_tree *tree, uint64_t addr, uint64_t length, uint64_t *done);
	enum vmt_status (*tree_walk)(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run);
	enum vmt_status (*tree_translate)(struct vmt_tree *tree, uint64_t addr,
					  struct vmt_translation *translation);
	uint64_t (*tree_reclaim)(struct vmt_tree *tree);
	uint64_t (*tree_tables)(struct vmt_tree *tree);
	unsigned (*tree_check)(struct vmt_tree *tree);
	enum vmt_status (*object_create)(struct vmt *vmt, uint64_t size, const struct vmt_object_ops *ops,
					 void *owner, struct vmt_object **object);
	void (*object_get)(struct vmt_object *object);
	void (*object_put)(struct vmt_object *object);
	void *(*object_owner)(const struct vmt_object *object);
	uint64_t (*object_size)(const struct vmt_object *object);
	void (*object_set_size)(struct vmt_object *object, uint64_t size);
	enum vmt_status (*object_page)(struct vmt_object *object, uint64_t index, bool create, uint64_t *pa);
	uint64_t (*object_pages)(const struct vmt_object *object);
};

// The library in one format, or NULL if that was not built. Needs the library linked in all formats that were
// (sim_ops_dep in sim/meson.build).
const struct sim_ops *sim_ops(enum sim_format format);

// "x86_64_4"; and what vmt_space_config::end may be at most: the end of the addresses, or of their lower half where
// they are sign-extended.
const char *sim_format_name(enum sim_format format);
uint64_t sim_format_end(enum sim_format format);

// What the format cannot say, and what the machine lets one choose for it.
bool sim_format_has_exec(enum sim_format format);	// a permission to execute; without it a fetch is a read
bool sim_format_has_user(enum sim_format format);	// users and supervisors
bool sim_format_faults_ad(enum sim_format format);	// sim_config::fault_ad has a meaning
uint64_t sim_format_page(enum sim_format format);	// bytes of the smallest page, and of a table
unsigned sim_format_levels(enum sim_format format);

#endif
