// What a trace costs the scheduler, and how fast its thread writes.

#include <benchmark/benchmark.h>

#include "framemill/engine/trace_json.h"
#include "framemill/engine/trace_writer.h"

namespace framemill {
namespace {

FrameArrived arrival() {
  FrameArrived record;
  record.frame.sampled.doubt = {3, 12.470616, .389629, .093876};
  record.need = .585145;
  return record;
}

/// On the scheduler's thread, under its lock.
void BM_Add(benchmark::State& state) {
  const auto writer = *TraceWriter::create("/dev/null", {}, {});
  LiveDispatchOptions options;
  options.cameras.resize(1);
  writer->begin(options, TimePoint());
  const FrameArrived record = arrival();
  for (auto _ : state) writer->add(record);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Add);

void BM_Format(benchmark::State& state) {
  const DispatchRecord record = arrival();
  std::string text;
  for (auto _ : state) {
    text.clear();
    append_trace_record(text, record, TimePoint());
    benchmark::DoNotOptimize(text);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(BM_Format);

}  // namespace
}  // namespace framemill
