/* test_metrics_text.c - each kind of family in both formats, byte for byte. */
#include "daemon/metrics_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(metrics_text, .timeout = 10);

#define LABELS(...) ((const struct metrics_label[]){__VA_ARGS__, {0}})

static char *text;
static size_t length;

static struct metrics begin(enum metrics_format format)
{
    struct metrics m = {.out = open_memstream(&text, &length), .format = format};

    cr_assert(m.out);
    return m;
}

static void expect(struct metrics *m, const char *expected)
{
    fclose(m->out);
    cr_assert_str_eq(text, expected);
    free(text);
}

Test(metrics_text, counter_has_its_suffix_where_the_format_wants_it)
{
    struct metrics m = begin(METRICS_OPEN);

    metrics_family(&m, "x_bytes", METRICS_COUNTER, "Bytes.");
    metrics_sample(&m, NULL, UINT64_MAX);
    metrics_end(&m);
    expect(&m, "# TYPE x_bytes counter\n# HELP x_bytes Bytes.\n"
               "x_bytes_total 18446744073709551615\n# EOF\n");
    m = begin(METRICS_CLASSIC);
    metrics_family(&m, "x_bytes", METRICS_COUNTER, "Bytes.");
    metrics_sample(&m, NULL, 0);
    metrics_end(&m);
    expect(&m, "# TYPE x_bytes_total counter\n# HELP x_bytes_total Bytes.\n"
               "x_bytes_total 0\n# EOF\n");
}

Test(metrics_text, info_is_a_gauge_in_the_older_format)
{
    struct metrics m = begin(METRICS_OPEN);

    metrics_family(&m, "x", METRICS_INFO, "Version.");
    metrics_sample(&m, LABELS({"v", "1"}), 1);
    expect(&m, "# TYPE x info\n# HELP x Version.\nx_info{v=\"1\"} 1\n");
    m = begin(METRICS_CLASSIC);
    metrics_family(&m, "x", METRICS_INFO, "Version.");
    metrics_sample(&m, LABELS({"v", "1"}), 1);
    expect(&m, "# TYPE x_info gauge\n# HELP x_info Version.\nx_info{v=\"1\"} 1\n");
}

Test(metrics_text, labels_are_escaped_and_hold_no_line)
{
    struct metrics m = begin(METRICS_OPEN);

    m.name = "x";
    m.type = METRICS_GAUGE;
    metrics_sample(&m, LABELS({"a", "back\\slash \"quote\"\nline"}, {"b", "\x01\x7f\xc3\xa9"}), 1);
    expect(&m, "x{a=\"back\\\\slash \\\"quote\\\"\\nline\",b=\"????\"} 1\n");
}

Test(metrics_text, help_is_escaped)
{
    struct metrics m = begin(METRICS_OPEN);

    metrics_family(&m, "x", METRICS_GAUGE, "a\\b\nc");
    expect(&m, "# TYPE x gauge\n# HELP x a\\\\b\\nc\n");
}

Test(metrics_text, buckets_add_up_and_seconds_are_decimal)
{
    static const unsigned bounds[] = {1, 50, 2500, 10000};
    static const uint64_t counts[] = {2, 0, 3, 1, 4};
    struct metrics m = begin(METRICS_OPEN);

    m.name = "x_seconds";
    m.type = METRICS_HISTOGRAM;
    metrics_buckets(&m, LABELS({"via", "direct"}),
                    &(struct metrics_histogram){bounds, 4, counts, 61020});
    metrics_buckets(&m, NULL, &(struct metrics_histogram){bounds, 1, counts, 0});
    expect(&m, "x_seconds_bucket{via=\"direct\",le=\"0.001\"} 2\n"
               "x_seconds_bucket{via=\"direct\",le=\"0.05\"} 2\n"
               "x_seconds_bucket{via=\"direct\",le=\"2.5\"} 5\n"
               "x_seconds_bucket{via=\"direct\",le=\"10.0\"} 6\n"
               "x_seconds_bucket{via=\"direct\",le=\"+Inf\"} 10\n"
               "x_seconds_count{via=\"direct\"} 10\n"
               "x_seconds_sum{via=\"direct\"} 61.02\n"
               "x_seconds_bucket{le=\"0.001\"} 2\n"
               "x_seconds_bucket{le=\"+Inf\"} 2\n"
               "x_seconds_count 2\n"
               "x_seconds_sum 0.0\n");
}
