// SPDX-License-Identifier: MIT
// A program that follows a large sorted structure: a search tree of half a million nodes whose memory comes from the
// kernel in pieces of 64 KiB and goes back to it, piece by piece, when the lower half of the keys is removed. Most of
// what it executes is its own; what the kernel adds is a fault for each new page and a call for each piece.
//
//   follow [NODES]
#include "bench.h"

#define PIECE   (64UL << 10)
#define LOOKUPS 20000UL

struct node {
	uint64_t key, value[5];
	struct node *left, *right;
};

// Nodes lie in pieces in the order of their keys, as after a bulk load: a piece holds a range of keys.
struct pieces {
	char **at;
	size_t count;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct node *node_at(const struct pieces *pieces, size_t n)
{
	size_t in_piece = PIECE / sizeof(struct node);

	return (struct node *)pieces->at[n / in_piece] + n % in_piece;
}

static void load(struct pieces *pieces, size_t nodes)
{
	size_t in_piece = PIECE / sizeof(struct node);

	pieces->count = (nodes + in_piece - 1) / in_piece;
	pieces->at = calloc(pieces->count, sizeof(*pieces->at));
	if (!pieces->at)
		fail("calloc");
	for (size_t i = 0; i < pieces->count; i++)
		pieces->at[i] = map(PIECE);
	for (size_t n = 0; n < nodes; n++)
		*node_at(pieces, n) = (struct node){.key = 2 * n};
}

// A balanced tree over nodes first to last - 1.
static struct node *link_nodes(const struct pieces *pieces, size_t first, size_t last)
{
	if (first == last)
		return NULL;

	size_t middle = first + (last - first) / 2;
	struct node *node = node_at(pieces, middle);

	node->left = link_nodes(pieces, first, middle);
	node->right = link_nodes(pieces, middle + 1, last);
	return node;
}

static const struct node *look_up(const struct node *node, uint64_t key)
{
	while (node && node->key != key)
		node = key < node->key ? node->left : node->right;
	return node;
}

static uint64_t sum(const struct node *node)
{
	return node ? sum(node->left) + node->key + sum(node->right) : 0;
}

int main(int argc, char **argv)
{
	size_t nodes = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000, found = 0;
	uint64_t random = 88172645463325252u, t = now();
	struct pieces pieces;

	if (nodes < 2 * (PIECE / sizeof(struct node))) {
		fputs("usage: follow [NODES], at least two pieces full of them\n", stderr);
		return 2;
	}
	load(&pieces, nodes);
	struct node *root = link_nodes(&pieces, 0, nodes);

	figure((double)since(t) / (double)nodes, "ns", "build/%lu", nodes);
	t = now();
	for (size_t i = 0; i < LOOKUPS; i++)
		found += look_up(root, next_random(&random) % (2 * nodes)) != NULL;
	figure((double)since(t) / LOOKUPS, "ns", "look-up/%lu", nodes);
	figure((double)found, "count", "found/%lu", LOOKUPS);
	t = now();
	if (sum(root) != nodes * (nodes - 1))
		fail("the sum is wrong");
	figure((double)since(t) / (double)nodes, "ns", "walk/%lu", nodes);
	t = now();
	for (size_t i = 0; i < pieces.count / 2; i++)
		unmap(pieces.at[i], PIECE);
	figure((double)since(t) / (double)(pieces.count / 2), "ns", "unmap-piece/%lu", pieces.count / 2);
	size_t first = (pieces.count / 2) * (PIECE / sizeof(struct node));

	t = now();
	root = link_nodes(&pieces, first, nodes);
	figure((double)since(t) / (double)(nodes - first), "ns", "relink/%lu", nodes - first);
	figure((double)status_bytes("VmRSS"), "bytes", "resident");
	figure((double)status_bytes("VmPTE"), "bytes", "tables");
	return look_up(root, 2 * first) ? 0 : 1;
}
