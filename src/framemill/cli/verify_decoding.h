#pragma once

#include <functional>
#include <string>
#include <vector>

#include "framemill/config/workload.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// Sets each group's `decode` to who decodes where it is played and predicted, as plan has it:
/// beside a model on the processor that is the processor, beside a card whoever the group asks for,
/// if it is there. What is otherwise than asked for goes to `notes`, for people. Each group's model
/// is named as its profile is. `why_none`: says why there is no NVIDIA decoder here, "" where there
/// is one; called once at most, where a group asks for it.
void settle_decoding(Workload& workload, const std::vector<DeviceProfile>& profiles,
                     const std::function<std::string()>& why_none, std::vector<std::string>& notes);

}  // namespace framemill
