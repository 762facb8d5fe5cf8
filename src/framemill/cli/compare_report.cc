#include "framemill/cli/compare_report.h"

#include <cmath>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kClipLinesMax = 20;

/// "0.15 [0.12, 0.19]"
std::string format_ratio(const std::optional<ErrorRatio>& ratio) {
  if (!ratio) return "-";
  if (!ratio->low) return fmt::format("{:.2f}", ratio->ratio);
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", ratio->ratio, *ratio->low, *ratio->high);
}

/// Bytes of at most `width` characters; ids may hold any UTF-8, settings are ours.
std::string_view cut(std::string_view text, std::size_t width) { return text.substr(0, width); }

void append_run_row(std::string& out, const Comparison& comparison, const RunFigures& run) {
  const AgreementFigures& pooled = run.pooled;
  std::string misses = run.policy == kBaselinePolicy ? "baseline" : "-";
  std::string sure_errors = misses;
  std::string behind = "-";
  if (run.against_baseline) {
    misses = format_ratio(run.against_baseline->misses);
    sure_errors = format_ratio(run.against_baseline->sure_errors);
    std::size_t large = 0;
    for (const ClipFigures& clip : run.clips)
      large += clip.counts.wanted >= comparison.options.below_least ? 1 : 0;
    behind = fmt::format("{}/{}", run.against_baseline->clips_behind.size(), large);
  }
  fmt::format_to(std::back_inserter(out),
                 "{:<10} {:<15} {:>6.3f} {:>6.4f} {:>6.4f} {:>6.4f} {:>6.4f} {:>6.4f} {:>6} "
                 "{:>17} {:>17} {:>6} {:>6}\n",
                 cut(run.policy, 10), cut(run.setting, 15), run.share_inferred, pooled.recall,
                 pooled.sure_precision, pooled.precision, pooled.mean_iou, pooled.strict_recall,
                 run.macro ? fmt::format("{:.4f}", run.macro->recall) : "-", misses, sure_errors,
                 behind,
                 run.motion_ms_per_frame ? fmt::format("{:.3f}", *run.motion_ms_per_frame) : "-");
}

/// Of the headline's policy: where the others stay behind is not what the table is read for.
void append_clips_behind(std::string& out, const Comparison& comparison) {
  if (!comparison.headline) return;
  std::size_t lines = 0;
  std::size_t left_out = 0;
  for (const RunFigures& run : comparison.runs) {
    const bool is_of_interest = run.policy == comparison.runs[*comparison.headline].policy;
    if (!is_of_interest || !run.against_baseline) continue;
    for (const CameraIndex camera : run.against_baseline->clips_behind) {
      if (lines == kClipLinesMax) {
        ++left_out;
        continue;
      }
      ++lines;
      const ClipFigures& clip = run.clips[camera];
      fmt::format_to(std::back_inserter(out),
                     "behind {}: {} {}: {}: recall {:.4f} beside {:.4f}, sure {:.4f} beside "
                     "{:.4f}\n",
                     kBaselinePolicy, run.policy, run.setting, comparison.cameras[camera].id,
                     clip.figures.recall, clip.baseline->recall, clip.figures.sure_precision,
                     clip.baseline->sure_precision);
    }
  }
  if (left_out > 0) fmt::format_to(std::back_inserter(out), "... and {} more\n", left_out);
}

/// Six digits are more than the clips can tell, and keep the bytes free of rounding noise.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::round(value * 1e6) / 1e6;
}
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

Json figures_json(const AgreementFigures& figures) {
  return {{"recall", number(figures.recall)},
          {"precision", number(figures.precision)},
          {"sure_precision", number(figures.sure_precision)},
          {"mean_iou", number(figures.mean_iou)},
          {"strict_recall", number(figures.strict_recall)}};
}

Json counts_json(const AgreementCounts& counts) {
  return {{"found", counts.found},           {"wanted", counts.wanted},
          {"right", counts.right},           {"given", counts.given},
          {"sure_right", counts.sure_right}, {"sure_given", counts.sure_given}};
}

Json ratio_json(const std::optional<ErrorRatio>& ratio) {
  if (!ratio) return nullptr;
  return {
      {"ratio", number(ratio->ratio)}, {"low", number(ratio->low)}, {"high", number(ratio->high)}};
}

Json run_json(const Comparison& comparison, const RunFigures& run) {
  Json json;
  json["policy"] = run.policy;
  json["setting"] = run.setting;
  json["share_inferred"] = number(run.share_inferred);
  json["motion_ms_per_frame"] = number(run.motion_ms_per_frame);
  json["frames"] = run.frames;
  json["missing"] = run.missing;
  json["counts"] = counts_json(run.counts);
  json["pooled"] = figures_json(run.pooled);
  json["macro"] = run.macro ? figures_json(*run.macro) : Json(nullptr);
  json["macro_clips"] = run.macro_clips;
  json["against_hold"] = nullptr;
  if (const auto& against = run.against_baseline) {
    Json behind = Json::array();
    for (const CameraIndex camera : against->clips_behind)
      behind.push_back(comparison.cameras[camera].id);
    json["against_hold"] = {{"misses", ratio_json(against->misses)},
                            {"errors", ratio_json(against->errors)},
                            {"sure_errors", ratio_json(against->sure_errors)},
                            {"clips_behind", behind}};
  }
  json["clips"] = Json::array();
  for (std::size_t i = 0; i < run.clips.size(); ++i) {
    const ClipFigures& clip = run.clips[i];
    Json entry;
    entry["camera"] = comparison.cameras[i].id;
    entry["share_inferred"] = number(clip.share_inferred);
    entry["frames"] = clip.frames;
    entry["missing"] = clip.missing;
    entry["counts"] = counts_json(clip.counts);
    entry.update(figures_json(clip.figures));
    entry["hold"] = nullptr;
    if (clip.baseline) {
      entry["hold"] = {{"recall", number(clip.baseline->recall)},
                       {"sure_precision", number(clip.baseline->sure_precision)},
                       {"ahead", clip.baseline->is_ahead}};
    }
    json["clips"].push_back(std::move(entry));
  }
  return json;
}

Json miss_json(const Comparison& comparison, const WorstMiss& miss) {
  const Detection& object = miss.reference[miss.missed];
  const Box& box = object.box;
  return {{"camera", comparison.cameras[miss.camera].id},
          {"frame_index", miss.frame_index},
          {"pts_s", number(miss.pts_s)},
          {"class", object.class_id},
          {"score", number(object.score)},
          {"box", {number(box.x1), number(box.y1), number(box.x2), number(box.y2)}},
          {"origin", to_string(miss.origin)},
          {"source_frame_index",
           miss.source_frame_index < 0 ? Json(nullptr) : Json(miss.source_frame_index)},
          {"frames_missed", miss.frames_missed},
          {"seconds_missed", number(miss.seconds_missed)}};
}

Json models_json(const ComparisonContext& context) {
  Json models = Json::array();
  for (std::size_t i = 0; i < context.models.size(); ++i) {
    const ModelFacts& facts = context.models[i];
    models.push_back({{"model", context.model_names[i]},
                      {"variant", facts.name},
                      {"path", facts.path},
                      {"hash", facts.hash},
                      {"precision", facts.precision},
                      {"runtime", facts.runtime},
                      {"device", facts.device},
                      {"device_name", facts.device_name}});
  }
  return models;
}

}  // namespace

std::string format_compare_table(const Comparison& comparison) {
  std::string out;
  auto end = std::back_inserter(out);
  if (!comparison.runs.empty()) {
    const RunFigures& any = comparison.runs.front();
    fmt::format_to(end,
                   "{} {}, {} sampled frames, {} sure detections of full inference; motion {}, "
                   "answer delay {:g} ms, seed {}\n\n",
                   comparison.cameras.size(), comparison.cameras.size() == 1 ? "clip" : "clips",
                   any.frames, any.counts.wanted, comparison.context.motion,
                   to_ms(comparison.context.answer_delay), comparison.options.seed);
  }
  fmt::format_to(end,
                 "{:<10} {:<15} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>17} {:>17} {:>6} "
                 "{:>6}\n",
                 "", "", "share", "", "sure", "all", "mean",
                 fmt::format("rec@{:.1f}", comparison.options.strict_iou), "macro", "misses /",
                 "sure errors /", "clips", "motion");
  fmt::format_to(end,
                 "{:<10} {:<15} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>17} {:>17} {:>6} "
                 "{:>6}\n",
                 "policy", "setting", "infer.", "recall", "prec.", "prec.", "IoU", "", "recall",
                 "those of hold", "those of hold", "behind", "ms");
  for (const RunFigures& run : comparison.runs) append_run_row(out, comparison, run);
  append_clips_behind(out, comparison);
  return out;
}

std::string to_compare_json(const Comparison& comparison) {
  const ComparisonContext& context = comparison.context;
  const CompareOptions& options = comparison.options;
  Json json;
  json["schema"] = "framemill.compare/1";
  json["framemill"] = context.version;
  json["command"] = context.command;
  json["made_at"] = context.made_at.empty() ? Json(nullptr) : Json(context.made_at);
  json["environment"] = {{"cpu", context.environment.cpu_model},
                         {"cpu_count", context.environment.cpu_count},
                         {"memory_bytes", context.environment.memory_bytes},
                         {"kernel", context.environment.kernel}};
  json["models"] = models_json(context);
  json["settings"] = {{"motion", context.motion},
                      {"answer_delay_ms", number(to_ms(context.answer_delay))},
                      {"fidelity", number(context.fidelity)},
                      {"score_sure", number(options.thresholds.hi)},
                      {"score_given", number(options.thresholds.lo)},
                      {"score_confirms", number(options.thresholds.base)},
                      {"iou", number(options.thresholds.iou)},
                      {"iou_strict", number(options.strict_iou)},
                      {"macro_least", options.macro_least},
                      {"below_least", options.below_least},
                      {"resamples", options.resamples},
                      {"seed", options.seed}};
  json["inference_ms_per_frame"] = number(context.inference_ms_per_frame);
  json["cameras"] = Json::array();
  for (const ComparedCamera& camera : comparison.cameras) {
    json["cameras"].push_back({{"camera", camera.id},
                               {"width", camera.picture_size.width},
                               {"height", camera.picture_size.height}});
  }
  json["headline"] = nullptr;
  if (comparison.headline) {
    const RunFigures& run = comparison.runs[*comparison.headline];
    json["headline"] = {{"policy", run.policy}, {"setting", run.setting}};
  }
  json["runs"] = Json::array();
  for (const RunFigures& run : comparison.runs) json["runs"].push_back(run_json(comparison, run));
  json["worst_misses"] = Json::array();
  for (const WorstMiss& miss : comparison.misses)
    json["worst_misses"].push_back(miss_json(comparison, miss));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace framemill
