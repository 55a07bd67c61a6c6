// SPDX-License-Identifier: MIT
// The lock protocol of a tree of page tables, with ACTORS CPUs that do any of their operations for ever, or stop.
//
// TOP 1: a root with two tables of two pages each. TOP 2: the same below one entry of a root.
// FRAMES: for how many tables below the root there is memory. In the environment: OPS0, OPS1, OPS2: what each actor
// does, a sum of the following; PAGES: which pages come, RANGES: which ranges go, see choose().
// WITHOUT: protections.pml.
#define DO_FAULT	1	// a page comes: the lowest table, or new ones down to it
#define DO_UNMAP	2	// a range goes: in one table, across tables, all of them, from above them
#define DO_SPLIT	4	// a part of a slot gets attributes of its own: a table is put there, locked
#define DO_WALK		8	// a table is pinned
#define DO_LOOK		16	// entries are read without locks
#define DO_FORK		32	// everything is copied

#include "protections.pml"
#include "frames.pml"
#include "lock.pml"
#include "txn.pml"

byte ended;
byte pages, ranges, does[3];

// ---- What is done to a locked window -------------------------------------------------------------------------------

// The lowest table on the way to `start`.
#define LOWEST (high != 0 -> high : (low != 0 -> low : (middle != 0 -> middle : top)))

// src/space/leaf.h: leaf_install: entry_publish(txn->tree, node, top_slot, at == node ? leaf : first);
inline set_page(n) {
	check_path(n);
	DEMAND((OF_ALL(stale) & (1 << start)) == 0, "two translations of one address");
	set_entry(n, INDEX(start, 0), 1)
}

// Is the table, which is written to, part of the tree?
inline check_path(n) {
	x = n;
	do
	:: x != ROOT && x != 0 && f[x].attached && ENTRY(f[x].parent, INDEX(f[x].base, f[f[x].parent].level)) == x ->
		x = f[x].parent
	:: else -> break
	od
	DEMAND(x == ROOT, "a table is written that is not in the tree")
}

// The table is linked unlocked: from here on others may lock it, and what it holds is theirs.
inline link_table(n, k, below) {
	check_link(below);
	check_path(n);
	set_entry(n, k, below);
	own[start] = 0
}

// A page comes, with the tables that are missing, linked by one store. Without memory for them nothing happens.
inline fault() {
	d_step {
		n = LOWEST;
		y = INDEX(start, f[n].level);
		if
		:: f[n].level == 0 && ENTRY(n, y) == 0 -> set_page(n)
		// src/space/leaf.h: leaf_install: struct vmt_node *below = node_new_below(txn, at, slot, &pa);
		:: f[n].level == 1 ->
			new_table(n, y);
			j = x;
			if
			:: j != 0 -> set_entry(j, INDEX(start, 0), 1); link_table(n, y, j)
			:: else
			fi
		:: f[n].level == 2 ->
			new_table(n, y);
			j = x;
			if
			:: j != 0 ->
				new_table(j, INDEX(start, 1));
				if
				:: x != 0 ->
					set_entry(x, INDEX(start, 0), 1); set_entry(j, INDEX(start, 1), x);
					link_table(n, y, j)
				:: else -> // not enough for both
					f[j].kind = FREE; f[j].attached = 0; f[j].level = 0; f[j].parent = 0;
					f[j].base = 0
				fi
			:: else
			fi
		:: else
		fi;
		n = 0
	}
}

// src/space/leaf.h: leaf_clear: uint64_t old = entry_exchange(txn->tree, node, slot, replacement), pa = entry_frame(old);
// src/space/leaf.h: leaf_clear: entry_flush(txn, node, slot, old);
inline zap_table(n) {
	if
	:: n != 0 && f[n].level == 0 ->
		check_path(n);
		for (i : 0 .. 3) {
			if
			:: i >= start && i <= last && i >= f[n].base && i < f[n].base + 2 &&
			   ENTRY(n, INDEX(i, 0)) != 0 ->
				set_entry(n, INDEX(i, 0), 0);
				clr[me] = clr[me] | 1 << i;
				for (j : 0 .. ACTORS - 1) {
					stale[j] = stale[j] | 1 << i
				}
			:: else
			fi
		}
		f[n].mixed = 0
	:: else
	fi
}

// src/space/map.h: assign_slots: leaf_zap(txn, node, first, last, ZAP_ALL);
inline unmap() {
	d_step { zap_table(top); zap_table(low); zap_table(high) }
}

// src/tree/range.h: range_split: atomic_store_explicit(&node->lock, LOCK_EXCL, memory_order_relaxed);
// src/tree/range.h: range_split: entry_publish(txn->tree, parent, slot, fmt_make_table(pa, parent->level));
inline split_slot(n, k, below) {
	if
	:: n != 0 && ENTRY(n, k) == 0 ->
		d_step {
			new_table(n, k);
			if
			:: x != 0 ->
				f[x].excl = HOLDS(SPLIT_LOCKED);
				check_link(x);
				below = x;
				set_entry(n, k, below)
			:: else
			fi
		}
	:: else
	fi
}

#define COVERS_PART(from) (start <= (from) + 1 && last >= (from) && (start > (from) || last < (from) + 1))

// src/tree/range.h: range_apply: if (low && !fmt_is_table(entry_load(node, first), level) && op->splits(txn, node, first, arg))
// src/tree/range.h: range_apply: if (high && !fmt_is_table(entry_load(node, end), level) && op->splits(txn, node, end, arg))
inline split() {
	if
	:: f[top].level == 2 -> split_slot(top, 0, middle)
	:: else
	fi
	if
	:: COVERS_PART(0) -> split_slot(middle, 0, low)
	:: else
	fi
	if
	:: COVERS_PART(2) -> split_slot(middle, 1, high)
	:: else
	fi
	// What was set differs from its neighbours, or not.
	n = (f[top].level == 0 -> top : (low != 0 -> low : high));
	if
	:: n != 0 -> f[n].mixed = 1
	:: n != 0 -> f[n].mixed = 0
	:: n == 0
	fi
	n = 0
}

// ---- Operations ----------------------------------------------------------------------------------------------------

inline choose() {
	if
	:: does[me] & DO_FAULT ->
		op = FAULT;
		if
		:: pages & 1 -> start = 0
		:: pages & 2 -> start = 1
		:: pages & 4 -> start = 2
		fi
		last = start
	:: does[me] & DO_UNMAP ->
		op = UNMAP;
		if
		:: ranges & 1 -> start = 0; last = 0
		:: ranges & 2 -> start = 2; last = 3
		:: ranges & 4 -> start = 1; last = 2
		:: ranges & 8 -> start = 0; last = 3
		:: ranges & 16 -> start = 0; last = 4
		fi
	:: does[me] & DO_SPLIT ->
		op = SPLIT;
		if
		:: start = 0; last = 0
		:: start = 1; last = 2
		fi
	:: does[me] & DO_WALK -> op = WALK
	:: does[me] & DO_LOOK -> op = LOOK
	:: does[me] & DO_FORK -> op = FORK
	fi
}

// What was left for later, with nothing held.
// src/tree/fold.h: txn_finish_work: fold_range(txn, txn->fold_later[txn->later].start, txn->fold_later[txn->later].last);
inline choose_later() {
	op = FOLD;
	if
	:: later & 1 -> later = later & ~1; start = 0; last = 1
	:: later & 2 -> later = later & ~2; start = 2; last = 3
	:: later & 4 -> later = later & ~4; start = 0; last = 3
	:: later & 8 -> later = later & ~8; start = 0; last = 7
	fi
}

// src/tree/look.h: look_pin: lock_pin(tree->port, node);
inline walk() {
	skip;
repin:	descend();
	PIN(n);
	// src/tree/look.h: look_pin: attached = node_covers(node, tree, addr);
	// src/tree/look.h: look_pin: right = attached && !slot_is_table(node, fmt_index(addr, node->level));
	if
	:: (!COVERS(n) || f[n].level > 0 && ENTRY(n, INDEX(start, f[n].level)) != 0) && HOLDS(PIN_LINKED) ->
		// src/tree/look.h: look_pin: fold = !right && lock_unpin(node) && attached;
		d_step { unpin(n); n = 0 }
		d_step { read_exit() }
		if
		:: later == 0 -> goto repin
		:: else
		fi
	:: else ->
		d_step { read_exit() }
		// What it came for: the table, and tables that stay tables below it.
		d_step { check_path(n) }
		// src/tree/look.h: look_unpin: bool fold = lock_unpin(node);
		d_step { unpin(n); n = 0 }
	fi
}

// src/space/page.h: path_read: path->entry[level] = entry_load_acquire(node, fmt_index(addr, level));
// src/space/page.h: path_holds: uint64_t e = atomic_load_explicit(&path->node[level]->table[fmt_index(addr, level)],
inline look() {
	atomic { reading = reading | BIT; n = ROOT; level = TOP; at[me] = 1 << ROOT }
	do
	:: atomic { LEADS_ON(n) -> n = ENTRY(n, INDEX(start, level)); level--; at[me] = at[me] | 1 << n }
	:: atomic { !LEADS_ON(n) -> level = 0; n = 0; break }
	od
	atomic { read_exit() }
}

inline fork_visit(n) {
	LOCK(n);
	// src/space/fork.h: fork_skips: hollow = node_is_empty(child);
	hollow = IS_EMPTY(n) && !f[n].mixed;
	release(n);
	if
	:: !hollow ->
		// src/space/fork.h: fork_node: lock_exclusive(tree->port, from);
		LOCK(n);
		if
		:: f[n].level == 0 ->
			d_step {
				copy = copy | (f[n].slot0 | f[n].slot1 << 1) << f[n].base;
				clr[me] = copy & RANGE(n)
			}
			// src/space/fork.h: fork_node: batch_flush(&fork->txn.batch);
			flush()
		:: else
		fi
		// src/space/fork.h: fork_node: txn_release(&fork->txn, from);
		release(n)
	:: else
	fi
	hollow = 0
}

// Nothing has changed that was copied.
inline check_copy() {
	x = (TOP == 2 -> f[ROOT].slot0 : ROOT);
	y = 0;
	if
	:: x != 0 ->
		if
		:: f[x].slot0 != 0 -> y = f[f[x].slot0].slot0 | f[f[x].slot0].slot1 << 1
		:: else
		fi;
		if
		:: f[x].slot1 != 0 -> y = y | (f[f[x].slot1].slot0 | f[f[x].slot1].slot1 << 1) << 2
		:: else
		fi
	:: else
	fi;
	DEMAND(copy == y, "the copy is not what is there")
}

// src/space/fork.h: fork_try: status = fork_tree(&fork, fork.from->root, fork.to->root);
inline fork() {
	// src/space/fork.h: fork_close_gate: if (gate < GATE_MOVE && !(gate & GATE_FORK) &&
	WAIT(!gate, gate = 1);
	LOCK(ROOT);
	release(ROOT);
	// src/space/fork.h: fork_tree: uint64_t e = entry_load_acquire(from, slot), pa;
	middle = (TOP == 2 -> f[ROOT].slot0 : ROOT);
	if
	:: middle > ROOT -> at[me] = 1 << middle; fork_visit(middle)
	:: else
	fi
	if
	:: middle != 0 && f[middle].slot0 != 0 ->
		low = f[middle].slot0; at[me] = 1 << low | 1 << middle; fork_visit(low)
	:: else
	fi
	if
	:: middle != 0 && f[middle].slot1 != 0 ->
		low = f[middle].slot1; at[me] = 1 << low | 1 << middle; fork_visit(low)
	:: else
	fi
	d_step { at[me] = 0; middle = 0; low = 0; check_copy(); copy = 0 }
	// src/space/fork.h: fork_open_gate: atomic_fetch_and_explicit(&tree->gate, ~GATE_FORK, memory_order_release);
	gate = 0
}

inline transaction() {
	if
	:: HOLDS(PARENT_FIRST) -> lock_top()
	:: else -> lock_upwards()
	fi
	lock_below();
	atomic {
		if
		:: BELOW(1) != 0 -> high = BELOW(1); LOCK(high)
		:: else
		fi;
		claim();
		if
		:: op == FAULT -> fault()
		:: op == UNMAP -> unmap()
		:: op == SPLIT -> split()
		:: op == FOLD
		fi;
		commit_folds();
		commit()
	}
	if
	:: marks != 0 -> f[marks].fold = 1; marks = 0
	:: else
	fi;
	release_all();
	atomic { commit_rest() }
}

// What PARENT_FIRST is without: a table below is locked before the one that the range leads to.
inline lock_upwards() {
	n = (TOP == 1 && last > start + 1 && f[ROOT].slot0 != 0 -> f[ROOT].slot0 : 0);
	if
	:: n != 0 -> low = n; LOCK(low)
	:: else
	fi
	lock_top();
	if
	:: low != 0 -> f[low].excl = 0; low = 0
	:: else
	fi
}

proctype actor(byte me) {
	unsigned op : 3, start : 3, last : 3, level : 2, n : 3, later : 4, copy : 4;
	unsigned top : 3, middle : 3, low : 3, high : 3, up : 3, above0 : 3, above1 : 3;
	unsigned marks : 3;	// whom to mark, without MARK_WHILE_HELD
	bit hollow;

	do
	:: atomic {
		if
		:: later != 0 -> choose_later()
		:: later == 0 -> choose()
		fi
	   }
		if
		:: op == WALK -> walk()
		:: op == LOOK -> look()
		:: op == FORK -> fork()
		:: else -> transaction()
		fi
		if
		:: later == 0 ->
progress:		skip
		:: else
		fi
		atomic { op = NONE; start = 0; last = 0 }
	:: d_step { HOLDS(RELAX_SERVES) && owes[me] != 0 -> answer() }
	:: later == 0 -> break
	od
	ended++;
	// It is idle, and answers.
end:	do
	:: d_step { owes[me] != 0 -> answer() }
	od
}

#define IS_RETIRED(n) (f[IN(n)].kind == RETIRED)
#define ANY_RETIRED (IS_RETIRED(2) || IS_RETIRED(3) || IS_RETIRED(4) || IS_RETIRED(5) || IS_RETIRED(6))

inline check_end() {
	DEMAND(OF_ALL(own) == 0 && own[3] == 0 && reading == 0 && !gate, "something is left over");
	for (j : ROOT .. N - 1) {
		if
		:: f[j].kind == TABLE || j == ROOT ->
			DEMAND(!f[j].excl && !f[j].fold && f[j].pins == 0, "a lock is left over");
			if
			:: j > ROOT ->
				check_path(j);
				DEMAND(!IS_EMPTY(j) || f[j].mixed || f[j].level == 0 && OF_ALL(kept) & LEFT(j),
				       "an empty table is left to nobody")
			:: else
			fi
		:: else
		fi
	}
}

init {
	atomic {
		f[ROOT].kind = TABLE;
		f[ROOT].attached = 1;
		f[ROOT].level = TOP;
		c_code {
			now.without = setting("WITHOUT"); now.pages = setting("PAGES"); now.ranges = setting("RANGES");
			now.does[0] = setting("OPS0"); now.does[1] = setting("OPS1"); now.does[2] = setting("OPS2");
		};
		run actor(0);
		run actor(1);
#if ACTORS == 3
		run actor(2)
#endif
	}
	d_step { ended == ACTORS && OF_ALL(owes) == 0 && !ANY_RETIRED -> check_end() }
}
