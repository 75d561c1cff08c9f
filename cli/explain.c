/* explain.c - `pairsocks explain`: which rule decides about a request, and why none before it does.
 * It asks policy_judge() as the daemon does, first with the name and then with its address; why a
 * rule is not the one comes from rules_compare(). From the file alone: it never resolves, and never
 * talks to a daemon. */
#include "cli/file_facts.h"
#include "cli/verb.h"
#include "config/policy.h"
#include "config/value.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct question {
    const char *file; /* NULL: the built-in default */
    const char *listener;
    const char *host;
    struct ip_address address; /* of --address */
    bool help;
    struct rules_request request; /* but for the listener, the name and the address */
};

/* ---- the command line */

static bool parse_address(const char *option, const char *text, struct ip_address *ret)
{
    if (ip_parse(text, strlen(text), ret))
        return true;
    fprintf(stderr, "pairsocks explain: --%s: not an address: %s\n", option, text);
    return false;
}

static bool parse_command(const char *text, unsigned *ret)
{
    static const struct {
        const char *name;
        enum command command;
    } commands[] = {{"connect", COMMAND_CONNECT}, {"bind", COMMAND_BIND}, {"udp", COMMAND_UDP}};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(text, commands[i].name) == 0) {
            *ret = commands[i].command;
            return true;
        }
    }
    fprintf(stderr, "pairsocks explain: --command: %s (connect, bind, udp)\n", text);
    return false;
}

static bool parse_options(int argc, char **argv, struct question *q)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"listener", required_argument, NULL, 'l'},
        {"client", required_argument, NULL, 'f'},  {"user", required_argument, NULL, 'u'},
        {"address", required_argument, NULL, 'a'}, {"command", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        bool ok = true;

        switch (c) {
        case 'c':
            q->file = optarg;
            break;
        case 'l':
            q->listener = optarg;
            break;
        case 'f':
            ok = parse_address("client", optarg, &q->request.client);
            break;
        case 'u':
            q->request.user = optarg;
            break;
        case 'a':
            ok = parse_address("address", optarg, &q->address);
            break;
        case 'm':
            ok = parse_command(optarg, &q->request.command);
            break;
        case 'h':
            q->help = true;
            return true;
        default:
            return false;
        }
        if (!ok)
            return false;
    }
    return true;
}

static bool parse_command_line(int argc, char **argv, struct question *q)
{
    if (!parse_options(argc, argv, q))
        return false;
    if (q->help)
        return true;
    if (!q->listener) {
        fputs("pairsocks explain: --listener is missing\n", stderr);
        return false;
    }
    if (argc - optind != 2) {
        fputs("pairsocks explain: HOST and PORT are wanted\n", stderr);
        return false;
    }
    q->host = argv[optind];
    if (!port_parse(argv[optind + 1], strlen(argv[optind + 1]), &q->request.port)) {
        fprintf(stderr, "pairsocks explain: not a port: %s\n", argv[optind + 1]);
        return false;
    }
    if (!q->file && access(CONFIG_DEFAULT_FILE, F_OK) == 0)
        q->file = CONFIG_DEFAULT_FILE;
    return true;
}

/* ---- the answer */

static const char *mismatch_text(enum rules_mismatch mismatch)
{
    switch (mismatch) {
    case RULES_MATCHES:
        break;
    case RULES_OTHER_LISTENER:
        return "other listener";
    case RULES_OTHER_CLIENT:
        return "other client";
    case RULES_OTHER_USER:
        return "other user";
    case RULES_OTHER_COMMAND:
        return "other command";
    case RULES_OTHER_PORT:
        return "other port";
    case RULES_OTHER_DESTINATION:
        return "other destination";
    }
    return "";
}

/* One line for each rule up to the first that matches, or needs the address; returns it, NULL: none. */
static const struct config_rule *print_rules(const struct config *config,
                                             const struct rules_request *request)
{
    for (unsigned i = 0; i < config->rule_count; i++) {
        const struct config_rule *rule = &config->rules_in_order[i];
        bool needs_address = false;
        enum rules_mismatch mismatch = rules_compare(rule, request, &needs_address);

        printf("rule %s (%u of %u): ", rule->name, i + 1, config->rule_count);
        if (mismatch == RULES_MATCHES) {
            puts(needs_address ? "needs the address" : "matches");
            return rule;
        }
        printf("does not match: %s\n", mismatch_text(mismatch));
    }
    return NULL;
}

static void print_rate(int64_t rate)
{
    char text[VALUE_SIZE_TEXT_MAX];

    value_size_format(rate, text);
    printf("rate: %s bytes a second, each direction of each session\n", text);
}

static void print_decision(const struct config *config, const struct policy_decision *decision)
{
    char error[STREAM_ERROR_NAME_MAX];

    if (decision->verdict == POLICY_RESOLVE) {
        printf("decision: depends on the address\nrule: %s\n"
               "note: give one of the name's addresses with --address\n",
               decision->rule->name);
        return;
    }
    printf("decision: %s\n", decision->verdict == POLICY_DENY ? "deny" : "allow");
    if (decision->guard_range)
        printf("rule: guard (%s)\n", decision->guard_range);
    else
        printf("rule: %s\n", decision->rule ? decision->rule->name : "default");
    printf("error: %s\n", stream_error_name(&decision->error, error));
    if (decision->verdict == POLICY_ALLOW && config->upstream_count)
        printf("route: %s\n", decision->route ? decision->route->name : "direct");
    if (decision->verdict == POLICY_ALLOW && decision->rule && decision->rule->rate)
        print_rate(decision->rule->rate);
}

/* What else is in the request's way. */
static void print_reservations(const struct config *config, const struct rules_request *request,
                               const struct policy_decision *decision)
{
    if (!(config->listeners[request->listener].commands & request->command))
        puts("note: this listener does not serve the command: protocol.command.unsupported");
    if (decision->verdict != POLICY_ALLOW)
        return;
    if (request->command == COMMAND_BIND && !config_can_bind(decision->route))
        puts("note: this route cannot carry a bind: protocol.command.unsupported");
    if (request->command == COMMAND_UDP && !config_can_associate(decision->route))
        puts("note: this route cannot carry datagrams: protocol.command.unsupported");
    if (request->command == COMMAND_UDP && decision->rule && decision->rule->rate)
        puts("note: datagrams beyond the rate are dropped");
    if (decision->is_unresolved)
        puts("note: the proxy resolves the name: rules with addresses and the guard see none");
    else if (request->address.family == IP_NONE && config->listeners[request->listener].is_guarded)
        puts("note: the guard still judges each of the name's addresses: give one with --address");
    if (decision->is_guarded && file_facts_has_port(config, request->port))
        puts("note: the guard denies this port on the daemon's own addresses");
}

/* With what the daemon adds to it: its own addresses, as far as the file shows them. */
static struct policy_decision judge(const struct config *config,
                                    const struct rules_request *request)
{
    struct policy_decision decision = policy_judge(config, request);

    if (decision.is_guarded && file_facts_is_own(config, &request->address, request->port)) {
        decision.verdict = POLICY_DENY;
        decision.error = stream_error_of(ERROR_POLICY_GUARD_DENIED);
        decision.guard_range = "own address";
    }
    return decision;
}

static void explain_host(const struct config *config, const struct question *q,
                         struct rules_request *request)
{
    struct policy_decision decision = judge(config, request);
    bool by_name = request->name && decision.verdict == POLICY_DENY;
    const struct config_rule *rule;

    request->stays_unknown = decision.is_unresolved;
    if (request->name && !by_name && !decision.is_unresolved && q->address.family != IP_NONE) {
        request->address = q->address;
        decision = judge(config, request);
    }
    rule = print_rules(config, request);
    assert(decision.guard_range || decision.rule == rule);
    (void)rule;
    print_decision(config, &decision);
    if (by_name && q->address.family != IP_NONE)
        puts("note: the name is denied before it is resolved: its addresses do not matter");
    print_reservations(config, request, &decision);
}

/* Before any rule. */
static void print_refusal(const char *rule, enum stream_error_id id, const char *note)
{
    struct stream_error error = stream_error_of(id);
    char name[STREAM_ERROR_NAME_MAX];

    printf("decision: deny\nrule: %s\nerror: %s\n", rule, stream_error_name(&error, name));
    if (note)
        printf("note: %s: refused before any rule\n", note);
}

static bool find_listener(const struct config *config, const char *name, unsigned *ret)
{
    for (unsigned i = 0; i < config->listener_count; i++) {
        if (strcmp(config->listeners[i].name, name) == 0) {
            *ret = i;
            return true;
        }
    }
    fprintf(stderr, "pairsocks explain: no such listener: %s (there is", name);
    for (unsigned i = 0; i < config->listener_count; i++)
        fprintf(stderr, "%s %s", i ? "," : "", config->listeners[i].name);
    fputs(")\n", stderr);
    return false;
}

/* In the order in which the daemon comes to it. */
static void explain_request(const struct config *config, const struct question *q,
                            struct rules_request *request)
{
    enum client_fact client =
        file_facts_client(&config->listeners[request->listener], &request->client);

    if (client == CLIENT_KEPT_OUT) {
        print_refusal("whitelist", ERROR_POLICY_WHITELIST_DENIED, NULL);
        return;
    }
    if (request->command == COMMAND_CONNECT && request->port == 0)
        print_refusal("none", ERROR_PROTOCOL_REQUEST_BAD, "there is no port 0");
    else if (!request->name && request->address.family == IP_NONE)
        print_refusal("none", ERROR_RESOLVER_INVALID,
                      "neither a name nor an address in its plain spelling");
    else
        explain_host(config, q, request);
    if (client == CLIENT_DEPENDS)
        puts("note: names in `allow` and `deny` are not judged: they may keep the client out");
}

static int explain(const struct config *config, const struct question *q)
{
    struct rules_request request = q->request;
    size_t n = strlen(q->host);

    if (!find_listener(config, q->listener, &request.listener))
        return EXIT_USAGE;
    switch (host_classify(q->host, n, &request.address)) {
    case HOST_INVALID:
        break;
    case HOST_NAME:
        request.name = q->host;
        request.name_length = n;
        break;
    case HOST_ADDRESS:
        if (q->address.family == IP_NONE)
            break;
        fputs("pairsocks explain: --address is for a name: HOST is an address\n", stderr);
        return EXIT_USAGE;
    }
    explain_request(config, q, &request);
    return EXIT_SUCCESS;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    struct question q = {.request.command = COMMAND_CONNECT};
    struct config *config;
    int status;

    if (!parse_command_line(argc, argv, &q))
        return verb_bad_usage(verb);
    if (q.help)
        return verb_help(verb);
    config = q.file ? config_load(q.file, NULL, stderr) : config_default();
    if (!config)
        return EXIT_FAILURE;
    status = explain(config, &q);
    config_unref(config);
    return status;
}

const struct verb verb_explain = {
    .name = "explain",
    .arguments = "[-c FILE] --listener L [--client A] [--user U]\n"
                 "           [--address A] [--command connect|bind|udp] HOST PORT",
    .summary = "which rule decides about a request, and why, from the file alone",
    .options = "Which rule decides about a request, and why none before it does, from the file\n"
               "alone.\n"
               "\n"
               "  -c, --config FILE  the configuration; else " CONFIG_DEFAULT_FILE ",\n"
               "                     else the built-in default\n"
               "      --listener L   the listener that is asked\n"
               "      --client A     the client's address; else it has none\n"
               "      --user U       the client's identity: alice, ident:alice, cert:NAME;\n"
               "                     else none\n"
               "      --address A    one of the addresses of the name HOST\n"
               "      --command C    connect (the default), bind or udp\n"
               "      --help         prints this",
    .run = run,
};
