#include <cstdlib>
#include <exception>
#include <new>

#include "cli/program.hpp"
#include "sys/startup.hpp"
#include "tare/error.hpp"

namespace {

// Reporting can fail too: standard output is closed, the log cannot be opened. Then that is
// reported, on standard error alone.
int report(tare::cli::Program& program, const tare::Error& error) {
  try {
    return program.report(error);
  } catch (const tare::Error&) {
    tare::sys::Log().write_failure(error, "");
    return EXIT_FAILURE;
  }
}

}  // namespace

int main(int count, char** arguments) {
  tare::sys::make_stack_present();
  tare::cli::Program program(count, arguments);
  try {
    return program.run();
  } catch (const tare::Error& error) {
    return report(program, error);
  } catch (const std::bad_alloc&) {
    return report(program, tare::Error(tare::ErrorKind::system, "cannot allocate memory"));
  } catch (const std::exception& error) {
    return report(program, tare::Error(tare::ErrorKind::internal, error.what()));
  }
}
