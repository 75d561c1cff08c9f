/* log_writer.h - the thread that writes the log: from the rings of all threads into one sink, in
 * batches. It may wait for the sink; nobody waits for it. Only log.c calls it. */
#ifndef PAIRSOCKS_LOG_WRITER_H
#define PAIRSOCKS_LOG_WRITER_H

#include "daemon/log_record.h"
#include "daemon/log_sink.h"

#include <stdbool.h>

/* Takes the sink over; what is put from now on waits for the thread. False with errno: the sink is still the
 * caller's. */
bool log_writer_open(struct log_sink *sink);

/* Starts the thread. False with errno. */
bool log_writer_start(void);

/* Writes what waits, for a second at most, and ends the thread (which starts here if it never did); no other
 * thread may log any more.
 * False: it is held by a write that does not return (a stopped terminal) and has to be left alone
 * with all that is its own. */
bool log_writer_stop(void);

/* The next sink, taken over. All that was not written yet goes there. */
void log_writer_replace(struct log_sink *sink);

/* Gives the calling thread its ring; without one its lines are lost. False without memory. */
bool log_writer_attach_thread(void);

/* How many lines found no place, or were given up by the sink, since the daemon began. Any thread. */
uint64_t log_writer_lost(void);

/* Queues a finished record. */
void log_writer_put(const struct log_record *record);

#endif
