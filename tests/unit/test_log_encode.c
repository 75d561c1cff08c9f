/* test_log_encode.c - a line as a datagram: what a syslog daemon and the journal read in it is
 * what the record said, and nothing that a peer sent gets out of its place. Entries of the journal
 * are read here as journald does it. */
#include "daemon/log_encode.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(log_encode, .timeout = 10);

static const enum log_format formats[] = {LOG_TEXT, LOG_JSON};

static char out[LOG_DATAGRAM_MAX];

static struct log_line line_of(struct log_record *record, enum log_level level)
{
    log_record_end(record);
    record->head.level = (uint16_t)level;
    return (struct log_line){.head = record->head, .text = record->bytes, .stands_for = 1};
}

static void expect_out(size_t n, const char *expected)
{
    cr_assert_eq(n, strlen(expected), "%.*s", (int)n, out);
    cr_assert_arr_eq(out, expected, n, "%.*s", (int)n, out);
}

/* ---- syslog ---- */

Test(log_encode, syslog_is_what_the_library_sends)
{
    struct tm local = {.tm_mon = 10, .tm_mday = 3, .tm_hour = 7, .tm_min = 5, .tm_sec = 9};
    struct log_record r;
    struct log_line line;

    log_record_begin(&r, LOG_TEXT);
    log_record_string(&r, "event", "session");
    line = line_of(&r, LOG_LEVEL_INFO);
    expect_out(log_encode_syslog(&line, &local, 4711, out),
               "<30>Nov  3 07:05:09 pairsocksd[4711]: event=session");
}

Test(log_encode, each_level_has_its_priority)
{
    static const struct {
        enum log_level level;
        const char *syslog, *journal;
    } expected[] = {
        {LOG_LEVEL_ERROR, "<27>", "\nPRIORITY=3\n"},  {LOG_LEVEL_WARNING, "<28>", "\nPRIORITY=4\n"},
        {LOG_LEVEL_NOTICE, "<29>", "\nPRIORITY=5\n"}, {LOG_LEVEL_INFO, "<30>", "\nPRIORITY=6\n"},
        {LOG_LEVEL_DEBUG, "<31>", "\nPRIORITY=7\n"},
    };
    struct tm local = {.tm_mday = 1};

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct log_record r;
        struct log_line line;
        size_t n;

        log_record_begin(&r, LOG_JSON);
        line = line_of(&r, expected[i].level);
        log_encode_syslog(&line, &local, 1, out);
        cr_assert_arr_eq(out, expected[i].syslog, 4);
        n = log_encode_journal(&line, out);
        cr_assert(memmem(out, n, expected[i].journal, strlen(expected[i].journal)));
    }
}

Test(log_encode, months_do_not_depend_on_the_locale_and_all_of_them_are_there)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct log_record r;
    struct log_line line;

    log_record_begin(&r, LOG_TEXT);
    log_record_string(&r, "a", "b");
    line = line_of(&r, LOG_LEVEL_INFO);
    for (size_t i = 0; i < 12; i++) {
        struct tm local = {.tm_mon = (int)i, .tm_mday = 31};

        log_encode_syslog(&line, &local, 1, out);
        cr_assert_arr_eq(out + 4, names + 3 * i, 3);
        cr_assert_arr_eq(out + 7, " 31 00:00:00 ", 13);
    }
}

/* ---- the journal ---- */

struct journal_field {
    char name[65];
    const char *value;
    size_t n;
};

/* The fields of an entry, in their order, by the rules of the protocol. */
static size_t read_entry(const char *at, size_t length, struct journal_field *fields, size_t max)
{
    const char *end = at + length;
    size_t count = 0;

    while (at < end) {
        struct journal_field *field = &fields[count++];
        const char *name = at;

        cr_assert_leq(count, max);
        while (at < end && *at != '=' && *at != '\n')
            cr_assert(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *at++), "%s", name);
        cr_assert(at < end && at > name && at - name <= 64 && *name != '_');
        memcpy(field->name, name, (size_t)(at - name));
        field->name[at - name] = '\0';
        if (*at++ == '=') {
            field->value = at;
            at = memchr(at, '\n', (size_t)(end - at));
            cr_assert(at);
            field->n = (size_t)(at - field->value);
        } else {
            cr_assert_geq(end - at, 8);
            field->n = 0;
            for (unsigned i = 8; i--;)
                field->n = field->n << 8 | (uint8_t)at[i];
            field->value = at + 8;
            cr_assert_lt(field->n, (size_t)(end - field->value));
            at = field->value + field->n;
        }
        cr_assert_eq(*at++, '\n');
    }
    return count;
}

Test(log_encode, journal_has_a_field_for_each_key)
{
    struct log_record r;
    struct log_line line;

    log_record_begin(&r, LOG_TEXT);
    log_record_string(&r, "event", "session");
    log_record_number(&r, "setup_ms", 12);
    log_record_string(&r, "user", "");
    log_record_string(&r, "target", "a b=\"c\\\n.example:80");
    line = line_of(&r, LOG_LEVEL_INFO);
    expect_out(log_encode_journal(&line, out),
               "MESSAGE=event=session setup_ms=12 user=- target=\"a b=\\\"c\\\\\\x0a.example:80\"\n"
               "PRIORITY=6\n"
               "SYSLOG_FACILITY=3\n"
               "SYSLOG_IDENTIFIER=pairsocksd\n"
               "PAIRSOCKS_EVENT=session\n"
               "PAIRSOCKS_SETUP_MS=12\n"
               "PAIRSOCKS_USER=-\n"
               "PAIRSOCKS_TARGET=a b=\\\"c\\\\\\x0a.example:80\n");
}

Test(log_encode, journal_fields_are_the_same_in_json)
{
    struct log_record r;
    struct log_line line;

    log_record_begin(&r, LOG_JSON);
    log_record_string(&r, "event", "session");
    log_record_number(&r, "setup_ms", 12);
    log_record_string(&r, "user", "");
    log_record_string(&r, "target", "\\u000a\xC3\n");
    line = line_of(&r, LOG_LEVEL_INFO);
    expect_out(log_encode_journal(&line, out),
               "MESSAGE={\"event\":\"session\",\"setup_ms\":12,\"user\":\"-\","
               "\"target\":\"\\\\u000a\\u00c3\\u000a\"}\n"
               "PRIORITY=6\n"
               "SYSLOG_FACILITY=3\n"
               "SYSLOG_IDENTIFIER=pairsocksd\n"
               "PAIRSOCKS_EVENT=session\n"
               "PAIRSOCKS_SETUP_MS=12\n"
               "PAIRSOCKS_USER=-\n"
               "PAIRSOCKS_TARGET=\\\\u000a\\xc3\\x0a\n");
}

/* As in text: what is not printable ASCII is \xHH, quotes and backslashes have a backslash. */
static size_t escaped(const uint8_t *value, size_t n, char *to)
{
    char *at = to;

    if (n == 0)
        *at++ = '-';
    for (size_t i = 0; i < n; i++)
        at += sprintf(at,
                      value[i] == '"' || value[i] == '\\'  ? "\\%c"
                      : value[i] < ' ' || value[i] >= 0x7F ? "\\x%02x"
                                                           : "%c",
                      value[i]);
    return (size_t)(at - to);
}

static void expect_entry(enum log_format format, const uint8_t *value, size_t n)
{
    static const char *const names[] = {"MESSAGE",           "PRIORITY",    "SYSLOG_FACILITY",
                                        "SYSLOG_IDENTIFIER", "PAIRSOCKS_A", "PAIRSOCKS_V",
                                        "PAIRSOCKS_Z"};
    struct journal_field fields[8];
    char expected[LOG_RECORD_MAX];
    struct log_record r;
    struct log_line line;
    size_t count, expected_n = escaped(value, n, expected);

    log_record_begin(&r, format);
    log_record_number(&r, "a", 1);
    log_record_bytes(&r, "v", (const char *)value, n);
    log_record_number(&r, "z", 2);
    line = line_of(&r, LOG_LEVEL_INFO);
    count = read_entry(out, log_encode_journal(&line, out), fields, 8);
    cr_assert_eq(count, 7);
    for (size_t i = 0; i < count; i++)
        cr_assert_str_eq(fields[i].name, names[i]);
    cr_assert_eq(fields[0].n, r.length - 1);
    cr_assert_arr_eq(fields[0].value, r.bytes, fields[0].n);
    cr_assert(fields[4].n == 1 && *fields[4].value == '1');
    cr_assert_eq(fields[5].n, expected_n, "%.*s", (int)fields[5].n, fields[5].value);
    cr_assert_arr_eq(fields[5].value, expected, expected_n);
    cr_assert(fields[6].n == 1 && *fields[6].value == '2');
}

Test(log_encode, no_value_gets_out_of_its_field)
{
    static const char *const forgeries[] = {
        "a\nPRIORITY=0",
        "a\nPAIRSOCKS_ERROR=none\n",
        "\"\nMESSAGE=x",
        "\",\"error\":\"none",
        "\\",
        "\\\"",
        "\\\\\"\n",
        "a=b c=d",
        "\xE2\x80\xA8",
        "\\u000aPRIORITY=0",
        "\x1B[2J",
        "-",
    };
    uint64_t seed = 5424;

    for (int f = 0; f < 2; f++) {
        for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++)
            expect_entry(formats[f], (const uint8_t *)forgeries[i], strlen(forgeries[i]));
        for (int byte = 0; byte < 256; byte++)
            expect_entry(formats[f], &(uint8_t){(uint8_t)byte}, 1);
        expect_entry(formats[f], (const uint8_t *)"", 0);
    }
    for (int i = 0; i < 10000; i++) {
        uint8_t value[300];
        size_t n = random_below(&seed, sizeof value);

        random_fill(&seed, value, n);
        if (i % 2)
            for (size_t j = 0; j < n; j++)
                value[j] = (uint8_t) "\"\\= \nxu0-{},:A"[value[j] % 14];
        expect_entry(formats[i / 2 % 2], value, n);
    }
}

/* A record that holds as many keys, or as long a value, as there is room for. */
Test(log_encode, the_fullest_record_fits)
{
    static const size_t lengths[] = {0, 1, 20, 600, LOG_RECORD_MAX};
    static char value[LOG_RECORD_MAX];
    struct tm local = {.tm_mday = 1};

    for (int i = 0; i < 20; i++) {
        static struct journal_field fields[LOG_RECORD_MAX];
        struct {
            char bytes[LOG_DATAGRAM_MAX], guard[8];
        } guarded = {.guard = "guarded"};
        struct log_record r;
        struct log_line line;
        size_t length, n, count;

        memset(value, i % 4 / 2 ? '\n' : 'v', sizeof value);
        log_record_begin(&r, formats[i % 2]);
        for (length = 0; r.length != length;) {
            length = r.length;
            log_record_bytes(&r, "k", value, lengths[i / 4]);
        }
        for (n = LOG_RECORD_MAX; n--;)
            log_record_bytes(&r, "last", value, n);
        line = line_of(&r, LOG_LEVEL_INFO);
        n = log_encode_syslog(&line, &local, 4194304, guarded.bytes);
        cr_assert_leq(n, LOG_DATAGRAM_MAX);
        cr_assert_arr_eq(guarded.bytes + n - r.length + 1, r.bytes, r.length - 1);
        n = log_encode_journal(&line, guarded.bytes);
        cr_assert_leq(n, LOG_DATAGRAM_MAX);
        count = read_entry(guarded.bytes, n, fields, LOG_RECORD_MAX);
        cr_assert_geq(count, 4);
        cr_assert_eq(fields[0].n, r.length - 1);
        cr_assert_str_eq(guarded.guard, "guarded");
    }
}

/* ---- one field ---- */

Test(log_encode, value_with_a_newline_has_its_length_in_front)
{
    expect_out(log_encode_field(out, sizeof out, "NAME", "a=b", 3), "NAME=a=b\n");
    expect_out(log_encode_field(out, sizeof out, "NAME", "", 0), "NAME=\n");
    cr_assert_eq(log_encode_field(out, sizeof out, "NAME", "a\nB=c", 5), 19);
    cr_assert_arr_eq(out, "NAME\n\5\0\0\0\0\0\0\0a\nB=c\n", 19);
}

Test(log_encode, length_of_a_value_is_little_endian)
{
    static char value[0x0201];

    memset(value, '\n', sizeof value);
    cr_assert_eq(log_encode_field(out, sizeof out, "N", value, sizeof value), 11 + sizeof value);
    cr_assert_arr_eq(out, "N\n\1\2\0\0\0\0\0\0\n", 11);
}

Test(log_encode, field_is_written_whole_or_not_at_all)
{
    for (int newline = 0; newline < 2; newline++) {
        const char *value = newline ? "1\n3" : "123";
        bool written = false;

        for (size_t room = 0; room < 40; room++) {
            size_t n;

            memset(out, '#', 41);
            n = log_encode_field(out, room, "NAME", value, 3);
            cr_assert(n ? n == (newline ? 17 : 9) && n <= room : !written);
            cr_assert_eq(out[n], '#');
            written = n > 0;
        }
        cr_assert(written);
    }
}

Test(log_encode, any_bytes_come_back_from_their_field)
{
    uint64_t seed = 7;

    for (int i = 0; i < 5000; i++) {
        struct journal_field fields[2];
        uint8_t value[100];
        size_t n = random_below(&seed, sizeof value), used;

        random_fill(&seed, value, n);
        if (n && i % 2)
            value[random_below(&seed, n)] = '\n';
        used = log_encode_field(out, sizeof out, "A", (const char *)value, n);
        used += log_encode_field(out + used, sizeof out - used, "B", "end", 3);
        cr_assert_eq(read_entry(out, used, fields, 2), 2);
        cr_assert(strcmp(fields[0].name, "A") == 0 && fields[0].n == n);
        cr_assert_arr_eq(fields[0].value, value, n);
        cr_assert(strcmp(fields[1].name, "B") == 0 && fields[1].n == 3);
    }
}
