#include "framemill/sched/fidelity.h"

#include <algorithm>
#include <array>
#include <utility>

#include "framemill/base/check.h"
#include "framemill/sched/split_mix.h"

namespace framemill {
namespace {

constexpr std::size_t kResamples = 1000;

double ratio(double part, double whole) { return whole > 0 ? part / whole : 1; }

}  // namespace

double fidelity_of(double recall, double sure_precision) {
  const double sum = recall + sure_precision;
  return sum > 0 ? 2 * recall * sure_precision / sum : 0;
}

FidelityMeter::Sums& FidelityMeter::Sums::operator+=(const Sums& other) {
  weight += other.weight;
  found += other.found;
  wanted += other.wanted;
  sure_right += other.sure_right;
  sure_given += other.sure_given;
  return *this;
}

void FidelityMeter::count_exact(std::int64_t sure) {
  CHECK(sure >= 0);
  ++exact_;
  exact_sure_ += sure;
}

void FidelityMeter::add_audit(const AgreementCounts& counts, double weight) {
  CHECK(weight > 0);
  if (audits_ == static_cast<std::int64_t>(kBinsMax) * bin_audits_) {
    for (std::size_t i = 0; i < kBinsMax / 2; ++i) {
      bins_[i] = bins_[2 * i];
      bins_[i] += bins_[2 * i + 1];
    }
    bins_.resize(kBinsMax / 2);
    bin_audits_ *= 2;
  }
  if (audits_ % bin_audits_ == 0) bins_.emplace_back();
  bins_.back() += {.weight = weight,
                   .found = weight * static_cast<double>(counts.found),
                   .wanted = weight * static_cast<double>(counts.wanted),
                   .sure_right = weight * static_cast<double>(counts.sure_right),
                   .sure_given = weight * static_cast<double>(counts.sure_given)};
  ++audits_;
}

void FidelityMeter::merge(const FidelityMeter& other) {
  CHECK(bin_audits_ == 1 && other.bin_audits_ == 1 &&
        bins_.size() + other.bins_.size() <= kBinsMax);
  exact_ += other.exact_;
  inexact_ += other.inexact_;
  unanswered_ += other.unanswered_;
  exact_sure_ += other.exact_sure_;
  audits_ += other.audits_;
  lost_ += other.lost_;
  bins_.insert(bins_.end(), other.bins_.begin(), other.bins_.end());
}

FidelityMeter::Sums FidelityMeter::total() const {
  Sums sums;
  for (const Sums& bin : bins_) sums += bin;
  return sums;
}

FidelityMeter::Ratios FidelityMeter::ratios_with(const Sums& audited) const {
  const auto exact_sure = static_cast<double>(exact_sure_);
  const double factor = audited.weight > 0 ? static_cast<double>(inexact_) / audited.weight : 0;
  const double answered_wanted = exact_sure + factor * audited.wanted;
  const auto answered = static_cast<double>(exact_ + inexact_);
  // Where nothing was ever answered, any number of missed objects gives recall 0.
  const double wanted_each = answered > 0 ? answered_wanted / answered : 1;
  const double wanted = answered_wanted + wanted_each * static_cast<double>(unanswered_);
  return {.recall = ratio(exact_sure + factor * audited.found, wanted),
          .sure_precision = ratio(exact_sure + factor * audited.sure_right,
                                  exact_sure + factor * audited.sure_given)};
}

double FidelityMeter::with_unseen(bool is_right) const {
  Sums sums = total();
  const double factor = kUnseenAudits / static_cast<double>(audits_);
  sums += {.weight = factor * sums.weight,
           .found = is_right ? factor * sums.wanted : 0,
           .wanted = factor * sums.wanted,
           .sure_right = is_right ? factor * sums.sure_given : 0,
           .sure_given = factor * sums.sure_given};
  const Ratios ratios = ratios_with(sums);
  return fidelity_of(ratios.recall, ratios.sure_precision);
}

FidelityFigure FidelityMeter::point_figure() const {
  FidelityFigure figure{.audits = audits_};
  if (frames() == 0) return figure;
  const auto drawn = static_cast<double>(audits_ + lost_);
  if (static_cast<double>(lost_) > kLostShareMax * drawn) {
    figure.state = FidelityState::kAuditsLost;
    return figure;
  }
  if (inexact_ > 0 && audits_ == 0) {
    figure.state = FidelityState::kNoAudits;
    return figure;
  }
  figure.state = FidelityState::kKnown;
  const Ratios ratios = ratios_with(total());
  figure.recall = ratios.recall;
  figure.sure_precision = ratios.sure_precision;
  figure.value = fidelity_of(ratios.recall, ratios.sure_precision);
  figure.low = figure.high = figure.value;
  return figure;
}

FidelityFigure FidelityMeter::figure(std::uint64_t seed) const {
  FidelityFigure figure = point_figure();
  if (figure.state != FidelityState::kKnown || inexact_ == 0) return figure;
  SplitMix random(seed);
  std::array<double, kResamples> values;
  for (double& value : values) {
    Sums sums;
    for (std::size_t i = 0; i < bins_.size(); ++i) sums += bins_[random.index(bins_.size())];
    const Ratios ratios = ratios_with(sums);
    value = fidelity_of(ratios.recall, ratios.sure_precision);
  }
  const auto quantile = [&values](std::size_t place) {
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(place);
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  const double other_low = with_unseen(false);
  const double other_high = with_unseen(true);
  figure.low = std::min({figure.value, quantile(kResamples / 40), other_low});
  figure.high = std::max({figure.value, quantile(kResamples - 1 - kResamples / 40), other_high});
  return figure;
}

template <typename Record>
void FidelityAccount::record(const Record& record) {
  record(whole_);
  record(current_);
  if (current_.audits() < kAudits) return;
  before_ = std::exchange(current_, {});
}

FidelityFigure FidelityAccount::recent_figure() const {
  FidelityMeter recent = before_;
  recent.merge(current_);
  FidelityFigure figure = recent.point_figure();
  if (figure.state != FidelityState::kKnown || figure.audits == 0) return figure;
  const std::int64_t step = std::clamp<std::int64_t>(interval_.at_audits / 8, 1, kAudits / 8);
  if (interval_.at_audits < 0 || whole_.audits() >= interval_.at_audits + step) {
    const FidelityFigure full = recent.figure();
    interval_ = {whole_.audits(), full.value - full.low, full.high - full.value};
  }
  figure.low = std::max(0.0, figure.value - interval_.below);
  figure.high = std::min(1.0, figure.value + interval_.above);
  return figure;
}

FidelityBook::FidelityBook(std::span<const std::uint32_t> group_of_camera) {
  cameras_.reserve(group_of_camera.size());
  for (const std::uint32_t group : group_of_camera) {
    add_camera(group);
  }
}

void FidelityBook::add_camera(std::uint32_t group) {
  cameras_.push_back({.account = {}, .group = group});
  if (group >= groups_.size()) groups_.resize(group + std::size_t{1});
}

void FidelityBook::remove_camera(CameraIndex camera) {
  CHECK(camera < cameras_.size());
  cameras_[camera].account = {};
}

template <typename Record>
void FidelityBook::record(CameraIndex camera, Record record) {
  CHECK(camera < cameras_.size());
  cameras_[camera].account.record(record);
  groups_[cameras_[camera].group].record(record);
  total_.record(record);
}

void FidelityBook::count_exact(CameraIndex camera, std::int64_t sure) {
  record(camera, [sure](FidelityMeter& meter) { meter.count_exact(sure); });
}
void FidelityBook::count_inexact(CameraIndex camera) {
  record(camera, [](FidelityMeter& meter) { meter.count_inexact(); });
}
void FidelityBook::count_unanswered(CameraIndex camera) {
  record(camera, [](FidelityMeter& meter) { meter.count_unanswered(); });
}
void FidelityBook::add_audit(CameraIndex camera, const AgreementCounts& counts, double weight) {
  record(camera, [&](FidelityMeter& meter) { meter.add_audit(counts, weight); });
}
void FidelityBook::add_lost_audit(CameraIndex camera) {
  record(camera, [](FidelityMeter& meter) { meter.add_lost_audit(); });
}

FidelityFigure FidelityBook::of_group(std::uint32_t group, std::uint64_t seed) const {
  CHECK(group < groups_.size());
  return groups_[group].whole().figure(seed);
}

bool FidelityBook::has_own_figure(const FidelityMeter& meter) {
  const bool is_exact = meter.frames() > 0 && meter.exact_frames() == meter.frames();
  return is_exact || meter.audits() >= kAuditsOfItsOwn;
}

FidelityFigure FidelityBook::recent_of_camera(CameraIndex camera) const {
  CHECK(camera < cameras_.size());
  const auto& [account, group] = cameras_[camera];
  if (account.whole().frames() == 0) return {};  // its group's says nothing of it
  if (has_own_figure(account.whole())) return account.recent_figure();
  FidelityFigure figure = groups_[group].recent_figure();
  figure.is_of_group = true;
  return figure;
}

FidelityFigure FidelityBook::of_camera(CameraIndex camera, std::uint64_t seed) const {
  CHECK(camera < cameras_.size());
  const auto& [account, group] = cameras_[camera];
  if (account.whole().frames() == 0) return {};
  if (has_own_figure(account.whole())) return account.whole().figure(seed);
  FidelityFigure figure = groups_[group].whole().figure(seed);
  figure.is_of_group = true;
  return figure;
}

}  // namespace framemill
