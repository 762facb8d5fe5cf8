#include "framemill/cli/compare_progress.h"

#include <utility>

#include <fmt/format.h>

namespace framemill {

void CompareProgress::begin(std::string step) {
  step_ = std::move(step);
  if (style_ == Style::kLines) {
    fmt::print(out_, "{}\n", step_);
    std::fflush(out_);
  } else {
    draw(step_);
  }
}

void CompareProgress::show(std::optional<double> done) {
  if (style_ == Style::kLines || !done) return;
  draw(fmt::format("{} {:d} %", step_, static_cast<int>(*done * 100)));
}

void CompareProgress::clear() {
  if (!drawn_.empty()) draw("");
}

void CompareProgress::draw(const std::string& text) {
  if (text == drawn_) return;
  fmt::print(out_, "\r\x1b[2K{}", text);
  std::fflush(out_);
  drawn_ = text;
}

}  // namespace framemill
