#pragma once

#include <string>
#include <vector>

#include "framemill/config/run_settings.h"
#include "framemill/config/validate.h"

namespace framemill {

/// Files that a run would write although it reads them (a source, a model with what lies beside it,
/// labels, certificates, the configuration), and files that it would write for two things. Files
/// are told apart by device and number where they exist, so links and ways round are seen through.
/// `config_path`: the configuration's own file; empty: none. Looks at files, opens none.
[[nodiscard]] std::vector<SettingProblem> find_output_clashes(const RunSettings& settings,
                                                              const std::string& config_path);

}  // namespace framemill
