/// Ownership of file descriptors. A descriptor is owned by one Fd or borrowed as an FdRef; a bare
/// int is neither and appears only where a system call is made.
#pragma once

#include <utility>
#include <vector>

namespace tare::sys {

/// A borrowed descriptor: valid as long as its owner. Every parameter that takes a descriptor is
/// this.
class FdRef {
 public:
  explicit constexpr FdRef(int number) noexcept : number_(number) {}
  /// The descriptor that stands for the current directory in `*at` calls.
  static FdRef cwd() noexcept;
  constexpr int number() const noexcept { return number_; }
  constexpr bool operator==(const FdRef&) const = default;

 private:
  int number_;
};

/// An owned descriptor, closed when it goes; move-only. Empty by default.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int number) noexcept : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  /// Borrowing from a temporary would outlive it, so only an lvalue lends.
  FdRef ref() const& noexcept { return FdRef(number_); }
  FdRef ref() && = delete;
  // NOLINTNEXTLINE(google-explicit-constructor): lending is what it is for
  operator FdRef() const& noexcept { return FdRef(number_); }
  operator FdRef() && = delete;

  int number() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }
  /// Closes the descriptor now; the Fd is empty afterwards.
  void reset() noexcept;
  /// Gives the descriptor up without closing it.
  [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

/// A second descriptor for the same open file, O_CLOEXEC. Throws Error(system).
Fd duplicate(FdRef fd);

/// Makes `number` (0, 1 or 2, mostly) a descriptor for the same open file that survives execve;
/// what it was before is closed. Throws Error(system).
void place(FdRef fd, int number);

/// Marks a descriptor as surviving execve, for hand-over to a payload. Throws Error(system).
void keep_across_exec(FdRef fd);

/// Whether `fd` is open and may be written to.
bool is_writable(FdRef fd) noexcept;

/// Marks every descriptor from `first` on O_CLOEXEC, whatever the caller left open.
/// Throws Error(system).
void close_on_exec_from(int first);

/// Closes every descriptor from `first` on at once, but for the ones to keep. Throws Error(system).
void close_from(int first, std::vector<int> keep = {});

}  // namespace tare::sys
