/* text_table.h - many texts as one immutable table: is this one of them, and which of them does it
 * end in? Used by rules for host names, suffixes and users. Texts compare byte by byte. Pure.
 *
 * A hash table with open addressing. Whoever writes the configuration chooses what is in it; a peer
 * chooses only what is looked up. */
#ifndef PAIRSOCKS_TEXT_TABLE_H
#define PAIRSOCKS_TEXT_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct text_table;

#define TEXT_NONE UINT32_MAX /* no text */

/* The table of the `count` texts (borrowed for as long as the table lives; NUL-terminated). Equal
 * ones are one: the different ones get the numbers 0 to text_table_count() - 1, and `ret_numbers`
 * the number of each given one. NULL without memory. */
struct text_table *text_table_new(const char *const *texts, size_t count, uint32_t *ret_numbers);
void text_table_free(struct text_table *table);

uint32_t text_table_count(const struct text_table *table);

/* The number of this text; TEXT_NONE: it is not there. */
uint32_t text_table_find(const struct text_table *table, const char *text, size_t n);

/* The numbers of all texts that stand behind one of the dots of `text` (not its first byte), to its
 * end: of "a.b.c" those of "b.c" and "c". One pass over the bytes, from the last one. Writes `max`
 * at most and returns how many. */
size_t text_table_find_behind_dots(const struct text_table *table, const char *text, size_t n,
                                   uint32_t *ret_numbers, size_t max);

#endif
