/* metrics_text.c - lines, escapes, buckets that add up. */
#include "daemon/metrics_text.h"

#include <inttypes.h>
#include <string.h>

const char *metrics_media_type(enum metrics_format format)
{
    return format == METRICS_OPEN ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                  : "text/plain; version=0.0.4; charset=utf-8";
}

/* What the samples of the family are called. */
static const char *suffix(enum metrics_type type)
{
    return type == METRICS_COUNTER ? "_total" : type == METRICS_INFO ? "_info" : "";
}

static const char *type_name(const struct metrics *m)
{
    switch (m->type) {
    case METRICS_COUNTER:
        return "counter";
    case METRICS_HISTOGRAM:
        return "histogram";
    case METRICS_INFO:
        return m->format == METRICS_OPEN ? "info" : "gauge";
    default:
        return "gauge";
    }
}

/* In a help text a quote is an ordinary character for the older format, and may be escaped for the newer. */
static void put_escaped(FILE *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\\' || (*text == '"' && quotes))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text >= ' ' && *text <= '~' ? *text : '?', out);
    }
}

void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help)
{
    const char *end;

    m->name = name;
    m->type = type;
    end = m->format == METRICS_CLASSIC ? suffix(type) : "";
    fprintf(m->out, "# TYPE %s%s %s\n", name, end, type_name(m));
    fprintf(m->out, "# HELP %s%s ", name, end);
    put_escaped(m->out, help, false);
    fputc('\n', m->out);
}

static void put_label(FILE *out, char before, const char *name, const char *value)
{
    fprintf(out, "%c%s=\"", before, name);
    put_escaped(out, value, true);
    fputc('"', out);
}

/* `bound`: of a bucket, or NULL. */
static void put_name(struct metrics *m, const char *end, const struct metrics_label *labels,
                     const char *bound)
{
    char before = '{';

    fprintf(m->out, "%s%s", m->name, end);
    for (unsigned i = 0; labels && i < METRICS_LABELS_MAX && labels[i].name; i++) {
        put_label(m->out, before, labels[i].name, labels[i].value);
        before = ',';
    }
    if (bound)
        put_label(m->out, before, "le", bound);
    if (before == ',' || bound)
        fputc('}', m->out);
    fputc(' ', m->out);
}

void metrics_sample(struct metrics *m, const struct metrics_label *labels, uint64_t value)
{
    put_name(m, suffix(m->type), labels, NULL);
    fprintf(m->out, "%" PRIu64 "\n", value);
}

/* OpenMetrics wants bounds as the shortest decimal that is no integer: 0.005, 1.0, 10.0. */
static void format_thousandths(uint64_t n, char out[32])
{
    size_t length = (size_t)snprintf(out, 32, "%" PRIu64 ".%03u", n / 1000, (unsigned)(n % 1000));

    while (out[length - 1] == '0' && out[length - 2] != '.')
        out[--length] = '\0';
}

void metrics_buckets(struct metrics *m, const struct metrics_label *labels,
                     const struct metrics_histogram *histogram)
{
    uint64_t sum = 0;
    char text[32];

    for (unsigned i = 0; i < histogram->bound_count; i++) {
        sum += histogram->counts[i];
        format_thousandths(histogram->bounds[i], text);
        put_name(m, "_bucket", labels, text);
        fprintf(m->out, "%" PRIu64 "\n", sum);
    }
    sum += histogram->counts[histogram->bound_count];
    put_name(m, "_bucket", labels, "+Inf");
    fprintf(m->out, "%" PRIu64 "\n", sum);
    put_name(m, "_count", labels, NULL);
    fprintf(m->out, "%" PRIu64 "\n", sum);
    format_thousandths(histogram->sum, text);
    put_name(m, "_sum", labels, NULL);
    fprintf(m->out, "%s\n", text);
}

void metrics_end(struct metrics *m)
{
    fputs("# EOF\n", m->out);
}
