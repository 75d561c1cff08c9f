/* fuzz_frontend.c - a client's bytes through sniffing and the front ends, at once and in chunks.
 * The claims: the outcome, all that was answered and what is left for the target do not depend on
 * the chunks, a decision is final, and the longest messages bound what has to be kept.
 * An input is: one byte of protocols, authentication and verdict, one that says how the chunks are cut, the client's bytes. */
#include "tests/fuzz/fuzz.h"

#include "daemon/frontend.h"

#include <string.h>

/* More than any client can send before it is decided what becomes of it. */
enum { CLIENT_MAX = 12000, TOLD_MAX = 2048 };

struct dialog {
    unsigned protocols;
    enum stream_error_id verdict; /* on whoever shows who it is */
    struct handshake handshake;
    enum frontend_step step;
    size_t consumed;
    uint8_t told[TOLD_MAX];
    size_t told_length;
};

static void tell(struct dialog *d, const struct answer *answer)
{
    CLAIM(answer->length <= FRONTEND_ANSWER_MAX);
    CLAIM(d->told_length + answer->length <= TOLD_MAX);
    memcpy(d->told + d->told_length, answer->bytes, answer->length);
    d->told_length += answer->length;
}

static enum frontend_step sniff_or_step(struct dialog *d, struct cursor *in, struct answer *answer)
{
    const uint8_t *start = in->at;
    enum parse sniffed = PARSE_DONE;

    if (!d->handshake.frontend)
        sniffed = frontend_sniff(&d->handshake, d->protocols, in, false);
    CLAIM(in->at == start);
    if (sniffed == PARSE_DONE)
        return d->handshake.frontend->step(&d->handshake, in, answer);
    return sniffed == PARSE_BAD ? FRONTEND_BAD : FRONTEND_MORE;
}

static void judge(struct dialog *d, struct answer *answer)
{
    struct handshake *h = &d->handshake;

    CLAIM(d->step != FRONTEND_PASSWORD || (h->auth & AUTH_PASSWORD));
    CLAIM(d->step != FRONTEND_IDENT || (h->auth & AUTH_IDENT));
    if (d->step != FRONTEND_PASSWORD && d->step != FRONTEND_IDENT)
        return;
    CLAIM(answer->length == 0);
    d->step = h->frontend->judged(h, stream_error_of(d->verdict), answer);
    CLAIM(d->step == FRONTEND_MORE || d->step == FRONTEND_DONE || d->step == FRONTEND_BAD);
    CLAIM((d->step == FRONTEND_BAD) == (d->verdict != ERROR_NONE));
}

/* As a session does it: so many of the client's bytes are there, go on as far as they lead. */
static void go_on(struct dialog *d, const uint8_t *bytes, size_t n)
{
    struct answer answer;

    do {
        size_t have = n - d->consumed;
        uint8_t *copy = malloc(have ? have : 1); /* just as many, for the sanitizer */
        struct cursor in;

        CLAIM(copy);
        if (have)
            memcpy(copy, bytes + d->consumed, have);
        in = cursor_over(copy, have);
        answer.length = 0;
        d->step = sniff_or_step(d, &in, &answer);
        if (d->step != FRONTEND_BAD)
            d->consumed += (size_t)(in.at - copy);
        judge(d, &answer);
        CLAIM(d->step != FRONTEND_MORE || in.at != copy || answer.length == 0);
        free(copy);
        tell(d, &answer);
    } while (d->step == FRONTEND_MORE && answer.length > 0);
}

static void check_decided(const struct dialog *d)
{
    const struct handshake *h = &d->handshake;

    CLAIM(!h->frontend == !h->protocol);
    switch (d->step) {
    case FRONTEND_DONE:
        CLAIM(h->has_request && !stream_error_set(&h->error));
        CLAIM((h->request.command == SOCKS_CONNECT && h->request.port != 0) ||
              (h->request.command == SOCKS_UDP_ASSOCIATE && (h->commands & COMMAND_UDP)));
        CLAIM((h->request.host.name_length > 0) == (h->request.host.ip.family == IP_NONE));
        break;
    case FRONTEND_MORE:
        CLAIM(!stream_error_set(&h->error));
        break;
    case FRONTEND_BAD:
        CLAIM(stream_error_set(&h->error));
        CLAIM(h->frontend ? d->told_length > 0 : d->told_length == 0);
        break;
    default:
        CLAIM(false);
    }
}

static void check_same(const struct dialog *a, const struct dialog *b)
{
    const struct socks_request *x = &a->handshake.request, *y = &b->handshake.request;

    CLAIM(a->step == b->step && a->handshake.frontend == b->handshake.frontend);
    CLAIM(a->handshake.protocol == b->handshake.protocol);
    CLAIM(a->told_length == b->told_length && memcmp(a->told, b->told, a->told_length) == 0);
    CLAIM(a->handshake.error.domain == b->handshake.error.domain);
    CLAIM(a->handshake.error.subdomain == b->handshake.error.subdomain);
    CLAIM(a->handshake.error.code == b->handshake.error.code);
    CLAIM(a->handshake.has_request == b->handshake.has_request);
    CLAIM(a->step == FRONTEND_BAD || a->consumed == b->consumed);
    if (!a->handshake.has_request)
        return;
    CLAIM(x->command == y->command && x->port == y->port && ip_equal(&x->host.ip, &y->host.ip));
    CLAIM(x->host.name_length == y->host.name_length);
    CLAIM(memcmp(x->host.name, y->host.name, x->host.name_length) == 0);
}

/* The client's end in the middle of a message: refused, by each protocol in its way. */
static void check_end(const struct dialog *at_end, const uint8_t *bytes, size_t n)
{
    struct dialog d = *at_end;
    struct answer answer = {.length = 0};

    if (d.step != FRONTEND_MORE || n == d.consumed)
        return;
    if (d.handshake.frontend) {
        d.handshake.frontend->cut(&d.handshake, &answer);
        CLAIM(answer.length > 0);
        tell(&d, &answer);
    } else {
        struct cursor in = cursor_over(bytes + d.consumed, n - d.consumed);

        CLAIM(frontend_sniff(&d.handshake, d.protocols, &in, true) == PARSE_BAD);
    }
    CLAIM(stream_error_set(&d.handshake.error));
}

/* By three bits of the input; 0 is what the corpus had before there were any. */
static const unsigned AUTHS[8] = {AUTH_NONE,
                                  AUTH_PASSWORD,
                                  AUTH_IDENT,
                                  AUTH_NONE | AUTH_PASSWORD,
                                  AUTH_NONE | AUTH_IDENT,
                                  AUTH_PASSWORD | AUTH_IDENT,
                                  AUTH_NONE | AUTH_PASSWORD | AUTH_IDENT,
                                  AUTH_PASSWORD};

/* Chunks of 1, 2 or some more bytes, as the seed has it. */
static size_t next_chunk(unsigned *seed)
{
    *seed = *seed * 1103515245U + 12345U;
    return *seed >> 16 & 3 ? 1 + (*seed >> 20 & 1) : 1 + (*seed >> 20 & 63);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialog whole = {.told_length = 0}, parts = {.told_length = 0};
    size_t n, have = 0;
    unsigned seed;

    if (size < 2)
        return 0;
    whole.protocols = parts.protocols =
        data[0] & (PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5 | PROTOCOL_HTTP);
    whole.handshake.commands = parts.handshake.commands =
        COMMAND_CONNECT | (data[1] & 1 ? COMMAND_UDP : 0);
    whole.handshake.auth = parts.handshake.auth = AUTHS[data[0] >> 3 & 7];
    whole.verdict = parts.verdict = data[0] & 0x40 ? ERROR_AUTH_PASSWORD_FAILED : ERROR_NONE;
    seed = data[1];
    data += 2;
    n = size - 2 < CLIENT_MAX ? size - 2 : CLIENT_MAX;
    go_on(&whole, data, n);
    check_decided(&whole);
    CLAIM(whole.step != FRONTEND_MORE || n < SOCKS5_GREETING_MAX + HTTP_HEAD_MAX);
    parts.step = FRONTEND_MORE;
    while (parts.step == FRONTEND_MORE && have < n) {
        size_t chunk = data[-1] ? next_chunk(&seed) : 1;

        have = n - have < chunk ? n : have + chunk;
        go_on(&parts, data, have);
        check_decided(&parts);
    }
    CLAIM(parts.step != FRONTEND_MORE || have == n);
    if (n)
        check_same(&whole, &parts);
    check_end(&whole, data, n);
    return 0;
}
