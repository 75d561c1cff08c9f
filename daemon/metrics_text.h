/* metrics_text.h - writes numbers in the OpenMetrics text format, version 1.0.0, or in the older one of
 * Prometheus, 0.0.4, which differs in how counters are introduced. Pure but for the stream. */
#ifndef PAIRSOCKS_METRICS_TEXT_H
#define PAIRSOCKS_METRICS_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum metrics_format { METRICS_OPEN, METRICS_CLASSIC };

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM, METRICS_INFO };

struct metrics_label {
    const char *name, *value; /* borrowed; a NULL name ends a list */
};

struct metrics {
    FILE *out; /* borrowed */
    enum metrics_format format;
    const char *name; /* of the family, borrowed */
    enum metrics_type type;
};

/* The media type of a format. */
const char *metrics_media_type(enum metrics_format format);

/* Begins a family; `name` without the `_total` or `_info` of its samples, `help` any text. */
void metrics_family(struct metrics *metrics, const char *name, enum metrics_type type,
                    const char *help);

/* A sample of the family. Labels: at most METRICS_LABELS_MAX, ended by a NULL name; NULL: none. Values of
 * labels may be any bytes: what is not printable ASCII becomes `?`. */
enum { METRICS_LABELS_MAX = 4 };
void metrics_sample(struct metrics *metrics, const struct metrics_label *labels, uint64_t value);

/* A histogram's samples. `bounds` are the buckets' upper ones, in thousandths of the unit, as `sum` is;
 * `counts` one more than bounds, each its own, the last for what is beyond. */
struct metrics_histogram {
    const unsigned *bounds;
    unsigned bound_count;
    const uint64_t *counts;
    uint64_t sum;
};
void metrics_buckets(struct metrics *metrics, const struct metrics_label *labels,
                     const struct metrics_histogram *histogram);

/* The last line. */
void metrics_end(struct metrics *metrics);

#endif
