#pragma once

#include <string>
#include <vector>

#include "framemill/config/file_clashes.h"
#include "framemill/config/run_settings.h"
#include "framemill/config/validate.h"

namespace framemill {

/// Tells `files` of all that a run of `settings` reads: sources, models with what lies beside them,
/// labels, certificates, the configuration. `config_path`: its own file; empty: none. `names`: what
/// messages call them; empty: describe_place().
void add_inputs(FileClashes& files, const RunSettings& settings, const std::string& config_path,
                const PlaceNames& names = {});

/// Files that a run would write although it reads them (see add_inputs()), and files that it would
/// write for two things. Looks at files, opens none.
[[nodiscard]] std::vector<SettingProblem> find_output_clashes(const RunSettings& settings,
                                                              const std::string& config_path,
                                                              const PlaceNames& names = {});

}  // namespace framemill
