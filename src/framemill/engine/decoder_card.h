#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace framemill {

/// The card, as CUDA counts them, that decodes a camera's stream: one of those that its model runs
/// on, so that no card decodes for all; 0 where it runs on none. `devices`: of the model, as the
/// pool names them; `camera`: spreads cameras over several. Pure.
[[nodiscard]] int decoder_card(std::span<const std::string> devices, std::size_t camera);

}  // namespace framemill
