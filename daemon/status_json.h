/* status_json.h - /status.json: the daemon as one JSON object. What is in it stands in pairsocksd.8. */
#ifndef PAIRSOCKS_STATUS_JSON_H
#define PAIRSOCKS_STATUS_JSON_H

#include "daemon/inspect.h"
#include "daemon/survey.h"

#define STATUS_JSON_MAX (4 * 1024 * 1024) /* bytes; sessions that find no place are left out */

/* The whole answer, owned by the caller. `answer` is what the workers have said; its sessions are only
 * written if `with_sessions`. NULL without memory. */
char *status_json_write(const struct survey *survey, const struct inspect_answer *answer,
                        bool with_sessions, size_t *ret_length);

#endif
