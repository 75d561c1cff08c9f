/* session_row.h - a session as a row of a table, for `sessions` and `top`. */
#ifndef PAIRSOCKS_CLI_SESSION_ROW_H
#define PAIRSOCKS_CLI_SESSION_ROW_H

#include "cli/answer.h"
#include "cli/table.h"

enum { SESSION_COLUMNS = 11 };

extern const struct table_column session_columns[SESSION_COLUMNS];

/* `session`: of the answer to `sessions`. */
void session_row_add(struct table *table, const struct answer *session);

/* `socks5 connect`, or what of it is known. Returns `out`. */
enum { SESSION_REQUEST_MAX = 64 };
char *session_row_request(const struct answer *session, char out[SESSION_REQUEST_MAX]);

/* The upstream's name with the server that is used, or `direct`. */
enum { SESSION_ROUTE_MAX = 512 };
char *session_row_route(const struct answer *session, char out[SESSION_ROUTE_MAX]);

#endif
