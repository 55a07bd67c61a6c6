// SPDX-License-Identifier: MIT
// The library's functions in one format. Compiled once for each, with VMT_FORMAT defined on the command line, and
// SIM_FORMAT as the member of enum sim_format.
#include "sim_ops.h"

#define SIM_OPS_NAME_(format) sim_ops_##format
#define SIM_OPS_NAME(format)  SIM_OPS_NAME_(format)
#define TEXT_(x) #x
#define TEXT(x)	 TEXT_(x)

extern const struct sim_ops SIM_OPS_NAME(VMT_FORMAT);

const struct sim_ops SIM_OPS_NAME(VMT_FORMAT) = {
	.format = SIM_FORMAT,
	.name = TEXT(VMT_FORMAT),
	.create = vmt_create,
	.destroy = vmt_destroy,
	.space_create = vmt_space_create,
	.space_fork = vmt_space_fork,
	.space_destroy = vmt_space_destroy,
	.space_root = vmt_space_root,
	.space_owner = vmt_space_owner,
	.space_stats = vmt_space_stats,
	.activate = vmt_activate,
	.deactivate = vmt_deactivate,
	.map = vmt_map,
	.unmap = vmt_unmap,
	.protect = vmt_protect,
	.release = vmt_release,
	.lazy_free = vmt_lazy_free,
	.guard_install = vmt_guard_install,
	.guard_remove = vmt_guard_remove,
	.populate = vmt_populate,
	.move = vmt_move,
	.fault = vmt_fault,
	.grow_down = vmt_grow_down,
	.area_find = vmt_area_find,
	.walk = vmt_walk,
	.translate = vmt_translate,
	.page_get = vmt_page_get,
	.page_put = vmt_page_put,
	.page_pin = vmt_page_pin,
	.page_unpin = vmt_page_unpin,
	.page_try_get = vmt_page_try_get,
	.mark = vmt_mark,
	.unmark = vmt_unmark,
	.page_take = vmt_page_take,
	.marker_resolve = vmt_marker_resolve,
	.page_new = vmt_page_new,
	.advise_huge = vmt_advise_huge,
	.collapse = vmt_collapse,
	.reclaim = vmt_reclaim,
	.check = vmt_check,
	.dump = vmt_dump,
	.secondary_attach = vmt_secondary_attach,
	.secondary_detach = vmt_secondary_detach,
	.secondary_fault = vmt_secondary_fault,
	.object_create = vmt_object_create,
	.object_get = vmt_object_get,
	.object_put = vmt_object_put,
	.object_owner = vmt_object_owner,
	.object_size = vmt_object_size,
	.object_set_size = vmt_object_set_size,
	.object_page = vmt_object_page,
	.object_pages = vmt_object_pages,
};
