/* top_view.c - sessions by what they moved since the last look. */
#include "cli/top_view.h"

#include "cli/human.h"
#include "cli/session_row.h"
#include "cli/table.h"

#include <stdint.h>
#include <stdlib.h>

struct top_bytes {
    uint64_t id, sent, received;
};

/* A session with its rates, bytes a second. */
struct line {
    const struct answer *session;
    double sent, received;
};

static const struct table_column columns[] = {
    {"ID", true},     {"CLIENT", false}, {"USER", false},   {"TARGET", false},
    {"ROUTE", false}, {"SENT/S", true},  {"RECVD/S", true}, {"SENT", true},
    {"RECVD", true},  {"AGE", true},     {"STATE", false},
};

static int by_id(const void *a, const void *b)
{
    const struct top_bytes *one = a, *other = b;

    return one->id < other->id ? -1 : one->id > other->id;
}

static int by_rate(const void *a, const void *b)
{
    const struct line *one = a, *other = b;
    double difference = other->sent + other->received - one->sent - one->received;

    if (difference != 0)
        return difference > 0 ? 1 : -1;
    return one->session < other->session ? -1 : one->session > other->session;
}

static double rate(uint64_t now, uint64_t before, double seconds)
{
    return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

/* Of one that was not there before: all that it has moved. */
static void find_rates(const struct top_view *view, struct line *line, double now)
{
    struct top_bytes key = {.id = answer_number(line->session, "id")};
    const struct top_bytes *before =
        view->count ? bsearch(&key, view->before, view->count, sizeof key, by_id) : NULL;
    double seconds = view->at > 0 ? now - view->at : 0;

    if (!before)
        before = &key;
    line->sent = rate(answer_number(line->session, "sent"), before->sent, seconds);
    line->received = rate(answer_number(line->session, "received"), before->received, seconds);
}

static size_t count_items(const struct answer *list)
{
    size_t count = 0;

    for (const struct answer *item = list->first; item; item = item->next)
        count++;
    return count;
}

void top_view_remember(struct top_view *view, const struct answer *sessions, double now)
{
    const struct answer *list = answer_member(sessions, "sessions");
    size_t count = count_items(list), i = 0;
    struct top_bytes *seen = calloc(count ? count : 1, sizeof *seen);

    for (const struct answer *s = list->first; seen && s; s = s->next)
        seen[i++] = (struct top_bytes){answer_number(s, "id"), answer_number(s, "sent"),
                                       answer_number(s, "received")};
    if (seen)
        qsort(seen, count, sizeof *seen, by_id);
    free(view->before);
    view->before = seen;
    view->count = seen ? count : 0;
    view->at = now;
}

static void add_rate(struct table *table, double bytes)
{
    char text[HUMAN_MAX];

    table_add(table, human_bytes((uint64_t)bytes, text));
}

static void add_line(struct table *table, const struct line *line)
{
    const struct answer *s = line->session;
    char text[HUMAN_MAX], route[SESSION_ROUTE_MAX];

    table_add_number(table, answer_number(s, "id"));
    table_add(table, answer_text(s, "client"));
    table_add(table, answer_text(s, "user"));
    table_add(table, answer_text(s, "target"));
    table_add(table, session_row_route(s, route));
    add_rate(table, line->sent);
    add_rate(table, line->received);
    table_add(table, human_bytes(answer_number(s, "sent"), text));
    table_add(table, human_bytes(answer_number(s, "received"), text));
    table_add(table, human_duration(answer_number(s, "age_ms"), text));
    table_add(table, answer_text(s, "state"));
}

static void print_head(const struct answer *status, const struct line *lines, size_t count,
                       unsigned width, FILE *out)
{
    char uptime[HUMAN_MAX], up[HUMAN_MAX], down[HUMAN_MAX], head[256];
    double sent = 0, received = 0;

    for (size_t i = 0; i < count; i++) {
        sent += lines[i].sent;
        received += lines[i].received;
    }
    snprintf(head, sizeof head,
             "pairsocksd %s  %s  up %s  sessions %llu of %llu  sent %s/s  received %s/s",
             answer_text(status, "version"), answer_text(status, "state"),
             human_duration(answer_number(status, "uptime_ms"), uptime),
             (unsigned long long)answer_number(status, "sessions"),
             (unsigned long long)answer_number(status, "max_sessions"),
             human_bytes((uint64_t)sent, up), human_bytes((uint64_t)received, down));
    fprintf(out, "%.*s\n\n", width ? (int)width : (int)sizeof head, head);
}

void top_view_print(struct top_view *view, const struct answer *status,
                    const struct answer *sessions, double now, unsigned rows, unsigned width,
                    FILE *out)
{
    enum { HEAD_ROWS = 3 };
    struct table table = {.columns = columns, .column_count = sizeof columns / sizeof *columns};
    const struct answer *list = answer_member(sessions, "sessions");
    size_t count = count_items(list), i = 0;
    struct line *lines = calloc(count ? count : 1, sizeof *lines);

    if (!lines)
        return;
    for (const struct answer *s = list->first; s; s = s->next, i++) {
        lines[i].session = s;
        find_rates(view, &lines[i], now);
    }
    top_view_remember(view, sessions, now);
    qsort(lines, count, sizeof *lines, by_rate);
    print_head(status, lines, count, width, out);
    for (i = 0; i < count && (!rows || i + HEAD_ROWS < rows); i++)
        add_line(&table, &lines[i]);
    table_print(&table, out, SIZE_MAX, width);
    table_done(&table);
    free(lines);
}

void top_view_done(struct top_view *view)
{
    free(view->before);
    *view = (struct top_view){0};
}
