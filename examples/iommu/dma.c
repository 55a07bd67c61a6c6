// SPDX-License-Identifier: MIT
// The driver: what is called when a buffer is given to the device, and when it is taken back.
#include <string.h>

#include "iommu.h"

// `space` is NULL and `cpus` is empty: who walks a tree on its own is known here. The tree's config named the device as
// the owner; a driver with several domains names the domain there.
void dma_flush(const struct vmt_flush *flush)
{
	device_invalidate(flush->space_owner, flush);
}

enum vmt_status dma_open(struct dma *dma, struct host *host, struct device *device)
{
	struct vmt_tree_config config = {
		.start = 0, .end = UINT64_C(1) << 40, .owner = device, .cpus = HOST_CPUS,
	};

	memset(dma, 0, sizeof(*dma));
	pthread_mutex_init(&dma->lock, NULL);
	return vmt_tree_create(host, &config, &dma->tree);
}

void dma_close(struct dma *dma)
{
	vmt_tree_destroy(dma->tree);
}

// IO addresses are not the library's business: first fit in an array of flags, and good enough for an example.
static uint64_t iova_take(struct dma *dma, uint64_t pages)
{
	uint64_t align = pages >= 512 ? 512 : 1, iova = 0;

	pthread_mutex_lock(&dma->lock);
	for (uint64_t at = 0; !iova && at + pages <= IOVA_PAGES; at += align) {
		uint64_t n = 0;

		while (n < pages && !dma->used[at + n])
			n++;
		if (n < pages)
			continue;
		memset(&dma->used[at], true, pages);
		iova = IOVA_BASE + at * PAGE;
	}
	pthread_mutex_unlock(&dma->lock);
	return iova;
}

static void iova_give(struct dma *dma, uint64_t iova, uint64_t pages)
{
	pthread_mutex_lock(&dma->lock);
	memset(&dma->used[(iova - IOVA_BASE) / PAGE], false, pages);
	pthread_mutex_unlock(&dma->lock);
}

enum vmt_status dma_map_pages(struct dma *dma, const uint64_t *pages, unsigned count, vmt_prot prot, uint64_t *iova)
{
	uint64_t at = iova_take(dma, count);
	enum vmt_status status = at ? VMT_OK : VMT_ERR_NO_SPACE;
	unsigned n;

	for (n = 0; status == VMT_OK && n < count; n++) {
		struct vmt_tree_map map = {.addr = at + n * PAGE, .length = PAGE, .pa = pages[n], .prot = prot};

		status = vmt_tree_map(dma->tree, &map, NULL);
	}
	if (status != VMT_OK && at) {
		vmt_tree_unmap(dma->tree, at, count * PAGE, NULL); // whole pages: nothing is cut, nothing can fail
		iova_give(dma, at, count);
	}
	*iova = at;
	return status;
}

enum vmt_status dma_map_range(struct dma *dma, uint64_t pa, uint64_t length, vmt_prot prot, uint64_t *iova)
{
	uint64_t at = iova_take(dma, length / PAGE), done;
	struct vmt_tree_map map = {.addr = at, .length = length, .pa = pa, .prot = prot};
	enum vmt_status status = at ? vmt_tree_map(dma->tree, &map, &done) : VMT_ERR_NO_SPACE;

	if (status != VMT_OK && at) {
		if (done)
			vmt_tree_unmap(dma->tree, at, done, NULL);
		iova_give(dma, at, length / PAGE);
	}
	*iova = at;
	return status;
}

// The flush has been done when vmt_tree_unmap returns. Only then may the IO addresses be given to somebody else.
enum vmt_status dma_unmap(struct dma *dma, uint64_t iova, uint64_t length)
{
	enum vmt_status status = vmt_tree_unmap(dma->tree, iova, length, NULL);

	if (status == VMT_OK)
		iova_give(dma, iova, length / PAGE);
	return status;
}
