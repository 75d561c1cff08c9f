/* srv.h - the answer of a DNS server to a question for SRV records: which servers a service has (RFC
 * 1035, 4.1; RFC 2782). Pure: no I/O, no allocation. */
#ifndef PAIRSOCKS_SRV_H
#define PAIRSOCKS_SRV_H

#include "address.h"
#include "error.h"

PAIRSOCKS_API_BEGIN

/* Of more records than these the ones with the highest numbers, which would come last, are ignored. */
#define SRV_RECORDS_MAX 64

struct srv_record {
    uint16_t priority; /* the lowest number comes first */
    uint16_t weight;   /* the chance among those of one priority */
    uint16_t port;
    char target[HOST_NAME_LENGTH_MAX + 1]; /* something that host_classify() calls a HOST_NAME; no
                                              trailing dot */
};

struct srv_answer {
    unsigned count; /* at least 1 */
    uint32_t ttl;   /* s; the shortest of all records on the way */
    struct srv_record records[SRV_RECORDS_MAX];
};

/* Reads a whole message of `n` bytes. Records of other types and classes, and targets that are no
 * names of hosts, are passed over, and what stands behind the answers is not looked at. False, with
 * *ret_answer in no defined state:
 * - resolver.name.not-found: the server says that there is no such name;
 * - resolver.name.no-address: there is none of these records, or the only one points to the root,
 *   by which a domain says that it has no such service;
 * - resolver.server.failed: another response code, or what is no answer. */
bool srv_parse(const uint8_t *message, size_t n, struct srv_answer *ret_answer,
               struct stream_error *ret_error);

PAIRSOCKS_API_END

#endif
