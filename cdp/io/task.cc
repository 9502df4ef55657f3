// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/task.h"

#include <array>
#include <new>

namespace cdp {

#ifdef HINDSIGHT_SANITIZED

// Reused frames would hide a use after the end of a coroutine.
void* allocate_frame(std::size_t bytes) { return ::operator new(bytes); }
void release_frame(void* frame, std::size_t) noexcept { ::operator delete(frame); }

#else

namespace {

constexpr std::size_t kClassBytes = 128;
constexpr std::size_t kClasses = 32;  // frames of up to 4 KiB are kept

struct FreeFrame {
  FreeFrame* next;
};

struct FreeLists {
  std::array<FreeFrame*, kClasses> heads{};
  ~FreeLists() {
    for (FreeFrame*& head : heads) {
      while (head != nullptr) ::operator delete(std::exchange(head, head->next));
    }
  }
};

thread_local FreeLists free_lists;

std::size_t class_of(std::size_t bytes) { return (bytes - 1) / kClassBytes; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (index >= kClasses) return ::operator new(bytes);
  FreeFrame*& head = free_lists.heads[index];
  if (head != nullptr) return std::exchange(head, head->next);
  return ::operator new((index + 1) * kClassBytes);
}

void release_frame(void* frame, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (index >= kClasses) return ::operator delete(frame);
  FreeFrame*& head = free_lists.heads[index];
  head = new (frame) FreeFrame{head};
}

#endif

}  // namespace cdp
