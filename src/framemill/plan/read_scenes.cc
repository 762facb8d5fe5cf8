#include "framemill/plan/read_scenes.h"

#include <utility>

#include "framemill/plan/trace_reader.h"
#include "framemill/sched/dispatch_replay.h"

namespace framemill {

Result<RecordedScenes> read_scenes(const std::string& path) {
  const Result<std::unique_ptr<TraceReader>> opened = TraceReader::open(path);
  if (!opened) return fail(opened.error());
  TraceReader& reader = **opened;
  const DispatchTraceHeader& header = reader.header();
  const Result<std::unique_ptr<DispatchReplay>> replay =
      DispatchReplay::create(header.options, header.began_at);
  if (!replay) return fail(replay.error().at(reader.place()));
  RecordedScenes recorded{.path = path, .run = header.run, .framemill = header.framemill};
  SceneTraceBuilder builder(header);
  while (true) {
    const Result<std::optional<DispatchRecord>> record = reader.next();
    if (!record) return fail(record.error());
    if (!*record) break;
    builder.add(**record);
    if (const auto* const lost = std::get_if<RecordsLost>(&**record)) {
      recorded.lost += lost->records;
    } else {
      ++recorded.records;
    }
    if (!recorded.difference.empty()) continue;
    const Result<void> same = (*replay)->feed(**record);
    if (same) continue;
    const Error error = same.error().at(reader.place());
    if (error.code() == ErrorCode::kInvalidArgument) return fail(error);
    recorded.difference = error.message();
  }
  recorded.replayed = (*replay)->records();
  Result<SceneTrace> scenes = builder.finish();
  if (!scenes) return fail(scenes.error().at(path));
  recorded.scenes = std::make_shared<const SceneTrace>(*std::move(scenes));
  return recorded;
}

}  // namespace framemill
