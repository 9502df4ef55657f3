// SPDX-License-Identifier: Apache-2.0
//
// Where the checker works: a user, a mount and a process namespace of its own. In them it may mount
// what FUSE serves without a right outside, its mounts and files are gone with it, and when its
// first process ends, the kernel ends every other one.
#pragma once

#include <functional>

namespace check {

// Runs `work` in there, in a child, and gives its exit code; ends it with everything it began when
// the other end of `socket` has gone. Throws where there are no such namespaces.
int run_in_sandbox(int socket, const std::function<int()>& work);

// For who parses what the device holds: what is left to a process of ours is taken from the one
// that calls it, for good. It has no capability, may neither mount nor make a namespace in which it
// would have one again, and traces nobody.
void drop_everything();

}  // namespace check
