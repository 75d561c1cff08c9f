/* short_lock.h - a mutex that several workers take for each connection, and hold for less than it takes to
 * fall asleep: who finds it taken by another CPU looks again for a while first. */
#ifndef PAIRSOCKS_SHORT_LOCK_H
#define PAIRSOCKS_SHORT_LOCK_H

#include <pthread.h>

/* To be destroyed as any other. */
static inline void short_lock_init(pthread_mutex_t *lock)
{
    *lock = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
}

#endif
