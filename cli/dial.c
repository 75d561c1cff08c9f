/* dial.c - a plan of steps, a loop that runs until it is done, and a clock. */
#include "cli/dial.h"

#include "streams/layer_socks.h"
#include "streams/layer_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One name on its way to an address. */
struct lookup {
    struct dial *dial;
    struct ip_address found[2]; /* IPv4, IPv6 */
    struct stream_error error;
    unsigned pending;
};

struct lookup_family {
    struct lookup *lookup;
    struct resolver_lookup *running; /* NULL: it has ended */
    unsigned index;
};

double dial_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void begin_step(struct dial *d, const char *what, const char *where)
{
    d->what = what;
    snprintf(d->where, sizeof d->where, "%s", where);
    d->step_began = dial_now();
}

static void tell(struct dial *d, const char *detail, struct layer *layer, bool failed)
{
    struct dial_step step = {
        .what = d->what,
        .where = d->where,
        .seconds = dial_now() - d->step_began,
        .detail = detail,
        .layer = layer,
        .failed = failed,
    };

    if (d->observer)
        d->observer(d->context, &step);
}

static bool fail(struct dial *d, struct stream_error error)
{
    stream_error_keep_first(&d->error, error);
    if (error.domain == ERROR_DOMAIN_SOCKS && error.subdomain == SUBDOMAIN_SOCKS_SOCKS5_USERPASS)
        d->what = "login"; /* whether there would be one, only the proxy knew */
    tell(d, "", pair_find_layer(&d->pair, layer_tls_name), true);
    return false;
}

/* ---- names that a proxy is not given */

static void found(void *context, const struct ip_address *addresses, unsigned count,
                  const struct stream_error *error)
{
    struct lookup_family *family = context;
    struct lookup *lookup = family->lookup;

    family->running = NULL;
    if (count)
        lookup->found[family->index] = addresses[0];
    else
        stream_error_keep_telling(&lookup->error, *error);
    if (--lookup->pending == 0)
        ev_break(lookup->dial->loop, EVBREAK_ONE);
}

/* IPv4 first: who knows IPv6 only is rare among proxies that want addresses. */
static bool resolve(struct dial *d, const char *name, bool only_ipv4, struct ip_address *ret)
{
    static const enum ip_family families[] = {IP_V4, IP_V6};
    struct lookup lookup = {.dial = d};
    struct lookup_family each[] = {{&lookup, NULL, 0}, {&lookup, NULL, 1}};
    char text[IP_TEXT_MAX];

    begin_step(d, "resolve", name);
    for (unsigned i = 0; i < (only_ipv4 ? 1 : 2); i++) {
        each[i].running = resolver_start(d->resolver, name, families[i], found, &each[i]);
        lookup.pending += each[i].running != NULL;
    }
    while (lookup.pending && !d->is_late)
        ev_run(d->loop, EVRUN_ONCE);
    for (unsigned i = 0; i < 2; i++)
        if (each[i].running)
            resolver_cancel(each[i].running);
    if (d->is_late)
        return fail(d, stream_error_of(ERROR_RESOLVER_TIMEOUT));
    *ret = lookup.found[lookup.found[0].family ? 0 : 1];
    if (ret->family == IP_NONE)
        return fail(d,
                    stream_error_set(&lookup.error) ? lookup.error : stream_error_connect(ENOMEM));
    ip_format(ret, text);
    tell(d, text, NULL, false);
    return true;
}

/* What proxy `i` is asked for. */
static bool choose_next(struct dial *d, unsigned i)
{
    const struct dial_options *o = d->options;
    const struct proxy_url *proxy = &o->proxies[i];
    const char *name = i + 1 < o->proxy_count ? proxy[1].host : o->host;
    struct socks_host *next = &d->next[i];

    switch (host_classify(name, strlen(name), &next->ip)) {
    case HOST_ADDRESS:
        return true;
    case HOST_NAME:
        break;
    case HOST_INVALID:
        begin_step(d, "resolve", name);
        return fail(d, stream_error_of(ERROR_RESOLVER_INVALID));
    }
    if (proxy->resolves_here)
        return resolve(d, name, proxy->kind == OPEN_SOCKS4, &next->ip);
    next->name_length = (uint8_t)strlen(name);
    memcpy(next->name, name, next->name_length);
    return true;
}

/* ---- the steps behind the TCP connection */

static const char *tls_detail(struct layer *layer, char *out, size_t n)
{
    const char *version = layer_tls_version(layer), *suite = layer_tls_suite(layer);

    snprintf(out, n, "%s %s", version ? version : "-", suite ? suite : "-");
    return out;
}

static const char *host_text(const struct socks_host *host, uint16_t port, char *out, size_t n)
{
    char text[ENDPOINT_TEXT_MAX];

    if (host->ip.family == IP_NONE)
        snprintf(out, n, "%s:%u", host->name, (unsigned)port);
    else if (endpoint_format(&(struct ip_endpoint){host->ip, port}, text))
        snprintf(out, n, "%s", text);
    return out;
}

/* Whom the proxy was asked for, and where it says that it connects from. */
static const char *request_detail(const struct open_step *step, const struct layer *layer,
                                  char *out, size_t n)
{
    struct socks_host bound;
    uint16_t port;
    size_t length;

    host_text(&step->host, step->port, out, n);
    length = strlen(out);
    if (step->kind != OPEN_HTTP && layer && layer_socks_bound(layer, &bound, &port) &&
        bound.ip.family != IP_NONE && !ip_is_unspecified(&bound.ip)) {
        char text[ENDPOINT_TEXT_MAX];

        snprintf(out + length, n - length, " from %s", host_text(&bound, port, text, sizeof text));
    }
    return out;
}

/* The hop's number is the proxy's that the step talks to; beyond the last one is the target. */
static void write_where(struct dial *d, const struct open_step *step)
{
    const struct dial_options *o = d->options;

    if (step->hop < o->proxy_count)
        snprintf(d->where, sizeof d->where, "%s", o->proxies[step->hop].text);
    else
        snprintf(d->where, sizeof d->where, "%s:%u", o->host, (unsigned)o->port);
}

static const char *phase_word(const struct open_step *step, enum setup_phase phase)
{
    if (step->kind == OPEN_TLS)
        return "tls";
    return step->kind == OPEN_SOCKS5 && phase == SETUP_BEGUN ? "method" : "request";
}

/* What is under way when the plan has come so far. */
static void follow_plan(struct dial *d, const struct open_step *step, enum setup_phase phase)
{
    write_where(d, step);
    d->what = phase_word(step, phase);
    d->step_began = dial_now();
}

static void on_progress(void *context, const struct open_progress *progress)
{
    struct dial *d = context;
    const struct open_plan *plan = pair_plan(&d->pair);
    char text[HOST_PORT_TEXT_MAX + ENDPOINT_TEXT_MAX + 8] = "";
    const char *detail = "";

    switch (progress->phase) {
    case SETUP_ASKED:
        return;
    case SETUP_METHOD:
        d->what = "method";
        break;
    case SETUP_AUTHENTICATED:
        d->what = "login";
        break;
    default:
        if (progress->step->kind == OPEN_TLS)
            detail = tls_detail(progress->layer, text, sizeof text);
        else
            detail = request_detail(progress->step, progress->layer, text, sizeof text);
        break;
    }
    write_where(d, progress->step);
    tell(d, detail, progress->layer, false);
    if (progress->phase != SETUP_DONE)
        follow_plan(d, progress->step, progress->phase);
    else if (plan && progress->index + 1 < open_plan_count(plan))
        follow_plan(d, open_plan_step(plan, progress->index + 1), SETUP_BEGUN);
}

static bool add(struct dial *d, struct open_plan *plan, const struct open_step *step)
{
    struct stream_error error;

    if (open_plan_add(plan, step, &error))
        return true;
    follow_plan(d, step, SETUP_BEGUN);
    return fail(d, error);
}

static bool add_proxy(struct dial *d, struct open_plan *plan, unsigned i)
{
    const struct dial_options *o = d->options;
    const struct proxy_url *proxy = &o->proxies[i];
    struct open_step step = {
        .kind = proxy->kind,
        .hop = (uint8_t)i,
        .host = d->next[i],
        .port = i + 1 < o->proxy_count ? proxy[1].port : o->port,
        .user = proxy->has_user ? proxy->user : NULL,
        .password = proxy->has_user ? proxy->password : NULL,
    };

    if (proxy->tls && !add(d, plan,
                           &(struct open_step){.kind = OPEN_TLS,
                                               .hop = (uint8_t)i,
                                               .context = d->tls,
                                               .peer_name = proxy->host,
                                               .keeps_chain = true}))
        return false;
    return add(d, plan, &step);
}

static struct open_plan *make_plan(struct dial *d)
{
    const struct dial_options *o = d->options;
    struct open_plan *plan = open_plan_new(&d->pool);
    bool ok = plan != NULL;

    if (!plan)
        fail(d, stream_error_connect(ENOMEM));
    for (unsigned i = 0; ok && i < o->proxy_count; i++)
        ok = add_proxy(d, plan, i);
    if (ok && o->tls)
        ok = add(d, plan,
                 &(struct open_step){.kind = OPEN_TLS,
                                     .hop = (uint8_t)o->proxy_count,
                                     .context = d->tls,
                                     .peer_name = o->peer_name ? o->peer_name : o->host,
                                     .keeps_chain = true});
    if (ok) {
        open_plan_observe(plan, on_progress, d);
        return plan;
    }
    open_plan_free(plan);
    return NULL;
}

/* ---- TCP */

/* Called for each address before it is tried: the first time, the name has been resolved. */
static bool see_address(void *context, const struct ip_endpoint *address,
                        struct stream_error *ret_error)
{
    struct dial *d = context;
    char text[ENDPOINT_TEXT_MAX];

    (void)ret_error;
    endpoint_format(address, text);
    if (!d->is_resolved) {
        char ip[IP_TEXT_MAX];

        ip_format(&address->ip, ip);
        d->is_resolved = true;
        tell(d, ip, NULL, false);
        begin_step(d, "connect", text);
    }
    snprintf(d->where, sizeof d->where, "%s", text); /* the last one that was tried */
    return true;
}

static void on_event(struct stream_pair *pair)
{
    ev_break(pair->loop, EVBREAK_ONE);
}

static void on_deadline(EV_P_ ev_timer *timer, int events)
{
    struct dial *d = timer->data;

    (void)events;
    d->is_late = true;
    pair_expire(&d->pair);
    ev_break(EV_A_ EVBREAK_ONE);
}

static bool wait_for_pair(struct dial *d)
{
    while (pair_is_opening(&d->pair) && !d->is_late)
        ev_run(d->loop, EVRUN_ONCE);
    return d->pair.state == PAIR_CONNECTED || fail(d, d->pair.error);
}

static bool connect_first(struct dial *d)
{
    const struct dial_options *o = d->options;
    const char *host = o->proxy_count ? o->proxies[0].host : o->host;
    uint16_t port = o->proxy_count ? o->proxies[0].port : o->port;
    struct connector_options options = {.resolver = d->resolver, .judge = see_address};
    struct ip_address ip = {.family = IP_NONE};
    char text[ENDPOINT_TEXT_MAX];

    switch (host_classify(host, strlen(host), &ip)) {
    case HOST_INVALID:
        begin_step(d, "resolve", host);
        return fail(d, stream_error_of(ERROR_RESOLVER_INVALID));
    case HOST_NAME:
        begin_step(d, "resolve", host);
        break;
    case HOST_ADDRESS:
        d->is_resolved = true;
        endpoint_format(&(struct ip_endpoint){ip, port}, text);
        begin_step(d, "connect", text);
        break;
    }
    pair_connect(&d->pair, &options, &ip, host, port);
    if (!wait_for_pair(d))
        return false;
    endpoint_format(&d->pair.peer, d->where);
    tell(d, "", NULL, false);
    return true;
}

static bool pass_proxies(struct dial *d, struct open_plan *plan)
{
    if (open_plan_count(plan))
        follow_plan(d, open_plan_step(plan, 0), SETUP_BEGUN);
    if (!pair_open_plan(&d->pair, plan)) {
        open_plan_free(plan);
        return fail(d, stream_error_of(ERROR_STREAM_BAD_STATE));
    }
    return wait_for_pair(d);
}

/* ---- all of it */

static bool needs_tls(const struct dial_options *options)
{
    for (unsigned i = 0; i < options->proxy_count; i++)
        if (options->proxies[i].tls)
            return true;
    return options->tls;
}

static bool prepare(struct dial *d)
{
    static const struct resolver_options system_servers = {.search_domains = true};
    const struct dial_options *o = d->options;

    begin_step(d, "start", "this host");
    d->loop = ev_loop_new(EVFLAG_AUTO);
    d->resolver = d->loop ? resolver_new(d->loop, &system_servers) : NULL;
    if (!d->resolver)
        return fail(d, stream_error_connect(ENOMEM));
    if (needs_tls(o)) {
        struct tls_context_options options = {
            .role = TLS_CLIENT,
            .level = TLS_LEVEL_NEGOTIATED,
            .trust = {.authority = o->authority},
        };

        d->tls = tls_context_new(&options, stderr);
        if (!d->tls) {
            fputc('\n', stderr); /* behind the reason */
            return fail(d, stream_error_of(ERROR_TLS_CERTIFICATE_BAD));
        }
    }
    ev_init(&d->deadline, on_deadline);
    d->deadline.data = d;
    ev_timer_set(&d->deadline, o->timeout, 0);
    ev_timer_start(d->loop, &d->deadline);
    return true;
}

bool dial_open(struct dial *d, const struct dial_options *options, dial_observer *observer,
               void *context)
{
    struct open_plan *plan;

    memset(d, 0, sizeof *d);
    d->options = options;
    d->observer = observer;
    d->context = context;
    pair_init(&d->pair, NULL, on_event);
    if (!prepare(d))
        return false;
    pair_init(&d->pair, d->loop, on_event);
    for (unsigned i = 0; i < options->proxy_count; i++)
        if (!choose_next(d, i))
            return false;
    plan = make_plan(d);
    if (!plan)
        return false;
    if (!connect_first(d)) {
        open_plan_free(plan);
        return false;
    }
    if (!pass_proxies(d, plan))
        return false;
    ev_timer_stop(d->loop, &d->deadline);
    return true;
}

void dial_done(struct dial *d)
{
    if (d->loop) {
        ev_timer_stop(d->loop, &d->deadline);
        pair_close(&d->pair);
    }
    resolver_free(d->resolver);
    tls_context_unref(d->tls);
    buffer_pool_done(&d->pool);
    if (d->loop)
        ev_loop_destroy(d->loop);
    explicit_bzero(d, sizeof *d);
}
