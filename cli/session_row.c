/* session_row.c - the columns of a session. */
#include "cli/session_row.h"

#include "cli/human.h"

#include <string.h>

const struct table_column session_columns[SESSION_COLUMNS] = {
    {"ID", true},       {"LISTENER", false}, {"CLIENT", false}, {"USER", false},
    {"REQUEST", false}, {"TARGET", false},   {"ROUTE", false},  {"SENT", true},
    {"RECEIVED", true}, {"AGE", true},       {"STATE", false},
};

char *session_row_request(const struct answer *s, char out[SESSION_REQUEST_MAX])
{
    const char *command = answer_text(s, "command");

    snprintf(out, SESSION_REQUEST_MAX, "%s%s%s", answer_text(s, "protocol"), *command ? " " : "",
             command);
    return out;
}

char *session_row_route(const struct answer *s, char out[SESSION_ROUTE_MAX])
{
    const char *route = answer_text(s, "route"), *peer = answer_text(s, "upstream_peer");

    snprintf(out, SESSION_ROUTE_MAX, *peer ? "%s (%s)" : "%s", route, peer);
    return out;
}

void session_row_add(struct table *table, const struct answer *s)
{
    char number[HUMAN_MAX], request[SESSION_REQUEST_MAX], route[SESSION_ROUTE_MAX];

    table_add_number(table, answer_number(s, "id"));
    table_add(table, answer_text(s, "listener"));
    table_add(table, answer_text(s, "client"));
    table_add(table, answer_text(s, "user"));
    table_add(table, session_row_request(s, request));
    table_add(table, answer_text(s, "target"));
    table_add(table, session_row_route(s, route));
    table_add(table, human_bytes(answer_number(s, "sent"), number));
    table_add(table, human_bytes(answer_number(s, "received"), number));
    table_add(table, human_duration(answer_number(s, "age_ms"), number));
    table_add(table, answer_text(s, "state"));
}
