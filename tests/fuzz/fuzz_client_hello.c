/* fuzz_client_hello.c - the first bytes of a client of TLS. The claims are those of client_hello.h:
 * MORE and BAD set nothing, a split changes nothing, what was decided stays so, and a name is one
 * that may go to a resolver, or none. */
#include "tests/fuzz/fuzz.h"

#include "streams/client_hello.h"

#include <string.h>

/* From a block of just its size: a sanitizer then sees any read behind it. */
static enum parse parse(const uint8_t *bytes, size_t n, struct client_hello *ret)
{
    uint8_t *copy = malloc(n ? n : 1);
    enum parse parsed;

    CLAIM(copy);
    if (n)
        memcpy(copy, bytes, n);
    memset(ret, 0xA5, sizeof *ret);
    parsed = client_hello_parse(copy, n, ret);
    free(copy);
    if (parsed == PARSE_DONE) {
        size_t length = strnlen(ret->name, sizeof ret->name);
        struct ip_address ip;

        CLAIM(length < sizeof ret->name);
        CLAIM(length == 0 || host_classify(ret->name, length, &ip) == HOST_NAME);
    } else {
        CLAIM(ret->name[0] == (char)0xA5);
    }
    return parsed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_hello whole, part;
    enum parse all = parse(data, size, &whole);
    size_t step = size / 64 + 1;

    CLAIM(size < 2 * CLIENT_HELLO_MAX * 6 || all != PARSE_MORE);
    for (size_t n = 0; n <= size; n += step) {
        enum parse parsed = parse(data, n, &part);

        CLAIM(parsed == PARSE_MORE || parsed == all);
        if (parsed == PARSE_DONE)
            CLAIM(strcmp(part.name, whole.name) == 0 && part.version == whole.version &&
                  part.offers_1_2 == whole.offers_1_2 && part.offers_1_3 == whole.offers_1_3);
    }
    return 0;
}
