/* session_refuse.c - saying no so that it arrives. */
#include "daemon/session_machine.h"

/* A refusal must reach a client that is still sending: closing with unread bytes would reset the
 * connection under it. So what comes is thrown away, for so long and so much. */
enum { LINGER_BYTES = 16 * 1024 * 1024, LINGER_READS_A_TURN = 4 };

void session_say(struct session *s, const struct answer *answer)
{
    const uint8_t *at = answer->bytes;
    size_t n = answer->length, written = 0;
    enum io result = IO_AGAIN;

    if (n == 0 || s->client.write_status != STREAM_OPEN)
        return;
    if (!relay_wants_write(&s->down))
        result = pair_write(&s->client, at, n, &written);
    if (result == IO_ERROR ||
        !buffer_append(&s->down.waiting, s->worker->tools.pool, at + written, n - written))
        session_end(s, stream_error_of(ERROR_CLIENT_GONE));
    s->down.bytes -= (int64_t)(n - written);
    s->down_progress.moved = session_now(s);
}

void session_refuse(struct session *s, struct stream_error error, const struct answer *answer)
{
    stream_error_keep_first(&s->error, error);
    buffer_clear(&s->up.waiting, s->worker->tools.pool);
    session_set_state(s, SESSION_REFUSING);
    s->active = session_now(s);
    session_say(s, answer);
}

bool session_step_refusing(struct session *s)
{
    if (relay_flush(&s->down, &s->worker->tools) == RELAY_WRITE_FAILED) {
        session_end(s, s->error);
        return false;
    }
    if (relay_wants_write(&s->down))
        return false;
    if (pair_end(&s->client) == IO_ERROR) {
        session_end(s, s->error);
        return false;
    }
    for (int i = 0; i < LINGER_READS_A_TURN; i++) {
        size_t n = 0;
        enum io result = pair_read(&s->client, s->worker->tools.scratch, RELAY_SCRATCH, &n);

        if (result == IO_AGAIN)
            return false;
        s->discarded += n;
        if (result != IO_OK || s->discarded > LINGER_BYTES) {
            session_end(s, s->error);
            return false;
        }
    }
    return false;
}
