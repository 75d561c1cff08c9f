/* log_encode.h - a line of the log as a datagram: for a syslog daemon, or for the journal. Pure.
 * Lines are printable ASCII already (log_record.h); nothing here depends on that for its own
 * framing. */
#ifndef PAIRSOCKS_LOG_ENCODE_H
#define PAIRSOCKS_LOG_ENCODE_H

#include "config/config.h"
#include "daemon/log_batch.h"

#include <stddef.h>
#include <time.h>

#define LOG_IDENTIFIER "pairsocksd"

/* Any line fits as either. Sockets take this much: it is far below the least net.core.wmem_default
 * that systems have. */
enum { LOG_DATAGRAM_MAX = 16 * 1024 };

/* LOG_ERR ... LOG_DEBUG of syslog(3), RFC 5424 6.2.1. */
unsigned log_severity(enum log_level level);

/* `<PRI>Mmm dd hh:mm:ss pairsocksd[pid]: line`, RFC 3164 as syslog(3) sends it to the local daemon:
 * facility daemon, no host name, no newline. `local`: the line's time in local time. Returns the
 * length. */
size_t log_encode_syslog(const struct log_line *line, const struct tm *local, long pid,
                         char out[LOG_DATAGRAM_MAX]);

/* An entry of the native journal protocol: MESSAGE (the line), PRIORITY, SYSLOG_FACILITY,
 * SYSLOG_IDENTIFIER, and for each key of the line PAIRSOCKS_KEY with its value as in the text form
 * (escaped), without quotes, whatever the line's format. Returns the length. A key that finds no
 * place is left out. */
size_t log_encode_journal(const struct log_line *line, char out[LOG_DATAGRAM_MAX]);

/* One field of such an entry: `NAME=value\n`, or `NAME\n`, 64 bits of length, `value\n` when there
 * is a newline in it, so that any value remains within its field. Returns the length, 0: not
 * enough room, nothing was written. */
size_t log_encode_field(char *out, size_t room, const char *name, const char *value, size_t n);

#endif
