/* load.c - the load generator of the benchmark: SOCKS5 clients of several kinds, and main(). Called
 * by tests/bench/run, which starts one `load target PORT` and then one client process for a
 * measurement:
 *
 *     load KIND PROXY_PORT TARGET_PORT COUNT CONNECTIONS LIMIT
 *          [--direct] [--login USER PASSWORD] [--tls AUTHORITY [--cut]] [--rate RATE]
 *
 * KIND is a row of `kinds` (load_kinds.c); COUNT is its units of work, done over CONNECTIONS at a
 * time; after LIMIT seconds it gives up. --direct: the port is a plain forwarder to the target, so
 * no SOCKS is spoken. --login: each connection logs in (RFC 1929). --tls: all of it is spoken over
 * TLS (tls_client.h). --cut: a proxy may end without a close_notify. --rate: units a second, of the
 * kind that is paced. It prints "ready" when what is not measured is done, waits for a line on
 * stdin, works, prints "done UNITS NANOSECONDS" (and what its kind adds), waits for a second line,
 * closes everything in order, and ends with 0. Anything else (a refused request, a wrong byte, a
 * missing end) ends it with 1 and one line on stderr. It speaks only to 127.0.0.0/8. */
#define _GNU_SOURCE
#include "client.h"
#include "tls_client.h"
#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* connections that are being set up at a time, where set-up is not the measured work */
#define OPENING_AT_ONCE 16

/* Waits at most `ns` (no bound: UINT64_MAX). */
static void step(uint64_t ns)
{
    struct epoll_event events[64];
    struct timespec bound = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    int n = epoll_pwait2(load.poller, events, 64, ns == UINT64_MAX ? NULL : &bound, NULL);
    for (int i = 0; i < n; i++)
        client_step(events[i].data.ptr);
}

static void open_all(void)
{
    while (load.ready < load.connections) {
        while (load.opened < load.connections && load.opened - load.ready < OPENING_AT_ONCE)
            client_open(&load.clients[load.opened]);
        step(UINT64_MAX);
    }
}

static void end_all(void)
{
    for (uint64_t i = 0; i < load.connections; i++)
        client_end(&load.clients[i]);
    while (load.ready > 0)
        step(UINT64_MAX);
}

static void wait_for_line(void)
{
    char line[16];
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        die(0, "nobody wants the result");
}

static uint64_t work(void)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (load.kind->start) {
        for (uint64_t i = 0; i < load.connections; i++)
            load.kind->start(&load.clients[i]);
    } else {
        for (uint64_t i = 0; i < load.connections && load.units_begun < load.units; i++) {
            load.units_begun++;
            client_open(&load.clients[i]);
        }
    }
    while (load.done < load.units)
        step(load.kind->tick ? load.kind->tick() : UINT64_MAX);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - begin.tv_sec) * 1000000000ull + end.tv_nsec - begin.tv_nsec;
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value == 0 || value > max)
        die(0, "not a number from 1 to %llu: %s", (unsigned long long)max, text);
    return value;
}

static void read_arguments(char **argv)
{
    load.kind = kind_find(argv[1]);
    if (!load.kind)
        die(0, "no such kind of work: %s", argv[1]);
    load.proxy_port = number(argv[2], 65535);
    load.target_port = number(argv[3], 65535);
    load.units = number(argv[4], 1ull << 50);
    load.connections = number(argv[5], 100000);
    alarm(number(argv[6], 3600)); /* its default action is the end that we want */
    if (load.units % load.connections != 0 &&
        (strcmp(load.kind->name, "up") == 0 || strcmp(load.kind->name, "down") == 0))
        die(0, "%llu bytes are not the same on each of %llu connections",
            (unsigned long long)load.units, (unsigned long long)load.connections);
    if (strcmp(load.kind->name, "idle") == 0 && load.units != load.connections)
        die(0, "idle: one unit for each connection");
}

/* RFC 1929, 2 */
static void take_login(const char *user, const char *password)
{
    size_t u = strlen(user), p = strlen(password);
    if (u == 0 || u > 255 || p == 0 || p > 255)
        die(0, "not a login");
    load.login[0] = 1;
    load.login[1] = (uint8_t)u;
    memcpy(load.login + 2, user, u);
    load.login[2 + u] = (uint8_t)p;
    memcpy(load.login + 3 + u, password, p);
    load.login_length = 3 + u + p;
}

/* Whether the arguments from `at` on are options. */
static bool take_options(char **at)
{
    while (*at) {
        if (strcmp(*at, "--direct") == 0) {
            load.direct = true;
            at += 1;
        } else if (strcmp(*at, "--login") == 0 && at[1] && at[2]) {
            take_login(at[1], at[2]);
            at += 3;
        } else if (strcmp(*at, "--tls") == 0 && at[1]) {
            if (!&tls_client)
                die(0, "built without TLS");
            tls_client.begin(at[1]);
            load.secured = true;
            at += 2;
        } else if (strcmp(*at, "--rate") == 0 && at[1]) {
            load.rate = number(at[1], 1000000);
            at += 2;
        } else if (strcmp(*at, "--cut") == 0) {
            load.may_be_cut = true;
            at += 1;
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    raise_descriptor_limit();
    wire_init();
    if (argc == 3 && strcmp(argv[1], "target") == 0) {
        target_run(number(argv[2], 65535));
        return 0;
    }
    if (argc < 7 || !take_options(argv + 7))
        die(0, "usage: load target PORT | load KIND PROXY_PORT TARGET_PORT COUNT CONNECTIONS LIMIT "
               "[--direct] [--login USER PASSWORD] [--tls AUTHORITY [--cut]] [--rate RATE]");
    read_arguments(argv);
    if (load.kind->tick && !load.rate)
        die(0, "%s: at which --rate?", argv[1]);
    prctl(PR_SET_TIMERSLACK, 1); /* ns: what is paced is to be in time */

    load.clients = calloc(load.connections, sizeof(*load.clients));
    load.poller = epoll_create1(EPOLL_CLOEXEC);
    if (!load.clients || load.poller < 0)
        die(errno, "cannot begin");
    for (uint64_t i = 0; i < load.connections; i++)
        load.clients[i].index = i;

    if (load.kind->start)
        open_all();
    puts("ready");
    wait_for_line();
    uint64_t nanoseconds = work();
    printf("done %llu %llu", (unsigned long long)load.done, (unsigned long long)nanoseconds);
    if (load.kind->report)
        load.kind->report();
    puts("");
    wait_for_line();
    if (load.kind->start)
        end_all();
    free(load.clients);
    return 0;
}
