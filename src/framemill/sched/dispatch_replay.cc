#include "framemill/sched/dispatch_replay.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace framemill {
namespace {

constexpr std::size_t kCamerasMax = 1'000'000;
constexpr std::size_t kBatchesMax = 4096;
constexpr double kNeedTolerance = 1e-9;

Failure impossible(std::string what) {
  return fail(ErrorCode::kInvalidArgument, "cannot have happened: " + what);
}
Failure differs(std::string_view what, const std::string& recorded, const std::string& replayed) {
  return fail(ErrorCode::kFailedPrecondition,
              fmt::format("{}: recorded {}, replayed {}", what, recorded, replayed));
}

std::string text_of(const std::optional<std::int64_t>& seq) {
  return seq ? fmt::format("frame {}", *seq) : std::string("none");
}
std::string text_of(const std::optional<double>& share) {
  return share ? fmt::format("{:.17g}", *share) : std::string("none");
}
std::string text_of(const std::vector<SentFrame>& batch) {
  std::string text = "[";
  for (const SentFrame& frame : batch) {
    text += fmt::format("{}{}/{}{}{}", text.size() > 1 ? " " : "", frame.camera, frame.seq,
                        frame.rung > 0 ? fmt::format(" rung {}", frame.rung) : "",
                        frame.is_forced ? " forced" : "");
  }
  return text + "]";
}
std::string text_of(const std::vector<UnservedFrame>& frames) {
  std::string text = "[";
  for (const UnservedFrame& frame : frames)
    text += fmt::format("{}{}/{}", text.size() > 1 ? " " : "", frame.camera, frame.seq);
  return text + "]";
}
std::string text_of(const std::vector<RungChange>& changes) {
  std::string text = "[";
  for (const RungChange& change : changes)
    text += fmt::format("{}{}: {} to {}", text.size() > 1 ? ", " : "", change.camera, change.from,
                        change.to);
  return text + "]";
}
std::string text_of(const std::optional<TimePoint>& at) {
  return at ? fmt::format("{} ns", at->time_since_epoch().count()) : std::string("never");
}

bool is_share(double share) { return share > 0 && share <= 1; }

Result<void> check_options(const LiveDispatchOptions& options) {
  if (options.cameras.empty() || options.cameras.size() > kCamerasMax)
    return impossible(fmt::format("{} cameras", options.cameras.size()));
  if (options.inference.cameras.size() != options.cameras.size())
    return impossible("as many policies as cameras are needed");
  if (!is_share(options.inference.share) || !is_share(options.inference.adaptive_share.value_or(1)))
    return impossible("a share of the frames is above 0 and at most 1");
  if (options.batches_max < 1 || options.batches_max > kBatchesMax)
    return impossible(fmt::format("{} batches at once", options.batches_max));
  if (options.devices.size() > kDevicesMax)
    return impossible(fmt::format("{} devices", options.devices.size()));
  const auto is_batch = [](std::size_t frames) { return frames <= kBatchBuckets.back(); };
  if (options.knee_frames < 1 || !is_batch(options.knee_frames) ||
      !std::ranges::all_of(options.lane_knees, is_batch))
    return impossible(fmt::format("a batch has 1 to {} frames", kBatchBuckets.back()));
  for (const DispatchDevice& device : options.devices) {
    if (device.batches_max < 1 || device.batches_max > kBatchesMax)
      return impossible(fmt::format("{} batches at once on a device", device.batches_max));
    if (!std::ranges::all_of(device.lane_knees, is_batch))
      return impossible(fmt::format("a batch has 1 to {} frames", kBatchBuckets.back()));
  }
  const auto has_none = [](std::size_t rungs) { return rungs < 1; };
  if (std::ranges::any_of(options.rungs_of_model, has_none))
    return impossible("a model without rungs");
  for (const DispatchCamera& camera : options.cameras) {
    if (camera.slo < Duration::zero() || camera.period < Duration::zero())
      return impossible("an slo or a period below 0");
    if (!(camera.weight > 0 && camera.weight <= 100))
      return impossible(fmt::format("a model's weight of {}", camera.weight));
    if (!options.rungs_of_model.empty() && camera.model >= options.rungs_of_model.size())
      return impossible(fmt::format("there is no model {}", camera.model));
  }
  return {};
}

}  // namespace

DispatchReplay::DispatchReplay(const LiveDispatchOptions& options, TimePoint began_at)
    : rungs_of_model_(options.rungs_of_model),
      cameras_(options.cameras),
      dispatch_(options, began_at),
      in_flight_(options.cameras.size()),
      batches_of_device_(std::max<std::size_t>(1, options.devices.size())) {}

Result<std::unique_ptr<DispatchReplay>> DispatchReplay::create(const LiveDispatchOptions& options,
                                                               TimePoint began_at) {
  if (Result<void> checked = check_options(options); !checked) return fail(checked.error());
  return std::unique_ptr<DispatchReplay>(new DispatchReplay(options, began_at));
}

Result<void> DispatchReplay::feed(const DispatchRecord& record) {
  if (ended_) return fail(*ended_);
  const Result<void> result =
      std::visit([this](const auto& what) { return this->replay(what); }, record);
  if (result) {
    ++records_;
  } else {
    ended_ = result.error();
  }
  return result;
}

Result<void> DispatchReplay::check_camera(CameraIndex camera) const {
  if (camera < in_flight_.size()) return {};
  return impossible(fmt::format("there is no camera {}", camera));
}

Result<void> DispatchReplay::check_lane(LaneIndex lane) const {
  if (lane < dispatch_.lane_count()) return {};
  return impossible(fmt::format("there is no lane {}", lane));
}

Result<void> DispatchReplay::check_device(DeviceIndex device) const {
  if (device < batches_of_device_.size()) return {};
  return impossible(fmt::format("there is no device {}", device));
}

Result<void> DispatchReplay::replay(const LaneAdded& record) {
  if (record.batch_max < 1) return impossible("a lane that takes no frames");
  dispatch_.add_lane(record.batch_max, record.hosts);
  return {};
}

Result<void> DispatchReplay::replay(const FrameArrived& record) {
  const CameraIndex camera = record.frame.sampled.camera;
  if (Result<void> checked = check_camera(camera); !checked) return checked;
  if (Result<void> checked = check_lane(record.frame.lane); !checked) return checked;
  const double need = dispatch_.is_adaptive(camera) ? dispatch_.need(record.frame.sampled) : 0;
  if (!(std::abs(need - record.need) <= kNeedTolerance * std::max(1.0, std::abs(need)))) {
    return differs(fmt::format("the need of camera {}'s frame {}", camera, record.frame.seq),
                   fmt::format("{:.17g}", record.need), fmt::format("{:.17g}", need));
  }
  const std::optional<std::int64_t> returned = dispatch_.arrive(record.frame, record.at);
  if (returned == record.returned) return {};
  return differs(fmt::format("given back when camera {}'s frame {} came", camera, record.frame.seq),
                 text_of(record.returned), text_of(returned));
}

Result<void> DispatchReplay::replay(const FrameWithdrawn& record) {
  if (Result<void> checked = check_camera(record.camera); !checked) return checked;
  const std::optional<std::int64_t> seq = dispatch_.withdraw(record.camera);
  if (seq == record.seq) return {};
  return differs(fmt::format("withdrawn from camera {}", record.camera),
                 text_of(std::optional(record.seq)), text_of(seq));
}

Result<void> DispatchReplay::replay(const CameraEnded& record) {
  if (Result<void> checked = check_camera(record.camera); !checked) return checked;
  dispatch_.end_camera(record.camera);
  return {};
}

Result<void> DispatchReplay::replay(const Decided& record) {
  dispatch_.decide(record.at, record.audit, decision_);
  for (const SentFrame& frame : decision_.batch) ++in_flight_[frame.camera];
  if (!decision_.batch.empty()) ++batches_of_device_[decision_.device];
  audit_wanted_.reset();
  if (decision_.is_audit_wanted) audit_wanted_ = record.audit;
  const DispatchDecision& other = record.decision;
  if (decision_.batch.empty()) {  // they say nothing
    decision_.lane = other.lane;
    decision_.device = other.device;
  }
  if (other == decision_) return {};
  if (other.batch != decision_.batch)
    return differs("sent", text_of(other.batch), text_of(decision_.batch));
  if (other.unserved != decision_.unserved)
    return differs("answered without inference", text_of(other.unserved),
                   text_of(decision_.unserved));
  if (other.wake_at != decision_.wake_at)
    return differs("the next look", text_of(other.wake_at), text_of(decision_.wake_at));
  return differs(
      "the device, the lane or the wish for an audit",
      fmt::format("{} {} {}", other.device, other.lane, other.is_audit_wanted),
      fmt::format("{} {} {}", decision_.device, decision_.lane, decision_.is_audit_wanted));
}

Result<void> DispatchReplay::replay(const AuditSent& record) {
  if (Result<void> checked = check_lane(record.lane); !checked) return checked;
  if (audit_wanted_ != record.cause) return impossible("an audit that was not asked for");
  audit_wanted_.reset();
  ++batches_of_device_[dispatch_.send_audit(record.at, record.lane, record.cause)];
  return {};
}

Result<void> DispatchReplay::replay(const FrameClaimed& record) {
  if (Result<void> checked = check_camera(record.camera); !checked) return checked;
  const bool is_claimed = dispatch_.claim(record.camera, record.seq);
  if (is_claimed == record.returned) return {};
  const auto text = [](bool is_waiting) { return std::string(is_waiting ? "waits" : "given up"); };
  return differs(fmt::format("camera {}'s frame {} at the model", record.camera, record.seq),
                 text(record.returned), text(is_claimed));
}

Result<void> DispatchReplay::replay(const ErrorLearned& record) {
  if (Result<void> checked = check_camera(record.camera); !checked) return checked;
  dispatch_.learn(record.camera, record.doubt, record.counts);
  return {};
}

Result<void> DispatchReplay::replay(const RungLearned& record) {
  if (Result<void> checked = check_camera(record.camera); !checked) return checked;
  const std::size_t model = cameras_[record.camera].model;
  if (model >= rungs_of_model_.size() || record.rung >= rungs_of_model_[model])
    return impossible(fmt::format("camera {} has no rung {}", record.camera, record.rung));
  dispatch_.learn_rung(record.camera, record.rung, record.counts);
  return {};
}

Result<void> DispatchReplay::replay(const DoubtRenewed& record) {
  if (Result<void> checked = check_camera(record.camera); !checked) return checked;
  dispatch_.renew_doubt(record.camera, record.seq, record.doubt);
  return {};
}

Result<void> DispatchReplay::replay(const BatchCompleted& record) {
  if (Result<void> checked = check_lane(record.lane); !checked) return checked;
  if (record.frames < 1 || record.frames > kBatchBuckets.back())
    return impossible(fmt::format("a batch of {} frames", record.frames));
  if (Result<void> checked = check_device(record.device); !checked) return checked;
  if (batches_of_device_[record.device] == 0)
    return impossible("a batch came back, and none was under way");
  --batches_of_device_[record.device];
  for (const CameraIndex camera : record.cameras) {
    if (Result<void> checked = check_camera(camera); !checked) return checked;
    if (in_flight_[camera] == 0)
      return impossible(fmt::format("a frame of camera {} came back that was not sent", camera));
    --in_flight_[camera];
  }
  dispatch_.complete(record.at, record.lane, record.frames, record.cameras, record.service_time,
                     record.device);
  return {};
}

Result<void> DispatchReplay::replay(const FrameReturned& record) {
  if (Result<void> checked = check_camera(record.camera); !checked) return checked;
  const bool is_waiting = dispatch_.give_back(record.at, record.camera, record.seq);
  if (is_waiting == record.returned) return {};
  const auto text = [](bool waits) { return std::string(waits ? "waits again" : "given up"); };
  return differs(
      fmt::format("camera {}'s frame {} of a batch that failed", record.camera, record.seq),
      text(record.returned), text(is_waiting));
}

Result<void> DispatchReplay::replay(const DeviceChanged& record) {
  if (Result<void> checked = check_device(record.device); !checked) return checked;
  if (record.batch_max < 1) return impossible("a device that takes no frames");
  dispatch_.set_device(record.at, record.device, record.is_serving, record.batch_max);
  return {};
}

Result<void> DispatchReplay::replay(const PeriodEnded& record) {
  const std::optional<double> share = dispatch_.end_period(record.at);
  if (share == record.returned) return {};
  return differs("the share that was inferred", text_of(record.returned), text_of(share));
}

Result<void> DispatchReplay::replay(const ShareSet& record) {
  if (!is_share(record.share)) return impossible(fmt::format("a share of {}", record.share));
  dispatch_.set_adaptive_share(record.share);
  return {};
}

Result<void> DispatchReplay::replay(const BudgetShareSet& record) {
  if (!is_share(record.share)) return impossible(fmt::format("a share of {}", record.share));
  dispatch_.set_share(record.share);
  return {};
}

Result<void> DispatchReplay::replay(const RungsUpdated& record) {
  if (!dispatch_.is_ladder_due(record.at)) return impossible("a ladder that was not due");
  if (record.lanes.size() != rungs_of_model_.size())
    return impossible(fmt::format("lanes of {} models", record.lanes.size()));
  for (std::size_t model = 0; model < record.lanes.size(); ++model) {
    if (record.lanes[model].size() > rungs_of_model_[model])
      return impossible(fmt::format("model {} has too many lanes", model));
    for (const LaneIndex lane : record.lanes[model]) {
      if (Result<void> checked = check_lane(lane); !checked) return checked;
    }
  }
  const std::span<const RungChange> changes =
      dispatch_.update_rungs(record.at, record.lanes, record.share_wanted);
  const std::vector<RungChange> replayed(changes.begin(), changes.end());
  if (replayed == record.returned) return {};
  return differs("rungs", text_of(record.returned), text_of(replayed));
}

Result<void> DispatchReplay::replay(const RecordsLost& record) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("{} records are missing here: nothing was recorded while the disk could "
                          "not keep up",
                          record.records));
}

}  // namespace framemill
