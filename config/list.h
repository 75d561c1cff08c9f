/* list.h - arrays of the snapshot that grow while a file is read: a pointer and a length, in
 * fields of whatever struct. Pure but for memory. */
#ifndef PAIRSOCKS_LIST_H
#define PAIRSOCKS_LIST_H

#include <stddef.h>

/* Makes room for one item of `size` bytes behind the `count` ones. `list` is the address of the
 * pointer to the first, of any type. Returns the new item, all zero, which the caller counts when
 * it is good; NULL without memory. Pointers to other items are stale then. */
void *list_grow(void *list, unsigned count, size_t size);

/* The item `index` of the list, without a change. */
void *list_item(const void *list, unsigned index, size_t size);

#endif
