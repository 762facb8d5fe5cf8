#include "framemill/cli/log_to_stderr.h"

#include <string>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace framemill {

void log_to_stderr(std::string_view level) {
  auto logger = spdlog::stderr_color_mt("framemill");
  logger->set_pattern("%H:%M:%S %^%l%$ %v");
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(spdlog::level::from_str(std::string(level)));
}

}  // namespace framemill
