#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framemill/config/run_settings.h"
#include "framemill/engine/answer_json.h"
#include "framemill/engine/result_sink.h"

namespace framemill {

/// Opens what `settings.sinks[index]` names. Errors: kInvalidArgument where it cannot be written
/// to; a peer that cannot be reached is no error: what is meant for it waits on disk.
[[nodiscard]] Result<std::unique_ptr<ResultSink>> open_sink(const RunSettings& settings,
                                                            std::size_t index,
                                                            const std::string& run_id,
                                                            const CameraDirectory& cameras);

}  // namespace framemill
