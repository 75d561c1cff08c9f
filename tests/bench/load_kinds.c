/* load_kinds.c - what the load generator (load.c) does with its connections: a row of `kinds` for
 * each kind of work. */
#define _GNU_SOURCE
#include "client.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define PACED_LEAD_NS 10000000u   /* the first is due so long after the start */
#define PACED_REST_NS 1000000000u /* all were sent: only answers are waited for */

static uint8_t chunk[WIRE_CHUNK];

/* --- connect: one unit is a new connection up to the proxy's success, and its end */

static void connect_open(struct client *c)
{
    client_end(c);
}

/* --- first: one unit is a new connection up to its first byte's echo, and its end */

static void first_readable(struct client *c)
{
    uint8_t back[2];
    size_t n = client_get(c, back, sizeof(back));
    if (n == 0)
        return;
    if (n != 1 || back[0] != WIRE_ECHO)
        die(0, "wrong echo: %zu bytes, 0x%02x", n, back[0]);
    client_end(c);
}

/* --- exchange and idle: connections that echoed their first byte; then messages, or nothing */

static void echo_open(struct client *c)
{
    client_put(c, &(uint8_t){WIRE_ECHO}, 1);
}

static void exchange_send(struct client *c)
{
    uint64_t serial = load.units_begun++;
    for (size_t i = 0; i < MESSAGE / 8; i++) {
        uint64_t word = (serial << 8 | i) * 0x9e3779b97f4a7c15;
        memcpy(c->message + 8 * i, &word, 8);
    }
    c->got = 0;
    client_put(c, c->message, MESSAGE);
}

/* Whether a whole message has come back. */
static bool exchange_heard(struct client *c)
{
    uint8_t back[MESSAGE + 1];
    size_t n = client_get(c, back, sizeof(back));
    if (n == 0)
        return false;
    if (!c->greeted_by_target) {
        if (n != 1 || back[0] != WIRE_ECHO)
            die(0, "wrong echo: %zu bytes, 0x%02x", n, back[0]);
        c->greeted_by_target = true;
        load.ready++;
        return false;
    }
    if (n > MESSAGE - c->got || memcmp(back, c->message + c->got, n) != 0)
        die(0, "wrong echo of a message");
    c->got += n;
    if (c->got < MESSAGE)
        return false;
    load.done++;
    return true;
}

static void exchange_readable(struct client *c)
{
    if (exchange_heard(c) && load.units_begun < load.units)
        exchange_send(c);
}

static void exchange_start(struct client *c)
{
    if (load.units_begun < load.units)
        exchange_send(c);
}

/* --- paced: exchanges begin by the clock, whether the ones before are done or not; number n, at
 * the time begin + n / rate, is connection n % CONNECTIONS's. One that its connection is not free
 * for is sent later, and what it waited counts: so a proxy that stalls is not asked less. */

static uint64_t paced_begin,
    paced_due;               /* when number 0 was due, in ns; numbers that were due so far */
static uint32_t *paced_took; /* ns of each exchange, as they end */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t paced_time(uint64_t number)
{
    return paced_begin + number * 1000000000u / load.rate;
}

static void paced_start(struct client *c)
{
    (void)c;
    if (paced_took)
        return;
    paced_took = calloc(load.units, sizeof(*paced_took));
    if (!paced_took)
        die(errno, "cannot remember %llu times", (unsigned long long)load.units);
    paced_begin = now_ns() + PACED_LEAD_NS;
}

static void paced_send(struct client *c)
{
    c->is_waiting = true;
    exchange_send(c);
}

static uint64_t paced_tick(void)
{
    uint64_t now = now_ns();
    for (; paced_due < load.units && paced_time(paced_due) <= now; paced_due++) {
        struct client *c = &load.clients[paced_due % load.connections];
        if (c->is_waiting)
            c->owed++;
        else
            paced_send(c);
    }
    return paced_due < load.units ? paced_time(paced_due) - now : PACED_REST_NS;
}

static void paced_readable(struct client *c)
{
    if (!exchange_heard(c))
        return;
    uint64_t took = now_ns() - paced_time(c->turns++ * load.connections + c->index);
    paced_took[load.done - 1] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    c->is_waiting = false;
    if (c->owed) {
        c->owed--;
        paced_send(c);
    }
}

static int compare_times(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The median, and what 99 and 99.9 of a hundred stay below. */
static void paced_report(void)
{
    qsort(paced_took, load.units, sizeof(*paced_took), compare_times);
    printf(" %u %u %u", paced_took[load.units / 2], paced_took[load.units * 99 / 100],
           paced_took[load.units * 999 / 1000]);
    free(paced_took);
}

static void idle_start(struct client *c)
{
    (void)c;
    load.done++;
}

/* --- up and down: a unit is a byte; each connection carries its share */

static void bytes_open(struct client *c)
{
    (void)c;
    load.ready++;
}

static void bytes_command(struct client *c, uint8_t command)
{
    uint8_t header[WIRE_HEADER] = {command, c->index};
    c->length = load.units / load.connections;
    c->done = 0;
    for (int i = 0; i < 8; i++)
        header[2 + i] = c->length >> (56 - 8 * i);
    client_put(c, header, sizeof(header));
}

static void up_start(struct client *c)
{
    bytes_command(c, WIRE_UP);
    client_watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

static void up_writable(struct client *c)
{
    while (c->done < c->length) {
        size_t n = c->length - c->done < WIRE_CHUNK ? c->length - c->done : WIRE_CHUNK;
        ssize_t sent = client_send(c, wire_pattern(c->index, c->done), n);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            die(errno, "write");
        c->done += sent;
        if ((size_t)sent < n)
            return;
    }
    client_watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void up_readable(struct client *c)
{
    uint8_t answer[2];
    size_t n = client_get(c, answer, sizeof(answer));
    if (n == 0)
        return;
    if (n != 1 || answer[0] != WIRE_UP_GOOD || c->done != c->length)
        die(0, "wrong answer to an upload");
    load.done += c->length;
}

static void down_start(struct client *c)
{
    bytes_command(c, WIRE_DOWN);
}

static void down_readable(struct client *c)
{
    size_t n = client_get(c, chunk, sizeof(chunk));
    if (n > c->length - c->done || memcmp(chunk, wire_pattern(c->index, c->done), n) != 0)
        die(0, "wrong bytes in the read after byte %llu of a download",
            (unsigned long long)c->done);
    c->done += n;
    load.done += n;
}

static const struct kind kinds[] = {
    {.name = "connect", .open = connect_open},
    {.name = "first", .open = echo_open, .readable = first_readable},
    {.name = "exchange", .open = echo_open, .start = exchange_start, .readable = exchange_readable},
    {.name = "paced",
     .open = echo_open,
     .start = paced_start,
     .readable = paced_readable,
     .tick = paced_tick,
     .report = paced_report},
    {.name = "up",
     .open = bytes_open,
     .start = up_start,
     .readable = up_readable,
     .writable = up_writable},
    {.name = "down", .open = bytes_open, .start = down_start, .readable = down_readable},
    {.name = "idle", .open = echo_open, .start = idle_start, .readable = exchange_readable},
};

const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(name, kinds[i].name) == 0)
            return &kinds[i];
    return NULL;
}
