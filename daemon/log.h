/* log.h - the daemon's log. Any thread may log; no thread ever waits for the log's reader.
 *
 * Each logging thread has a ring of its own; one writing thread empties the rings in batches into
 * the sink of `log_target` (log_sink.h). It is a thread of its own, not the control plane, because
 * a write to a file or to an inherited terminal cannot be made non-blocking without changing it for
 * others, and a stuck reader must not stop signals either. Lines that found no place are counted,
 * and the count is logged once there is place again. Lines of one thread keep their order. */
#ifndef PAIRSOCKS_LOG_H
#define PAIRSOCKS_LOG_H

#include "config/config.h"
#include "daemon/log_record.h"

#include <stdio.h>

/* Before log_open(): the file that the daemon before us writes to, for a user who may not open it again. Owns `fd`. */
void log_inherit(const char *path, int fd);

/* Of the file that is written to now, for the next process: its descriptor (borrowed, until a reload) and *ret_path; -1: it
 * is no file. The control plane's thread. */
int log_descriptor(const char **ret_path);

/* Opens the sink that the configuration asks for. False with a message on stderr. Before it, and after
 * log_close(), lines go straight to stderr; after it they wait for log_start(). */
bool log_open(const struct config *config);

/* Starts the writing thread, which begins with the rights that the calling thread has then. False with a
 * message on stderr. */
bool log_start(void);

/* Writes what waits, for a second at most, and ends the writing thread; also without log_start(). */
void log_close(void);

/* The start is over. Until then errors go to stderr, too: whoever starts the daemon by hand sees
 * why it does not come up, wherever the log goes. */
void log_started(void);

/* A reload, in the thread that called log_open(): first all that may fail, beside what is in use;
 * then, with the rest of the reload, log_apply() or log_discard().
 *
 * NULL with one line in `errors`: the new target cannot be opened. A target that stays the same is
 * opened again (a rotated file); when that fails, as a file may after setuid or chroot, the old
 * one goes on, which is no error of the reload. */
struct log_change *log_prepare(const struct config *config, FILE *errors);

/* Both free the change. Nobody waits: workers take the new level and format with their next line,
 * the writing thread takes the new sink as soon as it can, also from an old one that is stuck, and
 * all that was not written yet goes to it. No line is lost by the change, none that is logged after
 * log_apply() goes to the old sink. If the old one goes on, an error line (`event=log_reopen`) says
 * why. */
void log_apply(struct log_change *change);
void log_discard(struct log_change *change);

/* The target that there is is opened again (a log file after rotation), as by such a reload. */
void log_reopen(void);

/* Gives the calling thread its ring; without one its lines are lost. False without memory. */
bool log_attach_thread(void);

/* Lines that got lost since the daemon began. Any thread. */
uint64_t log_lost(void);

bool log_wants(enum log_level level);

/* What is logged from now on, until the next reload. */
enum log_level log_level(void);
void log_set_level(enum log_level level);

/* Begins a record with its time, level (for all but sessions) and event. */
void log_begin(struct log_record *record, enum log_level level, const char *event);
void log_begin_session(struct log_record *record);

/* Ends the record and queues it. */
void log_commit(struct log_record *record);

/* A record with nothing but a message. */
void log_message(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
