/* SPDX-License-Identifier: MIT
 *
 * variant.c - lines of the setting `variants` (interface: variant.h).
 */
#include "models/variant.h"

#include <stdlib.h>
#include <string.h>

/* The next word of a line, NULL at its end; *at goes behind it. Between two '"', which are taken out, blanks are part of it. */
static char *next_word(const char **at)
{
	*at += strspn(*at, " \t");
	char *word = **at ? xasprintf("%s", *at) : NULL;
	size_t length = 0;
	bool quoted = false;
	for (; **at && (quoted || !strchr(" \t", **at)); (*at)++) {
		if (**at == '"')
			quoted = !quoted;
		else
			word[length++] = **at;
	}
	if (word)
		word[length] = '\0';
	return word;
}

bool variant_read(struct variant *variant, const char *text, const char *place, struct error *error)
{
	const char *at = text;
	char *word = next_word(&at);
	*variant = (struct variant){.label = word};
	if (!word || strchr(word, '='))
		error_set(error, ERROR_USAGE, "%s: variants: found '%s', expected \"LABEL KEY=VALUE KEY=VALUE ...\"", place,
		          text);
	while (error->kind == ERROR_NONE && (word = next_word(&at))) {
		if (strchr(word, '=') && variant->sets_count < VARIANT_SETS_MAX) {
			variant->sets[variant->sets_count++] = word;
			continue;
		}
		error_set(error, ERROR_USAGE, "%s: variants: %s: found '%s', expected at most %d of KEY=VALUE", place,
		          variant->label, word, VARIANT_SETS_MAX);
		free(word);
	}
	if (error->kind == ERROR_NONE)
		return true;
	variant_release(variant);
	return false;
}

void variant_release(struct variant *variant)
{
	free(variant->label);
	for (size_t i = 0; i < variant->sets_count; i++)
		free(variant->sets[i]);
	*variant = (struct variant){0};
}

bool variant_is_same_label(const char *one, const char *other)
{
	while (*one && (*one == *other || (strchr("/-", *one) && *other && strchr("/-", *other)))) {
		one++;
		other++;
	}
	return !*one && !*other;
}
