/* srv.c - the few parts of a DNS message that lead to its SRV records. */
#include "streams/srv.h"

#include "streams/cursor.h"

#include <string.h>

enum { TYPE_CNAME = 5, TYPE_SRV = 33, CLASS_IN = 1 };
enum { FLAG_RESPONSE = 0x8000, CODE_MASK = 0x000F, CODE_NO_NAME = 3 };
enum { LABEL_MASK = 0xC0 };

struct message {
    const uint8_t *bytes;
    size_t n;
};

static struct cursor at(const struct message *message, size_t offset)
{
    return cursor_over(message->bytes + offset, message->n - offset);
}

/* Passes over a name where it stands (RFC 1035, 3.1 and 4.1.4). */
static bool skip_name(struct cursor *in)
{
    for (;;) {
        uint8_t length = cursor_u8(in);

        if ((length & LABEL_MASK) == LABEL_MASK) {
            cursor_u8(in);
            return !cursor_short(in);
        }
        if (cursor_short(in) || length & LABEL_MASK)
            return false;
        if (length == 0)
            return true;
        cursor_bytes(in, length);
    }
}

/* Reads the name that stands at `offset` into `out`, which has room for HOST_NAME_LENGTH_MAX bytes and a
 * NUL: labels with dots between them, and the root is "". So is a name with a NUL, which no host has.
 * Pointers lead back only, so that it ends. */
static bool read_name(const struct message *message, size_t offset, char *out)
{
    size_t length = 0, limit = offset;
    struct cursor in = at(message, offset);

    for (;;) {
        uint8_t n = cursor_u8(&in);
        const uint8_t *label;

        if ((n & LABEL_MASK) == LABEL_MASK) {
            size_t target = (size_t)(n & ~LABEL_MASK) << 8 | cursor_u8(&in);

            if (cursor_short(&in) || target >= limit)
                return false;
            limit = target;
            in = at(message, target);
            continue;
        }
        label = n & LABEL_MASK ? NULL : cursor_bytes(&in, n);
        if (cursor_short(&in) || n & LABEL_MASK)
            return false;
        if (n == 0)
            break;
        if (length + n + 1 > HOST_NAME_LENGTH_MAX)
            return false;
        if (length)
            out[length++] = '.';
        memcpy(out + length, label, n);
        length += n;
    }
    out[memchr(out, '\0', length) ? 0 : length] = '\0';
    return true;
}

/* +----------+--------+------+--------+
 * | PRIORITY | WEIGHT | PORT | TARGET |   RFC 2782
 * +----------+--------+------+--------+ */
static bool read_record(const struct message *message, size_t offset, size_t size,
                        struct srv_record *ret)
{
    struct cursor in = cursor_over(message->bytes + offset, size);

    ret->priority = cursor_u16(&in);
    ret->weight = cursor_u16(&in);
    ret->port = cursor_u16(&in);
    return !cursor_short(&in) && cursor_left(&in) > 0 &&
           read_name(message, (size_t)(in.at - message->bytes), ret->target);
}

static bool is_host(const char *name)
{
    struct ip_address unused;

    return host_classify(name, strlen(name), &unused) == HOST_NAME;
}

/* Where it is kept; in a full answer in place of one of less use, if there is one. */
static struct srv_record *place_for(struct srv_answer *answer, const struct srv_record *record)
{
    struct srv_record *last = &answer->records[0];

    if (answer->count < SRV_RECORDS_MAX)
        return &answer->records[answer->count++];
    for (unsigned i = 1; i < answer->count; i++)
        if (answer->records[i].priority > last->priority)
            last = &answer->records[i];
    return last->priority > record->priority ? last : NULL;
}

/* One resource record of the answers:
 * NAME TYPE(2) CLASS(2) TTL(4) RDLENGTH(2) RDATA */
static bool take_record(const struct message *message, struct cursor *in, struct srv_answer *answer)
{
    struct srv_record record, *place;
    uint16_t type, class, size;
    uint32_t ttl;
    const uint8_t *data;

    if (!skip_name(in))
        return false;
    type = cursor_u16(in);
    class = cursor_u16(in);
    ttl = (uint32_t)cursor_u16(in) << 16;
    ttl |= cursor_u16(in);
    size = cursor_u16(in);
    data = cursor_bytes(in, size);
    if (cursor_short(in))
        return false;
    if (class != CLASS_IN || (type != TYPE_SRV && type != TYPE_CNAME))
        return true;
    if (ttl > INT32_MAX)
        ttl = 0; /* RFC 2181, 8 */
    if (ttl < answer->ttl)
        answer->ttl = ttl;
    if (type == TYPE_CNAME)
        return true;
    if (!read_record(message, (size_t)(data - message->bytes), size, &record))
        return false;
    place = record.port && is_host(record.target) ? place_for(answer, &record) : NULL;
    if (place)
        *place = record;
    return true;
}

static enum stream_error_id read_message(const struct message *message, struct srv_answer *answer)
{
    struct cursor in = cursor_over(message->bytes, message->n);
    uint16_t flags, questions, answers;

    cursor_u16(&in); /* the question's number: whoever asked has compared it */
    flags = cursor_u16(&in);
    questions = cursor_u16(&in);
    answers = cursor_u16(&in);
    cursor_u16(&in);
    cursor_u16(&in);
    if (cursor_short(&in) || !(flags & FLAG_RESPONSE))
        return ERROR_RESOLVER_SERVER_FAILED;
    if ((flags & CODE_MASK) == CODE_NO_NAME)
        return ERROR_RESOLVER_NOT_FOUND;
    if (flags & CODE_MASK)
        return ERROR_RESOLVER_SERVER_FAILED;
    while (questions--) {
        if (!skip_name(&in))
            return ERROR_RESOLVER_SERVER_FAILED;
        cursor_u16(&in);
        cursor_u16(&in);
        if (cursor_short(&in))
            return ERROR_RESOLVER_SERVER_FAILED;
    }
    while (answers--)
        if (!take_record(message, &in, answer))
            return ERROR_RESOLVER_SERVER_FAILED;
    return answer->count ? ERROR_NONE : ERROR_RESOLVER_NO_ADDRESS;
}

bool srv_parse(const uint8_t *message, size_t n, struct srv_answer *ret_answer,
               struct stream_error *ret_error)
{
    enum stream_error_id id;

    ret_answer->count = 0;
    ret_answer->ttl = UINT32_MAX;
    id = read_message(&(struct message){message, n}, ret_answer);
    if (id == ERROR_NONE)
        return true;
    *ret_error = stream_error_of(id);
    return false;
}
