/* association_limit.c - the rates of rules for datagrams, which cannot be kept waiting: a policer for each
 * rule with a rate that has allowed some, each way. */
#include "daemon/association_machine.h"

#include <stdlib.h>

static struct udp_limit *find(const struct association *a, const struct config_rule *rule)
{
    struct udp_limit *limit = a->limits;

    while (limit && limit->rule != rule)
        limit = limit->next;
    return limit;
}

bool association_limit(struct association *a, const struct config_rule *rule,
                       struct udp_limit **ret_limit)
{
    struct udp_limit *limit;

    if (!rule || !rule->rate) {
        *ret_limit = NULL;
        return true;
    }
    limit = find(a, rule);
    if (!limit) {
        limit = malloc(sizeof *limit);
        if (!limit)
            return false;
        limit->rule = rule;
        throttle_init(&limit->out, rule->rate, a->worker->now);
        throttle_init(&limit->in, rule->rate, a->worker->now);
        limit->next = a->limits;
        a->limits = limit;
    }
    *ret_limit = limit;
    return true;
}

void association_free_limits(struct association *a)
{
    while (a->limits) {
        struct udp_limit *limit = a->limits;

        a->limits = limit->next;
        free(limit);
    }
}

bool association_may_send(struct association *a, struct udp_limit *limit, size_t n)
{
    return !limit || throttle_pass(&limit->out, n, a->worker->now);
}

bool association_may_answer(struct association *a, struct udp_limit *limit, size_t n)
{
    return !limit || throttle_pass(&limit->in, n, a->worker->now);
}
