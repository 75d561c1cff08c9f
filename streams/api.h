/* api.h - what every public header begins and ends its declarations with. Public headers include
 * one another without a folder, so that they are found in the source tree and where they are
 * installed (pairsocks/...) alike; each of them is C11 and C++. */
#ifndef PAIRSOCKS_API_H
#define PAIRSOCKS_API_H

/* The library is compiled with everything hidden; what stands between these two is not.
 * streams/pairsocks.map names it once more, with its version. */
#ifdef __cplusplus
#define PAIRSOCKS_API_BEGIN                                                                        \
    extern "C" {                                                                                   \
    _Pragma("GCC visibility push(default)")
#define PAIRSOCKS_API_END                                                                          \
    _Pragma("GCC visibility pop")                                                                  \
    }
#else
#define PAIRSOCKS_API_BEGIN _Pragma("GCC visibility push(default)")
#define PAIRSOCKS_API_END _Pragma("GCC visibility pop")
#endif

#endif
