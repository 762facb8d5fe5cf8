#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framemill/core/alarm.h"
#include "framemill/core/camera.h"

namespace framemill {

/// Where everything lies that the Modbus server shows. Addresses count from 0, as they go over the
/// wire; many tools show them from 1 (coils), 10001, 30001 and 40001. Cameras and rules stand in
/// the order of the configuration: adding at the end moves nothing. Plain data, pure.
class RegisterMap {
 public:
  struct Rule {
    CameraId camera_id;  ///< empty: of the whole run
    std::string id, kind;
    AlarmSeverity severity = AlarmSeverity::kWarning;
  };
  static constexpr int kVersion = 1;

  // Bits, as coils and as discrete inputs.
  static constexpr int kHeartbeatBit = 0;         ///< turns over each second
  static constexpr int kAnyOpenBit = 1;           ///< some alarm is open
  static constexpr int kAnyUnseenBit = 2;         ///< some alarm is open and not acknowledged
  static constexpr int kFirstOpenBit = 100;       ///< + rule: its alarm is open
  static constexpr int kFirstUnseenBit = 10'000;  ///< + rule: open and not acknowledged

  // 16-bit registers, as input and as holding registers; 32-bit ones with the high word first.
  static constexpr int kHeartbeat = 0;  ///< counts seconds, turns over at 65535
  static constexpr int kMapVersion = 1;
  static constexpr int kCameras = 2;
  static constexpr int kRules = 3;
  static constexpr int kOpen = 4;
  static constexpr int kUnseen = 5;
  static constexpr int kWorst = 6;  ///< of the open ones: 0 none, 1 info, 2 warning, 3 critical
  static constexpr int kDeviceBusy = 7;  ///< in 0.1 %; 65535: not known
  static constexpr int kFirstCamera = 100;
  static constexpr int kCameraRegisters = 10;
  static constexpr int kFirstRule = 20'000;
  static constexpr int kRuleRegisters = 6;
  static constexpr std::size_t kCamerasMax = 1990;
  static constexpr std::size_t kRulesMax = 7500;
  static constexpr std::uint16_t kUnknown = 65'535;
  // The first register of a camera.
  enum class CameraNumber : std::uint8_t {
    kConnecting,
    kUp,
    kFrozen,
    kDown,
    kEnded,
    kFailed,
    kPaused,
    kRemoved  ///< was in the configuration at the start, and is not any more
  };

  /// What goes beyond the limits is left out, see left_out().
  RegisterMap(std::vector<CameraId> cameras, std::vector<Rule> rules);

  [[nodiscard]] const std::vector<CameraId>& cameras() const { return cameras_; }
  [[nodiscard]] const std::vector<Rule>& rules() const { return rules_; }
  /// Says what found no place; empty: all is in.
  [[nodiscard]] std::string left_out() const;
  [[nodiscard]] int bits() const;       ///< highest address + 1
  [[nodiscard]] int registers() const;  ///< likewise
  [[nodiscard]] std::optional<std::size_t> find_rule(const CameraId& camera,
                                                     const std::string& rule) const;
  /// The map as a document for whoever programs the PLC.
  [[nodiscard]] std::string markdown() const;

 private:
  std::vector<CameraId> cameras_;
  std::vector<Rule> rules_;
  std::size_t cameras_left_out_ = 0, rules_left_out_ = 0;
};

}  // namespace framemill
