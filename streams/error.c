/* error.c - the table of errors and its look-ups. */
#include "streams/error.h"

#include <stdio.h>
#include <string.h>

struct error_row {
    struct stream_error error;
    const char *name;
    struct stream_error_reply reply;
};

static const struct error_row rows[ERROR_ID_COUNT] = {
#define ROW(id, domain, subdomain, code, name, socks4, socks5, http)                               \
    [ERROR_##id] = {{ERROR_DOMAIN_##domain, subdomain, code}, name, {socks4, socks5, http}},
    STREAM_ERROR_TABLE(ROW)
#undef ROW
};

static bool same_subdomain(const struct stream_error *a, const struct stream_error *b)
{
    return a->domain == b->domain && a->subdomain == b->subdomain;
}

/* The row of exactly this code, else its subdomain's row for any code. */
static const struct error_row *find_row(const struct stream_error *error)
{
    const struct error_row *any = NULL;

    for (size_t i = 0; i < ERROR_ID_COUNT; i++) {
        if (!same_subdomain(&rows[i].error, error))
            continue;
        if (rows[i].error.code == error->code)
            return &rows[i];
        if (rows[i].error.code == ERROR_CODE_ANY)
            any = &rows[i];
    }
    return any;
}

struct stream_error stream_error_of(enum stream_error_id id)
{
    return rows[id].error;
}

struct stream_error stream_error_code(enum stream_error_id id, int code)
{
    struct stream_error error = rows[id].error;

    error.code = code;
    return error;
}

struct stream_error stream_error_connect(int error_number)
{
    switch (error_number) {
    case EMFILE:
    case ENFILE:
        return stream_error_of(ERROR_POLICY_LIMIT_DESCRIPTORS);
    case ENETDOWN:
        return stream_error_of(ERROR_SYSTEM_CONNECT_NETWORK);
    case EHOSTDOWN:
        return stream_error_of(ERROR_SYSTEM_CONNECT_HOST);
    default:
        return stream_error_code(ERROR_SYSTEM_CONNECT_OTHER, error_number);
    }
}

struct stream_error stream_error_read(int error_number)
{
    return stream_error_code(ERROR_SYSTEM_READ_OTHER, error_number);
}

struct stream_error stream_error_write(int error_number)
{
    if (error_number == EPIPE)
        error_number = ECONNRESET;
    return stream_error_code(ERROR_SYSTEM_WRITE_OTHER, error_number);
}

bool stream_error_is(const struct stream_error *error, enum stream_error_id id)
{
    return find_row(error) == &rows[id];
}

void stream_error_keep_first(struct stream_error *slot, struct stream_error error)
{
    if (!stream_error_set(slot))
        *slot = error;
}

/* Higher tells more. */
static int telling(const struct stream_error *error)
{
    static const struct {
        enum stream_error_id id;
        int rank;
    } ranks[] = {
        {ERROR_SYSTEM_CONNECT_REFUSED, 6},
        {ERROR_SYSTEM_CONNECT_TIMEOUT, 5},
        {ERROR_SYSTEM_CONNECT_HOST, 4},
        {ERROR_SYSTEM_CONNECT_NETWORK, 4},
    };

    if (!stream_error_set(error))
        return 0;
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++)
        if (stream_error_is(error, ranks[i].id))
            return ranks[i].rank;
    if (error->domain == ERROR_DOMAIN_POLICY)
        return 3;
    return error->domain == ERROR_DOMAIN_RESOLVER ? 1 : 2; /* an address that was tried says more */
}

void stream_error_keep_telling(struct stream_error *slot, struct stream_error error)
{
    if (telling(&error) > telling(slot))
        *slot = error;
}

const char *stream_error_name(const struct stream_error *error, char *out)
{
    const struct error_row *row = find_row(error);
    size_t n;

    if (!row) {
        snprintf(out, STREAM_ERROR_NAME_MAX, "unknown.%u.%u.%d", (unsigned)error->domain,
                 (unsigned)error->subdomain, (int)error->code);
        return out;
    }
    n = strlen(row->name);
    if (row->name[n - 1] == '.')
        snprintf(out, STREAM_ERROR_NAME_MAX, "%s%d", row->name, (int)error->code);
    else
        memcpy(out, row->name, n + 1);
    return out;
}

struct stream_error_reply stream_error_reply(const struct stream_error *error)
{
    static const struct stream_error_reply general = {91, 1, 502};
    const struct error_row *row = find_row(error);

    return row ? row->reply : general;
}

const char *stream_error_errno_name(const struct stream_error *error)
{
    return error->domain == ERROR_DOMAIN_SYSTEM ? strerrorname_np(error->code) : NULL;
}

int32_t stream_error_pack(const struct stream_error *error)
{
    return (int32_t)((uint32_t)error->subdomain << 16 | ((uint32_t)error->code & 0xFFFF));
}

struct stream_error stream_error_unpack(enum error_domain domain, int32_t packed)
{
    return (struct stream_error){
        .domain = (uint16_t)domain,
        .subdomain = (uint16_t)((uint32_t)packed >> 16),
        .code = (int32_t)((uint32_t)packed & 0xFFFF),
    };
}
