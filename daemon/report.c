/* report.c - the numbers of a gate since the last report. */
#include "daemon/report.h"

#include "daemon/log.h"

void report_refused(struct gate *gate)
{
    uint64_t now[GATE_REPORTED];
    struct log_record record;
    bool any = false;

    gate_refused(gate, now);
    for (unsigned i = 0; i < GATE_REPORTED; i++)
        any = any || now[i] != gate->reported[i];
    if (!any || !log_wants(LOG_LEVEL_NOTICE))
        return;
    log_begin(&record, LOG_LEVEL_NOTICE, "refused");
    log_record_string(&record, "listener", gate->name);
    for (unsigned i = 0; i < GATE_REPORTED; i++) {
        log_record_number(&record, gate_refusal_names[i], now[i] - gate->reported[i]);
        gate->reported[i] = now[i];
    }
    log_commit(&record);
}
