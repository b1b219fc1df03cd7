/* SPDX-License-Identifier: MIT
 *
 * registry_names.h - the names that settings may have: those of the models by port ("object_allocator", "page_allocator",
 * "memory"), and those of the report's pictures ("report").
 */
#ifndef MODELS_REGISTRY_NAMES_H
#define MODELS_REGISTRY_NAMES_H

#include "sim/setting.h"

/* Lists that end with one whose `of` is NULL. Release with the second. */
struct setting_names *registry_names(void);
void registry_names_release(struct setting_names *names);

#endif
