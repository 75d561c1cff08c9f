/* coroutine.c - ucontext's stacks, libev's turns. Told to AddressSanitizer, which has to know on which
 * stack we are. */
#include "streams/coroutine.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#endif

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

struct coroutine {
    struct ev_loop *loop; /* borrowed */
    ev_timer timer;       /* its next turn, or its deadline */
    ucontext_t context, resumer;
    uint8_t *mapping; /* owned: a page that nobody may touch, then the stack */
    size_t page;
    void (*function)(void *context);
    void *argument;
    struct coroutine *outer; /* borrowed: resumed us from inside a loop that it runs */
    unsigned depth;          /* of the loop in which it was resumed */
    bool is_waiting;         /* not running, nor waiting in a loop of its own */
    bool is_woken;
    bool is_over;
#ifdef HAS_ASAN
    void *fake_stack, *resumer_fake_stack;
    const void *resumer_stack;
    size_t resumer_size;
#endif
};

static _Thread_local struct coroutine *current;

/* ---- changing stacks */

static uint8_t *stack_of(const struct coroutine *coroutine)
{
    return coroutine->mapping + coroutine->page;
}

/* As swapcontext(), which AddressSanitizer warns of, whatever it was told. */
static void change(ucontext_t *from, const ucontext_t *to)
{
    volatile bool is_back = false;

    getcontext(from);
    if (is_back)
        return;
    is_back = true;
    setcontext(to);
}

static void enter(struct coroutine *c)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(&c->resumer_fake_stack, stack_of(c), COROUTINE_STACK);
#endif
    change(&c->resumer, &c->context);
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(c->resumer_fake_stack, NULL, NULL);
#endif
}

static void leave(struct coroutine *c)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(c->is_over ? NULL : &c->fake_stack, c->resumer_stack,
                                   c->resumer_size);
#endif
    change(&c->context, &c->resumer);
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(c->fake_stack, &c->resumer_stack, &c->resumer_size);
#endif
}

/* The first thing on the new stack. makecontext() hands over no pointers: it is `current`. */
static void run(void)
{
    struct coroutine *c = current;

#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(NULL, &c->resumer_stack, &c->resumer_size);
#endif
    c->function(c->argument);
    c->is_over = true;
    leave(c);
}

/* ---- life */

static void free_coroutine(struct coroutine *c)
{
#ifdef HAS_ASAN
    __lsan_unregister_root_region(stack_of(c), COROUTINE_STACK);
#endif
    munmap(c->mapping, c->page + COROUTINE_STACK);
    free(c);
}

static void resume(struct coroutine *c)
{
    c->is_waiting = false;
    c->outer = current;
    c->depth = ev_depth(c->loop);
    current = c;
    enter(c);
    current = c->outer;
    if (c->is_over)
        free_coroutine(c);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    resume(w->data);
}

static bool map_stack(struct coroutine *c)
{
    c->page = (size_t)sysconf(_SC_PAGESIZE);
    c->mapping = mmap(NULL, c->page + COROUTINE_STACK, PROT_NONE,
                      /* cppcheck-suppress invalidFunctionArg ; MAP_ANONYMOUS wants -1 */
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (c->mapping == MAP_FAILED)
        return false;
    if (mprotect(stack_of(c), COROUTINE_STACK, PROT_READ | PROT_WRITE) == 0)
        return true;
    munmap(c->mapping, c->page + COROUTINE_STACK);
    return false;
}

bool coroutine_start(struct ev_loop *loop, void (*function)(void *context), void *context)
{
    struct coroutine *c = calloc(1, sizeof *c);

    if (!c || getcontext(&c->context) != 0 || !map_stack(c)) {
        free(c);
        return false;
    }
#ifdef HAS_ASAN
    __lsan_register_root_region(stack_of(c), COROUTINE_STACK);
#endif
    c->loop = loop;
    c->function = function;
    c->argument = context;
    c->context.uc_stack.ss_sp = stack_of(c);
    c->context.uc_stack.ss_size = COROUTINE_STACK;
    makecontext(&c->context, run, 0);
    ev_timer_init(&c->timer, on_timer, 0., 0.);
    c->timer.data = c;
    ev_timer_start(loop, &c->timer);
    return true;
}

struct coroutine *coroutine_current(void)
{
    return current && ev_depth(current->loop) == current->depth ? current : NULL;
}

/* ---- waiting */

double coroutine_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void turn_in(struct coroutine *c, double seconds)
{
    ev_timer_stop(c->loop, &c->timer);
    ev_timer_set(&c->timer, seconds > 0. ? seconds + ev_time() - ev_now(c->loop) : 0., 0.);
    ev_timer_start(c->loop, &c->timer);
}

bool coroutine_wait(double deadline)
{
    struct coroutine *c = current;

    if (!c->is_woken) {
        if (deadline >= 0.)
            turn_in(c, deadline - coroutine_now());
    } else {
        turn_in(c, 0.);
    }
    c->is_waiting = true;
    leave(c);
    ev_timer_stop(c->loop, &c->timer);
    if (!c->is_woken)
        return false;
    c->is_woken = false;
    return true;
}

void coroutine_wake(struct coroutine *c)
{
    if (!c || c->is_woken)
        return;
    c->is_woken = true;
    if (c->is_waiting)
        turn_in(c, 0.);
}
