/* pair_private.h - what the files of a pair share; nobody else includes it. */
#ifndef PAIRSOCKS_PAIR_PRIVATE_H
#define PAIRSOCKS_PAIR_PRIVATE_H

#include "streams/pair.h"

/* ---- pair.c */

/* The only place that changes the state; the directions follow. */
void pair_set_state(struct stream_pair *pair, enum pair_state state);

/* The first error of a pair is the one that is told. */
void pair_set_failed(struct stream_pair *pair, struct stream_error error);

/* ---- pair_watch.c */

/* Says to the poller what the next turn is to bring. After whatever changes what is waited for, or what is ready. */
void pair_watch(struct stream_pair *pair);

/* The same, after whatever may have left bytes in a layer. */
void pair_watch_flush(struct stream_pair *pair);

/* `events` (enum interest) are waited for from now on. */
void pair_set_watched(struct stream_pair *pair, int events);

/* A call has found that it has to wait. */
void pair_not_ready(struct stream_pair *pair, int events);

/* What the poller has said: enum interest, POLLER_ENDED, POLLER_URGENT. */
void pair_note_events(struct stream_pair *pair, int events);

/* What any layer waits for to hand down what it took. */
int pair_flush_waits(const struct stream_pair *pair);

/* The poller's callback. */
void pair_on_ready(struct poll_watch *w, int events);

/* ---- pair_open.c */

/* One more step of opening the top layer. */
void pair_step_open(struct stream_pair *pair);

void pair_take_off_top(struct stream_pair *pair);

#endif
