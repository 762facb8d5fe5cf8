#pragma once

#include <string>
#include <vector>

#include "framemill/cli/compare_report.h"

namespace framemill {

/// A small comparison of six clips, made up but whole: policies hold and adaptive at two budgets
/// and similarity, of which adaptive at .2 is the headline; clip 5 has no objects. `name` becomes
/// part of every text that comes from outside.
inline Comparison make_comparison_for_test(const std::string& name) {
  constexpr std::size_t kClips = 6;
  constexpr std::int64_t kFrames = 120;
  std::vector<std::vector<ComparedAnswer>> reference(kClips);
  for (std::size_t clip = 0; clip < kClips; ++clip) {
    for (std::int64_t i = 0; i < kFrames; ++i) {
      ComparedAnswer answer{.frame_index = 3 * i,
                            .pts_s = static_cast<double>(i) / 10,
                            .origin = Origin::kInferred,
                            .source_frame_index = 3 * i};
      const auto x = static_cast<float>(20 + i);
      if (clip != 5) answer.detections = {{.score = .8F, .box = {x, 30, x + 60, 90}}};
      reference[clip].push_back(std::move(answer));
    }
  }
  // Infers each `step`th frame; the frames between lose the object each `loss`th time.
  const auto run_of = [&](std::string policy, std::string setting, std::int64_t step,
                          std::int64_t loss) {
    ComparedRun run{.policy = std::move(policy), .setting = std::move(setting)};
    for (const std::vector<ComparedAnswer>& clip : reference) {
      run.answers.push_back(clip);
      run.inferences.push_back((kFrames + step - 1) / step);
      for (std::int64_t i = 0; i < kFrames; ++i) {
        ComparedAnswer& answer = run.answers.back()[static_cast<std::size_t>(i)];
        if (i % step == 0) continue;
        answer.origin = Origin::kPropagated;
        answer.source_frame_index = 3 * (i - i % step);
        if (i % loss == 0) answer.detections.clear();
      }
    }
    return run;
  };
  std::vector<ComparedRun> runs{
      run_of("adaptive", "budget .2 " + name, 5, 49),
      run_of("adaptive", "budget .1", 10, 13),
      run_of("hold", "budget .2", 5, 7),
      run_of("hold", "budget .1", 10, 3),
      run_of("similarity" + name, "threshold .95", 20, 2),
  };
  runs[0].motion_ms_per_frame = .25;

  Comparison comparison;
  comparison.options.resamples = 200;
  for (std::size_t clip = 0; clip < kClips; ++clip) {
    comparison.cameras.push_back({.id = name + std::to_string(clip),
                                  .labels = {"person" + name},
                                  .picture_size = {640, 360}});
  }
  comparison.runs = compare_runs(reference, runs, comparison.options);
  comparison.headline = choose_headline(comparison.runs, comparison.context.fidelity);
  comparison.misses = choose_worst_misses(reference, runs[*comparison.headline], 3);
  comparison.pictures = {{0xFF, 0xD8, 0xFF}, {}};
  ComparisonContext& context = comparison.context;
  context.version = "0.2.0";
  context.command = "framemill compare " + name;
  context.made_at = "2026-01-01T08:00:04Z";
  context.environment = {"a processor " + name, 2, 16'000'000'000, "Linux 6.1.0"};
  context.model_names = {"objects" + name};
  context.models = {ModelFacts{.path = name + ".onnx",
                               .name = name,
                               .hash = "5c1f",
                               .runtime = "OpenVINO",
                               .device = "CPU",
                               .device_name = name,
                               .precision = "int8"}};
  context.motion = "auto";
  context.inference_ms_per_frame = 15.25;
  return comparison;
}

}  // namespace framemill
