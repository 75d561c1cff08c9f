/* suggest.c - nearest words. */
#include "config/suggest.h"

#include <stdbool.h>
#include <string.h>

enum { LENGTH_MAX = 127, FAR = SUGGEST_DISTANCE_MAX + 1 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The next row of the matrix of distances: row[j] is from the first i letters of a to the first j
 * of b; `last` and `last_but_one` are the rows of i - 1 and i - 2. */
static void fill_row(const char *a, const char *b, size_t i, size_t columns,
                     const unsigned *last_but_one, const unsigned *last, unsigned *row)
{
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= columns; j++) {
        char x = lower(a[i - 1]), y = lower(b[j - 1]);

        row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (x != y));
        if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y)
            row[j] = least(row[j], last_but_one[j - 2] + 1);
    }
}

unsigned suggest_distance(const char *a, const char *b)
{
    unsigned rows[3][LENGTH_MAX + 1];
    size_t n = strlen(a), m = strlen(b);

    if (n > LENGTH_MAX || m > LENGTH_MAX || n > m + SUGGEST_DISTANCE_MAX ||
        m > n + SUGGEST_DISTANCE_MAX)
        return FAR;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++)
        fill_row(a, b, i, m, rows[(i + 1) % 3], rows[(i + 2) % 3], rows[i % 3]);
    return least(rows[n % 3][m], FAR);
}

static bool is_near(unsigned distance, size_t n, size_t m)
{
    const size_t shorter = n < m ? n : m, longer = n < m ? m : n;

    return distance <= SUGGEST_DISTANCE_MAX && distance < shorter && 2 * distance <= longer;
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate)
{
    unsigned distance = suggest_distance(suggestion->word, candidate);

    if (!is_near(distance, strlen(suggestion->word), strlen(candidate)))
        return;
    if (suggestion->best && distance >= suggestion->distance)
        return;
    suggestion->best = candidate;
    suggestion->distance = distance;
}
