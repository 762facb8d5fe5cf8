#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/core/policy.h"

namespace framemill {

/// One policy with one setting, to be compared.
struct PolicyVariant {
  PolicyKind policy = PolicyKind::kHold;
  InferenceBudget budget;            ///< hold, adaptive
  std::optional<double> similarity;  ///< similarity: its threshold
  std::string label;                 ///< "budget 0.2", "threshold 0.95"
};

/// What `framemill compare` was asked for.
struct CompareRequest {
  /// Cameras, models and how to answer, for pace fast and without audits, outputs and sinks. A
  /// camera that is configured with policy full keeps it, all others have none of their own.
  RunSettings settings;
  std::vector<PolicyVariant> variants;  ///< at least one; those of a policy side by side
  std::string out_dir;                  ///< page and JSON document go there; empty: nowhere
  bool is_json_wanted = false;          ///< the document on standard output in place of the table
  double fidelity = .98;                ///< what the headline asks for
  std::uint64_t seed = 1;
  std::string source_option;    ///< that named the cameras' sources; empty: a configuration did
  std::string command;          ///< as typed, quoted for a shell, without credentials
  bool is_help_wanted = false;  ///< nothing else was looked at
};

/// Settings of the run of `variant`.
[[nodiscard]] RunSettings settings_for(const CompareRequest& request, const PolicyVariant& variant);

/// Settings of full inference.
[[nodiscard]] RunSettings settings_for_full(const CompareRequest& request);

/// Reads the arguments after `framemill compare`: its own options, and those of `run` that say what
/// to look at and how to answer. Errors: as parse_run_options(); kInvalidArgument too for sources
/// that are no clips, lists with wrong or repeated entries, settings that a variant cannot have,
/// and a report that would overwrite what is read.
[[nodiscard]] Result<CompareRequest> parse_compare_options(const std::vector<std::string>& args);

/// What is written to CompareRequest::out_dir.
inline constexpr const char* kComparePageName = "compare.html";
inline constexpr const char* kCompareDocumentName = "compare.json";

/// The text of `framemill compare --help`.
[[nodiscard]] std::string compare_help();

}  // namespace framemill
