/* fuzz.h - what every fuzz target defines: libFuzzer's entry. It is called once for each input,
 * many times in a process, and ends the program when a claim does not hold. */
#ifndef PAIRSOCKS_TESTS_FUZZ_H
#define PAIRSOCKS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert() it is there in every build. */
#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
