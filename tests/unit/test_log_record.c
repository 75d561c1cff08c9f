/* test_log_record.c - lines of the log can be read back by a program, hold whatever a peer sent,
 * and can not be forged by it. Each value is written and then decoded here as a reader of logs
 * would do it. */
#include "daemon/log_record.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(log_record, .timeout = 10);

static const enum log_format formats[] = {LOG_TEXT, LOG_JSON};

static void expect_line(struct log_record *record, const char *expected)
{
    log_record_end(record);
    cr_assert_eq(record->length, strlen(expected), "%.*s", (int)record->length, record->bytes);
    cr_assert_arr_eq(record->bytes, expected, record->length, "%.*s", (int)record->length,
                     record->bytes);
}

Test(log_record, text_is_key_value_pairs)
{
    struct log_record r;

    log_record_begin(&r, LOG_TEXT);
    log_record_string(&r, "event", "session");
    log_record_number(&r, "id", 42);
    log_record_string(&r, "user", "");
    log_record_string(&r, "target", "[::1]:80");
    log_record_bytes(&r, "name", "ab\0cd", 5);
    expect_line(&r, "event=session id=42 user=- target=[::1]:80 name=\"ab\\x00cd\"\n");
}

Test(log_record, json_is_one_object)
{
    struct log_record r;

    log_record_begin(&r, LOG_JSON);
    log_record_string(&r, "event", "session");
    log_record_number(&r, "id", 42);
    log_record_string(&r, "user", "");
    log_record_bytes(&r, "name", "ab\0cd", 5);
    expect_line(&r, "{\"event\":\"session\",\"id\":42,\"user\":\"-\",\"name\":\"ab\\u0000cd\"}\n");
}

Test(log_record, record_without_fields_is_a_line_too)
{
    struct log_record r;

    log_record_begin(&r, LOG_TEXT);
    expect_line(&r, "\n");
    log_record_begin(&r, LOG_JSON);
    expect_line(&r, "{}\n");
}

Test(log_record, record_can_be_begun_again)
{
    struct log_record r;

    log_record_begin(&r, LOG_JSON);
    log_record_string(&r, "a", "b");
    log_record_end(&r);
    log_record_begin(&r, LOG_TEXT);
    log_record_string(&r, "c", "d");
    expect_line(&r, "c=d\n");
}

Test(log_record, numbers_are_written_whole)
{
    struct log_record r;

    log_record_begin(&r, LOG_TEXT);
    log_record_number(&r, "a", 0);
    log_record_number(&r, "b", 9);
    log_record_number(&r, "c", 10);
    log_record_number(&r, "d", UINT64_MAX);
    expect_line(&r, "a=0 b=9 c=10 d=18446744073709551615\n");
}

/* Only what cannot be mistaken stands without quotes. */
Test(log_record, text_is_quoted_where_needed)
{
    struct log_record r;

    log_record_begin(&r, LOG_TEXT);
    log_record_string(&r, "a", "b c");
    log_record_string(&r, "d", "e=f");
    log_record_string(&r, "g", "h\"i\\j");
    log_record_string(&r, "k", "l\nm\tn\x7F\xC3\xBC");
    log_record_string(&r, "o", "~!#[]{}:/@%'");
    expect_line(&r, "a=\"b c\" d=\"e=f\" g=\"h\\\"i\\\\j\" k=\"l\\x0am\\x09n\\x7f\\xc3\\xbc\" "
                    "o=~!#[]{}:/@%'\n");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t length_of(const uint8_t *value, const uint8_t *end)
{
    return value + 1 == end && *value == '-' ? 0 : (size_t)(end - value);
}

/* The value at `at`, which is quoted or (text only) not; returns what stands behind it. */
static const char *decode(enum log_format format, const char *at, const char *end, uint8_t *out,
                          size_t *ret_n)
{
    size_t skip = format == LOG_JSON ? 3 : 1; /* u00HH or xHH */
    uint8_t *to = out;

    if (*at != '"') {
        cr_assert_eq(format, LOG_TEXT);
        while (at < end && *at != ' ' && *at != '\n')
            *to++ = (uint8_t)*at++;
        *ret_n = length_of(out, to);
        return at;
    }
    for (at++; at < end && *at != '"'; at++) {
        cr_assert(*at >= ' ' && *at < 0x7F, "byte %d as it is", (unsigned char)*at);
        if (*at != '\\') {
            *to++ = (uint8_t)*at;
        } else if (*++at == '"' || *at == '\\') {
            *to++ = (uint8_t)*at;
        } else {
            cr_assert_arr_eq(at, format == LOG_JSON ? "u00" : "x", skip);
            at += skip;
            cr_assert(hex_digit(at[0]) >= 0 && hex_digit(at[1]) >= 0);
            *to++ = (uint8_t)(hex_digit(at[0]) << 4 | hex_digit(at[1]));
            at++;
        }
    }
    cr_assert_lt(at, end, "a quote is not closed");
    *ret_n = length_of(out, to);
    return at + 1;
}

/* Writes a value between two others and reads it back. */
static void expect_value_back(enum log_format format, const void *value, size_t n)
{
    const char *before = format == LOG_JSON ? "{\"a\":1,\"v\":" : "a=1 v=";
    const char *after = format == LOG_JSON ? ",\"z\":2}\n" : " z=2\n";
    uint8_t decoded[LOG_RECORD_MAX];
    struct log_record r;
    size_t decoded_n;
    const char *at;

    log_record_begin(&r, format);
    log_record_number(&r, "a", 1);
    log_record_bytes(&r, "v", value, n);
    log_record_number(&r, "z", 2);
    log_record_end(&r);
    cr_assert_arr_eq(r.bytes, before, strlen(before));
    at = decode(format, r.bytes + strlen(before), r.bytes + r.length, decoded, &decoded_n);
    cr_assert_eq(decoded_n, n);
    cr_assert_arr_eq(decoded, value, n);
    cr_assert_eq((size_t)(r.bytes + r.length - at), strlen(after));
    cr_assert_arr_eq(at, after, strlen(after));
}

Test(log_record, every_byte_comes_back_alone_and_among_others)
{
    for (int f = 0; f < 2; f++) {
        for (int byte = 0; byte < 256; byte++) {
            char alone = (char)byte, among[] = {'a', (char)byte, 'b'};

            if (byte != '-')
                expect_value_back(formats[f], &alone, 1);
            expect_value_back(formats[f], among, sizeof among);
        }
    }
}

Test(log_record, any_value_comes_back)
{
    uint64_t seed = 8259;

    for (int i = 0; i < 20000; i++) {
        uint8_t value[300];
        size_t n = random_below(&seed, sizeof value);

        random_fill(&seed, value, n);
        if (i % 2)
            for (size_t j = 0; j < n; j++)
                value[j] = (uint8_t) "\"\\= \nxu0-{}"[value[j] % 11];
        if (n == 1 && value[0] == '-')
            continue;
        expect_value_back(formats[i / 2 % 2], value, n);
    }
}

Test(log_record, no_value_can_forge_a_field_or_a_line)
{
    static const char *const forgeries[] = {
        "a\nevent=session error=none",
        "a error=none",
        "\" error=none",
        "\\",
        "\\\" error=none",
        "\",\"error\":\"",
        "a\r\n",
        "\x1B[2J",
        "a=b",
        "\"",
        "\xE2\x80\xA8line",
    };

    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        for (int f = 0; f < 2; f++) {
            struct log_record r;

            expect_value_back(formats[f], forgeries[i], strlen(forgeries[i]));
            log_record_begin(&r, formats[f]);
            log_record_string(&r, "v", forgeries[i]);
            log_record_end(&r);
            cr_assert_eq(memchr(r.bytes, '\n', r.length), r.bytes + r.length - 1);
        }
    }
}

/* As long as it is whole: a field is there or it is not. */
Test(log_record, record_that_is_full_leaves_out_whole_fields_only)
{
    static char value[LOG_RECORD_MAX * 2];
    uint64_t seed = 4096;

    memset(value, 'v', sizeof value);
    for (int i = 0; i < 3000; i++) {
        enum log_format format = formats[i % 2];
        struct {
            struct log_record record;
            char guard[8];
        } r = {.guard = "guarded"};
        const char *line = r.record.bytes, *at, *end;

        log_record_begin(&r.record, format);
        for (int field = 0; field < 20; field++) {
            size_t n = random_below(&seed, 1 + random_below(&seed, LOG_RECORD_MAX + 100));

            value[0] = i / 2 % 2 ? 'v' : ' ';
            if (field % 5 == 4)
                log_record_number(&r.record, "k", n);
            else
                log_record_bytes(&r.record, "k", value, n);
        }
        log_record_end(&r.record);
        cr_assert_str_eq(r.guard, "guarded");
        cr_assert_leq(r.record.length, LOG_RECORD_MAX);
        end = line + r.record.length;
        at = line + (format == LOG_JSON);
        while (at + 2 < end) {
            uint8_t decoded[LOG_RECORD_MAX];
            size_t n;

            cr_assert_arr_eq(at, format == LOG_JSON ? "\"k\":" : "k=", format == LOG_JSON ? 4 : 2);
            at += format == LOG_JSON ? 4 : 2;
            if (format == LOG_JSON && *at != '"')
                at += strspn(at, "0123456789");
            else
                at = decode(format, at, end, decoded, &n);
            at++; /* the blank or comma, or the end */
        }
        cr_assert_eq(end[-1], '\n');
        cr_assert(format == LOG_TEXT || (line[0] == '{' && end[-2] == '}'));
    }
}

Test(log_record, value_of_any_length_is_taken_or_left_out)
{
    static char value[LOG_RECORD_MAX * 2];

    for (int byte = 0; byte < 2; byte++) {
        memset(value, byte ? 'v' : '\x01', sizeof value);
        for (size_t n = 0; n < sizeof value; n += 7) {
            for (int f = 0; f < 2; f++) {
                struct log_record r;

                log_record_begin(&r, formats[f]);
                log_record_bytes(&r, "k", value, n);
                log_record_end(&r);
                cr_assert_leq(r.length, LOG_RECORD_MAX);
            }
        }
    }
}

/* What log_record.h promises: the fields of a session with the longest of everything. */
Test(log_record, session_line_with_the_worst_name_is_whole)
{
    static const char *const strings[] = {"time",     "event",         "listener", "client", "user",
                                          "protocol", "command",       "address",  "route",  "rule",
                                          "upstream", "upstream_peer", "errno"};
    static const char *const numbers[] = {"id", "sent", "received", "setup_ms", "duration_ms"};
    char name[255 + 6], word[65];

    memset(name, 0xFF, 255);
    memcpy(name + 255, ":65535", 6);
    memset(word, 'w', 64);
    word[64] = '\0';
    for (int f = 0; f < 2; f++) {
        const char *last = formats[f] == LOG_JSON ? ",\"error\":\"last\"}\n" : " error=last\n";
        struct log_record r;

        log_record_begin(&r, formats[f]);
        for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
            log_record_string(&r, strings[i], word);
        log_record_bytes(&r, "target", name, sizeof name);
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            log_record_number(&r, numbers[i], UINT64_MAX);
        log_record_string(&r, "error", "last");
        log_record_end(&r);
        cr_assert(memmem(r.bytes, r.length, "target", 6));
        cr_assert_arr_eq(r.bytes + r.length - strlen(last), last, strlen(last));
    }
}

/* Reading back: keys and values as they stand in the line. */
static void expect_field(enum log_format format, const char **at, const struct log_record *r,
                         const char *key, const char *value)
{
    struct log_field field;

    cr_assert(log_record_next(format, at, r->bytes + r->length, &field), "no %s", key);
    cr_assert_eq(field.key_length, strlen(key));
    cr_assert_arr_eq(field.key, key, field.key_length);
    cr_assert_eq(field.value_length, strlen(value), "%.*s", (int)field.value_length, field.value);
    cr_assert_arr_eq(field.value, value, field.value_length);
}

Test(log_record, fields_are_read_back_as_they_stand)
{
    for (int f = 0; f < 2; f++) {
        bool json = formats[f] == LOG_JSON;
        struct log_record r;
        struct log_field field;
        const char *at = r.bytes;

        log_record_begin(&r, formats[f]);
        log_record_string(&r, "event", "session");
        log_record_number(&r, "id", 42);
        log_record_string(&r, "user", "");
        log_record_string(&r, "a", "b c=\"d\\");
        log_record_string(&r, "n", "\n,}{:");
        log_record_number(&r, "z", 0);
        log_record_end(&r);
        expect_field(formats[f], &at, &r, "event", "session");
        expect_field(formats[f], &at, &r, "id", "42");
        expect_field(formats[f], &at, &r, "user", "-");
        expect_field(formats[f], &at, &r, "a", "b c=\\\"d\\\\");
        expect_field(formats[f], &at, &r, "n", json ? "\\u000a,}{:" : "\\x0a,}{:");
        expect_field(formats[f], &at, &r, "z", "0");
        cr_assert_not(log_record_next(formats[f], &at, r.bytes + r.length, &field));
        cr_assert_not(log_record_next(formats[f], &at, r.bytes + r.length, &field));
    }
}

Test(log_record, record_without_fields_is_read_back_as_none)
{
    for (int f = 0; f < 2; f++) {
        struct log_record r;
        struct log_field field;
        const char *at = r.bytes;

        log_record_begin(&r, formats[f]);
        log_record_end(&r);
        cr_assert_not(log_record_next(formats[f], &at, r.bytes + r.length, &field));
    }
}

Test(log_record, head_says_what_the_line_is)
{
    for (int f = 0; f < 2; f++) {
        struct log_record r;

        log_record_begin(&r, formats[f]);
        log_record_string(&r, "a", "b");
        log_record_end(&r);
        cr_assert_eq(r.head.format, formats[f]);
        cr_assert_eq(r.head.length, r.length);
    }
}
