/// Runs a seccomp program as the kernel would (kernel/bpf, net/core/filter.c), so that tests can
/// ask a filter about any syscall of any architecture without making it.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace tare::test {

class FilterMachine {
 public:
  explicit FilterMachine(const std::string& program) : code_(program.size() / sizeof(sock_filter)) {
    if (program.empty() || program.size() % sizeof(sock_filter) != 0) {
      throw std::runtime_error("not a whole number of instructions");
    }
    program.copy(reinterpret_cast<char*>(code_.data()), program.size());
  }

  std::size_t size() const noexcept { return code_.size(); }

  /// What the filter answers; throws for anything that the kernel would not have loaded.
  std::uint32_t run(const seccomp_data& data) const {
    std::uint32_t a = 0;
    for (std::size_t at = 0; at < code_.size();) {
      const sock_filter& now = code_[at++];
      switch (now.code) {
        case BPF_LD | BPF_W | BPF_ABS:
          a = word(data, now.k);
          break;
        case BPF_ALU | BPF_AND | BPF_K:
          a &= now.k;
          break;
        case BPF_JMP | BPF_JA:
          at += now.k;
          break;
        case BPF_JMP | BPF_JEQ | BPF_K:
          at += a == now.k ? now.jt : now.jf;
          break;
        case BPF_JMP | BPF_JGT | BPF_K:
          at += a > now.k ? now.jt : now.jf;
          break;
        case BPF_JMP | BPF_JGE | BPF_K:
          at += a >= now.k ? now.jt : now.jf;
          break;
        case BPF_RET | BPF_K:
          return now.k;
        default:
          throw std::runtime_error("unexpected instruction");
      }
    }
    throw std::runtime_error("ran over the end");
  }

 private:
  static std::uint32_t word(const seccomp_data& data, std::uint32_t offset) {
    if (offset % 4 != 0 || offset + 4 > sizeof data) throw std::runtime_error("load out of bounds");
    std::uint32_t out = 0;
    std::string(reinterpret_cast<const char*>(&data), sizeof data)
        .copy(reinterpret_cast<char*>(&out), sizeof out, offset);
    return out;
  }

  std::vector<sock_filter> code_;
};

}  // namespace tare::test
