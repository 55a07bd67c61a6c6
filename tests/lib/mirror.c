// SPDX-License-Identifier: MIT
// The device of mirror.h.
#include "mirror.h"

// ---- A table that only commands change ---------------------------------------------------------------------------

#define COMMANDS 8	// that the queue holds
#define CELLS	 8192	// pages of the table

struct commands {
	struct dev *dev;
	struct cell {
		uint64_t pa;
		vmt_prot prot;	// 0: nothing
	} cell[CELLS];		// from the range's start on
	struct command {
		uint64_t index;
		struct cell cell;
	} queue[COMMANDS];
	unsigned posted;
	uint64_t bell;	// times that the queue was executed
};

static uint64_t command_index(const struct commands *commands, uint64_t addr)
{
	return (addr - commands->dev->config.start - commands->dev->config.offset) / PAGE;
}

static void commands_execute(struct commands *commands)
{
	for (unsigned i = 0; i < commands->posted; i++)
		commands->cell[commands->queue[i].index] = commands->queue[i].cell;
	commands->posted = 0;
	commands->bell++;
}

// What the table will say.
static struct cell command_seen(const struct commands *commands, uint64_t index)
{
	for (unsigned i = commands->posted; i-- > 0;)
		if (commands->queue[i].index == index)
			return commands->queue[i].cell;
	return commands->cell[index];
}

static void command_post(struct commands *commands, uint64_t index, struct cell cell)
{
	if (commands->posted == COMMANDS)
		commands_execute(commands);
	commands->queue[commands->posted++] = (struct command){index, cell};
}

static enum vmt_status commands_prepare(void *target, uint64_t addr, struct vmt_reserve *reserve)
{
	(void)addr;
	commands_execute(target);
	reserve->count = reserve->wanted ? reserve->wanted : 1;
	return VMT_OK;
}

static void commands_release(void *target, struct vmt_reserve *reserve)
{
	reserve->count = 0;
	commands_execute(target);
}

// A command for the page asked for, and one for each that follows; so many that there is room for.
static enum vmt_status commands_map(void *target, const struct vmt_grant *grant, uint64_t addr,
				    struct vmt_reserve *reserve, uint64_t *end)
{
	struct commands *commands = target;
	uint64_t last = grant->addr + grant->length;

	if (!reserve->count) {
		reserve->wanted = COMMANDS;
		return VMT_ERR_NO_MEMORY;
	}
	for (; reserve->count && addr < last; addr += PAGE, reserve->count--) {
		struct cell cell = {grant->pa + (addr - grant->addr), grant->prot};

		command_post(commands, command_index(commands, addr), cell);
	}
	*end = addr;
	return VMT_OK;
}

static bool commands_unmap(void *target, uint64_t start, uint64_t end)
{
	struct commands *commands = target;
	bool any = false;

	for (; start < end; start += PAGE) {
		if (!command_seen(commands, command_index(commands, start)).prot)
			continue;
		command_post(commands, command_index(commands, start), (struct cell){0});
		any = true;
	}
	return any;
}

static const struct vmt_target_ops commands_ops = {
	.prepare = commands_prepare,
	.release = commands_release,
	.map = commands_map,
	.unmap = commands_unmap,
};

static void commands_open(struct dev *dev)
{
	struct commands *commands = calloc(1, sizeof(*commands));

	assert_non_null(commands);
	assert_true((dev->config.end - dev->config.start) / PAGE <= CELLS);
	commands->dev = dev;
	dev->commands = commands;
	dev->target = (struct vmt_target){&commands_ops, commands, PAGE, dev->config.start + dev->config.offset,
					  dev->config.end + dev->config.offset};
}

// ---- Its ops -----------------------------------------------------------------------------------------------------

static void dev_issue(void *owner, uint64_t start, uint64_t end, bool tables)
{
	struct dev *dev = owner;

	if (dev->on_issue)
		dev->on_issue();
	assert_true(dev->posted < 64);
	dev->queue[dev->posted].start = start;
	dev->queue[dev->posted++].end = end;
	dev->issues++;
	dev->tables += tables;
}

static bool dev_wait(void *owner)
{
	struct dev *dev = owner;

	dev->waits++;
	if (dev->silent)
		return false;
	if (dev->commands)
		commands_execute(dev->commands);
	for (unsigned q = 0; q < dev->posted; q++)
		for (unsigned i = dev->cached; i-- > 0;)
			if (dev->tlb[i].addr >= dev->queue[q].start && dev->tlb[i].addr < dev->queue[q].end)
				dev->tlb[i] = dev->tlb[--dev->cached];
	dev->posted = 0;
	return true;
}

static void dev_filled(void *owner, uint64_t start, uint64_t end)
{
	struct dev *dev = owner;

	assert_true(start < end);
	dev->fills++;
}

static const struct vmt_mirror_ops dev_ops = {.issue = dev_issue, .wait = dev_wait, .filled = dev_filled};

// ---- Beginning and end -------------------------------------------------------------------------------------------

bool dev_next_format(struct env *env, enum sim_format *format)
{
	static const enum sim_format all[] = {
		SIM_X86_64_4, SIM_RISCV_SV39, SIM_EPT, SIM_VTD_SS, SIM_AMD_V1, SIM_AARCH64_S2, SIM_AARCH64_S2_16K,
		SIM_AARCH64_S2_64K,
	};
	unsigned n = sizeof(all) / sizeof(*all), i = 0;

	if (*format == env->format)
		return false;
	while (i < n && *format != SIM_FORMATS && all[i] != *format)
		i++;
	for (i += *format != SIM_FORMATS; i < n; i++) {
		*format = all[i];
		if (all[i] != env->format && sim_ops(all[i]) && sim_format_page(all[i]) <= PAGE)
			return true;
	}
	*format = env->format; // the space's own comes last
	return true;
}

void dev_make(struct dev *dev, struct env *env, const struct dev_config *config)
{
	*dev = (struct dev){.env = env, .config = *config};
	if (config->kind == DEV_COMMANDS)
		commands_open(dev);
	if (config->kind == DEV_TREE) {
		struct vmt_tree_config tree = {
			.end = sim_format_end(config->format), .owner = dev, .cpus = sim_cpu_count(env->machine),
			.leaf_sizes = config->leaf_sizes};

		dev->ops = sim_ops(config->format);
		OK(dev->ops->tree_create(sim_port(env->machine), &tree, &dev->tree));
		dev->ops->tree_target(dev->tree, &dev->target);
	}
}

enum vmt_status dev_mirror(struct dev *dev)
{
	struct vmt_mirror_config config = {
		.start = dev->config.start, .end = dev->config.end, .offset = dev->config.offset,
		.mode = dev->config.mode, .exec = dev->config.exec, .ops = &dev_ops, .owner = dev,
		.target = dev->target.ops ? &dev->target : NULL};

	return dev->env->ops->mirror_create(dev->env->space, &config, &dev->mirror);
}

void dev_open(struct dev *dev, struct env *env, const struct dev_config *config)
{
	dev_make(dev, env, config);
	OK(dev_mirror(dev));
	dev_judge(dev, config->mode == VMT_MIRROR_EAGER);
}

void dev_free(struct dev *dev)
{
	if (dev->tree) {
		sim_log_clear(dev->env->machine);
		if (dev->ops->tree_check(dev->tree))
			fail_msg("%s", sim_log_line(dev->env->machine, 0));
		assert_int_equal(dev->ops->tree_tables(dev->tree), 1);
		dev->ops->tree_destroy(dev->tree);
	}
	for (unsigned i = 0; dev->commands && i < CELLS; i++)
		assert_int_equal(command_seen(dev->commands, i).prot, 0);
	free(dev->commands);
}

void dev_close(struct dev *dev)
{
	OK(dev->env->ops->mirror_destroy(dev->mirror));
	assert_int_equal(dev->posted, 0);
	assert_int_equal(dev->cached, 0);
	dev_free(dev);
}

// ---- Its use -----------------------------------------------------------------------------------------------------

enum vmt_status dev_fault(struct dev *dev, uint64_t addr, vmt_prot access)
{
	return dev->env->ops->mirror_fault(dev->mirror, addr + dev->config.offset, 1, access, NULL);
}

bool dev_translate(struct dev *dev, uint64_t addr, struct vmt_translation *translation)
{
	struct cell cell;

	addr += dev->config.offset;
	if (dev->tree)
		return dev->ops->tree_translate(dev->tree, addr, translation) == VMT_OK;
	if (!dev->commands)
		return dev->env->ops->translate(dev->env->space, addr, translation) == VMT_OK;
	cell = dev->commands->cell[command_index(dev->commands, addr)];
	*translation = (struct vmt_translation){.pa = cell.pa + addr % PAGE, .size = PAGE, .prot = cell.prot};
	return cell.prot;
}

static uint64_t dev_page(const struct dev *dev)
{
	return dev->tree ? sim_format_page(dev->config.format) : PAGE;
}

bool dev_uses(struct dev *dev, uint64_t addr, vmt_prot access, uint64_t *pa)
{
	uint64_t page = (addr + dev->config.offset) & ~(dev_page(dev) - 1), in = addr & (dev_page(dev) - 1);
	struct vmt_translation translation;
	struct dev_item *item = NULL;

	for (unsigned i = 0; i < dev->cached && !item; i++)
		if (dev->tlb[i].addr == page)
			item = &dev->tlb[i];
	if (!item || !(item->prot & access)) {
		if (!dev_translate(dev, addr, &translation) || !(translation.prot & access))
			return false;
		if (!item)
			item = &dev->tlb[dev->cached < DEV_TLB ? dev->cached++ : addr / PAGE % DEV_TLB];
		*item = (struct dev_item){page, translation.pa - in, translation.prot};
	}
	*pa = item->pa + in;
	return true;
}

struct vmt_mirror_counts dev_counts(struct dev *dev)
{
	struct vmt_mirror_counts counts;

	dev->env->ops->mirror_stats(dev->mirror, &counts);
	return counts;
}

// ---- The step check ----------------------------------------------------------------------------------------------

static _Noreturn void dev_wrong(const struct dev *dev, uint64_t addr, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "a device with tables of %s: %s",
		 dev->tree ? sim_format_name(dev->config.format) : dev->commands ? "commands" : "the space", what);
	sim_stop(dev->env->machine, addr, 0, text);
}

// [addr, addr + length) of the device, which leads to `pa`: the space says so too.
static void judge_run(const struct dev *dev, uint64_t addr, uint64_t length, uint64_t pa, vmt_prot prot)
{
	uint64_t at = addr - dev->config.offset, end = at + length;
	struct vmt_run run;

	for (; at < end; at = run.end) {
		bool own; // the device has it for itself, and CPUs do not see it

		OK(dev->env->ops->walk(dev->env->space, at, end, &run));
		own = run.state == VMT_STATE_PARKED;
		if (run.state != VMT_STATE_PRESENT && !own)
			dev_wrong(dev, at, "it could use what is gone");
		if (run.pa + (at - run.start) != pa + (at + dev->config.offset - addr))
			dev_wrong(dev, at, "it could use another page");
		if (prot & VMT_WRITE && !(run.prot & VMT_WRITE) && !own)
			dev_wrong(dev, at, "it could write what may not be written");
	}
}

static void judge_tree(struct dev *dev)
{
	uint64_t at = dev->config.start + dev->config.offset, end = dev->config.end + dev->config.offset;
	struct vmt_run run;

	for (; at < end; at = run.end) {
		OK(dev->ops->tree_walk(dev->tree, at, end, &run));
		if (run.state == VMT_STATE_PRESENT)
			judge_run(dev, at, run.end - at, run.pa, run.prot);
		else
			assert_int_equal(run.state, VMT_STATE_NONE);
	}
}

// A page that was lazily freed and that nobody has faulted on since. Hardware may have written to it.
static bool is_lazy(struct dev *dev, uint64_t pa)
{
	const struct vmt_frame *frame = vmt_port_frame_meta(sim_port(dev->env->machine), pa);

	return frame && atomic_load_explicit(&frame->data.flags, memory_order_relaxed) & VMT_FRAME_LAZY;
}

// All that the space says is there. (Only to be read what was lazily freed: that may be taken while nobody writes to
// it.)
static void judge_complete(struct dev *dev)
{
	struct vmt_translation translation;
	struct vmt_run run;

	for (uint64_t at = dev->config.start; at < dev->config.end; at = run.end) {
		OK(dev->env->ops->walk(dev->env->space, at, dev->config.end, &run));
		for (uint64_t page = at; run.state == VMT_STATE_PRESENT && page < run.end; page += PAGE) {
			if (!dev_translate(dev, page, &translation))
				dev_wrong(dev, page, "what the space has is not there");
			if (run.prot & VMT_WRITE && !(translation.prot & VMT_WRITE) && !is_lazy(dev, translation.pa))
				dev_wrong(dev, page, "it could not write what may be written");
			if (!(page & (translation.size - 1)) && translation.size > PAGE)
				page += translation.size - PAGE;
		}
	}
}

void dev_judge(struct dev *dev, bool complete)
{
	for (unsigned i = 0; i < dev->cached; i++)
		judge_run(dev, dev->tlb[i].addr, dev_page(dev), dev->tlb[i].pa, dev->tlb[i].prot);
	if (dev->tree) {
		judge_tree(dev);
		sim_log_clear(dev->env->machine);
		if (dev->ops->tree_check(dev->tree))
			dev_wrong(dev, 0, sim_log_line(dev->env->machine, 0));
	}
	for (uint64_t i = 0; dev->commands && i < CELLS; i++)
		if (dev->commands->cell[i].prot)
			judge_run(dev, dev->config.start + dev->config.offset + i * PAGE, PAGE,
				  dev->commands->cell[i].pa, dev->commands->cell[i].prot);
	if (complete)
		judge_complete(dev);
}
