/* metrics.h - /metrics: a survey as families of numbers. Labels are names of the configuration, error names
 * of streams/error.h and the few words of tables: their number is bounded, whatever clients do. */
#ifndef PAIRSOCKS_METRICS_H
#define PAIRSOCKS_METRICS_H

#include "daemon/metrics_text.h"
#include "daemon/survey.h"

/* The whole answer, owned by the caller. NULL without memory. */
char *metrics_write(const struct survey *survey, enum metrics_format format, size_t *ret_length);

#endif
