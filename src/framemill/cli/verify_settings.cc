#include "framemill/cli/verify_settings.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include <fmt/format.h>

#include "framemill/plan/played_group.h"

namespace framemill {
namespace {

/// The model of a group; each named once in the settings.
Result<std::string> add_model(const CameraGroup& group, const LoadSource& source,
                              RunSettings& settings) {
  const std::filesystem::path path = std::filesystem::path(source.models_dir) / group.model;
  for (const ModelSettings& model : settings.models) {
    if (model.path == path.string()) return model.name;
  }
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("cameras[{}].model: there is no {}; say with --models in which folder "
                            "the workload's models lie",
                            group.name, path.string()));
  }
  ModelSettings model;
  model.name = path.stem().string();
  for (const ModelSettings& other : settings.models) {
    if (other.name == model.name) model.name += fmt::format("-{}", settings.models.size() + 1);
  }
  model.path = path.string();
  settings.models.push_back(model);
  return model.name;
}

std::string synthetic_url(const CameraGroup& group, std::uint32_t seed) {
  return fmt::format("synthetic://?size={}x{}&rate={}&seed={}", group.resolution.width,
                     group.resolution.height, group.fps, seed);
}

/// The share that budgeted groups of one policy ask for; all of them the same.
Result<std::optional<double>> common_share(const Workload& workload) {
  std::optional<double> share;
  const CameraGroup* first = nullptr;
  for (const CameraGroup& group : workload.cameras) {
    const PolicyKind policy = policy_of(group);
    if (policy != PolicyKind::kAdaptive && policy != PolicyKind::kHold) continue;
    const double wanted = inferred_share(group);
    if (share && std::abs(*share - wanted) > 1e-9) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("cameras[{}]: asks for {:.3g} of its frames to be inferred, and {} "
                              "for {:.3g}; an engine has one budget: verify the groups apart",
                              group.name, wanted, first->name, *share));
    }
    share = wanted;
    first = &group;
  }
  if (share && *share >= 1) share.reset();
  return share;
}

}  // namespace

Result<LoadPlan> plan_load(const Workload& workload, const LoadSource& source) {
  std::int64_t count = 0;
  for (const CameraGroup& group : workload.cameras) count += group.count;
  if (count > kPlayedCamerasMax) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} cameras cannot be played on one machine; verify a part of the "
                            "workload, {} cameras at most",
                            count, kPlayedCamerasMax));
  }
  LoadPlan plan;
  RunSettings& settings = plan.settings;
  const Result<std::optional<double>> share = common_share(workload);
  if (!share) return fail(share.error());
  settings.engine.budget.share = *share;
  settings.engine.pace = Pace::kLive;
  settings.engine.run_for = source.run_for;
  settings.server.listen = "off";
  std::mt19937 rng(source.seed);
  for (std::size_t g = 0; g < workload.cameras.size(); ++g) {
    const CameraGroup& group = workload.cameras[g];
    const Result<std::string> model = add_model(group, source, settings);
    if (!model) return fail(model.error());
    for (std::int64_t i = 0; i < group.count; ++i) {
      CameraSettings camera;
      camera.id = fmt::format("{}-{}", group.name, i + 1);
      camera.model = *model;
      camera.rate_hz = group.rate_hz;
      camera.slo = group.slo;
      camera.priority = group.priority;
      camera.policy = policy_of(group);
      camera.decode = group.decode;
      const auto number = static_cast<std::uint32_t>(settings.cameras.size());
      if (source.clips.empty()) {
        camera.url = synthetic_url(group, source.seed + number);
      } else {
        camera.url = source.clips[number % source.clips.size()];
        camera.is_looped = true;
        camera.start = std::chrono::milliseconds(rng() % 5000);
      }
      settings.cameras.push_back(std::move(camera));
      plan.group_of_camera.push_back(g);
    }
  }
  return plan;
}

}  // namespace framemill
