/* list.c - one array of any type. */
#include "config/list.h"

#include <stdlib.h>
#include <string.h>

typedef char *__attribute__((may_alias)) any_pointer;

void *list_grow(void *list, unsigned count, size_t size)
{
    any_pointer *items = list;
    char *more = realloc(*items, (count + 1) * size);

    if (!more)
        return NULL;
    *items = more;
    return memset(more + count * size, 0, size);
}

void *list_item(const void *list, unsigned index, size_t size)
{
    return *(const any_pointer *)list + index * size;
}
