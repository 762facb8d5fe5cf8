#include "framemill/sched/fidelity_controller.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

// Before anything is known: the loss of boxes carried by flow, as if seen on so many detections.
constexpr double kFirstSpeed = .0065;
constexpr double kFirstDetections = 100;
/// An inference which found nothing where nothing was carried says a little: that all was well.
constexpr double kEmptyWeight = .1;

constexpr double kForgetting = .05;       // of the sums over inferences, each second ...
constexpr double kDetectionsKept = 1000;  // ... but no further than this
constexpr double kCorrectionGain = .3;    // of the factor that a window of audits asks for
constexpr double kCorrectionMax = 8;      // and 1 / 8
// What an inference by a cheaper rung loses, before audits say it: as the ladder has it.
constexpr double kFirstCheaperLoss = .05;
constexpr double kFirstCheaperDetections = 30;
constexpr double kCheaperDetectionsKept = 2000;
constexpr double kCheaperTrusted = 1000;  // detections: then a window says half as much as without
constexpr double kCheaperGain = .2;       // of a second in the smoothed part
constexpr double kCheaperMatters = .1;    // of the inferences: the device is not enough
constexpr double kRoomMin = .25;          // of what may be lost, for what is lost by age
constexpr double kWorthAWord = .002;

constexpr double kDeadBand = .1;
constexpr double kStepUp = 1.25;
constexpr double kStepDown = .95;
constexpr double kAtTheMost = .98;    // of share_max: no room to move
constexpr double kMostOfWindow = .9;  // of the seconds: what held it back through a window

}  // namespace

FidelityController::FidelityController(const FidelityControllerOptions& options)
    : options_(options),
      share_(0),
      share_wanted_(0),
      found_(kFirstDetections * (1 - 2 * kFirstSpeed)),
      wanted_(kFirstDetections),
      sure_right_(found_),
      sure_given_(kFirstDetections),
      aged_(kFirstDetections) {
  CHECK(options.target > 0 && options.target <= 1);
  CHECK(options.share_min > 0 && options.share_min <= options.share_max && options.share_max <= 1);
  share_wanted_ = share_for(1 - options.target);
  share_ = std::max(share_wanted_, options.share_min);
}

void FidelityController::set_bounds(double share_min, double share_max) {
  CHECK(share_min > 0 && share_min <= share_max && share_max <= 1);
  options_.share_min = share_min;
  options_.share_max = share_max;
}

void FidelityController::set_share_max(double share_max) {
  CHECK(share_max > 0 && share_max <= 1);
  options_.share_max = share_max;
}

double FidelityController::share() const {
  return std::clamp(share_, share_min(), options_.share_max);
}

double FidelityController::share_min() const {
  return std::min(options_.share_min, options_.share_max);
}

void FidelityController::count_exact(std::int64_t sure) {
  window_.count_exact(sure);
  ++window_inferred_;
  ++second_inferred_;
}

void FidelityController::count_inexact(bool is_inferred) {
  window_.count_inexact();
  if (!is_inferred) return;
  ++window_inferred_;
  ++window_cheaper_;
  ++second_inferred_;
  ++second_cheaper_;
}

void FidelityController::count_unanswered() { window_.count_unanswered(); }

void FidelityController::add_audit(const AgreementCounts& counts, double weight, bool is_inferred) {
  window_.add_audit(counts, weight);
  if (!is_inferred) return;
  cheaper_found_ += static_cast<double>(counts.found);
  cheaper_wanted_ += static_cast<double>(counts.wanted);
  cheaper_right_ += static_cast<double>(counts.sure_right);
  cheaper_given_ += static_cast<double>(counts.sure_given);
  const double kept = std::min(1.0, kCheaperDetectionsKept / std::max(cheaper_wanted_, 1.0));
  for (double* sum : {&cheaper_found_, &cheaper_wanted_, &cheaper_right_, &cheaper_given_}) {
    *sum *= kept;
  }
}

double FidelityController::loss_of_cheaper() const {
  const double prior = (1 - kFirstCheaperLoss) * kFirstCheaperDetections;
  return 1 - fidelity_of((cheaper_found_ + prior) / (cheaper_wanted_ + kFirstCheaperDetections),
                         (cheaper_right_ + prior) / (cheaper_given_ + kFirstCheaperDetections));
}

double FidelityController::rung_loss() const { return cheaper_part_ * loss_of_cheaper(); }

void FidelityController::add_lost_audit() { window_.add_lost_audit(); }

void FidelityController::learn(const AgreementCounts& counts, double age) {
  CHECK(age >= 1);
  const auto wanted = static_cast<double>(counts.wanted);
  found_ += static_cast<double>(counts.found) + kEmptyWeight;
  wanted_ += wanted + kEmptyWeight;
  sure_right_ += static_cast<double>(counts.sure_right) + kEmptyWeight;
  sure_given_ += static_cast<double>(counts.sure_given) + kEmptyWeight;
  aged_ += age * (wanted + kEmptyWeight);
}

// Boxes that lose e at age a lose e / a each frame; between two inferences they are half as old on
// average, so k is half of that.
double FidelityController::speed_seen() const {
  const double lost = 1 - fidelity_of(found_ / wanted_, sure_right_ / sure_given_);
  return lost * wanted_ / aged_ / 2;
}

double FidelityController::share_for(double room) const {
  const double speed = correction_ * speed_seen();
  if (speed <= 0) return 0;
  return room > 0 ? speed / (speed + room) : 1;
}

double FidelityController::update(std::optional<double> share_managed) {
  window_speed_ += speed_seen();
  ++window_seconds_;
  if (share() >= kAtTheMost * options_.share_max) ++seconds_at_most_;
  const bool is_short = share_managed && *share_managed < kAtTheMost * share();
  if (is_short || cheaper_part_ >= kCheaperMatters) ++seconds_short_;
  if (is_window_complete()) close_window();

  const double part = second_inferred_ > 0 ? static_cast<double>(second_cheaper_) /
                                                 static_cast<double>(second_inferred_)
                                           : cheaper_part_;
  cheaper_part_ += kCheaperGain * (part - cheaper_part_);
  second_inferred_ = second_cheaper_ = 0;

  const double lost_most = 1 - options_.target;
  const double wanted_by_best = share_for(lost_most);
  if (std::abs(wanted_by_best - share_wanted_) > kDeadBand * share_wanted_)
    share_wanted_ = std::clamp(wanted_by_best, share_wanted_ * kStepDown,
                               std::max(share_wanted_ * kStepUp, options_.share_min));
  const double room = std::max(kRoomMin * lost_most, lost_most - rung_loss());
  const double asked = share_for(room);
  const double most = std::max(options_.share_max, std::min(share_, asked));
  share_ = std::clamp(share_, share_min(), most);
  const double wanted = std::clamp(asked, share_min(), most);
  // The bounds themselves are reached, however near the share already is.
  const bool is_bound = wanted == share_min() || wanted == most;
  if (is_bound || std::abs(wanted - share_) > kDeadBand * share_)
    share_ = std::clamp(wanted, share_ * kStepDown, share_ * kStepUp);

  const double kept = std::max(1 - kForgetting, std::min(1.0, kDetectionsKept / wanted_));
  for (double* sum : {&found_, &wanted_, &sure_right_, &sure_given_, &aged_}) *sum *= kept;
  return share();
}

bool FidelityController::is_window_complete() const {
  const std::int64_t drawn = window_.audits() + window_.lost_audits();
  const bool are_lost = static_cast<double>(window_.lost_audits()) >
                        FidelityMeter::kLostShareMax * static_cast<double>(drawn);
  return window_.audits() >= kWindowAudits || (are_lost && drawn >= kWindowAudits);
}

void FidelityController::judge(const FidelityFigure& figure) {
  figure_ = figure;
  const double share =
      static_cast<double>(window_inferred_) / static_cast<double>(window_.frames());
  const double seen = window_speed_ / static_cast<double>(window_seconds_);
  if (share > 0 && share < 1 && seen > 0) {
    const double part =
        static_cast<double>(window_cheaper_) / static_cast<double>(window_inferred_);
    const double by_rungs = part * loss_of_cheaper();
    const double speed = std::max(0.0, 1 - figure_.value - by_rungs) / (1 / share - 1);
    const double asked = std::clamp(speed / seen, 1 / kCorrectionMax, kCorrectionMax);
    const double trust = cheaper_wanted_ / (cheaper_wanted_ + kCheaperTrusted);
    correction_ += kCorrectionGain * (1 - part * (1 - trust)) * (asked - correction_);
  }
  const bool is_surely_below = figure_.high < options_.target;
  const double long_enough = kMostOfWindow * static_cast<double>(window_seconds_);
  if (is_surely_below && static_cast<double>(seconds_short_) >= long_enough)
    state_ = State::kNoCapacity;
  else if (is_surely_below && static_cast<double>(seconds_at_most_) >= long_enough)
    state_ = State::kOverBudget;
  else
    state_ = State::kHolding;
}

void FidelityController::close_window() {
  const FidelityFigure figure = window_.figure();
  if (figure.state == FidelityState::kKnown)
    judge(figure);
  else
    state_ = State::kAuditsLost;
  window_ = {};
  window_inferred_ = 0;
  window_cheaper_ = 0;
  window_speed_ = 0;
  window_seconds_ = 0;
  seconds_at_most_ = 0;
  seconds_short_ = 0;
}

std::string FidelityController::explanation() const {
  if (state_ == State::kLearning)
    return fmt::format("target {:.3f}: no {} audits yet", options_.target, kWindowAudits);
  if (state_ == State::kAuditsLost)
    return fmt::format(
        "target {:.3f}: whether it is held is not known, since over {:.0f} % of the last {} audits "
        "never ran: for them there was no token of the budget, or no time of the device",
        options_.target, 100 * FidelityMeter::kLostShareMax, kWindowAudits);
  const bool is_by_rungs = rung_loss() >= kWorthAWord;
  std::string measured =
      fmt::format("fidelity {:.3f} [{:.3f}, {:.3f}]", figure_.value, figure_.low, figure_.high);
  if (is_by_rungs)
    measured += fmt::format(" (cheaper rungs of the ladder lose {:.3f})", rung_loss());
  const char* const by = is_by_rungs ? " by the best rung" : "";
  const double wanted = 100 * std::min(1.0, share_wanted());
  switch (state_) {
    case State::kOverBudget:
      return fmt::format(
          "{} is below {:.3f} with all the inference that the budget allows ({:.0f} % of the "
          "sampled frames); about {:.0f} %{} would hold it",
          measured, options_.target, 100 * options_.share_max, wanted, by);
    case State::kNoCapacity:
      if (is_by_rungs)
        return fmt::format(
            "{} is below {:.3f}: the device does not manage what is asked for by the best rung; "
            "about {:.0f} % of the sampled frames by it would hold it",
            measured, options_.target, wanted);
      return fmt::format(
          "{} is below {:.3f}: the device does not manage the {:.0f} % of the sampled frames asked "
          "for; about {:.0f} %{} would hold it",
          measured, options_.target, 100 * share(), wanted, by);
    case State::kLearning:
    case State::kAuditsLost:
    case State::kHolding:
      break;
  }
  return fmt::format("{}, target {:.3f}: inferring {:.0f} % of the sampled frames", measured,
                     options_.target, 100 * share());
}

}  // namespace framemill
