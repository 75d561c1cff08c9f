/* layer_socks.c - what a SOCKS client says and hears, in order. All that it says is written down
 * when the layer is made, so that no credentials are borrowed. */
#include "streams/layer_socks.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 255, OUT_MAX = 4 + SOCKS5_USERPASS_MAX + SOCKS4_REQUEST_MAX };

const char layer_socks_name[] = "socks";

/* In this order; a stage of SAY_ sends, one of HEAR_ reads. */
enum stage { SAY_GREETING, HEAR_METHOD, SAY_USERPASS, HEAR_STATUS, SAY_REQUEST, HEAR_REPLY, OPEN };

struct message {
    uint16_t at, n; /* in `out` */
};

struct layer_socks {
    struct layer layer;
    setup_observer *observer; /* borrowed, with its context */
    void *context;
    struct stream_error fault; /* found when it was made */
    enum socks_client version;
    enum stage stage;
    bool has_user, has_bound;
    uint16_t bound_port;
    struct socks_host bound;
    struct message greeting, userpass, request;
    size_t said, heard; /* of this stage */
    uint8_t in[SOCKS5_REPLY_MAX];
    uint8_t out[OUT_MAX];
};

/* ---- what can be said */

static enum stream_error_id host_fault(const struct layer_socks_options *options)
{
    const struct socks_host *host = &options->request.host;
    const uint8_t *ip = host->ip.bytes;

    if (host->ip.family == IP_NONE && host->name_length == 0)
        return ERROR_RESOLVER_INVALID;
    if (options->version == SOCKS_CLIENT_5)
        return ERROR_NONE;
    if (host->name_length) {
        if (options->version == SOCKS_CLIENT_4)
            return ERROR_PROTOCOL_ADDRESS_UNSUPPORTED;
        return memchr(host->name, 0, host->name_length) ? ERROR_RESOLVER_INVALID : ERROR_NONE;
    }
    /* 0.0.0.x would say that a name follows */
    if (host->ip.family != IP_V4 || (!ip[0] && !ip[1] && !ip[2] && ip[3]))
        return ERROR_PROTOCOL_ADDRESS_UNSUPPORTED;
    return ERROR_NONE;
}

static enum stream_error_id credentials_fault(const struct layer_socks_options *options)
{
    bool is_5 = options->version == SOCKS_CLIENT_5;

    if (options->user && (strlen(options->user) > TEXT_MAX || (is_5 && !options->user[0])))
        return ERROR_STREAM_BAD_STATE;
    if (is_5 && options->password && strlen(options->password) > TEXT_MAX)
        return ERROR_STREAM_BAD_STATE;
    return ERROR_NONE;
}

bool layer_socks_check(const struct layer_socks_options *options, struct stream_error *ret_error)
{
    enum stream_error_id fault = host_fault(options);

    if ((unsigned)options->version > SOCKS_CLIENT_5)
        fault = ERROR_SOCKS_UNKNOWN_CLIENT_VERSION;
    if (fault == ERROR_NONE)
        fault = credentials_fault(options);
    if (fault == ERROR_NONE)
        return true;
    *ret_error = stream_error_of(fault);
    return false;
}

static size_t write_userpass(const char *user, const char *password, uint8_t *out)
{
    struct socks5_userpass userpass;
    size_t n;

    if (!password)
        password = "";
    userpass.user_length = (uint8_t)strlen(user);
    userpass.password_length = (uint8_t)strlen(password);
    memcpy(userpass.user, user, userpass.user_length);
    memcpy(userpass.password, password, userpass.password_length);
    n = socks5_write_userpass(&userpass, out);
    explicit_bzero(&userpass, sizeof userpass);
    return n;
}

static struct message next_message(struct message before, size_t n)
{
    return (struct message){(uint16_t)(before.at + before.n), (uint16_t)n};
}

static void write_messages(struct layer_socks *socks, const struct layer_socks_options *options)
{
    static const uint8_t methods[] = {SOCKS5_METHOD_NONE, SOCKS5_METHOD_USERPASS};
    const char *user = options->user;
    struct message last = {0};
    uint8_t *out = socks->out;

    if (socks->version != SOCKS_CLIENT_5) {
        socks->request =
            next_message(last, socks4_write_request(&options->request, user ? user : "", out));
        socks->stage = SAY_REQUEST;
        return;
    }
    last = socks->greeting = next_message(last, socks5_write_greeting(methods, user ? 2 : 1, out));
    if (user)
        last = socks->userpass =
            next_message(last, write_userpass(user, options->password, out + last.at + last.n));
    socks->request =
        next_message(last, socks5_write_request(&options->request, out + last.at + last.n));
}

/* ---- opening */

static void reached(const struct layer_socks *socks, enum setup_phase phase)
{
    if (socks->observer)
        socks->observer(socks->context, phase);
}

static void enter(struct layer_socks *socks, enum stage stage)
{
    socks->stage = stage;
    socks->said = socks->heard = 0;
}

static enum io say(struct layer_socks *socks, struct message message, enum stage next)
{
    enum io result = setup_send(&socks->layer, socks->out + message.at, message.n, &socks->said);

    if (result == IO_OK)
        enter(socks, next);
    return result;
}

static enum parse take_method(struct layer_socks *socks, struct cursor *in,
                              struct stream_error *ret_error)
{
    uint8_t method;
    enum parse parsed = socks5_parse_method(in, &method, ret_error);

    if (parsed != PARSE_DONE)
        return parsed;
    if (method != SOCKS5_METHOD_NONE && (method != SOCKS5_METHOD_USERPASS || !socks->has_user)) {
        *ret_error = stream_error_code(ERROR_SOCKS5_METHOD, method);
        return PARSE_BAD;
    }
    enter(socks, method == SOCKS5_METHOD_USERPASS ? SAY_USERPASS : SAY_REQUEST);
    reached(socks, SETUP_METHOD);
    return PARSE_DONE;
}

static enum parse take_status(struct layer_socks *socks, struct cursor *in,
                              struct stream_error *ret_error)
{
    enum parse parsed = socks5_parse_status(in, ret_error);

    if (parsed != PARSE_DONE)
        return parsed;
    enter(socks, SAY_REQUEST);
    reached(socks, SETUP_AUTHENTICATED);
    return PARSE_DONE;
}

static enum parse take_reply(struct layer_socks *socks, struct cursor *in,
                             struct stream_error *ret_error)
{
    struct ip_endpoint bound;
    enum parse parsed;

    if (socks->version == SOCKS_CLIENT_5) {
        parsed = socks5_parse_reply(in, &socks->bound, &socks->bound_port, ret_error);
    } else {
        parsed = socks4_parse_reply(in, &bound, ret_error);
        if (parsed == PARSE_DONE) {
            socks->bound.ip = bound.ip;
            socks->bound_port = bound.port;
        }
    }
    if (parsed != PARSE_DONE)
        return parsed;
    socks->has_bound = true;
    enter(socks, OPEN);
    reached(socks, SETUP_DONE);
    return PARSE_DONE;
}

/* How long the reply is, as far as that can be known; never longer than it is.
 *  +----+-----+-------+------+----------+----------+
 *  |VER | REP |  RSV  | ATYP | BND.ADDR | BND.PORT |
 *  +----+-----+-------+------+----------+----------+ */
static size_t reply_size(const struct layer_socks *socks)
{
    if (socks->version != SOCKS_CLIENT_5)
        return SOCKS4_REPLY_SIZE;
    if (socks->heard < 5)
        return 5;
    switch (socks->in[3]) {
    case 1:
        return 10;
    case 4:
        return 22;
    default:
        return 4 + 1 + (size_t)socks->in[4] + 2; /* a name; of any other kind it is BAD by now */
    }
}

typedef enum parse taker(struct layer_socks *socks, struct cursor *in,
                         struct stream_error *ret_error);

/* One read, and what can be made of all that came. */
static enum io hear(struct layer_socks *socks, size_t size, taker *take)
{
    enum io result = setup_receive(&socks->layer, socks->in, size, &socks->heard);
    struct cursor in = cursor_over(socks->in, socks->heard);
    struct stream_error error;

    if (result == IO_OK && take(socks, &in, &error) == PARSE_BAD)
        return setup_fail(&socks->layer, error);
    return result;
}

static enum io step(struct layer_socks *socks)
{
    enum io result;

    switch (socks->stage) {
    case SAY_GREETING:
        return say(socks, socks->greeting, HEAR_METHOD);
    case HEAR_METHOD:
        return hear(socks, SOCKS5_METHOD_SIZE, take_method);
    case SAY_USERPASS:
        return say(socks, socks->userpass, HEAR_STATUS);
    case HEAR_STATUS:
        return hear(socks, SOCKS5_STATUS_SIZE, take_status);
    case SAY_REQUEST:
        result = say(socks, socks->request, HEAR_REPLY);
        if (result == IO_OK)
            reached(socks, SETUP_ASKED);
        return result;
    case HEAR_REPLY:
        return hear(socks, reply_size(socks), take_reply);
    case OPEN:
        break;
    }
    return IO_OK;
}

static enum io socks_open(struct layer *layer)
{
    struct layer_socks *socks = (struct layer_socks *)layer;
    enum io result = IO_OK;

    if (stream_error_set(&socks->fault))
        return setup_fail(layer, socks->fault);
    while (result == IO_OK && socks->stage != OPEN)
        result = step(socks);
    return result;
}

static void socks_done(struct layer *layer)
{
    explicit_bzero(layer, sizeof(struct layer_socks));
    free(layer);
}

static const struct layer_ops socks_ops = {
    .name = layer_socks_name,
    .open = socks_open,
    .done = socks_done,
    .expired = ERROR_SYSTEM_CONNECT_TIMEOUT,
    .sets_up = true,
};

struct layer *layer_socks_new(const struct layer_socks_options *options)
{
    struct layer_socks *socks = calloc(1, sizeof *socks);

    if (!socks)
        return NULL;
    socks->layer.ops = &socks_ops;
    socks->layer.open_waits = INTEREST_WRITE;
    socks->observer = options->observer;
    socks->context = options->context;
    socks->version = options->version;
    socks->has_user = options->user != NULL;
    if (layer_socks_check(options, &socks->fault))
        write_messages(socks, options);
    return &socks->layer;
}

struct layer *layer_socks_second_reply_new(enum socks_client version, setup_observer *observer,
                                           void *context)
{
    struct layer_socks *socks = calloc(1, sizeof *socks);

    if (!socks)
        return NULL;
    socks->layer.ops = &socks_ops;
    socks->layer.open_waits = INTEREST_READ;
    socks->observer = observer;
    socks->context = context;
    socks->version = version;
    socks->stage = HEAR_REPLY;
    return &socks->layer;
}

bool layer_socks_bound(const struct layer *layer, struct socks_host *ret_host, uint16_t *ret_port)
{
    const struct layer_socks *socks = (const struct layer_socks *)layer;

    if (!socks->has_bound)
        return false;
    *ret_host = socks->bound;
    *ret_port = socks->bound_port;
    return true;
}
