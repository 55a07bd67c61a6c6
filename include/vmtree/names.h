// SPDX-License-Identifier: MIT
// One core, many formats. The library is compiled once for each table format; the functions of one format all carry
// its name: `vmt_x86_64_4_map`, `vmt_riscv_sv39_map`. A file says which it means by defining VMT_FORMAT before it
// includes a header of the library, and then writes the plain names (VMT_PAGE_SIZE among them):
//
//	#define VMT_FORMAT x86_64_4
//	#include <vmtree/vmtree.h>
//	...
//	vmt_map(space, &request, &address);	// calls vmt_x86_64_4_map
//
// A program that uses several formats does so from several files, or calls the long names. The structures are the
// same for all formats.
//
// Formats:
//	x86_64_4, x86_64_5		x86-64 with four and five levels
//	riscv_sv39, _sv48, _sv57	RISC-V
//	aarch64_s1, aarch64_s2		AArch64 with 4 KiB granule and 48 bits: processes, and guests
//	..._16k, ..._64k		the same with 16 and 64 KiB granule; aarch64_s2_16k has 47 bits of address
//	..._4k_52, ..._16k_52, ..._64k_52 with 52 bits of address and of physical address (FEAT_LPA2; on 64 KiB
//					FEAT_LVA and FEAT_LPA)
//	ept, amd_npt			guests on Intel's and AMD's processors
//	vtd_ss, amd_v1			devices behind Intel's and AMD's IOMMUs: no permission to execute
#ifndef VMTREE_NAMES_H
#define VMTREE_NAMES_H

#ifndef VMT_FORMAT
#error "define VMT_FORMAT (x86_64_4, riscv_sv39, ...: the list is above) before including vmtree headers"
#endif

// The base page of a format: the smallest leaf, and the size of a table. 2^VMT_PAGE_SHIFT bytes.
#define VMT_PAGE_SHIFT_x86_64_4			12
#define VMT_PAGE_SHIFT_x86_64_5			12
#define VMT_PAGE_SHIFT_riscv_sv39		12
#define VMT_PAGE_SHIFT_riscv_sv48		12
#define VMT_PAGE_SHIFT_riscv_sv57		12
#define VMT_PAGE_SHIFT_ept			12
#define VMT_PAGE_SHIFT_amd_npt			12
#define VMT_PAGE_SHIFT_vtd_ss			12
#define VMT_PAGE_SHIFT_amd_v1			12
#define VMT_PAGE_SHIFT_aarch64_s1		12
#define VMT_PAGE_SHIFT_aarch64_s1_16k		14
#define VMT_PAGE_SHIFT_aarch64_s1_64k		16
#define VMT_PAGE_SHIFT_aarch64_s1_4k_52		12
#define VMT_PAGE_SHIFT_aarch64_s1_16k_52	14
#define VMT_PAGE_SHIFT_aarch64_s1_64k_52	16
#define VMT_PAGE_SHIFT_aarch64_s2		12
#define VMT_PAGE_SHIFT_aarch64_s2_16k		14
#define VMT_PAGE_SHIFT_aarch64_s2_64k		16
#define VMT_PAGE_SHIFT_aarch64_s2_4k_52		12
#define VMT_PAGE_SHIFT_aarch64_s2_16k_52	14
#define VMT_PAGE_SHIFT_aarch64_s2_64k_52	16

#define VMT_PASTE_(a, b, c) a##b##c
#define VMT_PASTE(a, b, c)  VMT_PASTE_(a, b, c)
#define VMT_NAME(name)      VMT_PASTE(vmt_, VMT_FORMAT, name)

#define VMT_PAGE_SHIFT VMT_PASTE(VMT_PAGE_SHIFT_, VMT_FORMAT, )
#define VMT_PAGE_SIZE  (UINT64_C(1) << VMT_PAGE_SHIFT)
#define VMT_PAGE_MASK  (VMT_PAGE_SIZE - 1)

#define vmt_create		VMT_NAME(_create)
#define vmt_destroy		VMT_NAME(_destroy)
#define vmt_space_create	VMT_NAME(_space_create)
#define vmt_space_fork		VMT_NAME(_space_fork)
#define vmt_space_destroy	VMT_NAME(_space_destroy)
#define vmt_space_root		VMT_NAME(_space_root)
#define vmt_space_owner		VMT_NAME(_space_owner)
#define vmt_space_stats		VMT_NAME(_space_stats)
#define vmt_activate		VMT_NAME(_activate)
#define vmt_deactivate		VMT_NAME(_deactivate)
#define vmt_map			VMT_NAME(_map)
#define vmt_unmap		VMT_NAME(_unmap)
#define vmt_protect		VMT_NAME(_protect)
#define vmt_release		VMT_NAME(_release)
#define vmt_lazy_free		VMT_NAME(_lazy_free)
#define vmt_guard_install	VMT_NAME(_guard_install)
#define vmt_guard_remove	VMT_NAME(_guard_remove)
#define vmt_mark		VMT_NAME(_mark)
#define vmt_unmark		VMT_NAME(_unmark)
#define vmt_marker_resolve	VMT_NAME(_marker_resolve)
#define vmt_page_take		VMT_NAME(_page_take)
#define vmt_page_new		VMT_NAME(_page_new)
#define vmt_advise_huge		VMT_NAME(_advise_huge)
#define vmt_collapse		VMT_NAME(_collapse)
#define vmt_populate		VMT_NAME(_populate)
#define vmt_move		VMT_NAME(_move)
#define vmt_fault		VMT_NAME(_fault)
#define vmt_grow_down		VMT_NAME(_grow_down)
#define vmt_area_find		VMT_NAME(_area_find)
#define vmt_area_get		VMT_NAME(_area_get)
#define vmt_area_within		VMT_NAME(_area_within)
#define vmt_walk		VMT_NAME(_walk)
#define vmt_translate		VMT_NAME(_translate)
#define vmt_page_get		VMT_NAME(_page_get)
#define vmt_page_try_get	VMT_NAME(_page_try_get)
#define vmt_for_each_run	VMT_NAME(_for_each_run)
#define vmt_tree_for_each_run	VMT_NAME(_tree_for_each_run)
#define vmt_page_put		VMT_NAME(_page_put)
#define vmt_page_pin		VMT_NAME(_page_pin)
#define vmt_page_unpin		VMT_NAME(_page_unpin)
#define vmt_reclaim		VMT_NAME(_reclaim)
#define vmt_check		VMT_NAME(_check)
#define vmt_dump		VMT_NAME(_dump)
#define vmt_secondary_attach	VMT_NAME(_secondary_attach)
#define vmt_secondary_detach	VMT_NAME(_secondary_detach)
#define vmt_secondary_fault	VMT_NAME(_secondary_fault)
#define vmt_secondary_fault_range VMT_NAME(_secondary_fault_range)
#define vmt_test_and_clear	VMT_NAME(_test_and_clear)
#define vmt_tree_target		VMT_NAME(_tree_target)
#define vmt_mirror_create	VMT_NAME(_mirror_create)
#define vmt_mirror_destroy	VMT_NAME(_mirror_destroy)
#define vmt_mirror_fault	VMT_NAME(_mirror_fault)
#define vmt_mirror_exclusive	VMT_NAME(_mirror_exclusive)
#define vmt_mirror_sync		VMT_NAME(_mirror_sync)
#define vmt_mirror_stats	VMT_NAME(_mirror_stats)
#define vmt_device_memory_create VMT_NAME(_device_memory_create)
#define vmt_device_memory_destroy VMT_NAME(_device_memory_destroy)
#define vmt_device_memory_stats	VMT_NAME(_device_memory_stats)
#define vmt_migrate		VMT_NAME(_migrate)
#define vmt_migration_start	VMT_NAME(_migration_start)
#define vmt_migration_poll	VMT_NAME(_migration_poll)
#define vmt_migration_finish	VMT_NAME(_migration_finish)
#define vmt_advise_device	VMT_NAME(_advise_device)
#define vmt_tree_create		VMT_NAME(_tree_create)
#define vmt_tree_leaf_sizes	VMT_NAME(_tree_leaf_sizes)
#define vmt_tree_destroy	VMT_NAME(_tree_destroy)
#define vmt_tree_root		VMT_NAME(_tree_root)
#define vmt_tree_map		VMT_NAME(_tree_map)
#define vmt_tree_unmap		VMT_NAME(_tree_unmap)
#define vmt_tree_protect	VMT_NAME(_tree_protect)
#define vmt_tree_replace	VMT_NAME(_tree_replace)
#define vmt_tree_split		VMT_NAME(_tree_split)
#define vmt_tree_collapse	VMT_NAME(_tree_collapse)
#define vmt_tree_test_and_clear	VMT_NAME(_tree_test_and_clear)
#define vmt_tree_mark		VMT_NAME(_tree_mark)
#define vmt_tree_reclaim	VMT_NAME(_tree_reclaim)
#define vmt_tree_translate	VMT_NAME(_tree_translate)
#define vmt_tree_walk		VMT_NAME(_tree_walk)
#define vmt_tree_tables		VMT_NAME(_tree_tables)
#define vmt_tree_dump		VMT_NAME(_tree_dump)
#define vmt_tree_check		VMT_NAME(_tree_check)
#define vmt_object_create	VMT_NAME(_object_create)
#define vmt_object_get		VMT_NAME(_object_get)
#define vmt_object_put		VMT_NAME(_object_put)
#define vmt_object_owner	VMT_NAME(_object_owner)
#define vmt_object_size		VMT_NAME(_object_size)
#define vmt_object_set_size	VMT_NAME(_object_set_size)
#define vmt_object_page		VMT_NAME(_object_page)
#define vmt_object_pages	VMT_NAME(_object_pages)

#endif
