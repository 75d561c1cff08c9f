/* through.c - from the words of `connect` and `probe` to what dial.h wants. */
#include "cli/through.h"

#include "streams/tls_trust.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_proxy[] = "socks5h://127.0.0.1:1080"; /* the daemon's own default */

enum { TIMEOUT = 30, TIMEOUT_MAX = 24 * 3600 };

static bool complain(const struct verb *verb, const char *what, const char *text, const char *why)
{
    fprintf(stderr, "pairsocks %s: %s%s%s: %s\n", verb->name, what, *text ? " " : "", text, why);
    return false;
}

/* `text` may hold a password: it is not repeated. */
static bool add_proxy(const struct verb *verb, const char *what, const char *text,
                      struct through *t)
{
    struct dial_options *o = &t->options;
    const char *wrong;

    if (o->proxy_count == DIAL_PROXIES_MAX)
        return complain(verb, what, "", "too many of them");
    wrong = proxy_url_parse(text, &t->proxies[o->proxy_count]);
    if (wrong)
        return complain(verb, what, "", wrong);
    o->proxy_count++;
    return true;
}

static bool parse_timeout(const char *text, double *ret)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !isfinite(seconds) || seconds <= 0 || seconds > TIMEOUT_MAX)
        return false;
    *ret = seconds;
    return true;
}

/* Whether its roots can be read is known before anybody is connected. */
static bool check_authority(const struct verb *verb, const char *file)
{
    char reason[256] = "";
    FILE *errors = fmemopen(reason, sizeof reason, "w");
    struct tls_trust *trust =
        errors ? tls_trust_new(&(struct tls_trust_options){.authority = file}, errors) : NULL;
    bool good = trust;

    if (errors)
        fclose(errors);
    tls_trust_free(trust);
    return good || complain(verb, "--authority", "", *reason ? reason : "no memory");
}

static bool parse_options(const struct verb *verb, int argc, char **argv, struct through *t,
                          bool *ret_help)
{
    static const struct option options[] = {
        {"proxy", required_argument, NULL, 'x'},
        {"tls", no_argument, NULL, 's'},
        {"peer-name", required_argument, NULL, 'n'},
        {"authority", required_argument, NULL, 'a'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool is_direct = false;
    const char *proxy;
    int c;

    while ((c = getopt_long(argc, argv, "x:", options, NULL)) != -1) {
        switch (c) {
        case 'x':
            if (strcmp(optarg, "none") == 0)
                is_direct = true;
            else if (!add_proxy(verb, "--proxy", optarg, t))
                return false;
            proxy_url_hide_password(optarg);
            break;
        case 's':
            t->options.tls = true;
            break;
        case 'n':
            t->options.peer_name = optarg;
            break;
        case 'a':
            t->options.authority = optarg;
            if (!check_authority(verb, optarg))
                return false;
            break;
        case 't':
            if (!parse_timeout(optarg, &t->options.timeout))
                return complain(verb, "--timeout", optarg, "not a number of seconds");
            break;
        case 'h':
            *ret_help = true;
            return true;
        default:
            return false;
        }
    }
    if (is_direct && t->options.proxy_count)
        return complain(verb, "--proxy", "none", "there is another one");
    if (is_direct || t->options.proxy_count)
        return true;
    proxy = getenv("PAIRSOCKS_PROXY");
    return proxy && *proxy
               ? strcmp(proxy, "none") == 0 || add_proxy(verb, "$PAIRSOCKS_PROXY", proxy, t)
               : add_proxy(verb, "--proxy", default_proxy, t);
}

static bool parse_target(const struct verb *verb, int count, char **words, struct through *t)
{
    struct dial_options *o = &t->options;

    if (count != 2)
        return complain(verb, "a host and a port are wanted", "", "there are none, or too many");
    o->host = words[0];
    if (!*o->host || strlen(o->host) > HOST_NAME_LENGTH_MAX)
        return complain(verb, "not a host:", o->host, "it has 1 to 255 bytes");
    if (!port_parse(words[1], strlen(words[1]), &o->port) || o->port == 0)
        return complain(verb, "not a port:", words[1], "1 to 65535");
    return true;
}

bool through_parse(const struct verb *verb, int argc, char **argv, struct through *t,
                   int *ret_status)
{
    bool help = false;

    memset(t, 0, sizeof *t);
    t->options.proxies = t->proxies;
    t->options.timeout = TIMEOUT;
    if (parse_options(verb, argc, argv, t, &help)) {
        if (help) {
            *ret_status = verb_help(verb);
            through_done(t);
            return false;
        }
        if (parse_target(verb, argc - optind, argv + optind, t))
            return true;
    }
    *ret_status = verb_bad_usage(verb);
    through_done(t);
    return false;
}

void through_done(struct through *t)
{
    explicit_bzero(t, sizeof *t);
}
