/* open_plan.c - the steps of a plan, driven by one layer on top of the chain: below itself it puts
 * the layer of each step, and takes those off that only set up. When the last step stands it is a
 * layer that has set up, and the pair takes it off. */
#include "streams/open_plan.h"

#include "streams/layer_http.h"
#include "streams/layer_proxy.h"
#include "streams/layer_socks.h"
#include "streams/layer_tls.h"

#include <stdlib.h>
#include <string.h>

struct step {
    struct open_step shown;            /* its context is counted */
    char *peer_name, *user, *password; /* owned; the last two are wiped */
};

struct open_plan {
    struct layer layer;
    struct buffer_pool *pool; /* borrowed */
    open_observer *observer;  /* borrowed, with its context */
    void *context;
    struct step *steps;    /* owned */
    struct layer *current; /* in the chain below; NULL: the step has not begun */
    size_t count, index;
    enum setup_phase phase; /* of the current step */
};

/* ---- the kinds of steps */

static struct layer_socks_options socks_options(const struct step *step)
{
    return (struct layer_socks_options){
        .version = (enum socks_client)(step->shown.kind - OPEN_SOCKS4 + SOCKS_CLIENT_4),
        .request = {.command = step->shown.binds ? SOCKS_BIND : SOCKS_CONNECT,
                    .port = step->shown.port,
                    .host = step->shown.host},
        .user = step->user,
        .password = step->password,
    };
}

static bool check_socks(const struct step *step, struct stream_error *ret_error)
{
    struct layer_socks_options options = socks_options(step);

    return layer_socks_check(&options, ret_error);
}

static struct layer *make_socks(const struct step *step, struct buffer_pool *pool,
                                setup_observer *observer, void *context)
{
    struct layer_socks_options options = socks_options(step);

    (void)pool;
    options.observer = observer;
    options.context = context;
    return layer_socks_new(&options);
}

static struct layer_http_options http_options(const struct step *step)
{
    return (struct layer_http_options){
        .host = step->shown.host,
        .port = step->shown.port,
        .user = step->user,
        .password = step->password,
    };
}

static bool check_http(const struct step *step, struct stream_error *ret_error)
{
    struct layer_http_options options = http_options(step);

    if (step->shown.binds) {
        *ret_error = stream_error_of(ERROR_STREAM_BAD_STATE);
        return false;
    }
    return layer_http_check(&options, ret_error);
}

static struct layer *make_http(const struct step *step, struct buffer_pool *pool,
                               setup_observer *observer, void *context)
{
    struct layer_http_options options = http_options(step);

    (void)pool;
    options.observer = observer;
    options.context = context;
    return layer_http_new(&options);
}

static bool check_tls(const struct step *step, struct stream_error *ret_error)
{
    if (step->shown.context)
        return true;
    *ret_error = stream_error_of(ERROR_STREAM_BAD_STATE);
    return false;
}

static struct layer *make_tls(const struct step *step, struct buffer_pool *pool,
                              setup_observer *observer, void *context)
{
    (void)observer;
    (void)context;
    return layer_tls_new(&(struct layer_tls_options){
        .context = step->shown.context,
        .peer_name = step->shown.peer_name,
        .keeps_chain = step->shown.keeps_chain,
        .pool = pool,
    });
}

static bool check_proxy(const struct step *step, struct stream_error *ret_error)
{
    if (step->shown.version == 1 || step->shown.version == 2)
        return true;
    *ret_error = stream_error_of(ERROR_STREAM_BAD_STATE);
    return false;
}

static struct layer *make_proxy(const struct step *step, struct buffer_pool *pool,
                                setup_observer *observer, void *context)
{
    (void)pool;
    (void)observer;
    (void)context;
    return layer_proxy_new(step->shown.version, &step->shown.source, &step->shown.destination);
}

static const struct kind {
    bool (*check)(const struct step *step, struct stream_error *ret_error);
    struct layer *(*make)(const struct step *step, struct buffer_pool *pool,
                          setup_observer *observer, void *context);
} kinds[OPEN_KINDS] = {
    [OPEN_PROXY_HEADER] = {check_proxy, make_proxy}, [OPEN_TLS] = {check_tls, make_tls},
    [OPEN_SOCKS4] = {check_socks, make_socks},       [OPEN_SOCKS4A] = {check_socks, make_socks},
    [OPEN_SOCKS5] = {check_socks, make_socks},       [OPEN_HTTP] = {check_http, make_http},
};

/* ---- opening */

static void on_phase(void *context, enum setup_phase phase)
{
    struct open_plan *plan = context;
    struct open_progress progress = {
        .index = plan->index,
        .step = &plan->steps[plan->index].shown,
        .phase = phase,
        .layer = plan->current,
    };

    plan->phase = phase;
    if (plan->observer)
        plan->observer(plan->context, &progress);
}

static bool begin_step(struct open_plan *plan)
{
    const struct step *step = &plan->steps[plan->index];
    struct layer *layer = kinds[step->shown.kind].make(step, plan->pool, on_phase, plan);

    if (!layer)
        return false;
    layer->below = plan->layer.below;
    layer->error = plan->layer.error;
    plan->layer.below = plan->current = layer;
    return true;
}

static void finish_step(struct open_plan *plan)
{
    struct layer *layer = plan->current;

    if (plan->phase != SETUP_DONE)
        on_phase(plan, SETUP_DONE);
    plan->index++;
    plan->phase = SETUP_BEGUN;
    plan->current = NULL;
    if (!layer->ops->sets_up)
        return;
    plan->layer.below = layer->below;
    layer->ops->done(layer);
}

static enum io plan_open(struct layer *layer)
{
    struct open_plan *plan = (struct open_plan *)layer;

    while (plan->index < plan->count) {
        enum io result;

        if (!plan->current && !begin_step(plan))
            return setup_fail(layer, stream_error_connect(ENOMEM));
        result = plan->current->ops->open(plan->current);
        layer->open_waits = plan->current->open_waits;
        if (result == IO_EOF)
            return setup_fail(layer, stream_error_of(ERROR_STREAM_END_EARLY));
        if (result != IO_OK)
            return result;
        finish_step(plan);
    }
    return IO_OK;
}

/* ---- building */

static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void step_done(struct step *step)
{
    free(step->peer_name);
    tls_context_unref(step->shown.context);
    free_secret(step->user);
    free_secret(step->password);
}

static void plan_done(struct layer *layer)
{
    struct open_plan *plan = (struct open_plan *)layer;

    for (size_t i = 0; i < plan->count; i++)
        step_done(&plan->steps[i]);
    free(plan->steps);
    free(plan);
}

static const struct layer_ops plan_ops = {
    .name = "plan",
    .open = plan_open,
    .done = plan_done,
    .expired = ERROR_NONE,
    .sets_up = true,
};

struct open_plan *open_plan_new(struct buffer_pool *pool)
{
    struct open_plan *plan = calloc(1, sizeof *plan);

    if (!plan)
        return NULL;
    plan->layer.ops = &plan_ops;
    plan->layer.open_waits = INTEREST_WRITE;
    plan->pool = pool;
    return plan;
}

void open_plan_observe(struct open_plan *plan, open_observer *observer, void *context)
{
    plan->observer = observer;
    plan->context = context;
}

void open_plan_free(struct open_plan *plan)
{
    if (plan)
        plan_done(&plan->layer);
}

static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

/* A copy that owns what it has; half-built it can be done. */
static bool copy_step(const struct open_step *from, struct step *ret_step)
{
    *ret_step = (struct step){.shown = *from};
    ret_step->shown.user = ret_step->shown.password = ret_step->shown.peer_name = NULL;
    ret_step->shown.context = from->context ? tls_context_ref(from->context) : NULL;
    if (!copy_text(from->peer_name, &ret_step->peer_name) ||
        !copy_text(from->user, &ret_step->user) || !copy_text(from->password, &ret_step->password))
        return false;
    ret_step->shown.peer_name = ret_step->peer_name;
    return true;
}

static bool make_room(struct open_plan *plan)
{
    struct step *more = realloc(plan->steps, (plan->count + 1) * sizeof *more);

    if (more)
        plan->steps = more;
    return more != NULL;
}

bool open_plan_add(struct open_plan *plan, const struct open_step *step,
                   struct stream_error *ret_error)
{
    struct stream_error error = {0};
    struct step copy;

    if (step->kind >= OPEN_KINDS || plan->count == OPEN_STEPS_MAX) {
        *ret_error = stream_error_of(ERROR_STREAM_BAD_STATE);
        return false;
    }
    if (!copy_step(step, &copy) || !make_room(plan))
        error = stream_error_connect(ENOMEM);
    else if (kinds[step->kind].check(&copy, &error)) {
        plan->steps[plan->count++] = copy;
        return true;
    }
    step_done(&copy);
    *ret_error = error;
    return false;
}

/* ---- a pair's */

bool pair_open_plan(struct stream_pair *pair, struct open_plan *plan)
{
    return pair_open_layer(pair, &plan->layer);
}

const struct open_plan *pair_plan(const struct stream_pair *pair)
{
    return pair->top && pair->top->ops == &plan_ops ? (const struct open_plan *)pair->top : NULL;
}

size_t open_plan_index(const struct open_plan *plan)
{
    return plan->index;
}

enum setup_phase open_plan_phase(const struct open_plan *plan)
{
    return plan->phase;
}

size_t open_plan_count(const struct open_plan *plan)
{
    return plan->count;
}

const struct open_step *open_plan_step(const struct open_plan *plan, size_t index)
{
    return &plan->steps[index].shown;
}
