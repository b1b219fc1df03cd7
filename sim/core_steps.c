/* SPDX-License-Identifier: MIT
 *
 * core_steps.c - instructions, loads and stores of a core (rules: core.h).
 */
#include "sim/core_internal.h"

/* The cycles that an access takes, all of them the first level's, if it is usual; 0: the memory is to be asked. */
static inline cycle access_usual(struct core *core, uint64_t address, uint32_t bytes, enum access_kind kind, cycle now)
{
	return usual_lines_access(&core->usual[kind == ACCESS_CODE ? MMU_CODE : MMU_DATA], address, bytes, kind, now);
}

/* Makes an access at `now` that is not usual. */
static inline void access_asked(struct core *core, uint64_t address, uint32_t bytes, enum access_kind kind, cycle now,
                                struct core_flight *load)
{
	const struct memory_request request = {
	        .address = address, .bytes = bytes, .cpu = (uint16_t)core->cpu, .kind = (uint8_t)kind, .now = now};
	load->done = memory_access_quick(core->machine->memory, &request, &load->cost, &load->in_first);
}

/* Makes an access at `now`, and answers when it is done; nobody asks where its cycles went. */
static inline cycle access_unasked(struct core *core, uint64_t address, uint32_t bytes, enum access_kind kind, cycle now)
{
	const cycle first = access_usual(core, address, bytes, kind, now);
	if (first > 0)
		return now + first;
	const struct memory_request request = {
	        .address = address, .bytes = bytes, .cpu = (uint16_t)core->cpu, .kind = (uint8_t)kind, .now = now};
	return memory_done(core->machine->memory, &request);
}

/* The same, and the core waits for it. Returns when it is done. */
static cycle access_awaited(struct core *core, uint64_t address, uint32_t bytes, enum access_kind kind, bool is_locked, cycle now)
{
	const cycle first = access_usual(core, address, bytes, kind, now);
	if (first > 0) {
		now = core_pay(core, COST_L1, first, now);
		return is_locked ? core_pay(core, COST_COMPUTE, core->usual->locked_cycles, now) : now;
	}
	const struct memory_request request = {.address = address,
	                                       .bytes = bytes,
	                                       .cpu = (uint16_t)core->cpu,
	                                       .kind = (uint8_t)kind,
	                                       .is_locked = is_locked,
	                                       .now = now};
	struct cost cost;
	bool in_first;
	cycle done = memory_access_quick(core->machine->memory, &request, &cost, &in_first);
	if (in_first)
		return core_pay(core, COST_L1, done - now, now);
	cost_add(&core->counters.cost, &cost);
	return done;
}

/* Waits for the end of a load: for the last parts of what it takes. */
static cycle wait_for_load(struct core *core, const struct core_flight *load, cycle now)
{
	if (load->done <= now)
		return now;
	if (load->in_first)
		return core_pay(core, COST_L1, load->done - now, now);
	cost_take_last(&core->counters.cost, &load->cost, load->done - now);
	return load->done;
}

cycle core_wait_for_loads(struct core *core, cycle now)
{
	core->miss_count = 0;
	if (core->latest_done <= now)
		return now;
	if (!core->latest)
		return core_pay(core, COST_L1, core->latest_done - now, now);
	cost_take_last(&core->counters.cost, core->latest, core->latest_done - now);
	return core->latest_done;
}

static bool is_miss(const struct cost *cost)
{
	return cost_total(cost) > cost->cycles[COST_L1];
}

/* Forgets the misses that are over, and waits for the oldest one if there are as many as there may be. */
static cycle make_place(struct core *core, cycle now)
{
	while (core->miss_count > 0 && core->misses[core->first_miss].done <= now) {
		core->first_miss = (core->first_miss + 1) % CORE_MISSES_MAX;
		core->miss_count--;
	}
	if (core->miss_count < core->machine->config.misses_in_flight)
		return now;
	now = wait_for_load(core, &core->misses[core->first_miss], now);
	core->first_miss = (core->first_miss + 1) % CORE_MISSES_MAX;
	core->miss_count--;
	return now;
}

/* A load that the first level has: its parts need not be kept. Returns when the core goes on. */
static inline cycle load_in_first(struct core *core, cycle done, cycle now)
{
	if (core->machine->config.misses_in_flight == 1)
		return core_pay(core, COST_L1, done - now, now);
	if (done > core->latest_done) {
		core->latest_done = done;
		core->latest = NULL;
	}
	return now;
}

/* Any other, which lies behind the misses. */
static inline cycle load_further(struct core *core, struct core_flight *load, cycle now)
{
	if (core->machine->config.misses_in_flight == 1)
		return wait_for_load(core, load, now);
	const bool is_missed = is_miss(&load->cost);
	if (load->done > core->latest_done) {
		core->latest_done = load->done;
		core->latest = &load->cost; /* where it stays until it is over */
		if (!is_missed) {
			core->latest_hit = load->cost;
			core->latest = &core->latest_hit;
		}
	}
	core->miss_count += is_missed;
	return now;
}

static inline cycle load_step(struct core *core, uint64_t address, uint32_t bytes, cycle now)
{
	if (core->miss_count > 0)
		now = make_place(core, now);
	core->read_address = address;
	core->read_at = now;
	const cycle first = access_usual(core, address, bytes, ACCESS_LOAD, now);
	if (first > 0)
		return load_in_first(core, now + first, now);
	struct core_flight *load = &core->misses[(core->first_miss + core->miss_count) % CORE_MISSES_MAX];
	access_asked(core, address, bytes, ACCESS_LOAD, now, load);
	return load->in_first ? load_in_first(core, load->done, now) : load_further(core, load, now);
}

cycle core_load(struct core *core, uint64_t address, uint32_t bytes, cycle now)
{
	return load_step(core, address, bytes, now);
}

cycle core_fetch(struct core *core, uint64_t address, uint32_t bytes, cycle now)
{
	struct core_flight fetch;
	if (access_usual(core, address, bytes, ACCESS_CODE, now) > 0)
		return now;
	access_asked(core, address, bytes, ACCESS_CODE, now, &fetch);
	if (fetch.in_first)
		return now;
	fetch.cost.cycles[COST_L1] = 0;
	cost_add(&core->counters.cost, &fetch.cost);
	return now + cost_total(&fetch.cost);
}

/* Room for one more store. */
static cycle make_room(struct core *core, cycle now)
{
	while (core->store_count > 0 && core->stores[core->first_store] <= now) {
		core->first_store = (core->first_store + 1) % CORE_STORES_MAX;
		core->store_count--;
	}
	if (core->store_count < core->machine->config.store_buffer)
		return now;
	now = core_wait_until(core, COST_STORE_BUFFER, core->stores[core->first_store], now);
	core->first_store = (core->first_store + 1) % CORE_STORES_MAX;
	core->store_count--;
	return now;
}

/* A store whose line is there at `ready` enters the buffer. Returns when it has left: not before those ahead of it. */
static cycle enter_buffer(struct core *core, cycle ready)
{
	if (core->last_store < ready)
		core->last_store = ready;
	core->stores[(core->first_store + core->store_count++) % CORE_STORES_MAX] = core->last_store;
	return core->last_store;
}

static inline cycle store_step(struct core *core, uint64_t address, uint32_t bytes, cycle now, cycle *written)
{
	if (core->machine->config.store_buffer == 0) {
		*written = access_awaited(core, address, bytes, ACCESS_STORE, false, now);
		return *written;
	}
	now = make_room(core, now);
	*written = enter_buffer(core, access_unasked(core, address, bytes, ACCESS_STORE, now));
	return now;
}

cycle core_store(struct core *core, uint64_t address, uint32_t bytes, cycle now, cycle *written)
{
	return store_step(core, address, bytes, now, written);
}

static cycle drain_stores(struct core *core, cycle now)
{
	core->store_count = 0;
	return core_wait_until(core, COST_STORE_BUFFER, core->last_store, now);
}

cycle core_locked(struct core *core, uint64_t address, uint32_t bytes, cycle now)
{
	now = core_wait_for_loads(core, now);
	now = drain_stores(core, now);
	return access_awaited(core, address, bytes, ACCESS_MODIFY, true, now);
}

cycle core_exchange(struct core *core, uint64_t address, uint32_t bytes, cycle now)
{
	uint32_t cmpxchg_cycles = core->machine->config.cmpxchg_cycles;
	if (core->machine->config.store_buffer > 0)
		now = make_room(core, now);
	now = access_awaited(core, address, bytes, ACCESS_MODIFY, false, now);
	now = core_pay(core, COST_COMPUTE, cmpxchg_cycles, now);
	if (core->machine->config.store_buffer > 0)
		enter_buffer(core, now);
	return now;
}

cycle core_update(struct core *core, uint64_t address, uint32_t bytes, cycle now)
{
	const struct core_config *config = &core->machine->config;
	if (config->store_buffer > 0)
		now = make_room(core, now);
	bool waits = config->store_buffer == 0 || config->misses_in_flight == 1;
	cycle done = waits ? access_awaited(core, address, bytes, ACCESS_MODIFY, false, now)
	                   : access_unasked(core, address, bytes, ACCESS_MODIFY, now);
	if (config->store_buffer > 0)
		enter_buffer(core, done);
	return waits ? done : now;
}

/* Two compare-and-exchanges of one word never share a slot with a third for long: only what happened lately counts. */
static struct cmpxchg_word *word_of(const struct machine *machine, uint64_t address)
{
	uint64_t hash =
	        (address / sizeof(uint64_t)) * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio (Knuth, TAOCP vol. 3, 6.4) */
	return &machine->words[hash >> 32 & (CMPXCHG_WORDS - 1)];
}

cycle core_cmpxchg(struct core *core, uint64_t address, uint32_t bytes, cycle now)
{
	struct cmpxchg_word *word = word_of(core->machine, address);
	cycle since = core->read_address == address ? core->read_at : now;
	now = core_locked(core, address, bytes, now);
	while (word->address == address && word->cpu != core->cpu && word->changed > since) {
		core->counters.cmpxchg_retries++;
		since = now;
		now = core_locked(core, address, bytes, core_load(core, address, bytes, now));
	}
	*word = (struct cmpxchg_word){.address = address, .changed = now, .cpu = core->cpu};
	return now;
}

void core_prefetch(struct core *core, uint64_t address, cycle now)
{
	access_unasked(core, address, 1, ACCESS_PREFETCH, now);
}

cycle core_spend(struct core *core, uint32_t instructions, cycle now)
{
	const struct machine *machine = core->machine;
	const uint32_t per_cycle = machine->config.instructions_per_cycle;
	const uint64_t done = (uint64_t)core->instructions + instructions;
	/* Most cores begin 4 or 8 of them in a cycle, and a host's division takes longer than all else here. */
	const uint64_t cycles = machine->per_cycle_shift < 32 ? done >> machine->per_cycle_shift : done / per_cycle;
	core->instructions = (uint32_t)(done - cycles * per_cycle);
	return core_pay(core, COST_COMPUTE, cycles, now);
}

cycle core_switch_irqs(struct core *core, enum step_irqs which, cycle now)
{
	const struct core_config *config = &core->machine->config;
	uint32_t cycles = which == IRQS_ENABLE ? config->sti_cycles : config->cli_cycles;
	if (which == IRQS_EXCEPTION)
		return core_pay(core, COST_COMPUTE, config->exception_cycles, now);
	if (which == IRQS_SAVE)
		cycles += config->pushf_cycles;
	return core_pay(core, COST_COMPUTE, cycles, now);
}

/* What was read is there before the core sleeps; what it wrote leaves the store buffer meanwhile. */
cycle core_sleep(struct core *core, uint64_t ns, cycle now)
{
	SIM_ASSERT(core->machine->frequency_mhz > 0);
	now = core_wait_for_loads(core, now);
	return core_pay(core, COST_IO, ns * core->machine->frequency_mhz / 1000, now);
}

/* ---- one after the other ---- */

static inline cycle spend_before(struct core *core, const struct step *step, cycle now)
{
	return step->before > 0 ? core_spend(core, step->before, now) : now;
}

/* Runs one step that starts at `now`; returns the cycle at which the core goes on, CYCLE_NEVER if it now waits for others. */
static cycle run_step(struct core *core, const struct step *step, cycle now)
{
	cycle written;
	if (step->uses)
		now = core_wait_for_loads(core, now);
	switch ((enum step_kind)step->kind) {
	case STEP_READ:
		core_foresee(core);
		return load_step(core, step->address, step->bytes, spend_before(core, step, now));
	case STEP_WRITE:
		core_foresee(core);
		return store_step(core, step->address, step->bytes, spend_before(core, step, now), &written);
	case STEP_ATOMIC:
		return core_locked(core, step->address, step->bytes, now);
	case STEP_CMPXCHG:
		return core_cmpxchg(core, step->address, step->bytes, now);
	case STEP_UPDATE:
		return core_update(core, step->address, step->bytes, now);
	case STEP_EXCHANGE:
		return core_exchange(core, step->address, step->bytes, now);
	case STEP_PREFETCH:
		now = spend_before(core, step, now);
		core_prefetch(core, step->address, now);
		return now;
	case STEP_FETCH:
		core_foresee(core);
		return core_fetch(core, step->address, step->bytes, core_spend(core, 1, now));
	case STEP_SPEND:
		return core_spend(core, step->bytes, now);
	case STEP_RUN:
		return core_run_code(core, step->address, step->bytes, now);
	case STEP_IRQS:
		return core_switch_irqs(core, (enum step_irqs)step->bytes, now);
	case STEP_LOCK:
		return core_lock(core, step->address, now);
	case STEP_UNLOCK:
		return core_unlock(core, step->address, now);
	case STEP_INVALIDATE: {
		cycle done = core_invalidate(core, step->address, step->bytes, now);
		return core_pay(core, COST_TLB, done - now, now);
	}
	case STEP_IPI:
		return core_send_ipi(core, step, now);
	case STEP_IPI_WAIT:
		return core_wait_for_acks(core, now);
	case STEP_SLEEP:
		return core_sleep(core, step->address, now);
	case STEP_NEW_TABLE:
	case STEP_ENTRY:
	case STEP_ENTRY_VALUE:
		core_change_table(core, step);
		return now;
	case STEP_SWITCH: {
		cycle done = core_load_cr3(core, step->address, step->bytes, now);
		return core_pay(core, COST_TLB, done - now, now);
	}
	case STEP_MAP:
	case STEP_UNMAP: {
		const struct table_keeper *keeper = &core->machine->tables;
		if (keeper->remap)
			keeper->remap(keeper->context, step);
		return now;
	}
	}
	SIM_UNREACHABLE("a kind of step");
}

/* A load, store or fetch, as run_step() makes it, that the memory was told of. */
static inline cycle run_foreseen_step(struct core *core, const struct step *step, cycle now)
{
	cycle written;
	if (step->uses)
		now = core_wait_for_loads(core, now);
	now = core_spend(core, step->kind == STEP_FETCH ? 1 : step->before, now);
	if (step->kind == STEP_READ)
		return load_step(core, step->address, step->bytes, now);
	if (step->kind == STEP_FETCH)
		return core_fetch(core, step->address, step->bytes, now);
	return store_step(core, step->address, step->bytes, now, &written);
}

static inline bool is_foreseen(const struct step *step)
{
	return step->kind == STEP_READ || step->kind == STEP_WRITE || step->kind == STEP_FETCH;
}

/* How far a core has come. */
struct reached {
	const struct step *step; /* the next one */
	cycle now;
};

/*
 * Steps that the memory was told of, before the last one that is left, until somebody else comes first: only whoever is queued
 * already, since none of these steps queues anybody.
 */
static __attribute__((noinline)) struct reached run_foreseen(struct core *core, const struct step *step, const struct step *end,
                                                             cycle now)
{
	const cycle others = event_queue_next(&core->machine->queue);
	const uint32_t left = (uint32_t)(end - step) - 1, most = core->foreseen < left ? core->foreseen : left;
	const struct step *first = step, *last = step + most;
	while (step < last && is_foreseen(step) && now < others)
		now = run_foreseen_step(core, step++, now);
	core->position += (uint32_t)(step - first);
	core->foreseen -= (uint32_t)(step - first);
	return (struct reached){step, now};
}

cycle core_run_steps(struct core *core, cycle now)
{
	const struct core_job *job = &core->jobs[core->first];
	const struct step *step = &job->at[core->position], *end = job->at + job->count;
	do {
		if (core->foreseen > 0 && core->machine->awaited > 0) {
			struct reached reached = run_foreseen(core, step, end, now);
			if (reached.step != step && core_must_wait(core->machine, reached.now))
				return reached.now;
			step = reached.step;
			now = reached.now;
		}
		cycle done = run_step(core, step, now);
		if (done == CYCLE_NEVER)
			return CYCLE_NEVER;
		step++;
		core->position++;
		now = done;
	} while (step < end && !core_must_wait(core->machine, now));
	return now;
}
