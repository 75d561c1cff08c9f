/* test_handoff.c - texts there and back, and packets through a real channel. */
#include "daemon/handoff.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(handoff, .timeout = 10);

static void expect_same(const struct handoff_entry *entry)
{
    struct handoff_entry again;
    char text[HANDOFF_TEXT_MAX];

    handoff_format(entry, text);
    cr_assert(handoff_parse(text, &again), "%s", text);
    cr_assert_eq(again.kind, entry->kind);
    cr_assert_str_eq(again.name, entry->name);
    cr_assert_str_eq(again.path, entry->path);
    cr_assert(endpoint_equal(&again.asked, &entry->asked), "%s", text);
}

Test(handoff, entries_of_every_kind_are_read_as_they_were_written)
{
    for (int kind = HANDOFF_HELLO; kind <= HANDOFF_GO; kind++)
        expect_same(&(struct handoff_entry){.kind = (enum handoff_kind)kind, .name = "a b"});
    expect_same(&(struct handoff_entry){
        .kind = HANDOFF_LISTENER, .name = "main", .asked = {{IP_V4, {127, 0, 0, 1}}, 1080}});
    expect_same(
        &(struct handoff_entry){.kind = HANDOFF_LISTENER, .asked = {{IP_V6, {[15] = 1}}, 0}});
}

Test(handoff, name_that_is_too_long_is_cut_and_the_address_stays)
{
    struct handoff_entry entry = {.kind = HANDOFF_LISTENER, .asked = {{IP_V4, {1, 2, 3, 4}}, 5}};
    struct handoff_entry again;
    char text[HANDOFF_TEXT_MAX];

    memset(entry.name, 'x', sizeof entry.name - 1);
    handoff_format(&entry, text);
    cr_assert(handoff_parse(text, &again));
    cr_assert_gt(strlen(again.name), 800);
    cr_assert(endpoint_equal(&again.asked, &entry.asked));
}

Test(handoff, word_of_a_later_version_is_unknown_and_what_is_no_entry_is_refused)
{
    struct handoff_entry entry;

    cr_assert(handoff_parse("tickets\tx\t", &entry));
    cr_assert_eq(entry.kind, HANDOFF_UNKNOWN);
    cr_assert_not(handoff_parse("", &entry));
    cr_assert_not(handoff_parse("listener", &entry));
    cr_assert_not(handoff_parse("listener\tmain", &entry));
    cr_assert_not(handoff_parse("listener\tmain\tnowhere", &entry));
    cr_assert_not(handoff_parse("listener\tmain\t1.2.3.4:5 ", &entry));
}

Test(handoff, descriptors_come_in_order_and_close_on_exec)
{
    struct handoff_packet packet = {.text = "listener\tmain\t"}, got;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    for (int i = 0; i < HANDOFF_FDS_MAX; i++)
        packet.fds[packet.count++] = i % 2 ? STDIN_FILENO : pair[0];
    cr_assert_eq(handoff_receive(pair[1], &got), HANDOFF_AGAIN);
    cr_assert_eq(handoff_send(pair[0], &packet), HANDOFF_DONE);
    cr_assert_eq(handoff_receive(pair[1], &got), HANDOFF_DONE);
    cr_assert_str_eq(got.text, packet.text);
    cr_assert_eq(got.count, HANDOFF_FDS_MAX);
    for (unsigned i = 0; i < got.count; i++) {
        struct stat sent, received;

        cr_assert(fstat(packet.fds[i], &sent) == 0 && fstat(got.fds[i], &received) == 0);
        cr_assert_eq(sent.st_ino, received.st_ino);
        cr_assert(fcntl(got.fds[i], F_GETFD) & FD_CLOEXEC);
        close(got.fds[i]);
    }
    close(pair[0]);
    cr_assert_eq(handoff_receive(pair[1], &got), HANDOFF_OVER);
    cr_assert_eq(handoff_say(pair[1], HANDOFF_READY, NULL), HANDOFF_OVER);
    close(pair[1]);
}

Test(handoff, packet_that_is_too_large_is_broken_and_leaks_nothing)
{
    static char large[HANDOFF_TEXT_MAX + 1];
    struct handoff_packet got;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    memset(large, 'x', sizeof large);
    cr_assert_eq(send(pair[0], large, sizeof large, 0), sizeof large);
    cr_assert_eq(handoff_receive(pair[1], &got), HANDOFF_BROKEN);
    close(pair[0]);
    close(pair[1]);
}
