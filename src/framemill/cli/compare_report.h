#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framemill/cli/compare_figures.h"
#include "framemill/cli/compare_misses.h"
#include "framemill/engine/environment.h"
#include "framemill/infer/backend.h"

namespace framemill {

/// How a comparison was made.
struct ComparisonContext {
  std::string version;  ///< of framemill
  std::string command;  ///< as typed, secrets removed by the caller
  std::string made_at;  ///< "2026-01-01T08:00:04Z"; empty: not stated
  Environment environment;
  std::vector<std::string> model_names;  ///< as configured
  std::vector<ModelFacts> models;        ///< in the same order
  std::string motion;                    ///< "auto", "vectors", "flow"
  Duration answer_delay{0};
  /// Mean time of one inference, and so of one sampled frame under full inference; none where it
  /// was not measured.
  std::optional<double> inference_ms_per_frame;
  double fidelity = .98;  ///< recall and sure precision that the headline asks for
};

/// Everything that `framemill compare` prints. Requires one entry a camera in the clips of each
/// run.
struct Comparison {
  ComparisonContext context;
  CompareOptions options;
  std::vector<ComparedCamera> cameras;
  std::vector<RunFigures> runs;         ///< those of a policy side by side, in the order shown
  std::optional<std::size_t> headline;  ///< of choose_headline(); index into `runs`
  std::vector<WorstMiss> misses;        ///< of the headline's run
  /// A JPEG of the plain frame (nothing drawn) for each of `misses`; empty bytes: none.
  std::vector<std::vector<std::uint8_t>> pictures;
};

/// The table for a terminal, 137 characters wide: a row a run, then the clips on which the
/// headline's policy stays behind the baseline. Figures are pooled over all clips, but for the
/// macro recall.
[[nodiscard]] std::string format_compare_table(const Comparison& comparison);

/// One JSON document, schema "framemill.compare/1", indented, newline at the end. Ratios are
/// rounded to six digits; null where there is no figure. The same comparison gives the same bytes.
[[nodiscard]] std::string to_compare_json(const Comparison& comparison);

}  // namespace framemill
