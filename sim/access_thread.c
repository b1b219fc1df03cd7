/* SPDX-License-Identifier: MIT
 *
 * access_thread.c - a ring of batches between the thread that reads and the one that consumes (interface: access_thread.h).
 *
 * The reader fills slot `made % ACCESS_THREAD_BATCHES`, the consumer empties slot `taken % ACCESS_THREAD_BATCHES`. Who finds the
 * ring full or empty sleeps until it is half so: a wake-up costs as much as a batch, and so comes every fourth batch at most.
 *
 * Invariant: 0 <= made - taken <= ACCESS_THREAD_BATCHES; slots in between belong to the consumer, the others to the reader.
 */
#include "sim/access_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define HALF (ACCESS_THREAD_BATCHES / 2)

struct slot {
	struct access batch[ACCESS_BATCH];
	size_t count;
	uint64_t bytes_done;
};

struct access_thread {
	struct access_source source;
	struct access_source *inner;
	struct slot *slots;
	pthread_t reader;
	pthread_mutex_t mutex;
	pthread_cond_t emptied, filled;
	/* Under the mutex. */
	uint64_t made, taken;
	bool ended, stopped; /* the reader reads no more; the consumer wants no more */
	bool reader_sleeps, consumer_sleeps;
	bool sound; /* how the inner source ended */
	struct error error;
	/* The consumer's own. */
	size_t slot_at; /* accesses of the slot that were handed on */
	bool has_slot;
};

/* Waits until there is a slot to fill; false: nobody wants more. */
static bool wait_for_room(struct access_thread *self)
{
	pthread_mutex_lock(&self->mutex);
	if (self->made - self->taken == ACCESS_THREAD_BATCHES) {
		self->reader_sleeps = true;
		while (self->made - self->taken > HALF && !self->stopped)
			pthread_cond_wait(&self->emptied, &self->mutex);
		self->reader_sleeps = false;
	}
	bool wanted = !self->stopped;
	pthread_mutex_unlock(&self->mutex);
	return wanted;
}

static void hand_over(struct access_thread *self, bool made, bool ended)
{
	pthread_mutex_lock(&self->mutex);
	self->made += made;
	self->ended = ended;
	SIM_ASSERT(self->made - self->taken <= ACCESS_THREAD_BATCHES);
	if (self->consumer_sleeps && (ended || self->made - self->taken >= HALF))
		pthread_cond_signal(&self->filled);
	pthread_mutex_unlock(&self->mutex);
}

static bool read_inner(struct access_thread *self, struct slot *slot, struct error *error)
{
	bool sound = access_source_read(self->inner, slot->batch, ACCESS_BATCH, &slot->count, error);
	slot->bytes_done = self->inner->bytes_done;
	return sound;
}

static void *read_ahead(void *argument)
{
	struct access_thread *self = argument;
	bool more = true;
	while (more && wait_for_room(self)) {
		struct slot *slot = &self->slots[self->made % ACCESS_THREAD_BATCHES];
		self->sound = read_inner(self, slot, &self->error);
		more = self->sound && slot->count > 0;
		hand_over(self, slot->count > 0, !more);
	}
	return NULL;
}

/* Waits for the next slot that is filled; false: there is none to come. */
static bool take_slot(struct access_thread *self)
{
	pthread_mutex_lock(&self->mutex);
	if (self->made == self->taken) {
		self->consumer_sleeps = true;
		while (self->made - self->taken < HALF && !self->ended)
			pthread_cond_wait(&self->filled, &self->mutex);
		self->consumer_sleeps = false;
	}
	self->has_slot = self->made > self->taken;
	pthread_mutex_unlock(&self->mutex);
	self->slot_at = 0;
	return self->has_slot;
}

static void give_slot_back(struct access_thread *self)
{
	pthread_mutex_lock(&self->mutex);
	self->taken++;
	self->has_slot = false;
	if (self->reader_sleeps && self->made - self->taken <= HALF)
		pthread_cond_signal(&self->emptied);
	pthread_mutex_unlock(&self->mutex);
}

static bool thread_read(struct access_source *source, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct access_thread *self = (struct access_thread *)source;
	*count = 0;
	if (!self->has_slot && !take_slot(self))
		return self->sound || error_set(error, self->error.kind, "%s", self->error.text);
	const struct slot *slot = &self->slots[self->taken % ACCESS_THREAD_BATCHES];
	size_t left = slot->count - self->slot_at;
	*count = left < capacity ? left : capacity;
	memcpy(batch, slot->batch + self->slot_at, *count * sizeof *batch);
	self->slot_at += *count;
	source->bytes_done = slot->bytes_done;
	if (self->slot_at == slot->count)
		give_slot_back(self);
	return true;
}

static void release(struct access_thread *self)
{
	pthread_cond_destroy(&self->emptied);
	pthread_cond_destroy(&self->filled);
	pthread_mutex_destroy(&self->mutex);
	lazy_free(self->slots, ACCESS_THREAD_BATCHES, sizeof *self->slots);
	free((void *)(uintptr_t)self->source.ops);
	free(self);
}

static void thread_close(struct access_source *source)
{
	struct access_thread *self = (struct access_thread *)source;
	pthread_mutex_lock(&self->mutex);
	self->stopped = true;
	pthread_cond_signal(&self->emptied);
	pthread_mutex_unlock(&self->mutex);
	/* A read of an idle pipe would last for ever. */
	if (self->inner->ops->stop)
		self->inner->ops->stop(self->inner);
	pthread_join(self->reader, NULL);
	access_source_close(self->inner);
	release(self);
}

/* Signals are for the thread that consumes. */
static bool start_reader(struct access_thread *self)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(&self->reader, NULL, read_ahead, self) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

struct access_source *access_thread_start(struct access_source *inner)
{
	struct access_thread *self = xcalloc(1, sizeof *self);
	struct access_source_ops *ops = xcalloc(1, sizeof *ops);
	*ops = (struct access_source_ops){
	        .name = inner->ops->name, .help = inner->ops->help, .read = thread_read, .close = thread_close};
	self->source = (struct access_source){.ops = ops, .bytes_total = inner->bytes_total, .has_locks = inner->has_locks};
	self->inner = inner;
	self->slots = lazy_alloc(ACCESS_THREAD_BATCHES, sizeof *self->slots);
	pthread_mutex_init(&self->mutex, NULL);
	pthread_cond_init(&self->emptied, NULL);
	pthread_cond_init(&self->filled, NULL);
	if (start_reader(self))
		return &self->source;
	release(self);
	return inner;
}
