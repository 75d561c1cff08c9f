/* coroutine.h - functions with stacks of their own that take turns on one event loop: one that waits
 * gives its turn back to the loop, and is resumed by it. Used by sync.c, not public. */
#ifndef PAIRSOCKS_COROUTINE_H
#define PAIRSOCKS_COROUTINE_H

#include <ev.h>
#include <stdbool.h>

struct coroutine;

enum { COROUTINE_STACK = 256 * 1024 };

#define COROUTINE_FOREVER (-1.)

/* Runs `function` from the loop's next turn on. False: no memory for its stack. */
bool coroutine_start(struct ev_loop *loop, void (*function)(void *context), void *context);

/* Whoever calls, if it may wait: NULL outside of a coroutine, and in a callback of a loop, even of one
 * that a coroutine runs. */
struct coroutine *coroutine_current(void);

/* Monotonic seconds. */
double coroutine_now(void);

/* Of the current one: waits until somebody wakes it (true), or until the deadline, a point in
 * coroutine_now()'s time, has come (false). */
bool coroutine_wait(double deadline);

/* Lets it go on from the loop's next turn. Harmless for one that does not wait, which then does not
 * wait the next time. */
void coroutine_wake(struct coroutine *coroutine);

#endif
