#include "framemill/server/headroom.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr double kWorthTelling = .01;

std::string percent(double share) {
  return fmt::format("{:.0f} %", 100 * std::clamp(share, 0.0, 1.0));
}

std::string_view long_name(std::string_view resource) {
  if (resource == "cpu") return "this machine's processor";
  if (resource == "memory") return "this machine's memory";
  return "the inference device";
}

std::string count(std::int64_t cameras, std::string_view before) {
  return fmt::format("{} {}camera{}", cameras, before, cameras == 1 ? "" : "s");
}

}  // namespace

std::string describe_headroom(const Headroom& binding, std::int64_t cameras,
                              std::int64_t cameras_more, double share_inferred) {
  const bool has_others = binding.others > kWorthTelling;
  std::string text = fmt::format("{} take{} {} of {}", count(cameras, ""), cameras == 1 ? "s" : "",
                                 percent(binding.own), long_name(binding.name));
  if (has_others)
    text += fmt::format(", other programs {}", percent(std::min(binding.others, 1 - binding.own)));
  if (cameras_more > 0) {
    text += fmt::format("; about {} like {} fit{} below {}", count(cameras_more, "more "),
                        cameras == 1 ? "it" : "these", cameras_more == 1 ? "s" : "",
                        percent(binding.limit));
    if (share_inferred < .995)
      text += fmt::format(", with {} of the frames inferred as now", percent(share_inferred));
    return text + ".";
  }
  text +=
      fmt::format(". No more {} below {}", cameras == 1 ? "fits" : "fit", percent(binding.limit));
  if (binding.own <= binding.limit && binding.own + binding.others > binding.limit && has_others)
    return text + " while other programs are that busy.";
  return text + ".";
}

}  // namespace framemill
