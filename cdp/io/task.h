// SPDX-License-Identifier: Apache-2.0
//
// Task<T>: a lazy C++20 coroutine that starts when awaited and resumes its awaiter when done.
//
// Invariants: a Task is awaited at most once, by one coroutine; everything of one Task runs on its
// reactor's thread. Coroutine frames come from per-thread free lists (a suspension then costs some
// 10 ns). A capturing lambda must not be a coroutine: its captures die before it ends. Pass what a
// coroutine needs as parameters, by value or with a lifetime that the caller states.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "cdp/base/check.h"

namespace cdp {

// Free lists of coroutine frames, by size class; larger frames go to the heap.
void* allocate_frame(std::size_t bytes);
void release_frame(void* frame, std::size_t bytes) noexcept;

// Takes from the same lists: for what a few coroutines share (std::allocate_shared).
template <typename T>
struct FrameAllocator {
  using value_type = T;
  FrameAllocator() = default;
  template <typename U>
  FrameAllocator(const FrameAllocator<U>&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(allocate_frame(count * sizeof(T))); }
  void deallocate(T* from, std::size_t count) noexcept { release_frame(from, count * sizeof(T)); }
  bool operator==(const FrameAllocator&) const = default;
};

template <typename T = void>
class Task;

namespace internal {

class PromiseBase {
 public:
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept {
    release_frame(frame, bytes);
  }

  std::suspend_always initial_suspend() noexcept { return {}; }
  // An exception cannot cross a reactor: whatever threw is a bug of ours.
  void unhandled_exception() noexcept { std::terminate(); }

  struct ResumeAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) noexcept {
      done.promise().ended_ = true;
      return done.promise().awaiter_;
    }
    void await_resume() noexcept {}
  };
  ResumeAwaiter final_suspend() noexcept { return {}; }

  void set_awaiter(std::coroutine_handle<> awaiter) noexcept { awaiter_ = awaiter; }
  bool ended() const noexcept { return ended_; }

 private:
  std::coroutine_handle<> awaiter_ = std::noop_coroutine();
  bool ended_ = false;
};

template <typename T>
class Promise final : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    CHECK(value_.has_value());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> final : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() noexcept {}
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;

  explicit Task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~Task() {
    if (frame_) frame_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> frame;
      bool await_ready() noexcept { return false; }
      // Runs the task here until it first suspends; if it has ended by then, the awaiter goes on
      // at once. So a loop over tasks that never wait uses no stack even where the compiler makes
      // no tail calls of transfers between coroutines (without optimisation, or with ASan).
      bool await_suspend(std::coroutine_handle<> awaiter) noexcept {
        frame.resume();
        if (frame.promise().ended()) return false;
        frame.promise().set_awaiter(awaiter);
        return true;
      }
      T await_resume() { return frame.promise().take(); }
    };
    return Awaiter{frame_};
  }

 private:
  std::coroutine_handle<promise_type> frame_;
};

template <typename T>
Task<T> internal::Promise<T>::get_return_object() noexcept {
  return Task<T>{std::coroutine_handle<Promise>::from_promise(*this)};
}
inline Task<void> internal::Promise<void>::get_return_object() noexcept {
  return Task<void>{std::coroutine_handle<Promise>::from_promise(*this)};
}

}  // namespace cdp
