/* human.h - numbers as people read them. Pure. */
#ifndef PAIRSOCKS_CLI_HUMAN_H
#define PAIRSOCKS_CLI_HUMAN_H

#include <stdint.h>

enum { HUMAN_MAX = 32 };

/* 0, 999, 1.5k, 20k, 3.2M ... in powers of 1024, three digits or so. Returns `out`. */
char *human_bytes(uint64_t bytes, char out[HUMAN_MAX]);

/* 0.3s, 12s, 5m04s, 2h07m, 3d04h. */
char *human_duration(uint64_t ms, char out[HUMAN_MAX]);

/* 2026-11-21 22:04:05, local time; "-" for 0. */
char *human_time(uint64_t unix_time, char out[HUMAN_MAX]);

#endif
