/* status_request.c - one request of the status page: may it be asked, what is the answer. Answers that tell of
 * the workers wait until these have counted their bytes; meanwhile the connection is suspended. */
#include "daemon/status_machine.h"

#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/pac.h"
#include "daemon/page_files.h"
#include "daemon/status_access.h"
#include "daemon/status_json.h"

#include <stdlib.h>
#include <string.h>

/* The workers count their bytes for us no more often than this. */
static const double count_interval = 0.25; /* s */

enum { SESSIONS_MAX = 2000 }; /* in one answer */

struct body {
    char *bytes; /* owned; NULL: no memory */
    size_t length;
    const char *type;
};

struct status_request {
    struct status_place *place;
    struct MHD_Connection *connection;
    const struct page_file *file; /* what is asked for; NULL: `route` */
    const struct route *route;
    bool has_token;
    bool is_made;
    struct body body;
    struct inspection *inspection;          /* while its connection is suspended */
    struct status_request *next, *previous; /* of those that wait */
};

/* What an answer tells, and so who may have it. */
enum kind { KIND_NUMBERS, KIND_PAC };

struct route {
    const char *path;
    enum kind kind;
    /* NULL: it tells nothing of the workers. Else how many sessions it wants from them. */
    unsigned (*sessions)(const struct status_request *request);
    struct body (*make)(const struct status_request *request, const struct inspect_answer *answer);
};

static const struct config *config_of(const struct status_place *place)
{
    return place->server->serving->snapshot->config;
}

static const char *field(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* IP_NONE: a unix socket's. */
static struct ip_address address_of(struct MHD_Connection *connection,
                                    int (*get)(int, struct sockaddr *, socklen_t *))
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof sa;
    struct ip_address ip;

    if (!info || get(info->connect_fd, (struct sockaddr *)&sa, &length) != 0)
        return (struct ip_address){0};
    ip = endpoint_from_sockaddr(&sa).ip;
    return ip_unmapped(&ip);
}

static int get_peer(int fd, struct sockaddr *sa, socklen_t *length)
{
    return getpeername(fd, sa, length);
}

static int get_local(int fd, struct sockaddr *sa, socklen_t *length)
{
    return getsockname(fd, sa, length);
}

/* ---- answering ---- */

static const struct {
    const char *name, *value;
} fields[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

/* Takes over the response. Who asks again at a place that was let go shall reach the process that
 * has it now. */
static enum MHD_Result respond(const struct status_place *place, struct MHD_Connection *connection,
                               unsigned status, const char *type, struct MHD_Response *response)
{
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        MHD_add_response_header(response, fields[i].name, fields[i].value);
    MHD_add_response_header(response, "Content-Type", type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (status >= 400 || place->fd < 0)
        MHD_add_response_header(response, "Connection", "close");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* It only reads them. */
static struct MHD_Response *response_of(const void *bytes, size_t n)
{
    return MHD_create_response_from_buffer(n, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result refuse(const struct status_place *place, struct MHD_Connection *connection,
                              unsigned status, const char *why)
{
    return respond(place, connection, status, "text/plain; charset=utf-8",
                   response_of(why, strlen(why)));
}

static enum MHD_Result answer_made(struct status_request *request)
{
    struct body *body = &request->body;
    struct MHD_Response *response = NULL;

    if (!body->bytes)
        return refuse(request->place, request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                      "out of memory\n");
    response = MHD_create_response_from_buffer(body->length, body->bytes, MHD_RESPMEM_MUST_FREE);
    if (response)
        body->bytes = NULL;
    return respond(request->place, request->connection, MHD_HTTP_OK, body->type, response);
}

/* ---- what there is to ask for ---- */

static unsigned no_sessions(const struct status_request *request)
{
    (void)request;
    return 0;
}

static unsigned sessions_with_token(const struct status_request *request)
{
    return request->has_token ? SESSIONS_MAX : 0;
}

static struct body make_metrics(const struct status_request *request,
                                const struct inspect_answer *answer)
{
    enum metrics_format format = status_wants_open_metrics(field(request->connection, "Accept"))
                                     ? METRICS_OPEN
                                     : METRICS_CLASSIC;
    struct body body = {.type = metrics_media_type(format)};
    struct survey survey;

    (void)answer;
    if (!survey_take(&survey, request->place->server->serving))
        return body;
    body.bytes = metrics_write(&survey, format, &body.length);
    survey_done(&survey);
    return body;
}

static struct body make_json(const struct status_request *request,
                             const struct inspect_answer *answer)
{
    struct body body = {.type = "application/json"};
    struct survey survey;

    if (!survey_take(&survey, request->place->server->serving))
        return body;
    body.bytes = status_json_write(&survey, answer, request->has_token, &body.length);
    survey_done(&survey);
    return body;
}

static struct body make_pac(const struct status_request *request,
                            const struct inspect_answer *answer)
{
    struct body body = {.type = "application/x-ns-proxy-autoconfig"};
    struct pac_asker asker = {
        .peer = address_of(request->connection, get_peer),
        .local = address_of(request->connection, get_local),
    };

    (void)answer;
    body.bytes = pac_write(request->place->server->serving, &asker, &body.length);
    return body;
}

static const struct route routes[] = {
    {"/metrics", KIND_NUMBERS, no_sessions, make_metrics},
    {"/status.json", KIND_NUMBERS, sessions_with_token, make_json},
    {"/proxy.pac", KIND_PAC, NULL, make_pac},
};

static const struct route *find_route(const struct config *config, const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(routes[i].path, path) == 0)
            return routes[i].kind != KIND_PAC || config->pac ? &routes[i] : NULL;
    return NULL;
}

static const struct page_file *find_file(const char *path)
{
    for (unsigned i = 0; i < page_file_count; i++)
        if (strcmp(page_files[i].path, path) == 0)
            return &page_files[i];
    return NULL;
}

/* ---- waiting for the workers ---- */

static void wait_no_more(struct status_request *request)
{
    if (request->previous)
        request->previous->next = request->next;
    else
        request->place->waiting = request->next;
    if (request->next)
        request->next->previous = request->previous;
    request->inspection = NULL;
    MHD_resume_connection(request->connection);
}

static void on_inspected(void *context, const struct inspect_answer *answer)
{
    struct status_request *request = context;
    struct status_place *place = request->place;

    place->server->counted = ev_now(place->server->loop);
    request->body = request->route->make(request, answer);
    request->is_made = true;
    wait_no_more(request);
    status_place_turn(place);
}

/* False: nobody will answer. */
static bool ask_workers(struct status_request *request, unsigned sessions)
{
    struct status_place *place = request->place;

    request->inspection =
        inspect_sessions(place->server->inspector, sessions, on_inspected, request);
    if (!request->inspection)
        return false;
    request->next = place->waiting;
    if (request->next)
        request->next->previous = request;
    place->waiting = request;
    MHD_suspend_connection(request->connection);
    return true;
}

void status_request_abandon(struct status_place *place)
{
    while (place->waiting) {
        struct status_request *request = place->waiting;

        inspect_cancel(request->inspection);
        wait_no_more(request);
    }
}

static bool needs_workers(const struct status_request *request, unsigned sessions)
{
    const struct status_server *server = request->place->server;

    return sessions > 0 || ev_now(server->loop) - server->counted > count_interval;
}

static enum MHD_Result answer(struct status_request *request)
{
    static const struct inspect_answer nothing;
    const struct page_file *file = request->file;
    unsigned sessions;

    if (file)
        return respond(request->place, request->connection, MHD_HTTP_OK, file->type,
                       response_of(file->bytes, file->size));
    if (!request->is_made && request->route->sessions) {
        sessions = request->route->sessions(request);
        if (needs_workers(request, sessions) && ask_workers(request, sessions))
            return MHD_YES;
    }
    if (!request->is_made)
        request->body = request->route->make(request, &nothing);
    request->is_made = true;
    return answer_made(request);
}

/* ---- may it be asked ---- */

static enum MHD_Result count_hosts(void *count, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    (void)value;
    *(unsigned *)count += strcasecmp(name, "Host") == 0;
    return MHD_YES;
}

static bool names_us(const struct status_place *place, struct MHD_Connection *connection)
{
    struct ip_address local = address_of(connection, get_local);
    unsigned hosts = 0;

    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_hosts, &hosts);
    return hosts == 1 &&
           status_host_is_ours(field(connection, "Host"), config_of(place)->status_hosts, &local);
}

static void log_denied(struct MHD_Connection *connection)
{
    struct ip_address peer = address_of(connection, get_peer);
    struct log_record record;
    char text[IP_TEXT_MAX] = "unix";

    if (!log_wants(LOG_LEVEL_WARNING))
        return;
    if (peer.family != IP_NONE)
        ip_format(&peer, text);
    log_begin(&record, LOG_LEVEL_WARNING, "status_denied");
    log_record_string(&record, "client", text);
    log_commit(&record);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = field(connection, "Content-Length");

    return field(connection, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

/* The first look at a request: its fields are there. */
static enum MHD_Result begin(struct status_place *place, struct MHD_Connection *connection,
                             const char *path, const char *method, void **ret_request)
{
    const struct config *config = config_of(place);
    const char *authorization = field(connection, "Authorization");
    const struct page_file *file = find_file(path);
    const struct route *route = find_route(config, path);
    bool has_token = status_token_is_shown(authorization, config->status_token);
    struct status_request *request;

    if (!names_us(place, connection))
        return refuse(place, connection, MHD_HTTP_MISDIRECTED_REQUEST,
                      "this is no name of this page (see status_hosts)\n");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(place, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    if (has_body(connection))
        return refuse(place, connection, MHD_HTTP_CONTENT_TOO_LARGE,
                      "no request here has a body\n");
    if (!file && !route)
        return refuse(place, connection, MHD_HTTP_NOT_FOUND, "there is no such page\n");
    if (route && route->kind == KIND_NUMBERS && !has_token &&
        (authorization || config_status_is_exposed(config))) {
        if (authorization)
            log_denied(connection);
        return refuse(place, connection, MHD_HTTP_UNAUTHORIZED,
                      "the token is needed (see status_token_file)\n");
    }
    request = calloc(1, sizeof *request);
    if (!request)
        return refuse(place, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    *request = (struct status_request){.place = place,
                                       .connection = connection,
                                       .file = file,
                                       .route = route,
                                       .has_token = has_token};
    *ret_request = request;
    return MHD_YES;
}

enum MHD_Result status_request_step(void *place, struct MHD_Connection *connection,
                                    const char *path, const char *method, const char *version,
                                    const char *body, size_t *body_length, void **request)
{
    (void)version;
    (void)body;
    if (*body_length)
        return MHD_NO; /* it said that it had none */
    if (!*request)
        return begin(place, connection, path, method, request);
    return answer(*request);
}

void status_request_completed(void *place, struct MHD_Connection *connection, void **request,
                              enum MHD_RequestTerminationCode how)
{
    struct status_request *r = *request;

    (void)place;
    (void)how;
    status_client_answered(connection);
    if (r)
        free(r->body.bytes);
    free(r);
    *request = NULL;
}
