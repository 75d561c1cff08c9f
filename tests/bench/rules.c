/* rules.c - what a decision of the rules costs: ten thousand rules of several shapes, each compiled
 * and asked for its first rule, its last, any of them and none. Called by `./dev bench rules`:
 *
 *     rules [--check] [--rules 10000]
 *
 * It prints the CPU time of a decision (the least of some batches: what other processes add to the others
 * is not ours), the CPU time of compiling and the memory that the compiled table takes. --check: ends
 * with 1 if a decision costs more than LIMIT_NS. */
#include "config/rules.h"

#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIMIT_NS = 2000, BATCHES = 15, BATCH_NS = 4000000, REQUESTS = 1024, TEXT_MAX = 256 };

/* A request, and the text that it points to. */
struct question {
    struct rules_request request;
    char text[TEXT_MAX];
};

/* One kind of rules. `rule` makes the i-th of `count`; `ask` a question that this rule, and none before
 * it, answers; for i >= count one that no rule answers. */
struct shape {
    const char *name;
    void (*rule)(struct config_rule *rule, unsigned i);
    void (*ask)(struct question *q, unsigned i);
};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        die("calloc");
    return p;
}

/* ---- shapes */

static struct ip_address v4(uint32_t number)
{
    return (struct ip_address){IP_V4,
                               {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                                (uint8_t)(number >> 8), (uint8_t)number}};
}

static struct ip_address v6(uint32_t number)
{
    struct ip_address ip = v4(number);

    memmove(ip.bytes + 2, ip.bytes, 4);
    ip.bytes[0] = 0x2A;
    ip.bytes[1] = 0;
    ip.family = IP_V6;
    return ip;
}

/* The numbers of a rule, spread over the whole range so that sorted is not the order of the file. */
static uint32_t scatter(unsigned i)
{
    return (i + 1) * 2654435761U & 0xFFFFFF00;
}

static struct host_pattern *add_destination(struct config_rule *rule)
{
    struct host_pattern *grown =
        realloc(rule->destinations, (rule->destination_count + 1) * sizeof *grown);

    if (!grown)
        die("realloc");
    rule->destinations = grown;
    grown[rule->destination_count] = (struct host_pattern){.kind = PATTERN_NAME};
    return &grown[rule->destination_count++];
}

__attribute__((format(printf, 3, 4))) static void
add_name(struct config_rule *rule, enum host_pattern_kind kind, const char *format, ...)
{
    struct host_pattern *pattern = add_destination(rule);
    va_list arguments;

    va_start(arguments, format);
    pattern->kind = kind;
    if (vasprintf(&pattern->name, format, arguments) < 0)
        die("vasprintf");
    va_end(arguments);
}

static void add_network(struct config_rule *rule, struct ip_address ip, unsigned bits)
{
    *add_destination(rule) =
        (struct host_pattern){.kind = PATTERN_PREFIX, .prefix = {ip, (uint8_t)bits}};
}

static void set_client(struct config_rule *rule, struct ip_address ip, unsigned bits)
{
    rule->clients = allocate(1, sizeof *rule->clients);
    rule->clients[0] = (struct ip_prefix){ip, (uint8_t)bits};
    rule->client_count = 1;
}

static void set_ports(struct config_rule *rule, unsigned first, unsigned last)
{
    rule->ports = allocate(1, sizeof *rule->ports);
    rule->ports[0] = (struct port_range){(uint16_t)first, (uint16_t)last};
    rule->port_count = 1;
}

static void set_user(struct config_rule *rule, const char *user)
{
    rule->users = allocate(1, sizeof *rule->users);
    rule->users[0] = strdup(user);
    rule->user_count = 1;
}

static void set_listener(struct config_rule *rule, unsigned listener)
{
    rule->listeners = allocate(1, sizeof *rule->listeners);
    rule->listeners[0] = listener;
    rule->listener_count = 1;
}

__attribute__((format(printf, 2, 3))) static void name(struct question *q, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    q->request.name_length = (size_t)vsnprintf(q->text, sizeof q->text, format, arguments);
    q->request.name = q->text;
    va_end(arguments);
}

static void name_rule(struct config_rule *rule, unsigned i)
{
    add_name(rule, PATTERN_NAME, "host-%u.example.com", i);
}

static void name_ask(struct question *q, unsigned i)
{
    name(q, "Host-%u.Example.com", i);
    q->request.address = v4(0x08080808);
}

static void suffix_rule(struct config_rule *rule, unsigned i)
{
    add_name(rule, PATTERN_SUFFIX, "zone-%u.example.com", i);
}

static void suffix_ask(struct question *q, unsigned i)
{
    name(q, "www.a.zone-%u.example.com", i);
    q->request.address = v4(0x08080808);
}

/* Every other one is IPv6. */
static void network_rule(struct config_rule *rule, unsigned i)
{
    add_network(rule, i % 2 ? v6(scatter(i)) : v4(scatter(i)), i % 2 ? 40 : 24);
}

static void network_ask(struct question *q, unsigned i)
{
    q->request.address = i % 2 ? v6(scatter(i) | 7) : v4(scatter(i) | 7);
}

static void client_rule(struct config_rule *rule, unsigned i)
{
    set_client(rule, v4(scatter(i)), 24);
}

static void client_ask(struct question *q, unsigned i)
{
    q->request.client = v4(scatter(i) | 7);
    q->request.address = v4(0x08080808);
}

/* A fourth of each of the above, some with a port. */
static void mixed_rule(struct config_rule *rule, unsigned i)
{
    static void (*const kinds[])(struct config_rule *, unsigned) = {name_rule, suffix_rule,
                                                                    network_rule, client_rule};

    kinds[i % 4](rule, i);
    if (i % 8 >= 4)
        set_ports(rule, 80, 8999);
}

static void mixed_ask(struct question *q, unsigned i)
{
    name(q, i % 4 == 1 ? "a.zone-%u.example.com" : "host-%u.example.com", i);
    q->request.address = i % 4 == 2 ? v4(scatter(i) | 7) : v4(0x08080808);
    q->request.client = v4(i % 4 == 3 ? scatter(i) | 7 : 0x0A000001);
}

/* Every rule has every condition. */
static void full_rule(struct config_rule *rule, unsigned i)
{
    add_name(rule, PATTERN_NAME, "host-%u.example.com", i);
    add_name(rule, PATTERN_SUFFIX, "zone-%u.example.com", i % 100);
    add_network(rule, v4(scatter(i)), 24);
    set_client(rule, v4(0x0A000000 + ((i % 250) << 8)), 24);
    set_ports(rule, 1 + i % 100, 65000);
    set_user(rule, i % 3 ? "alice" : "bob");
    set_listener(rule, 0);
    rule->commands = COMMAND_CONNECT;
}

static void full_ask(struct question *q, unsigned i)
{
    name(q, "host-%u.example.com", i);
    q->request.address = v4(0x08080808);
    q->request.client = v4(0x0A000007 + ((i % 250) << 8));
    q->request.port = 443;
    q->request.user = i % 3 ? "alice" : "bob";
}

/* All rules are for one host; only the port tells them apart. */
static void port_rule(struct config_rule *rule, unsigned i)
{
    add_name(rule, PATTERN_NAME, "db.example.com");
    set_ports(rule, 1 + i, 1 + i);
}

static void port_ask(struct question *q, unsigned i)
{
    name(q, "db.example.com");
    q->request.port = (uint16_t)(1 + i);
    q->request.address = v4(0x08080808);
}

/* Networks of all 33 lengths around one address; the port tells the rules apart. */
static void nested_rule(struct config_rule *rule, unsigned i)
{
    unsigned bits = i % 33;

    add_network(rule, v4(bits ? 0x08080808 & ~0U << (32 - bits) : 0), bits);
    set_ports(rule, 1 + i, 1 + i);
}

static void nested_ask(struct question *q, unsigned i)
{
    q->request.address = v4(0x08080808);
    q->request.port = (uint16_t)(1 + i);
}

/* The longest name, asked for among suffixes with as many labels. */
static void label_rule(struct config_rule *rule, unsigned i)
{
    add_name(rule, PATTERN_SUFFIX, "n%u.%0*d", i, (int)(2 * (i % 100)), 0);
    for (char *c = rule->destinations[0].name + 8, *end = c + strlen(c); c + 1 < end; c += 2)
        *c = '.';
}

static void label_ask(struct question *q, unsigned i)
{
    struct config_rule rule = {.name = NULL};
    size_t length, n = 0;

    label_rule(&rule, i);
    length = strlen(rule.destinations[0].name);
    while (n + 2 + length <= 253) {
        q->text[n++] = 'A';
        q->text[n++] = '.';
    }
    memcpy(q->text + n, rule.destinations[0].name, length);
    q->request.name = q->text;
    q->request.name_length = n + length;
    q->request.address = v4(0x08080808);
    free(rule.destinations[0].name);
    free(rule.destinations);
}

static const struct shape shapes[] = {
    {"names", name_rule, name_ask},
    {"suffixes", suffix_rule, suffix_ask},
    {"destination CIDR", network_rule, network_ask},
    {"client CIDR", client_rule, client_ask},
    {"mix of these", mixed_rule, mixed_ask},
    {"every condition", full_rule, full_ask},
    {"one host, many ports", port_rule, port_ask},
    {"nested CIDR", nested_rule, nested_ask},
    {"127 labels", label_rule, label_ask},
};

/* ---- measuring */

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* Asks them all over and over; what is found must be `expected` rules each time. */
static double ns_per_decision(const struct rules *rules, const struct question *questions,
                              unsigned count, unsigned expected)
{
    double least = 1e9;

    /* A machine that is slow just now gets more time. */
    for (int b = 0; b < BATCHES || (least > LIMIT_NS && b < 10 * BATCHES); b++) {
        uint64_t start = now(), end, asked = 0;

        do {
            unsigned found = 0;

            for (unsigned i = 0; i < count; i++) {
                struct rules_match match;

                found += rules_find(rules, &questions[i].request, &match) == RULES_MATCH;
            }
            if (found != expected) {
                fprintf(stderr, "rules: %u matches instead of %u\n", found, expected);
                exit(2);
            }
            asked += count;
            end = now();
        } while (end - start < BATCH_NS);
        least = fmin(least, (double)(end - start) / (double)asked);
    }
    return least;
}

static void ask(const struct shape *shape, struct question *q, unsigned i)
{
    *q = (struct question){.request = {.port = 443, .command = COMMAND_CONNECT}};
    shape->ask(q, i);
}

/* Question i must be answered by rule i, else the figures are of something else. */
static void verify(const struct shape *shape, const struct rules *rules, unsigned count)
{
    for (unsigned i = 0; i < count; i += i + 100 < count ? 97 : 1) {
        struct rules_match match;
        struct question q;

        ask(shape, &q, i);
        if (rules_find(rules, &q.request, &match) != RULES_MATCH || match.rule != i) {
            fprintf(stderr, "rules: %s: question %u is not answered by its rule\n", shape->name, i);
            exit(2);
        }
    }
}

/* The four figures of a shape; returns the greatest. */
static double measure(const struct shape *shape, const struct rules *rules, unsigned count)
{
    static struct question questions[REQUESTS];
    double greatest = 0, figures[4];

    verify(shape, rules, count);
    for (unsigned i = 0; i < REQUESTS; i++)
        ask(shape, &questions[i], 0);
    figures[0] = ns_per_decision(rules, questions, REQUESTS, REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++)
        ask(shape, &questions[i], count - 1);
    figures[1] = ns_per_decision(rules, questions, REQUESTS, REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++)
        ask(shape, &questions[i], (unsigned)((uint64_t)i * 2654435761U % count));
    figures[2] = ns_per_decision(rules, questions, REQUESTS, REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++)
        ask(shape, &questions[i], count + i);
    figures[3] = ns_per_decision(rules, questions, REQUESTS, 0);
    for (int i = 0; i < 4; i++) {
        printf(" %8.0f", figures[i]);
        greatest = fmax(greatest, figures[i]);
    }
    printf("\n");
    return greatest;
}

static void rule_done(struct config_rule *rule)
{
    for (unsigned i = 0; i < rule->destination_count; i++)
        free(rule->destinations[i].name);
    for (unsigned i = 0; i < rule->user_count; i++)
        free(rule->users[i]);
    free(rule->destinations);
    free(rule->clients);
    free(rule->users);
    free(rule->listeners);
    free(rule->ports);
}

static double run(const struct shape *shape, unsigned count)
{
    struct config_rule *list = allocate(count, sizeof *list);
    struct rules *rules;
    uint64_t start;
    size_t before;
    double greatest;

    for (unsigned i = 0; i < count; i++)
        shape->rule(&list[i], i);
    before = allocated();
    start = now();
    rules = rules_new(list, count);
    if (!rules)
        die("rules_new");
    printf("%-22s %8.1f %8zu", shape->name, (double)(now() - start) / 1e6,
           (allocated() - before) / 1024);
    greatest = measure(shape, rules, count);
    rules_free(rules);
    for (unsigned i = 0; i < count; i++)
        rule_done(&list[i]);
    free(list);
    return greatest;
}

int main(int argc, char **argv)
{
    unsigned count = 10000;
    double greatest = 0;
    bool check = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0) {
            check = true;
        } else if (strcmp(argv[i], "--rules") == 0 && i + 1 < argc) {
            count = (unsigned)strtoul(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: rules [--check] [--rules 10000]\n");
            return 2;
        }
    }
    if (count < 2 || count > 60000) {
        fprintf(stderr, "rules: --rules takes 2 to 60000\n");
        return 2;
    }
    printf("%u rules\n%-22s %8s %8s %8s %8s %8s %8s\n", count, "ns a decision", "new: ms", "KiB",
           "first", "last", "any", "none");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        greatest = fmax(greatest, run(&shapes[i], count));
    if (check && greatest > LIMIT_NS) {
        printf("rules: a decision took %.0f ns, more than %d\n", greatest, LIMIT_NS);
        return 1;
    }
    return 0;
}
