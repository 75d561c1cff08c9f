/* report.c - the numbers of a gate since the last report. */
#include "daemon/report.h"

#include "daemon/log.h"

void report_refused(struct gate *gate)
{
    const struct {
        const char *key;
        uint64_t now;
    } counts[GATE_REPORTED] = {
        {"whitelist", atomic_load(&gate->refused[GATE_WHITELIST])},
        {"queue", atomic_load(&gate->queue.evicted)},
        {"host", atomic_load(&gate->refused[GATE_HOST])},
        {"user", atomic_load(&gate->refused[GATE_USER])},
        {"proxy", atomic_load(&gate->refused[GATE_PROXY])},
        {"descriptors", atomic_load(&gate->refused[GATE_DESCRIPTORS])},
    };
    struct log_record record;
    bool any = false;

    for (unsigned i = 0; i < GATE_REPORTED; i++)
        any = any || counts[i].now != gate->reported[i];
    if (!any || !log_wants(LOG_LEVEL_NOTICE))
        return;
    log_begin(&record, LOG_LEVEL_NOTICE, "refused");
    log_record_string(&record, "listener", gate->name);
    for (unsigned i = 0; i < GATE_REPORTED; i++) {
        log_record_number(&record, counts[i].key, counts[i].now - gate->reported[i]);
        gate->reported[i] = counts[i].now;
    }
    log_commit(&record);
}
