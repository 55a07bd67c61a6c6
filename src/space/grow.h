// SPDX-License-Identifier: MIT
// Stacks: mappings that grow down on a fault below them.
#ifndef VMT_SPACE_GROW_H
#define VMT_SPACE_GROW_H

// Is something with permissions mapped in [start, end)?
static bool grow_is_near(struct vmt_space *space, uint64_t start, uint64_t end)
{
	struct vmt_area area;

	while (start < end && vmt_area_within(space, start, end, &area) == VMT_OK) {
		if (area.prot)
			return true;
		start = area.end;
	}
	return false;
}

enum vmt_status vmt_grow_down(struct vmt_space *space, uint64_t addr, uint64_t max_length, uint64_t gap)
{
	uint64_t page = addr & ~VMT_PAGE_MASK, low;
	enum vmt_status status;
	struct vmt_area area;
	struct txn txn;
	uint32_t id;

	if (addr_check(space, addr) != VMT_OK || vmt_area_find(space, addr, &area) != VMT_OK)
		return VMT_ERR_UNMAPPED;
	if (area.start <= page)
		return VMT_OK; // another CPU was faster
	if (!(area.flags & VMT_MAP_GROWS_DOWN) || area.end - page > max_length)
		return VMT_ERR_UNMAPPED;
	low = page - space->tree.start > gap ? page - gap : space->tree.start;
	if (grow_is_near(space, low, page))
		return VMT_ERR_UNMAPPED;
	txn_init(&txn, &space->tree);
	id = move_id_at(&space->tree, area.start);
	if (id_is_private_anon(id) && id & ATTR_GROWS_DOWN)
		status = assign_claim(space, &txn, page, area.start - page, 0, id, true);
	else
		status = VMT_ERR_EXISTS; // it has just become something else
	node_unuse_id(&txn, id);
	txn_finish(&txn);
	return status == VMT_ERR_EXISTS ? VMT_ERR_RETRY : status;
}

#endif
