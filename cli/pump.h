/* pump.h - standard input and output on a connection, one direction at a time: the end of one ends
 * only that one. */
#ifndef PAIRSOCKS_PUMP_H
#define PAIRSOCKS_PUMP_H

#include "streams/pair.h"

/* Runs the loop of a CONNECTED pair, whose on_event it takes, until both directions have ended; on a
 * terminal, until the peer has ended its own. Standard output is ended with the peer's direction.
 * False: *ret_error says why; none when standard input or output failed, then errno does. */
bool pump_run(struct stream_pair *pair, struct stream_error *ret_error);

#endif
