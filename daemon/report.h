/* report.h - what was closed without a line of its own in the log: one line with the numbers. */
#ifndef PAIRSOCKS_REPORT_H
#define PAIRSOCKS_REPORT_H

#include "daemon/gate.h"

/* Logs what the gate has turned away since the last call, if anything. The control plane's thread. */
void report_refused(struct gate *gate);

#endif
