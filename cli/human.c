/* human.c - one unit, or two where one says too little. */
#include "cli/human.h"

#include <stdio.h>
#include <time.h>

char *human_bytes(uint64_t bytes, char out[HUMAN_MAX])
{
    static const char units[] = "kMGTPE";
    double value = (double)bytes;
    int unit = -1;

    while (value >= 1024 && units[unit + 1]) {
        value /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(out, HUMAN_MAX, "%u", (unsigned)bytes);
    else
        snprintf(out, HUMAN_MAX, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return out;
}

char *human_duration(uint64_t ms, char out[HUMAN_MAX])
{
    static const struct {
        unsigned seconds, rest;
        char unit, rest_unit;
    } units[] = {{86400, 3600, 'd', 'h'}, {3600, 60, 'h', 'm'}, {60, 1, 'm', 's'}};
    unsigned long long seconds = ms / 1000;

    for (unsigned i = 0; i < sizeof units / sizeof *units; i++)
        if (seconds >= units[i].seconds) {
            snprintf(out, HUMAN_MAX, "%llu%c%02llu%c", seconds / units[i].seconds, units[i].unit,
                     seconds % units[i].seconds / units[i].rest, units[i].rest_unit);
            return out;
        }
    if (seconds >= 10)
        snprintf(out, HUMAN_MAX, "%llus", seconds);
    else
        snprintf(out, HUMAN_MAX, "%llu.%llus", seconds, (unsigned long long)(ms % 1000 / 100));
    return out;
}

char *human_time(uint64_t unix_time, char out[HUMAN_MAX])
{
    time_t at = (time_t)unix_time;
    struct tm tm;

    if (!unix_time || !localtime_r(&at, &tm) || !strftime(out, HUMAN_MAX, "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(out, HUMAN_MAX, "-");
    return out;
}
