// SPDX-License-Identifier: MIT
// A tree on its own as the target of a mirror: the ops of vmtree/mirror.h in terms of tree/held.h.
#ifndef VMT_MIRROR_TARGET_H
#define VMT_MIRROR_TARGET_H

_Static_assert(sizeof((struct vmt_reserve){0}.frame) / sizeof(uint64_t) >= FMT_TOP, "a reserve holds a way down");

static enum vmt_status target_prepare(void *target, uint64_t addr, struct vmt_reserve *reserve)
{
	return held_prepare(target, addr, reserve);
}

static void target_release(void *target, struct vmt_reserve *reserve)
{
	held_release(target, reserve);
}

static enum vmt_status target_map(void *target, const struct vmt_grant *grant, uint64_t addr,
				  struct vmt_reserve *reserve, uint64_t *end)
{
	struct held_grant own = {
		.tree = target,
		.start = grant->addr,
		.last = grant->addr + grant->length - 1,
		.pa = grant->pa,
		.prot = grant->prot,
	};

	if (!install_can_name(grant->pa, grant->pa + grant->length - VMT_PAGE_SIZE))
		return VMT_ERR_ARGUMENT;
	return held_map(&own, addr, reserve, end);
}

static bool target_unmap(void *target, uint64_t start, uint64_t end)
{
	return held_remove(target, start, end - 1);
}

static void target_settle(void *target, uint64_t start, uint64_t end)
{
	held_settle(target, start, end - 1);
}

static const struct vmt_target_ops target_ops = {
	.prepare = target_prepare,
	.release = target_release,
	.map = target_map,
	.unmap = target_unmap,
	.settle = target_settle,
};

void vmt_tree_target(struct vmt_tree *tree, struct vmt_target *target)
{
	*target = (struct vmt_target){
		.ops = &target_ops,
		.target = tree,
		.page_size = VMT_PAGE_SIZE,
		.start = tree->start,
		.end = tree->end,
	};
}

#endif
