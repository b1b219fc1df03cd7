/* SPDX-License-Identifier: MIT
 *
 * settings_doc.h - the settings table written out: as the resolved scenario, as a list for the terminal, as the reference page
 * docs/settings.md and as configs/schema.json, from which editors complete and check.
 *
 * All four come from the rows alone, so they cannot disagree with what is read. docs/settings.md and configs/schema.json are
 * committed; a test compares them with what these functions write.
 */
#ifndef MODELS_SETTINGS_DOC_H
#define MODELS_SETTINGS_DOC_H

#include "models/settings.h"
#include "sim/setting.h"

/* Every value in table order; scenario_load() of the text gives equal settings. */
void settings_print_yaml(const struct settings *settings, FILE *out);

/* One line a setting: key, default, what it takes, help. */
void settings_print_list(const struct setting_names *names, FILE *out);

/* docs/settings.md */
void settings_print_markdown(const struct setting_names *names, FILE *out);

/* configs/schema.json: JSON Schema draft-07 of a scenario; its definitions `machine` and `kernel` are those of included files. */
void settings_print_schema(const struct setting_names *names, FILE *out);

#endif
