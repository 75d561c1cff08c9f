/* test_inspect.c - the control plane gets what the workers say, and waits for none of them. The workers here
 * are boxes of letters, which the tests answer, or do not. */
#include "daemon/inspect.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(inspect, .timeout = 20);

enum { WORKERS = 3 };

static struct worker boxes[WORKERS];
static struct workers workers = {.worker = boxes, .count = WORKERS};
static struct ev_loop *loop;
static struct inspector *inspector;
static unsigned woken;

/* What the callback was told. */
static struct {
    unsigned calls, count, silent;
    uint64_t total, ids[16];
    char target[64];
    bool is_closed;
} told;

static void on_woken(void *context)
{
    woken++;
}

static void on_answer(void *context, const struct inspect_answer *answer)
{
    told.calls++;
    told.count = answer->count;
    told.total = answer->total;
    told.silent = answer->silent;
    told.is_closed = answer->is_closed;
    for (unsigned i = 0; i < answer->count; i++)
        told.ids[i] = answer->sessions[i].id;
    if (answer->count)
        strcpy(told.target, answer->sessions[0].target);
    ev_break(loop, EVBREAK_ALL);
}

static void set_up(void)
{
    loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    inspector = inspector_new(loop, &workers);
    for (unsigned i = 0; i < WORKERS; i++)
        inspect_inbox_init(&boxes[i].letters, on_woken, NULL);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        inspect_inbox_done(&boxes[i].letters);
    inspector_free(inspector);
    ev_loop_destroy(loop);
}

/* The worker says that it has these sessions, each `age` apart, the newest first. */
static void answer_list(unsigned worker, uint64_t id, unsigned count, uint64_t age, uint64_t total)
{
    struct inspect_letter *letter = inspect_inbox_next(&boxes[worker].letters);

    cr_assert_not_null(letter);
    letter->texts = strdup("target:80");
    letter->sessions = calloc(count + 1, sizeof *letter->sessions);
    for (unsigned i = 0; i < count; i++)
        letter->sessions[i] =
            (struct session_facts){.id = id - i, .age = age * (i + 1), .target = letter->texts};
    letter->count = count;
    letter->total = total;
    inspect_answered(letter);
}

Test(inspect, parts_of_all_workers_are_one_list_the_oldest_first)
{
    set_up();
    cr_assert_not_null(inspect_sessions(inspector, 10, on_answer, NULL));
    cr_assert_eq(woken, WORKERS);
    answer_list(2, 12, 2, 10, 2); /* 12 and 11, 10 and 20 ms old */
    answer_list(0, 22, 2, 15, 2); /* 22 and 21, 15 and 30 ms old */
    answer_list(1, 30, 0, 0, 0);
    cr_assert_eq(told.calls, 0, "called from a worker's thread");
    ev_run(loop, 0);
    cr_assert_eq(told.calls, 1);
    cr_assert_eq(told.count, 4);
    cr_assert_eq(told.total, 4);
    cr_assert_eq(told.silent, 0);
    cr_assert_arr_eq(told.ids, ((uint64_t[]){21, 11, 22, 12}), 4 * sizeof(uint64_t));
    cr_assert_str_eq(told.target, "target:80");
    tear_down();
}

Test(inspect, of_too_many_the_newest_are_told_and_all_are_counted)
{
    set_up();
    inspect_sessions(inspector, 3, on_answer, NULL);
    answer_list(0, 12, 2, 10, 2);
    answer_list(1, 23, 3, 15, 500); /* 23, 22, 21: 15, 30, 45 ms old */
    answer_list(2, 30, 0, 0, 0);
    ev_run(loop, 0);
    cr_assert_eq(told.count, 3);
    cr_assert_eq(told.total, 502);
    cr_assert_arr_eq(told.ids, ((uint64_t[]){11, 23, 12}), 3 * sizeof(uint64_t));
    tear_down();
}

Test(inspect, silent_worker_is_left_out_and_counted)
{
    set_up();
    inspect_sessions(inspector, 10, on_answer, NULL);
    answer_list(0, 1, 1, 5, 1);
    answer_list(2, 2, 1, 5, 1);
    ev_run(loop, 0); /* for INSPECT_DEADLINE_MS */
    cr_assert_eq(told.calls, 1);
    cr_assert_eq(told.silent, 1);
    cr_assert_eq(told.count, 2);
    answer_list(1, 3, 1, 5, 1); /* too late, and harmless */
    ev_run(loop, EVRUN_NOWAIT);
    cr_assert_eq(told.calls, 1);
    tear_down();
}

Test(inspect, closing_finds_the_one_who_has_the_session)
{
    struct inspect_letter *letter;

    set_up();
    inspect_close(inspector, 77, on_answer, NULL);
    for (unsigned i = 0; i < WORKERS; i++) {
        letter = inspect_inbox_next(&boxes[i].letters);
        cr_assert(letter->order->closes);
        cr_assert_eq(letter->order->id, 77);
        letter->is_closed = i == 1;
        inspect_answered(letter);
    }
    ev_run(loop, 0);
    cr_assert(told.is_closed);
    tear_down();
}

Test(inspect, worker_that_has_ended_has_no_sessions)
{
    set_up();
    inspect_inbox_close(&boxes[0].letters);
    inspect_sessions(inspector, 10, on_answer, NULL);
    inspect_inbox_close(&boxes[1].letters); /* with the letter in it */
    answer_list(2, 1, 1, 5, 1);
    ev_run(loop, 0);
    cr_assert_eq(told.silent, 0);
    cr_assert_eq(told.total, 1);
    tear_down();
}

Test(inspect, cancelled_one_is_not_called_and_its_letters_say_so)
{
    struct inspect_letter *letter;

    set_up();
    inspect_cancel(inspect_sessions(inspector, 10, on_answer, NULL));
    for (unsigned i = 0; i < WORKERS; i++) {
        letter = inspect_inbox_next(&boxes[i].letters);
        cr_assert(atomic_load(&letter->order->is_dropped));
        inspect_answered(letter);
    }
    ev_run(loop, EVRUN_NOWAIT);
    cr_assert_eq(told.calls, 0);
    tear_down();
}

Test(inspect, letters_that_nobody_reads_are_bounded)
{
    unsigned lying = 0;

    set_up();
    for (unsigned i = 0; i < 2 * INSPECT_LETTERS_MAX; i++)
        inspect_cancel(inspect_sessions(inspector, 10, on_answer, NULL));
    for (struct inspect_letter *letter; (letter = inspect_inbox_next(&boxes[0].letters)); lying++)
        inspect_answered(letter);
    cr_assert_eq(lying, INSPECT_LETTERS_MAX);
    tear_down();
}
