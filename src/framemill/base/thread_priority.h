#pragma once

namespace framemill {

/// The calling thread makes way for the others of the machine from now on: as one that has lower
/// priority by `nice` (1..19) than this process began with. It still gets its share. Threads that
/// it starts inherit that.
void lower_thread_priority(int nice);

}  // namespace framemill
