// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C and SIGTERM: the first one asks the work to end, so that nothing half-made stays; the
// second one ends the program at once.
#pragma once

namespace tools::cli {

void watch_for_interrupts();
bool was_interrupted();

}  // namespace tools::cli
