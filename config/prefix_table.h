/* prefix_table.h - many CIDR prefixes as one immutable table: which of them hold this address? Used
 * by rules (clients, destinations, ports) and by the whitelists of clients, to which the first
 * answer is all that matters. Pure.
 *
 * Prefixes either lie within each other or have nothing in common. So they are kept in order, each
 * with a link to the next wider one around it, and a question is one binary search and a walk along
 * these links: its cost depends neither on how many lengths are in use nor on what an asker chose. */
#ifndef PAIRSOCKS_PREFIX_TABLE_H
#define PAIRSOCKS_PREFIX_TABLE_H

#include "streams/address.h"

struct prefix_table;

#define PREFIX_NONE UINT32_MAX /* no prefix; and more of them than this no table holds */
#define PREFIX_DEPTH_MAX 129   /* most prefixes that hold one address: one of each length */

/* The table of the `count` prefixes, which are as ip_prefix_parse() makes them. Equal ones are one:
 * the different ones get the numbers 0 to prefix_table_count() - 1, and `ret_numbers` (NULL: nobody
 * asks) the number of each given one. NULL without memory. */
struct prefix_table *prefix_table_new(const struct ip_prefix *prefixes, size_t count,
                                      uint32_t *ret_numbers);
void prefix_table_free(struct prefix_table *table);

uint32_t prefix_table_count(const struct prefix_table *table);

/* The narrowest prefix that holds the address; an IPv4-mapped one is looked up as IPv4.
 * PREFIX_NONE: none does (and never one for IP_NONE). */
uint32_t prefix_table_find(const struct prefix_table *table, const struct ip_address *ip);

/* The narrowest of the wider prefixes around prefix `number`, which hold the same addresses and
 * more; its number is lower. PREFIX_NONE: there is none. */
uint32_t prefix_table_wider(const struct prefix_table *table, uint32_t number);

/* For one-bit questions. */
static inline bool prefix_table_holds(const struct prefix_table *table, const struct ip_address *ip)
{
    return prefix_table_find(table, ip) != PREFIX_NONE;
}

#endif
