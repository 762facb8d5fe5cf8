#pragma once

namespace framemill {

/// The calling thread makes way for others of the machine from now on: its priority is lower by
/// `nice` (1..19) than it was. It still gets a share. Threads that it starts inherit that.
void lower_thread_priority(int nice);

}  // namespace framemill
