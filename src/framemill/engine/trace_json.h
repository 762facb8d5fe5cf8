#pragma once

#include <string>

#include "framemill/base/clock.h"
#include "framemill/sched/dispatch_trace.h"

namespace framemill {

/// Append one line of a trace, newline included, as docs/reference/trace.md describes them. Times
/// are whole nanoseconds since `began_at`; other numbers keep every bit. Pure, any thread.
void append_trace_header(std::string& out, const DispatchTraceHeader& header);
void append_trace_record(std::string& out, const DispatchRecord& record, TimePoint began_at);
/// The last line: so many lines, the header left out, were written before it, and so many records
/// lost on the way.
void append_trace_end(std::string& out, std::int64_t records, std::int64_t lost);

}  // namespace framemill
