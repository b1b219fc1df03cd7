/* SPDX-License-Identifier: MIT
 *
 * replay_slab_log.c - `replay_slab_log MODEL FILE...`: replays recorded object allocator logs on a model (slab_log.h).
 */
#include "tests/oracle/slab_log.h"

struct object_allocator *object_allocator_slub_create(const struct object_allocator_wiring *wiring, struct error *error);
struct object_allocator *object_allocator_slab_create(const struct object_allocator_wiring *wiring, struct error *error);
struct object_allocator *object_allocator_slob_create(const struct object_allocator_wiring *wiring, struct error *error);

static const struct slab_log_model models[] = {
        {"slub", object_allocator_slub_create, slub_state_load, slub_state_compare},
        {"slab", object_allocator_slab_create, slab_state_load, slab_state_compare},
        {"slob", object_allocator_slob_create, slob_state_load, slob_state_compare},
};

int main(int argc, char **argv)
{
	return slab_log_main(models, sizeof models / sizeof *models, argc, argv);
}
