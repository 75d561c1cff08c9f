/* test_poller.c - edges, the line of the next turn, and descriptors that are closed while their events
 * are on the way. */
#include "streams/poller.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(poller, .timeout = 10);

struct side {
    struct poll_watch watch;
    struct poller *poller;
    int fd, calls, told;
    struct side *removes; /* when it is called */
    bool asks_again;
};

static struct ev_loop *loop;

static void on_ready(struct poll_watch *watch, int events)
{
    struct side *side = (struct side *)watch;

    side->calls++;
    side->told |= events;
    if (side->removes) {
        poller_remove(&side->removes->watch, -1);
        close(side->removes->fd);
    }
    if (side->asks_again)
        poller_again(side->poller, watch);
}

static void make_pair(struct side *a, struct side *b)
{
    int fds[2];

    loop = ev_default_loop(EVFLAG_NOENV);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *a = (struct side){.poller = poller_of(loop), .fd = fds[0]};
    *b = (struct side){.poller = poller_of(loop), .fd = fds[1]};
    cr_assert_eq(a->poller, b->poller, "one for each loop");
    poll_watch_init(&a->watch, on_ready);
    poll_watch_init(&b->watch, on_ready);
}

static void turn(void)
{
    ev_run(loop, EVRUN_NOWAIT);
}

static void forget(struct side *a, struct side *b)
{
    a->calls = a->told = b->calls = b->told = 0;
}

Test(poller, what_is_ready_already_is_told_once)
{
    struct side a, b;

    make_pair(&a, &b);
    cr_assert_eq(write(b.fd, "x", 1), 1);
    cr_assert(poller_add(a.poller, &a.watch, a.fd));
    turn();
    cr_assert_eq(a.calls, 1);
    cr_assert_eq(a.told, INTEREST_READ | INTEREST_WRITE);
    forget(&a, &b);
    turn();
    cr_assert_eq(a.calls, 0, "no new edge");
    cr_assert_eq(write(b.fd, "y", 1), 1);
    turn();
    cr_assert(a.told & INTEREST_READ);
    forget(&a, &b);
    close(b.fd);
    turn();
    cr_assert(a.told & POLLER_ENDED);
    poller_remove(&a.watch, -1);
    close(a.fd);
    poller_unref(a.poller);
    poller_unref(b.poller);
}

Test(poller, an_urgent_byte_is_told_as_such)
{
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_storage sa = {.ss_family = AF_INET};
    socklen_t length = sizeof sa;
    struct side a, b;

    make_pair(&a, &b);
    close(a.fd);
    close(b.fd);
    cr_assert_eq(bind(listening, (struct sockaddr *)&sa, 16), 0);
    cr_assert_eq(listen(listening, 1), 0);
    cr_assert_eq(getsockname(listening, (struct sockaddr *)&sa, &length), 0);
    b.fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(b.fd, (struct sockaddr *)&sa, length), 0);
    a.fd = accept(listening, NULL, NULL);
    cr_assert(poller_add(a.poller, &a.watch, a.fd));
    turn();
    forget(&a, &b);
    cr_assert_eq(send(b.fd, "!", 1, MSG_OOB), 1);
    turn();
    cr_assert(a.told & POLLER_URGENT);
    poller_remove(&a.watch, -1);
    close(a.fd);
    close(b.fd);
    close(listening);
}

Test(poller, who_is_removed_by_another_in_the_same_turn_hears_nothing)
{
    struct side a, b;

    make_pair(&a, &b);
    a.removes = &b;
    b.removes = &a;
    cr_assert(poller_add(a.poller, &a.watch, a.fd));
    cr_assert(poller_add(b.poller, &b.watch, b.fd));
    turn();
    cr_assert_eq(a.calls + b.calls, 1);
}

Test(poller, a_descriptor_that_lives_on_in_a_child_says_nothing_to_its_slots_next_user)
{
    struct side a, b, other, peer;
    int copy;

    make_pair(&a, &b);
    make_pair(&other, &peer);
    cr_assert(poller_add(a.poller, &a.watch, a.fd));
    turn();
    copy = dup(a.fd); /* as a fork holds it */
    poller_remove(&a.watch, -1);
    close(a.fd);
    cr_assert(poller_add(other.poller, &other.watch, other.fd));
    turn();
    forget(&a, &other);
    cr_assert_eq(write(b.fd, "x", 1), 1);
    turn();
    cr_assert_eq(a.calls + other.calls, 0);
    close(copy);
}

Test(poller, a_descriptor_that_stays_open_is_not_told_any_more)
{
    struct side a, b;

    make_pair(&a, &b);
    cr_assert(poller_add(a.poller, &a.watch, a.fd));
    poller_remove(&a.watch, a.fd);
    turn();
    cr_assert_eq(a.calls, 0);
    cr_assert(poller_add(a.poller, &a.watch, a.fd), "it can be added again");
    turn();
    cr_assert_eq(a.calls, 1);
}

Test(poller, a_moved_watch_is_told_what_comes)
{
    struct side a, b, heir;

    make_pair(&a, &b);
    heir = a;
    poll_watch_init(&heir.watch, on_ready);
    cr_assert(poller_add(a.poller, &a.watch, a.fd));
    poller_move(&a.watch, &heir.watch);
    turn();
    cr_assert_eq(a.calls, 0);
    cr_assert_eq(heir.calls, 1);
    cr_assert_not(poll_watch_is_added(&a.watch));
}

Test(poller, asking_again_is_one_call_in_each_turn)
{
    struct side a, b;

    make_pair(&a, &b);
    a.asks_again = true;
    poller_again(a.poller, &a.watch);
    poller_again(a.poller, &a.watch);
    for (int i = 1; i <= 3; i++) {
        turn();
        cr_assert_eq(a.calls, i);
        cr_assert_eq(a.told, 0);
    }
    poller_not_again(&a.watch);
    turn();
    cr_assert_eq(a.calls, 3);
}

Test(poller, who_leaves_the_line_at_any_place_leaves_the_others_in_it)
{
    enum { N = 5 };
    struct side sides[N] = {0}, a, b;

    make_pair(&a, &b);
    for (int gone = 0; gone < N; gone++) {
        for (int i = 0; i < N; i++) {
            sides[i] = (struct side){.poller = a.poller};
            poll_watch_init(&sides[i].watch, on_ready);
            poller_again(a.poller, &sides[i].watch);
        }
        poller_not_again(&sides[gone].watch);
        poller_again(a.poller, &a.watch);
        a.calls = 0;
        turn();
        for (int i = 0; i < N; i++)
            cr_assert_eq(sides[i].calls, i != gone);
        cr_assert_eq(a.calls, 1, "the end of the line was found");
    }
}

Test(poller, a_loop_with_nothing_but_the_poller_ends)
{
    struct ev_loop *own = ev_loop_new(EVFLAG_NOENV);
    struct poller *poller = poller_of(own);

    cr_assert_not_null(poller);
    ev_run(own, 0); /* returns */
    poller_unref(poller);
    ev_loop_destroy(own);
}
