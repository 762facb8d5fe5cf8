#include "framemill/engine/sinks/modbus/register_map.h"

#include <algorithm>

#include <fmt/format.h>

namespace framemill {

RegisterMap::RegisterMap(std::vector<CameraId> cameras, std::vector<Rule> rules)
    : cameras_(std::move(cameras)), rules_(std::move(rules)) {
  if (cameras_.size() > kCamerasMax) {
    cameras_left_out_ = cameras_.size() - kCamerasMax;
    cameras_.resize(kCamerasMax);
  }
  if (rules_.size() > kRulesMax) {
    rules_left_out_ = rules_.size() - kRulesMax;
    rules_.resize(kRulesMax);
  }
}

std::string RegisterMap::left_out() const {
  if (cameras_left_out_ + rules_left_out_ == 0) return {};
  return fmt::format(
      "the last {} cameras and {} rules of the configuration have no registers and bits of their "
      "own (room is for {} and {}); their alarms count in the sums",
      cameras_left_out_, rules_left_out_, kCamerasMax, kRulesMax);
}

int RegisterMap::bits() const { return kFirstUnseenBit + static_cast<int>(rules_.size()); }

int RegisterMap::registers() const {
  return kFirstRule + kRuleRegisters * static_cast<int>(rules_.size());
}

std::optional<std::size_t> RegisterMap::find_rule(const CameraId& camera,
                                                  const std::string& rule) const {
  const auto found = std::ranges::find_if(
      rules_, [&](const Rule& one) { return one.camera_id == camera && one.id == rule; });
  if (found == rules_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - rules_.begin());
}

std::string RegisterMap::markdown() const {
  std::string text = fmt::format(
      "# Modbus register map, version {}\n\n"
      "Addresses count from 0, as they go over the wire. Bits can be read as coils (function 1) or "
      "discrete\ninputs (2), registers as holding (3) or input registers (4); writing is refused. "
      "32-bit values lie in two\nregisters, the high word first. Cameras and rules stand in the "
      "order of the configuration: what is added at\nthe end moves nothing. Cameras and rules that "
      "are added while framemill runs get addresses at its next start;\ntheir alarms count in bits "
      "1 and 2 and registers 4 to 6 at once.{}\n\n"
      "## Bits\n\n| address | 1 means |\n|---|---|\n"
      "| {} | heartbeat: turns over each second; one that stands still means that framemill does "
      "|\n"
      "| {} | some alarm is open |\n| {} | some alarm is open and nobody has acknowledged it |\n",
      kVersion, left_out().empty() ? "" : "\n\nNot all is here: " + left_out() + ".", kHeartbeatBit,
      kAnyOpenBit, kAnyUnseenBit);
  const auto name = [](const Rule& rule) {
    return fmt::format("{} `{}` ({}, {})",
                       rule.camera_id.empty() ? "the run's" : "`" + rule.camera_id + "`", rule.id,
                       rule.kind, to_string(rule.severity));
  };
  for (std::size_t i = 0; i < rules_.size(); ++i)
    text += fmt::format("| {} | {}: alarm open |\n", kFirstOpenBit + static_cast<int>(i),
                        name(rules_[i]));
  for (std::size_t i = 0; i < rules_.size(); ++i)
    text += fmt::format("| {} | {}: open and not acknowledged |\n",
                        kFirstUnseenBit + static_cast<int>(i), name(rules_[i]));
  text += fmt::format(
      "\n## Registers\n\n| address | value |\n|---|---|\n| {} | heartbeat: counts seconds, turns "
      "over "
      "at 65535 |\n| {} | version of this map ({}) |\n| {} | cameras |\n| {} | rules |\n| {} | "
      "open "
      "alarms |\n| {} | of them not acknowledged |\n| {} | the worst open one: 0 none, 1 info, 2 "
      "warning, 3 critical |\n| {} | use of the inference device in 0.1 %; 65535: not known |\n",
      kHeartbeat, kMapVersion, kVersion, kCameras, kRules, kOpen, kUnseen, kWorst, kDeviceBusy);
  for (std::size_t i = 0; i < cameras_.size(); ++i) {
    const int at = kFirstCamera + kCameraRegisters * static_cast<int>(i);
    const auto row = [&](int address, std::string_view what) {
      text += fmt::format("| {} | `{}`: {} |\n", address, cameras_[i], what);
    };
    row(at, "0 connecting, 1 up, 2 frozen, 3 down, 4 ended, 5 failed, 6 paused, 7 removed");
    const auto two = [&](int offset, std::string_view what) {
      text +=
          fmt::format("| {}-{} | `{}`: {} |\n", at + offset, at + offset + 1, cameras_[i], what);
    };
    two(1, "answers since it was added or changed, 32 bits");
    two(3, "sampled frames without an answer, 32 bits");
    two(5, "answers after their deadline, 32 bits");
    row(at + 7, "answers a second, in 0.1");
    row(at + 8, "fidelity in 0.1 %; 65535: not known");
    row(at + 9, "reserved, 0");
  }
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const int at = kFirstRule + kRuleRegisters * static_cast<int>(i);
    text += fmt::format(
        "| {} | {}: 0 clear, 1 raised, 2 acknowledged |\n| {} | its severity: 1 info, 2 warning, 3 "
        "critical |\n| {}-{} | crossings or arrivals since the start, 32 bits |\n| {}-{} | what it "
        "sees now, times 100, 32 bits: objects, objects a minute, seconds of stay, share |\n",
        at, name(rules_[i]), at + 1, at + 2, at + 3, at + 4, at + 5);
  }
  return text;
}

}  // namespace framemill
