/* fuzz_srv.c - a DNS message of anybody. The claims are those of srv.h: it ends, reads nothing behind
 * the message, and what it gives out may go to a resolver. */
#include "tests/fuzz/fuzz.h"

#include "streams/srv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct srv_answer answer;
    struct stream_error error = {0};
    uint8_t *copy =
        malloc(size ? size : 1); /* of just its size: a sanitizer sees any read behind */

    CLAIM(copy);
    if (size)
        memcpy(copy, data, size);
    memset(&answer, 0xA5, sizeof answer);
    if (srv_parse(copy, size, &answer, &error)) {
        CLAIM(answer.count >= 1 && answer.count <= SRV_RECORDS_MAX);
        for (unsigned i = 0; i < answer.count; i++) {
            const struct srv_record *record = &answer.records[i];
            struct ip_address ip;

            CLAIM(record->port != 0);
            CLAIM(memchr(record->target, '\0', sizeof record->target));
            CLAIM(host_classify(record->target, strlen(record->target), &ip) == HOST_NAME);
        }
    } else {
        CLAIM(error.domain == ERROR_DOMAIN_RESOLVER);
    }
    free(copy);
    return 0;
}
