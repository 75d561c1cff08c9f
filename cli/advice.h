/* advice.h - what an error means to who asked, and what can be done about it. Used by the verbs that
 * go through a proxy. */
#ifndef PAIRSOCKS_ADVICE_H
#define PAIRSOCKS_ADVICE_H

#include "streams/error.h"

/* Exit statuses, by who is to be asked. */
enum advice_status {
    ADVICE_OTHER = 1,
    ADVICE_RESOLVE = 3, /* names */
    ADVICE_CONNECT,     /* the way to the first host */
    ADVICE_TLS,
    ADVICE_PROXY, /* it refused, or is none */
    ADVICE_LOGIN, /* the proxy wants other credentials */
    ADVICE_BROKEN /* the connection broke after it stood */
};

struct advice {
    const char *prefix; /* of the names of errors that it is for */
    enum advice_status status;
    const char *meaning; /* a sentence */
    const char *trial;   /* what to try; a sentence */
};

/* Of the longest prefix; never NULL. */
const struct advice *advice_find(const struct stream_error *error);

#endif
