/* resolver.c - c-ares channels driven by libev.
 *
 * c-ares may answer inside the call that asks, and cancels only whole channels. So a lookup is
 * an object of our own: its answer is stored and delivered by the loop's next turn
 * (ev_feed_event), and a cancelled one stays, ownerless, until c-ares lets go of it. When
 * resolv.conf changes a new channel takes the new lookups; the old one is freed once its last
 * lookup has ended. */
#include "streams/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A server is asked three times, 2, 4 and 8 seconds long: an answer or a failure within a
 * request's time. */
enum { SERVER_TIMEOUT_MS = 2000, SERVER_TRIES = 3 };

/* How often c-ares looks for queries that have timed out; in seconds. */
static const double timeout_interval = 0.1;

/* Questions that one thread may have open, those included whose asker has left: c-ares cannot
 * take one back, and has 65,536 numbers for them. */
enum { LOOKUPS_MAX = 4096 };

/* How often resolv.conf is looked at, at most; in seconds. */
static const double resolv_conf_interval = 5;
static const char resolv_conf[] = "/etc/resolv.conf";

struct channel_socket {
    ev_io io;
    struct channel *channel;
    struct channel_socket *next;
};

struct channel {
    ares_channel ares;
    struct resolver *resolver;      /* borrowed */
    struct channel_socket *sockets; /* owned */
    ev_timer timer;                 /* runs while there are queries */
    unsigned lookups;               /* which c-ares has not answered */
    struct channel *next;
};

struct resolver {
    struct ev_loop *loop; /* borrowed */
    char *nameservers;
    bool search_domains;
    struct channel *channels; /* owned; the first is the current one */
    struct stat seen;         /* resolv.conf as the current channel read it */
    ev_tstamp looked;
};

struct resolver_lookup {
    struct channel *channel; /* NULL once c-ares has answered */
    struct ev_loop *loop;
    ev_prepare deliver; /* never started: only fed */
    resolver_callback *callback;
    resolver_service_callback *service_callback; /* NULL: it asks for addresses */
    struct srv_answer *answer;                   /* owned; of a service */
    void *context;
    bool cancelled;
    unsigned count;
    struct stream_error error;
    struct ip_address addresses[RESOLVER_ADDRESSES_MAX];
};

/* c-ares looks through all its queries to say when the next one times out: too dear to be asked
 * after every event. While there are queries it is given a look ten times a second instead. */
static void arm_timer(struct channel *channel)
{
    struct ev_loop *loop = channel->resolver->loop;

    if (channel->lookups == 0)
        ev_timer_stop(loop, &channel->timer);
    else if (!ev_is_active(&channel->timer))
        ev_timer_start(loop, &channel->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct channel *channel = w->data;

    (void)loop;
    (void)revents;
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(channel);
}

static void on_socket(struct ev_loop *loop, ev_io *w, int revents)
{
    struct channel_socket *s = w->data;
    struct channel *channel = s->channel; /* `s` may be freed by the call below */
    int fd = w->fd;

    (void)loop;
    ares_process_fd(channel->ares, revents & EV_READ ? fd : ARES_SOCKET_BAD,
                    revents & EV_WRITE ? fd : ARES_SOCKET_BAD);
    arm_timer(channel);
}

/* c-ares tells for what a socket is to be watched; for nothing when it is about to close it. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct channel *channel = data;
    struct ev_loop *loop = channel->resolver->loop;
    struct channel_socket **at = &channel->sockets;
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    struct channel_socket *s;

    while (*at && (*at)->io.fd != fd)
        at = &(*at)->next;
    s = *at;
    if (!s && events) {
        s = calloc(1, sizeof *s);
        if (!s)
            return; /* the query times out */
        s->channel = channel;
        ev_init(&s->io, on_socket);
        s->io.data = s;
        s->next = channel->sockets;
        channel->sockets = s;
    } else if (s) {
        ev_io_stop(loop, &s->io);
    }
    if (events) {
        ev_io_set(&s->io, fd, events);
        ev_io_start(loop, &s->io);
    } else if (s) {
        *at = s->next;
        free(s);
    }
}

static void channel_free(struct channel *channel)
{
    ares_destroy(channel->ares); /* closes its sockets through on_socket_state() */
    ev_timer_stop(channel->resolver->loop, &channel->timer);
    free(channel);
}

static struct channel *channel_new(struct resolver *resolver)
{
    struct channel *channel = calloc(1, sizeof *channel);
    char lookups[] = "fb"; /* the hosts file, then DNS */
    struct ares_options options = {
        .flags = resolver->search_domains ? 0 : ARES_FLAG_NOSEARCH,
        .timeout = SERVER_TIMEOUT_MS,
        .tries = SERVER_TRIES,
        .lookups = lookups,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
    };

    if (!channel)
        return NULL;
    channel->resolver = resolver;
    ev_timer_init(&channel->timer, on_timer, timeout_interval, timeout_interval);
    channel->timer.data = channel;
    if (ares_init_options(&channel->ares, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                              ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
        free(channel);
        return NULL;
    }
    if (resolver->nameservers &&
        ares_set_servers_ports_csv(channel->ares, resolver->nameservers) != ARES_SUCCESS) {
        channel_free(channel);
        return NULL;
    }
    return channel;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void free_ended_channels(struct resolver *resolver)
{
    struct channel **at = &resolver->channels->next;

    while (*at) {
        struct channel *channel = *at;

        if (channel->lookups) {
            at = &channel->next;
        } else {
            *at = channel->next;
            channel_free(channel);
        }
    }
}

/* Called before a lookup, never from inside c-ares. */
static void follow_resolv_conf(struct resolver *resolver)
{
    struct channel *fresh;
    struct stat now;

    free_ended_channels(resolver);
    if (resolver->nameservers || ev_now(resolver->loop) - resolver->looked < resolv_conf_interval)
        return;
    resolver->looked = ev_now(resolver->loop);
    if (stat(resolv_conf, &now) != 0 || same_file(&now, &resolver->seen))
        return;
    fresh = channel_new(resolver);
    if (!fresh)
        return; /* the old one serves on; tried again in a while */
    resolver->seen = now;
    fresh->next = resolver->channels;
    resolver->channels = fresh;
    free_ended_channels(resolver);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool resolver_configure(struct resolver *resolver, const struct resolver_options *options)
{
    char *before = resolver->nameservers;
    bool searched = resolver->search_domains;
    struct channel *fresh = NULL;
    char *copy = NULL;

    if (same_text(before, options->nameservers) && searched == options->search_domains)
        return true;
    if (options->nameservers && !(copy = strdup(options->nameservers)))
        return false;
    resolver->nameservers = copy;
    resolver->search_domains = options->search_domains;
    fresh = channel_new(resolver);
    if (!fresh) {
        resolver->nameservers = before;
        resolver->search_domains = searched;
        free(copy);
        return false;
    }
    free(before);
    fresh->next = resolver->channels;
    resolver->channels = fresh;
    free_ended_channels(resolver);
    return true;
}

struct resolver *resolver_new(struct ev_loop *loop, const struct resolver_options *options)
{
    struct resolver *resolver;

    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return NULL;
    resolver = calloc(1, sizeof *resolver);
    if (!resolver)
        goto fail;
    resolver->loop = loop;
    resolver->search_domains = options->search_domains;
    if (options->nameservers && !(resolver->nameservers = strdup(options->nameservers)))
        goto fail;
    resolver->looked = ev_now(loop);
    if (stat(resolv_conf, &resolver->seen) != 0)
        resolver->seen = (struct stat){0};
    resolver->channels = channel_new(resolver);
    if (!resolver->channels)
        goto fail;
    return resolver;
fail:
    if (resolver)
        free(resolver->nameservers);
    free(resolver);
    ares_library_cleanup();
    return NULL;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    while (resolver->channels) {
        struct channel *channel = resolver->channels;

        resolver->channels = channel->next;
        channel_free(channel); /* cancelled lookups get their last call now, and free themselves */
    }
    free(resolver->nameservers);
    free(resolver);
    ares_library_cleanup();
}

static struct stream_error error_of_status(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
        return stream_error_of(ERROR_RESOLVER_NOT_FOUND);
    case ARES_ENODATA:
        return stream_error_of(ERROR_RESOLVER_NO_ADDRESS);
    case ARES_ETIMEOUT:
        return stream_error_of(ERROR_RESOLVER_TIMEOUT);
    case ARES_EBADNAME:
    case ARES_EBADSTR:
        return stream_error_of(ERROR_RESOLVER_INVALID);
    default:
        return stream_error_of(ERROR_RESOLVER_SERVER_FAILED);
    }
}

static void lookup_free(struct resolver_lookup *lookup)
{
    free(lookup->answer);
    free(lookup);
}

static void on_deliver(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct resolver_lookup *lookup = w->data;

    (void)loop;
    (void)revents;
    if (lookup->service_callback)
        lookup->service_callback(lookup->context, lookup->answer, &lookup->error);
    else
        lookup->callback(lookup->context, lookup->addresses, lookup->count, &lookup->error);
    lookup_free(lookup);
}

static void add_address(struct resolver_lookup *lookup, const struct sockaddr *sa)
{
    struct sockaddr_storage storage = {0};

    if (lookup->count == RESOLVER_ADDRESSES_MAX)
        return;
    if (sa->sa_family == AF_INET)
        memcpy(&storage, sa, sizeof(struct sockaddr_in));
    else if (sa->sa_family == AF_INET6)
        memcpy(&storage, sa, sizeof(struct sockaddr_in6));
    else
        return;
    lookup->addresses[lookup->count++] = endpoint_from_sockaddr(&storage).ip;
}

/* Everything is known: the loop's next turn tells the owner. */
static void finish(struct resolver_lookup *lookup)
{
    lookup->channel = NULL;
    ev_feed_event(lookup->loop, &lookup->deliver, EV_CUSTOM);
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct resolver_lookup *lookup = arg;

    (void)timeouts;
    lookup->channel->lookups--;
    if (!lookup->cancelled && status == ARES_SUCCESS)
        for (struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
            add_address(lookup, node->ai_addr);
    if (info)
        ares_freeaddrinfo(info);
    if (lookup->cancelled) {
        free(lookup);
        return;
    }
    if (lookup->count == 0)
        lookup->error = error_of_status(status == ARES_SUCCESS ? ARES_ENODATA : status);
    finish(lookup);
}

static void answer_localhost(struct resolver_lookup *lookup, enum ip_family family)
{
    static const struct ip_address v4 = {IP_V4, {127, 0, 0, 1}};
    static const struct ip_address v6 = {IP_V6, {[15] = 1}};

    lookup->addresses[0] = family == IP_V4 ? v4 : v6;
    lookup->count = 1;
    finish(lookup);
}

static struct resolver_lookup *lookup_new(struct resolver *resolver, void *context)
{
    struct resolver_lookup *lookup = calloc(1, sizeof *lookup);

    if (!lookup)
        return NULL;
    lookup->loop = resolver->loop;
    lookup->context = context;
    ev_init(&lookup->deliver, on_deliver);
    lookup->deliver.data = lookup;
    return lookup;
}

/* The channel that takes one more question; NULL: there are too many, and the lookup says so. */
static struct channel *enter_channel(struct resolver *resolver, struct resolver_lookup *lookup)
{
    follow_resolv_conf(resolver);
    if (resolver->channels->lookups >= LOOKUPS_MAX) {
        lookup->error = stream_error_of(ERROR_RESOLVER_SERVER_FAILED);
        finish(lookup);
        return NULL;
    }
    lookup->channel = resolver->channels;
    lookup->channel->lookups++;
    return lookup->channel;
}

struct resolver_lookup *resolver_start(struct resolver *resolver, const char *name,
                                       enum ip_family family, resolver_callback *callback,
                                       void *context)
{
    struct resolver_lookup *lookup = lookup_new(resolver, context);
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT,
        .ai_family = family == IP_V4 ? AF_INET : AF_INET6,
        .ai_socktype = SOCK_STREAM,
    };
    struct channel *channel;

    if (!lookup)
        return NULL;
    lookup->callback = callback;
    if (host_name_is_localhost(name, strlen(name))) {
        answer_localhost(lookup, family);
        return lookup;
    }
    channel = enter_channel(resolver, lookup);
    if (channel) {
        ares_getaddrinfo(channel->ares, name, NULL, &hints, on_answer, lookup);
        arm_timer(channel);
    }
    return lookup;
}

/* The message says more than c-ares's status does, if there is one. */
static void on_service(void *arg, int status, int timeouts, unsigned char *message, int n)
{
    struct resolver_lookup *lookup = arg;
    bool good = false;

    (void)timeouts;
    lookup->channel->lookups--;
    if (lookup->cancelled) {
        lookup_free(lookup);
        return;
    }
    if (message && n > 0)
        good = srv_parse(message, (size_t)n, lookup->answer, &lookup->error);
    else
        lookup->error = error_of_status(status);
    if (!good) {
        free(lookup->answer);
        lookup->answer = NULL;
    }
    finish(lookup);
}

struct resolver_lookup *resolver_start_service(struct resolver *resolver, const char *name,
                                               resolver_service_callback *callback, void *context)
{
    enum { CLASS_IN = 1, TYPE_SRV = 33 };
    struct resolver_lookup *lookup = lookup_new(resolver, context);
    struct srv_answer *answer = lookup ? calloc(1, sizeof *answer) : NULL;
    struct channel *channel;

    if (!answer) {
        free(lookup);
        return NULL;
    }
    lookup->service_callback = callback;
    channel = enter_channel(resolver, lookup);
    if (!channel) {
        free(answer);
        return lookup;
    }
    lookup->answer = answer;
    ares_query(channel->ares, name, CLASS_IN, TYPE_SRV, on_service, lookup);
    arm_timer(channel);
    return lookup;
}

void resolver_cancel(struct resolver_lookup *lookup)
{
    if (lookup->channel) {
        lookup->cancelled = true; /* on_answer() frees it */
        return;
    }
    ev_clear_pending(lookup->loop, &lookup->deliver);
    lookup_free(lookup);
}
