/* test_proxy_protocol.c - the header of the PROXY protocol, versions 1 and 2: what is taken and
 * from which byte on anything else is refused, that nothing depends on how it arrived, and that
 * what is written is read back. Whoever may send such a header says who a client is: nothing
 * here is taken that the document does not have. */
#include "streams/proxy_protocol.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(proxy_protocol, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct outcome {
    enum parse parsed;
    size_t consumed;
    struct proxy_header header;
    struct stream_error error;
};

static bool is_filled(const void *what, size_t n)
{
    const uint8_t *bytes = what;

    while (n)
        if (bytes[--n] != 0xA5)
            return false;
    return true;
}

/* Parses a copy of exactly `n` bytes, so that a sanitizer sees the first byte read behind it. */
static struct outcome parse(const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct outcome o;
    struct cursor in;

    cr_assert(copy);
    memcpy(copy, bytes, n);
    memset(&o, 0xA5, sizeof o);
    in = cursor_over(copy, n);
    o.parsed = proxy_parse_header(&in, &o.header, &o.error);
    o.consumed = (size_t)(in.at - copy);
    cr_assert(in.at >= copy && in.at <= copy + n && in.end == copy + n);
    free(copy);
    cr_assert_eq(is_filled(&o.error, sizeof o.error), o.parsed != PARSE_BAD);
    if (o.parsed == PARSE_BAD)
        cr_assert(stream_error_is(&o.error, ERROR_PROTOCOL_PROXY_BAD));
    if (o.parsed != PARSE_DONE)
        cr_assert(is_filled(&o.header, sizeof o.header));
    if (o.parsed == PARSE_MORE)
        cr_assert_eq(o.consumed, 0);
    return o;
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define HEADER(bytes)                                                                              \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }

struct bytes {
    const char *at;
    size_t n;
};

static const struct {
    struct bytes header;
    uint8_t version;
    const char *source, *destination; /* as endpoint_format() has them; "-" = is_local */
} taken[] = {
    {HEADER("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), 1, "192.168.0.1:56324",
     "192.168.0.11:443"},
    {HEADER("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), 1,
     "255.255.255.255:65535", "255.255.255.255:65535"},
    {HEADER("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), 1, "0.0.0.0:0", "0.0.0.0:0"},
    {HEADER("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), 1, "[2001:db8::1]:1", "[::1]:2"},
    {HEADER("PROXY TCP6 2001:DB8::A ::B 1 2\r\n"), 1, "[2001:db8::a]:1", "[::b]:2"},
    {HEADER("PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0001 :: 1 2\r\n"), 1, "[2001:db8::1]:1",
     "[::]:2"},
    {HEADER("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {HEADER("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"), 1, "[::ffff:192.0.2.1]:1",
     "[::ffff:192.0.2.2]:2"},
    {HEADER("PROXY UNKNOWN\r\n"), 1, "-", "-"},
    {HEADER("PROXY UNKNOWN \r\n"), 1, "-", "-"},
    {HEADER("PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n"), 1, "-", "-"},
    {HEADER("PROXY UNKNOWN \0\x01\x80 any  thing\t\r\n"), 1, "-", "-"},
    {HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     1, "-", "-"},
    {HEADER(SIGNATURE "\x21\x11\0\x0C\xC0\xA8\0\1\xC0\xA8\0\x0B\xDC\x04\1\xBB"), 2,
     "192.168.0.1:56324", "192.168.0.11:443"},
    {HEADER(SIGNATURE "\x21\x21\0\x24"
                      "\x20\1\xD\xB8\0\0\0\0\0\0\0\0\0\0\0\1"
                      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                      "\0\1\0\2"),
     2, "[2001:db8::1]:1", "[::1]:2"},
    {HEADER(SIGNATURE "\x21\x11\0\x0F\1\2\3\4\5\6\7\x8\0\1\0\2\x04\0\0"), 2, "1.2.3.4:1",
     "5.6.7.8:2"},
    {HEADER(SIGNATURE "\x21\x11\0\x16\1\2\3\4\5\6\7\x8\0\1\0\2\x02\0\1a\x04\0\0\xEE\0\0"), 2,
     "1.2.3.4:1", "5.6.7.8:2"},
    {HEADER(SIGNATURE "\x20\x00\0\0"), 2, "-", "-"},
    {HEADER(SIGNATURE "\x20\x11\0\x0C\1\2\3\4\5\6\7\x8\0\1\0\2"), 2, "-", "-"},
    /* Of LOCAL nothing is looked at but the length. */
    {HEADER(SIGNATURE "\x20\x11\0\0"), 2, "-", "-"},
    {HEADER(SIGNATURE "\x20\x12\0\1x"), 2, "-", "-"},
    {HEADER(SIGNATURE "\x20\xFF\0\3\1\xFF\xFF"), 2, "-", "-"},
    /* Addresses that are none. */
    {HEADER(SIGNATURE "\x21\x00\0\0"), 2, "-", "-"},
    {HEADER(SIGNATURE "\x21\x00\0\x0C\1\2\3\4\5\6\7\x8\0\1\0\2"), 2, "-", "-"},
    {HEADER(SIGNATURE "\x21\x01\0\1x"), 2, "-", "-"},
    {HEADER(SIGNATURE "\x21\x10\0\x0C\1\2\3\4\5\6\7\x8\0\1\0\2"), 2, "-", "-"},
};

static void expect_taken(size_t i, const struct outcome *o)
{
    char text[ENDPOINT_TEXT_MAX];

    cr_assert_eq(o->parsed, PARSE_DONE, "row %zu", i);
    cr_assert_eq(o->consumed, taken[i].header.n, "row %zu", i);
    cr_assert_eq(o->header.version, taken[i].version, "row %zu", i);
    cr_assert_eq(o->header.is_local, strcmp(taken[i].source, "-") == 0, "row %zu", i);
    endpoint_format(&o->header.source, text);
    cr_assert_str_eq(text, taken[i].source);
    endpoint_format(&o->header.destination, text);
    cr_assert_str_eq(text, taken[i].destination);
    if (o->header.is_local)
        cr_assert(o->header.source.port == 0 && o->header.destination.port == 0);
}

Test(proxy_protocol, headers_are_taken)
{
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct outcome o = parse(taken[i].header.at, taken[i].header.n);

        expect_taken(i, &o);
    }
}

Test(proxy_protocol, every_prefix_waits_for_more)
{
    for (size_t i = 0; i < COUNT(taken); i++)
        for (size_t n = 0; n < taken[i].header.n; n++)
            cr_assert_eq(parse(taken[i].header.at, n).parsed, PARSE_MORE, "row %zu at %zu", i, n);
}

/* What follows is the client's, and may be a header itself. */
Test(proxy_protocol, bytes_behind_a_header_are_not_consumed)
{
    for (size_t i = 0; i < COUNT(taken); i++) {
        for (size_t j = 0; j < COUNT(taken); j++) {
            uint8_t bytes[600];
            struct outcome o;

            memcpy(mempcpy(bytes, taken[i].header.at, taken[i].header.n), taken[j].header.at,
                   taken[j].header.n);
            o = parse(bytes, taken[i].header.n + taken[j].header.n);
            expect_taken(i, &o);
        }
    }
}

Test(proxy_protocol, no_bytes_are_no_header_yet)
{
    struct cursor in = cursor_over(NULL, 0);
    struct proxy_header header;
    struct stream_error error;

    cr_assert_eq(proxy_parse_header(&in, &header, &error), PARSE_MORE);
}

Test(proxy_protocol, only_two_bytes_begin_a_header)
{
    for (int byte = 0; byte < 256; byte++) {
        uint8_t first = (uint8_t)byte;

        cr_assert_eq(parse(&first, 1).parsed, byte == 'P' || byte == '\r' ? PARSE_MORE : PARSE_BAD);
    }
}

/* The last byte of each is the one that decides. */
static const struct bytes refused[] = {
    /* neither version */
    HEADER("G"), HEADER("\5"), HEADER("\x16"), HEADER(" "), HEADER("p"), HEADER("PROXX"),
    HEADER("PROXY\t"), HEADER("PROXY\r"), HEADER("PO"), HEADER("\r\r"), HEADER("\r\n\r\n\1"),
    HEADER("\r\n\r\n\0\r\nQUIT\r"),
    /* version 1 */
    HEADER("PROXY  "), HEADER("PROXY t"), HEADER("PROXY TCP5"), HEADER("PROXY TCP "),
    HEADER("PROXY TCP4\t"), HEADER("PROXY TCP4\r"), HEADER("PROXY TCP44"), HEADER("PROXY UD"),
    HEADER("PROXY UNI"), HEADER("PROXY u"), HEADER("PROXY UNKNOWNX"), HEADER("PROXY UNKNOWN\n"),
    HEADER("PROXY UNKNOWN\t"), HEADER("PROXY UNKNOWN \n"), HEADER("PROXY UNKNOWN a\n"),
    HEADER("PROXY UNKNOWN a\rb"), HEADER("PROXY UNKNOWN a\r\r"), HEADER("PROXY TCP4  "),
    HEADER("PROXY TCP4 \r"), HEADER("PROXY TCP4 a"), HEADER("PROXY TCP4 -"),
    HEADER("PROXY TCP4 1.2.3.4\r"), HEADER("PROXY TCP4 1.2.3.4\t"), HEADER("PROXY TCP4 1.2.3.4:"),
    HEADER("PROXY TCP4 1.2.3 "), HEADER("PROXY TCP4 1.2.3. "), HEADER("PROXY TCP4 1.2.3.4. "),
    HEADER("PROXY TCP4 1.2.3.4.5 "), HEADER("PROXY TCP4 1.2.3.256 "),
    HEADER("PROXY TCP4 01.2.3.4 "), HEADER("PROXY TCP4 1.2.3.04 "), HEADER("PROXY TCP4 1234567 "),
    HEADER("PROXY TCP4 127.1 "), HEADER("PROXY TCP4 255.255.255.2550"), HEADER("PROXY TCP4 :"),
    HEADER("PROXY TCP4 1.2.3.4  "), HEADER("PROXY TCP4 1.2.3.4 1.2.3 "),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8\r"), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8  "),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 \r"), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1\r"),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1\t"), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 01 "),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 00 "), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 65536 "),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 123456"), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 -"),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 +"), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 a"),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1  "), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 \r"),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 "), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r"), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx"),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r"), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r"),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\0"), HEADER("PROXY TCP4 1.2.3.4\0"),
    HEADER("PROXY TCP6 1.2.3.4 "), HEADER("PROXY TCP6 ::1 1.2.3.4 "), HEADER("PROXY TCP6 ["),
    HEADER("PROXY TCP6 ::1%"), HEADER("PROXY TCP6 : "), HEADER("PROXY TCP6 ::: "),
    HEADER("PROXY TCP6 1::2::3 "), HEADER("PROXY TCP6 1:2:3:4:5:6:7 "),
    HEADER("PROXY TCP6 1:2:3:4:5:6:7:8:9 "), HEADER("PROXY TCP6 12345:: "), HEADER("PROXY TCP6 g"),
    HEADER("PROXY TCP6 ::1/"), HEADER("PROXY TCP6 00000000000000000000000000000000000000000000:0"),
    /* version 2 */
    HEADER(SIGNATURE "\0"), HEADER(SIGNATURE "\x11"), HEADER(SIGNATURE "\x10"),
    HEADER(SIGNATURE "\x22"), HEADER(SIGNATURE "\x2F"), HEADER(SIGNATURE "\x31"),
    HEADER(SIGNATURE "\x21\x02"), HEADER(SIGNATURE "\x21\x12"), HEADER(SIGNATURE "\x21\x22"),
    HEADER(SIGNATURE "\x21\x32"), HEADER(SIGNATURE "\x21\x13"), HEADER(SIGNATURE "\x21\x41"),
    HEADER(SIGNATURE "\x21\xFF"), HEADER(SIGNATURE "\x21\x11\0\0"),
    HEADER(SIGNATURE "\x21\x11\0\x0B"), HEADER(SIGNATURE "\x21\x10\0\x0B"),
    HEADER(SIGNATURE "\x21\x21\0\x23"), HEADER(SIGNATURE "\x21\x31\0\xD7"),
    HEADER(SIGNATURE "\x21\x11\x07\xF1"), /* 16 + 2033 */
    HEADER(SIGNATURE "\x21\x11\xFF\xFF"), HEADER(SIGNATURE "\x20\x00\x07\xF1"),
    HEADER(SIGNATURE "\x20\x00\xFF\xFF"),
    HEADER(SIGNATURE "\x21\x11\0\x0D\1\2\3\4\5\6\7\x8\0\1\0\2"), /* half a TLV */
    HEADER(SIGNATURE "\x21\x11\0\x0E\1\2\3\4\5\6\7\x8\0\1\0\2"),
    HEADER(SIGNATURE "\x21\x11\0\x0F\1\2\3\4\5\6\7\x8\0\1\0\2\x04\0\1"), /* too long by 1 */
    HEADER(SIGNATURE "\x21\x11\0\x0F\1\2\3\4\5\6\7\x8\0\1\0\2\x04\xFF\xFF"),
    HEADER(SIGNATURE "\x21\x11\0\x14\1\2\3\4\5\6\7\x8\0\1\0\2\x04\0\3abc"), /* and 2 bytes left */
};

Test(proxy_protocol, anything_else_is_refused_from_the_byte_on_that_spoils_it)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        for (size_t n = 0; n < refused[i].n; n++)
            cr_assert_eq(parse(refused[i].at, n).parsed, PARSE_MORE, "row %zu (%s) at %zu", i,
                         refused[i].at, n);
        cr_assert_eq(parse(refused[i].at, refused[i].n).parsed, PARSE_BAD, "row %zu (%s)", i,
                     refused[i].at);
    }
}

Test(proxy_protocol, what_is_refused_is_refused_with_anything_behind_it)
{
    uint64_t seed = 2;

    for (size_t i = 0; i < COUNT(refused); i++) {
        uint8_t bytes[400];

        memcpy(bytes, refused[i].at, refused[i].n);
        for (size_t behind = 1; behind < 200; behind += 20) {
            random_fill(&seed, bytes + refused[i].n, behind);
            cr_assert_eq(parse(bytes, refused[i].n + behind).parsed, PARSE_BAD, "row %zu", i);
        }
    }
}

/* ---- limits */

Test(proxy_protocol, a_line_of_107_bytes_is_taken_and_one_of_108_is_not)
{
    char line[PROXY_V1_MAX + 10];

    for (size_t n = 20; n <= sizeof line; n++) {
        struct outcome o;

        memset(line, 'x', n);
        memcpy(line, "PROXY UNKNOWN ", 14);
        memcpy(line + n - 2, "\r\n", 2);
        o = parse(line, n);
        cr_assert_eq(o.parsed, n <= PROXY_V1_MAX ? PARSE_DONE : PARSE_BAD, "%zu bytes", n);
        if (n <= PROXY_V1_MAX)
            cr_assert_eq(o.consumed, n);
        cr_assert_eq(parse(line, n - 1).parsed, n <= PROXY_V1_MAX ? PARSE_MORE : PARSE_BAD);
    }
}

/* Two addresses with dotted ends can be longer than the document counts. */
Test(proxy_protocol, a_line_of_addresses_is_bounded_too)
{
    static const char line[] = "PROXY TCP6 0000:0000:0000:0000:0000:ffff:255.255.255.255 "
                               "0000:0000:0000:0000:0000:ffff:255.255.255.255 65535 65535\r\n";

    cr_assert_gt(sizeof line - 1, PROXY_V1_MAX);
    for (size_t n = 0; n < sizeof line; n++)
        cr_assert_eq(parse(line, n).parsed, n < PROXY_V1_MAX ? PARSE_MORE : PARSE_BAD);
}

/* A v2 header of `size` bytes. */
static void draw_v2(uint8_t *out, size_t size, uint8_t command, uint8_t transport)
{
    size_t length = size - PROXY_V2_HEADER;

    memset(out, 0, size);
    memcpy(out, SIGNATURE, 12);
    out[12] = command;
    out[13] = transport;
    out[14] = (uint8_t)(length >> 8);
    out[15] = (uint8_t)length;
}

Test(proxy_protocol, a_header_of_2048_bytes_is_taken_and_one_of_2049_is_not)
{
    static uint8_t bytes[PROXY_V2_MAX + 1];
    struct outcome o;

    for (size_t size = PROXY_V2_MAX - 3; size <= PROXY_V2_MAX + 1; size++) {
        size_t value = size - PROXY_V2_HEADER - 12 - 3;

        draw_v2(bytes, size, 0x21, 0x11);
        bytes[29] = (uint8_t)(value >> 8); /* one TLV of all that is left */
        bytes[30] = (uint8_t)value;
        o = parse(bytes, size);
        cr_assert_eq(o.parsed, size <= PROXY_V2_MAX ? PARSE_DONE : PARSE_BAD);
        if (size <= PROXY_V2_MAX)
            cr_assert_eq(o.consumed, size);
        cr_assert_eq(parse(bytes, PROXY_V2_HEADER).parsed,
                     size <= PROXY_V2_MAX ? PARSE_MORE : PARSE_BAD);
        draw_v2(bytes, size, 0x20, 0x00);
        cr_assert_eq(parse(bytes, size).parsed, size <= PROXY_V2_MAX ? PARSE_DONE : PARSE_BAD);
    }
}

/* ---- version 2, every byte of its head */

Test(proxy_protocol, every_version_and_command_but_two_is_refused)
{
    for (int command = 0; command < 256; command++) {
        uint8_t bytes[PROXY_V2_HEADER];

        draw_v2(bytes, sizeof bytes, (uint8_t)command, 0);
        cr_assert_eq(parse(bytes, sizeof bytes).parsed,
                     command == 0x20 || command == 0x21 ? PARSE_DONE : PARSE_BAD);
    }
}

Test(proxy_protocol, every_transport_is_taken_with_its_addresses_or_refused)
{
    static const size_t sizes[] = {0, 12, 36, 216};

    for (unsigned transport = 0; transport < 256; transport++) {
        bool is_known = transport >> 4 <= 3 && (transport & 0xF) <= 1;
        size_t block = is_known ? sizes[transport >> 4] : 216;
        uint8_t bytes[PROXY_V2_HEADER + 216];
        size_t size = PROXY_V2_HEADER + block;
        struct outcome o;

        draw_v2(bytes, size, 0x21, (uint8_t)transport);
        o = parse(bytes, size);
        cr_assert_eq(o.parsed, is_known ? PARSE_DONE : PARSE_BAD, "%02X", transport);
        if (is_known)
            cr_assert_eq(o.header.is_local, transport != 0x11 && transport != 0x21);
        if (block > 0) {
            draw_v2(bytes, size - 1, 0x21, (uint8_t)transport);
            cr_assert_eq(parse(bytes, size - 1).parsed, PARSE_BAD, "%02X", transport);
        }
        draw_v2(bytes, size, 0x20, (uint8_t)transport);
        o = parse(bytes, size);
        cr_assert(o.parsed == PARSE_DONE && o.header.is_local, "%02X", transport);
    }
}

/* Random TLVs fill a header exactly, or they do not. */
Test(proxy_protocol, tlvs_fill_the_header_exactly)
{
    uint64_t seed = 16;

    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[PROXY_V2_HEADER + 12 + 600];
        size_t at = PROXY_V2_HEADER + 12, size;
        bool fits = true;

        memset(bytes, 0, sizeof bytes);
        for (size_t count = random_below(&seed, 5); count > 0; count--) {
            size_t n = random_below(&seed, 100);

            bytes[at + 2] = (uint8_t)n;
            at += 3 + n;
        }
        size = at;
        if (round % 2 && at > PROXY_V2_HEADER + 12) {
            size -= 1; /* the last is cut */
            fits = false;
        }
        memcpy(bytes, SIGNATURE "\x21\x11", 14);
        bytes[14] = (uint8_t)((size - PROXY_V2_HEADER) >> 8);
        bytes[15] = (uint8_t)(size - PROXY_V2_HEADER);
        cr_assert_eq(parse(bytes, size).parsed, fits ? PARSE_DONE : PARSE_BAD, "round %d", round);
    }
}

/* ---- writing */

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint endpoint = {0};

    cr_assert(strcmp(text, "-") == 0 || endpoint_parse(text, strlen(text), &endpoint), "%s", text);
    return endpoint;
}

static const struct {
    const char *source, *destination, *line;
} lines[] = {
    {"192.0.2.1:56324", "192.0.2.2:443", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"},
    {"[2001:db8::1]:0", "[::]:65535", "PROXY TCP6 2001:db8::1 :: 0 65535\r\n"},
    {"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2",
     "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"},
    {"-", "-", "PROXY UNKNOWN\r\n"},
    {"192.0.2.1:1", "-", "PROXY UNKNOWN\r\n"},
    {"-", "192.0.2.1:1", "PROXY UNKNOWN\r\n"},
    {"192.0.2.1:1", "[2001:db8::1]:2", "PROXY UNKNOWN\r\n"},
    {"[2001:db8::1]:2", "192.0.2.1:1", "PROXY UNKNOWN\r\n"},
};

/* Writes into a block of exactly what the header promises to need. */
static size_t write_header(unsigned version, const struct ip_endpoint *source,
                           const struct ip_endpoint *destination, uint8_t out[PROXY_V1_MAX])
{
    uint8_t *block = malloc(PROXY_V1_MAX);
    size_t n;

    cr_assert(block);
    n = proxy_write_header(version, source, destination, block);
    cr_assert_leq(n, PROXY_V1_MAX);
    memcpy(out, block, n);
    free(block);
    return n;
}

Test(proxy_protocol, version_1_is_written_as_a_line)
{
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct ip_endpoint source = endpoint(lines[i].source);
        struct ip_endpoint destination = endpoint(lines[i].destination);
        uint8_t out[PROXY_V1_MAX];

        cr_assert_eq(write_header(1, &source, &destination, out), strlen(lines[i].line), "%s",
                     lines[i].line);
        cr_assert_arr_eq(out, lines[i].line, strlen(lines[i].line), "%s", lines[i].line);
    }
}

Test(proxy_protocol, version_2_is_written_as_the_document_draws_it)
{
    struct ip_endpoint source = endpoint("192.168.0.1:56324");
    struct ip_endpoint destination = endpoint("192.168.0.11:443");
    uint8_t out[PROXY_V1_MAX];

    cr_assert_eq(write_header(2, &source, &destination, out), 28);
    cr_assert_arr_eq(out, SIGNATURE "\x21\x11\0\x0C\xC0\xA8\0\1\xC0\xA8\0\x0B\xDC\x04\1\xBB", 28);
    source = endpoint("[2001:db8::1]:1");
    cr_assert_eq(write_header(2, &source, &destination, out), 16);
    cr_assert_arr_eq(out, SIGNATURE "\x20\x00\0\0", 16);
    destination = endpoint("[::2]:2");
    cr_assert_eq(write_header(2, &source, &destination, out), 52);
    cr_assert_arr_eq(out, SIGNATURE "\x21\x21\0\x24\x20\1\xD\xB8\0\0\0\0\0\0\0\0\0\0\0\1", 32);
}

static struct ip_endpoint random_endpoint(uint64_t *seed, uint8_t family)
{
    struct ip_endpoint e = {.ip = {.family = family}, .port = (uint16_t)random_next(seed)};

    random_fill(seed, e.ip.bytes, family == IP_V4 ? 4 : 16);
    for (size_t i = 0; family == IP_V6 && i < 16; i += 2) /* with runs of zeros */
        if (random_below(seed, 2))
            e.ip.bytes[i] = e.ip.bytes[i + 1] = 0;
    return e;
}

Test(proxy_protocol, what_is_written_is_read_back)
{
    uint64_t seed = 107;

    for (int round = 0; round < 4000; round++) {
        uint8_t family = round & 1 ? IP_V4 : IP_V6;
        unsigned version = round & 2 ? 1 : 2;
        struct ip_endpoint source = random_endpoint(&seed, family);
        struct ip_endpoint destination = random_endpoint(&seed, family);
        uint8_t out[PROXY_V1_MAX];
        size_t n = write_header(version, &source, &destination, out);
        struct outcome o = parse(out, n);

        cr_assert_eq(o.parsed, PARSE_DONE);
        cr_assert_eq(o.consumed, n);
        cr_assert_eq(o.header.version, version);
        cr_assert_not(o.header.is_local);
        cr_assert(endpoint_equal(&o.header.source, &source));
        cr_assert(endpoint_equal(&o.header.destination, &destination));
    }
}

Test(proxy_protocol, the_longest_that_is_written_is_read_back)
{
    static const struct ip_endpoint longest = {
        .ip = {.family = IP_V6, .bytes = {[0 ... 15] = 0xFF}},
        .port = 65535,
    };
    static const struct ip_endpoint none;
    uint8_t out[PROXY_V1_MAX];

    cr_assert_eq(write_header(1, &longest, &longest, out), 104);
    cr_assert_eq(parse(out, 104).parsed, PARSE_DONE);
    for (unsigned version = 1; version <= 2; version++) {
        size_t n = write_header(version, &none, &none, out);
        struct outcome o = parse(out, n);

        cr_assert(o.parsed == PARSE_DONE && o.header.is_local && o.header.version == version);
    }
}

/* Whoever sends the longest header, or more, gets a decision. */
Test(proxy_protocol, max_bytes_of_anything_are_enough_to_decide)
{
    static uint8_t bytes[PROXY_V2_MAX];
    uint64_t seed = 12;

    for (int round = 0; round < 2000; round++) {
        size_t i = random_below(&seed, COUNT(taken));
        size_t like = random_below(&seed, taken[i].header.n + 1);

        if (round % 2)
            memset(bytes, (int)random_next(&seed), sizeof bytes);
        else
            random_fill(&seed, bytes, sizeof bytes);
        memcpy(bytes, taken[i].header.at, like); /* begins like a good one */
        cr_assert_neq(parse(bytes, sizeof bytes).parsed, PARSE_MORE, "row %zu at %zu", i, like);
    }
}

/* A byte of a good header is changed: it stays DONE or BAD, once BAD always. */
Test(proxy_protocol, once_bad_stays_bad)
{
    uint64_t seed = 13;

    for (int round = 0; round < 5000; round++) {
        size_t i = random_below(&seed, COUNT(taken)), n = taken[i].header.n;
        bool was_bad = false;
        uint8_t bytes[200];

        memcpy(bytes, taken[i].header.at, n);
        bytes[random_below(&seed, n)] = (uint8_t)random_next(&seed);
        for (size_t have = 0; have <= n; have++) {
            enum parse parsed = parse(bytes, have).parsed;

            cr_assert(!was_bad || parsed == PARSE_BAD, "row %zu at %zu", i, have);
            was_bad = parsed == PARSE_BAD;
        }
    }
}
