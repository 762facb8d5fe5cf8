#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/engine/answer_json.h"
#include "framemill/engine/result_sink.h"

namespace framemill {

/// Draws the answers for which a snapshot is due: DIR/<camera>.jpg always holds the newest one of a
/// camera, and DIR/<camera>@<frame_index>.jpg each. Deletes none.
class SnapshotSink final : public ResultSink {
 public:
  /// Makes the folder. `cameras` outlive the sink. Errors: kInvalidArgument where that fails.
  static Result<std::unique_ptr<SnapshotSink>> create(const std::string& directory,
                                                      const CameraDirectory& cameras);

  [[nodiscard]] std::string_view name() const override { return directory_; }
  /// `answer` is one that it wants().
  Result<void> write(const Answer& answer) override;
  Result<void> flush() override { return {}; }
  [[nodiscard]] std::optional<std::int64_t> held() const override { return 0; }
  [[nodiscard]] bool wants(const Answer& answer) const override {
    return answer.picture && answer.is_snapshot_due && answer.origin != Origin::kNone;
  }
  [[nodiscard]] std::string_view unit() const override { return "pictures"; }
  [[nodiscard]] bool wants_pictures() const override { return true; }

 private:
  SnapshotSink(std::string directory, const CameraDirectory& cameras);

  const std::string directory_;
  const CameraDirectory& cameras_;
};

}  // namespace framemill
